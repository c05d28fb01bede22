"""Shares are refreshed every so many days of agreed time, or people are told why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.control.changes import ChangeKind
from consensus.control.dealing import DAY_MS
from consensus.control.operations import PutPolicy
from consensus.control.record import Phase
from consensus.control.rows import PolicyRow
from consensus.limits import ATTEMPTS_MAX, OVERLOOKED_MS
from fab_paxos import EngineConfig
from quorum import QuorumSystem
from tests.consensus.alliance import Log, found

MEMBERS = tuple(f"m-{letter}" for letter in "abcdef")
DEADLINE = 10
BEGIN = 10**12
POLICY = PolicyRow(1, refresh_days=30)
DUE = BEGIN + 30 * DAY_MS


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", DEADLINE)


def refreshed(log: Log) -> None:
    log.deal(MEMBERS)
    assert log.ready(MEMBERS) == [""] * 6
    log.finish()


def test_it_is_due_by_agreed_time_which_no_stamp_takes_back() -> None:
    log = Log(found(policy=POLICY))
    for stamp in (BEGIN, DUE - 1, 5, DUE - DAY_MS):
        log.slot(time_ms=stamp)
        assert log.state.phase is Phase.IDLE
    assert log.state.time_ms == DUE - 1
    log.slot(time_ms=DUE)
    assert (log.state.phase, log.state.needs_time) == (Phase.APPROVED, True)
    log.slot(time_ms=BEGIN)
    assert log.state.phase is Phase.APPROVED


def test_after_years_without_a_slot_it_is_done_once() -> None:
    log = Log(found(policy=POLICY))
    log.slot(time_ms=BEGIN)
    now = DUE + 3650 * DAY_MS
    log.slot(time_ms=now)
    refreshed(log)
    assert (log.state.epoch, log.state.dealing, log.state.dealt_ms) == (1, 1, now)
    log.slot(time_ms=now + 30 * DAY_MS - 1)
    assert log.state.active is None
    log.slot(time_ms=now + 30 * DAY_MS)
    assert log.state.active is not None


def test_one_that_nobody_deals_for_is_given_up_and_comes_again() -> None:
    log = Log(found(policy=POLICY))
    log.slot(time_ms=BEGIN)
    log.slot(time_ms=DUE)
    now = DUE
    for attempt in range(ATTEMPTS_MAX):
        assert log.state.dealt_for.attempt == attempt
        now += 1000 * POLICY.attempt_seconds
        log.run(DEADLINE, time_ms=now)
    assert (log.state.phase, log.state.dealt_ms) == (Phase.IDLE, now)
    log.slot(time_ms=now + 30 * DAY_MS)
    refreshed(log)


def test_a_member_without_a_receiver_key_is_named_and_no_refresh_begins() -> None:
    log = Log(found(policy=POLICY, receiver=""))
    log.slot(time_ms=BEGIN)
    assert log.state.refresh_hindrance.startswith(f"no receiver key of {', '.join(MEMBERS)}:")
    log.slot(time_ms=DUE)
    assert log.state.active is None
    directory = log.state.directory
    for name in MEMBERS[:-1]:
        directory = directory.with_member(found().directory.member(name))
    assert replace(log.state, directory=directory).refresh_hindrance.startswith("no receiver key of m-f:")


def test_more_members_than_shares_are_dealt_to_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consensus.control.dealing.DEALT_MEMBERS_MAX", 5)
    log = Log(found(policy=POLICY))
    log.slot(time_ms=BEGIN)
    log.slot(time_ms=DUE)
    assert log.state.active is None
    assert "at most 5 members" in log.state.refresh_hindrance
    log.agree(log.change(ChangeKind.POLICY, PutPolicy(PolicyRow(1))))
    assert log.state.refresh_hindrance == ""


def test_an_attempt_outlasts_f_leaders_that_overlook_it_whatever_the_policy_says() -> None:
    engine = EngineConfig(QuorumSystem(6, 1), 0)
    assert engine.overlooked_heartbeats * engine.heartbeat_seconds * 1000 == OVERLOOKED_MS
    log = Log(found(policy=PolicyRow(1, attempt_seconds=10)))
    log.slot(time_ms=BEGIN)
    log.agree(log.change(ChangeKind.FULL))
    log.run(DEADLINE, time_ms=BEGIN + 3 * OVERLOOKED_MS - 1)
    assert log.state.dealt_for.attempt == 0
    log.slot(time_ms=BEGIN + 3 * OVERLOOKED_MS)
    assert log.state.dealt_for.attempt == 1
