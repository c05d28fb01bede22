"""What a member orders in its own name: as a client does, and each under a number of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alliance.client.sequence import FILE
from alliance.keys.ed25519 import has_signed
from alliance.server.own_commands import OwnCommands
from fab_paxos.events import Event, Submitted
from tests.alliance.farm import Farm
from verifiable_log import UnsignedSubmission


def test_each_command_is_a_submission_of_its_own_over_all_restarts(farm: Farm, tmp_path: Path) -> None:
    mine, posted = farm.members[2], list[Event]()
    for epoch in (0, 0, 5):
        context = replace(farm.config.context, epoch=epoch)
        commands = OwnCommands(tmp_path, mine, context, posted.append)
        for word in (b"deal", b"ready", b"ready"):
            commands.submit(word)
    submissions = [event.submission for event in posted if isinstance(event, Submitted)]
    assert [one.commands() for one in submissions] == [(b"deal",), (b"ready",), (b"ready",)] * 3
    numbers = [one.client_seq for one in submissions]
    assert sorted({*numbers}) == numbers
    for one in submissions:
        assert one.client_id == mine.party.client_id
        unsigned = UnsignedSubmission(one.client_id, one.client_seq, one.commands())
        assert has_signed(mine.party.identity, unsigned.message(farm.config.context), one.signature)


def test_what_cannot_be_numbered_is_not_ordered_and_the_log_says_why(
    farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    posted = list[Event]()
    commands = OwnCommands(tmp_path, farm.members[2], farm.config.context, posted.append)
    (tmp_path / FILE).write_bytes(b"damaged")
    commands.submit(b"deal")
    assert not posted
    assert "nothing of this member's own is ordered: " in caplog.text
    assert "restore the file" in caplog.text
    (tmp_path / FILE).unlink()
    commands.submit(b"deal")
    assert len(posted) == 1
