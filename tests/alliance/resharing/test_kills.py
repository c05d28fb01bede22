"""Whoever works on handing keys on is killed, or loses power, at any step: it says the same again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError, SignerError
from alliance.keys import handover, shares
from alliance.keys.shares import Generation
from alliance.resharing import process, steps
from alliance.resharing.attempt import Attempt
from alliance.resharing.work import Answer, Kind, Task, work
from consensus.control import ControlState
from consensus.control.commands import Deal, Ready, SignedCommand
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE
from tests.alliance.keys.disks import ends
from tests.alliance.resharing.town import Town
from tests.consensus.alliance import public

FOUR = QuorumSystem(4, 1, LEAN)
NAME, NEXT = "m-b", Generation(1)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A refresh is approved, and nobody has dealt."""
    town = Town(tmp_path, FOUR)
    town.agree()
    return town


@pytest.fixture
def dealt(town: Town, run: Run) -> Town:
    """Three have dealt, of four."""
    others = ["m-a", "m-c", "m-d"]
    run(town.until(lambda: len(town.state.dealt_for.dealings) == 3, others))
    return town


def task(town: Town, kind: Kind, folder: Path, state: ControlState | None = None) -> Task:
    state = state or town.state
    attempt = Attempt.under_way(state, cast(AllianceConfig, town.config))
    held = steps.look(folder)
    reserved = steps.not_to_be_next(state, NAME, held)
    purposes = AGREEMENT, ATTESTATION
    return Task(kind, NAME, public(NAME), attempt, purposes, PASSPHRASE, held.current, (), reserved)


def command(answer: Answer) -> Deal | Ready:
    found = SignedCommand.decode(answer.command).command
    assert isinstance(found, Deal | Ready)
    return found


def sampled(folder: Path, town: Town, kind: Kind) -> Iterator[Path]:
    """What is left wherever the task ends, one for each set of files: its steps within a file are others'."""
    seen = set()
    for left in ends(folder, lambda home: work(home, task(town, kind, home)) and None):
        names = frozenset(path.name for path in left.iterdir())
        if names not in seen:
            seen.add(names)
            yield left
        shutil.rmtree(left)


def test_wherever_dealing_ends_the_same_bytes_are_posted_ever_after(town: Town) -> None:
    made = set()
    for left in sampled(town.homes[NAME].folder, town, Kind.DEAL):
        there = bool(handover.dealings(left))
        first = work(left, task(town, Kind.DEAL, left))
        assert work(left, task(town, Kind.DEAL, left)) == first
        made.add(there)
    assert made == {True, False}


def test_wherever_being_ready_ends_the_same_shares_and_receiver_come_of_it(dealt: Town) -> None:
    """And the shares are durable before READY is there, the old ones count, and one receiver is new."""
    folder = dealt.homes[NAME].folder
    (own,) = handover.receivers(folder)
    made = set()
    for left in sampled(folder, dealt, Kind.READY):
        before = steps.look(left)
        ready = command(work(left, task(dealt, Kind.READY, left)))
        assert isinstance(ready, Ready)
        after = steps.look(left)
        assert after.has(NEXT, ready.transcript)
        assert after.current == Generation(0)
        assert set(after.receivers) == {own, steps.fingerprint(ready.receiver)}
        assert set(before.receivers) <= set(after.receivers)
        again = command(work(left, task(dealt, Kind.READY, left)))
        assert isinstance(again, Ready)
        assert (again.transcript, again.receiver) == (ready.transcript, ready.receiver)
        made.add((before.has(NEXT, ready.transcript), len(before.receivers)))
    assert made == {(False, 1), (True, 1), (True, 2)}


def test_wherever_tidying_ends_it_is_ended_and_the_member_signs(dealt: Town, run: Run) -> None:
    town = dealt
    run(town.until(lambda: town.ready() == set(town.names), town.names))
    run(town.enter())
    folder, state = town.homes[NAME].folder, town.state
    extra = Generation(1, 1)
    shutil.copy(folder / shares.sealing_file(NEXT), folder / shares.sealing_file(extra))

    def tidy(home: Path) -> None:
        steps.carry_out(home, steps.tidy(state, NAME, public(NAME), steps.look(home)))

    seen = set()
    for left in ends(folder, tidy):
        seen.add(steps.look(left).pieces)
        tidy(left)
        held = steps.look(left)
        assert not steps.tidy(state, NAME, public(NAME), held)
        assert (held.current, held.pieces, held.dealings) == (NEXT, (NEXT,), ())
        row = state.directory.member(NAME)
        assert held.receivers == (steps.fingerprint(row.receiver),)
    assert len(seen) > 1


def test_going_through_the_log_again_loses_nothing(dealt: Town, run: Run) -> None:
    """A member that has started hears of old states first; what it does about them harms nothing."""
    town = dealt
    past = [town.log.state]
    home = town.homes[NAME]
    run(town.until(lambda: NAME in town.ready(), [NAME]))
    idle = replace(town.state, active=None)
    for state in (idle, *past):
        steps.carry_out(home.folder, steps.tidy(state, NAME, public(NAME), steps.look(home.folder)))
    run(town.until(lambda: town.ready() == set(town.names), town.names))
    run(town.enter())
    town.check_shares()
    for state in (idle, *past):  # of the epoch before
        steps.carry_out(home.folder, steps.tidy(state, NAME, public(NAME), steps.look(home.folder)))
    town.check_shares()
    assert steps.fingerprint(town.state.directory.member(NAME).receiver) in handover.receivers(home.folder)


def test_a_command_is_refused_that_would_be_too_large(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alliance.resharing.work.COMMAND_BYTES_MAX", 2_000)
    folder = town.homes[NAME].folder
    with pytest.raises(KeyFileError, match=r"of these 2 keys to 4 members has \d+ bytes, and a command"):
        work(folder, task(town, Kind.DEAL, folder))
    assert not handover.dealings(folder)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, whole: object) -> None:
    """Tasks are done by processes."""
    monkeypatch.setattr(process, "perform", whole)


def test_the_process_does_what_is_due_and_says_what_it_cannot(town: Town, run: Run, real: None) -> None:
    home = town.homes[NAME]

    async def story() -> None:
        first = await process.perform(home.folder, task(town, Kind.DEAL, home.folder))
        assert isinstance(command(first), Deal)
        assert first == work(home.folder, task(town, Kind.DEAL, home.folder))
        wrong = replace(task(town, Kind.DEAL, town.homes["m-a"].folder), passphrase=b"another one")
        with pytest.raises(KeyFileError, match="wrong passphrase"):
            await process.perform(
                town.homes["m-a"].folder, replace(wrong, name="m-a", identity=public("m-a"))
            )

    run(story())


def test_a_process_that_dies_says_nothing_and_is_tried_again(
    town: Town, run: Run, real: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = town.homes[NAME]
    spawn = process._spawn

    def killed(folder: Path) -> object:
        made, ours = spawn(folder)
        os.kill(made.pid, 9)
        return made, ours

    async def story() -> None:
        monkeypatch.setattr(process, "_spawn", killed)
        with pytest.raises(SignerError, match="has ended"):
            await process.perform(home.folder, task(town, Kind.DEAL, home.folder))

    run(story())


def test_secrets_are_not_shown(town: Town) -> None:
    shown = repr(task(town, Kind.READY, town.homes[NAME].folder))
    assert PASSPHRASE.decode() not in shown
