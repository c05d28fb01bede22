"""What servers say in their logs of shares that are not handed on."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from alliance.server.revisions import tell_of_handover
from consensus.control.changes import ChangeKind
from consensus.control.commands import Abort
from consensus.control.rows import PolicyRow
from tests.consensus.alliance import ORGANISATIONS, Log, found

DEADLINE = 10


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", DEADLINE)


def test_a_refresh_that_cannot_be_is_told_once_and_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log = Log(found(policy=PolicyRow(1, refresh_days=7), receiver=""))
    tell_of_handover(None, log.state)
    for letter in "abcdef":
        before = log.state
        log.slot(time_ms=1)
        tell_of_handover(before, log.state)
        before = log.state
        row = found().directory.member(f"m-{letter}")
        log.state = replace(before, directory=before.directory.with_member(row))
        tell_of_handover(before, log.state)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 6
    assert all(
        one.startswith("shares are to be refreshed every 7 days: no receiver key of m-") for one in told
    )
    assert "m-e" not in told[-1]


def test_attempts_that_fail_and_changes_that_end_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log = Log()
    log.slot(time_ms=1)
    change_id = log.agree(log.change(ChangeKind.FULL))
    before = log.state
    log.run(DEADLINE, time_ms=10**6)
    tell_of_handover(before, log.state)
    before = log.state
    for organisation in ORGANISATIONS[:4]:
        assert log.do(Abort(organisation, change_id)) == [""]
    tell_of_handover(before, log.state)
    name = change_id.hex()[:16]
    assert [record.getMessage() for record in caplog.records] == [
        f"change {name}: attempt 1 has failed, and the next one begins",
        f"change {name} has ended without a new epoch: it was aborted, or its time is over",
    ]


def test_a_change_that_ends_the_epoch_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log = Log()
    log.agree(log.change(ChangeKind.FULL))
    members = [f"m-{letter}" for letter in "abcdef"]
    before = log.state
    log.deal(members)
    log.ready(members)
    tell_of_handover(before, log.state)
    last = log.state
    log.finish()
    tell_of_handover(last, log.state)
    assert not caplog.records
