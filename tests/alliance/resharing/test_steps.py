"""Which step is due, in each state of a change and with each folder; and how many sign in the next epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from alliance.keys.handover import Received
from alliance.keys.shares import Generation
from alliance.resharing import steps
from alliance.resharing.attempt import Attempt, next_threshold
from alliance.resharing.steps import BeReady, Deal, Held, Switch, Tidy
from consensus.control.encoding import Reader
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.consensus.alliance import ORGANISATIONS, Log, found, member_row, public, put_member
from tests.consensus.test_epochs import FULL, LIGHT, MEMBERS, replaced, scheduled
from tests.shoup_rsa.board import receiver
from tests.shoup_rsa.conftest import deal_once

OLD, NEW, AGAIN = Generation(0), Generation(1), Generation(1, 1)
DIGEST = b"t" * 32


def mine(name: str, key: str = "") -> bytes:
    """The fingerprint of a member's first receiver key."""
    return steps.fingerprint(member_row(name, "org-a", key).receiver)


def held(
    *receivers: bytes,
    current: Generation | None = OLD,
    others: Iterable[Generation] = (),
    noted: Generation | None = None,
    dealings: tuple[Generation, ...] = (),
) -> Held:
    there = tuple(sorted({*others, *([current] if current is not None else [])}))
    notes = {noted: Received(DIGEST, mine("m-b"))} if noted is not None else {}
    return Held(current, there, there, notes, receivers, dealings, ())


def due(log: Log, name: str, folder: Held, key: str = "") -> list[type]:
    return [type(step) for step in steps.due(log.state, name, public(key or name), folder)]


def test_nothing_is_due_without_a_change() -> None:
    assert due(Log(), "m-b", held(mine("m-b"))) == []


def test_a_member_deals_once_and_only_what_it_has() -> None:
    log = replaced()
    assert due(log, "m-b", held(mine("m-b"))) == [Deal]
    assert due(log, "m-b", held(mine("m-b"), current=None)) == []
    assert due(log, "m-b", held(mine("m-b"), current=NEW)) == []
    assert due(log, "m-f", held(mine("m-f"))) == [Deal], "it leaves, and still deals"
    assert due(log, "m-f", held(b"o" * 32, current=None), key="new f") == []
    log.deal(["m-b"])
    assert due(log, "m-b", held(mine("m-b"))) == []


def test_a_member_to_be_is_ready_once_a_quorum_has_dealt_and_has_its_receiver() -> None:
    log = replaced()
    new = mine("m-f", "new f")
    log.deal(MEMBERS[:4])
    assert due(log, "m-f", held(new, current=None), key="new f") == []
    log.deal(MEMBERS[4:5])
    assert due(log, "m-f", held(new, current=None), key="new f") == [BeReady]
    assert due(log, "m-f", held(b"o" * 32, current=None), key="new f") == []
    assert due(log, "m-f", held(mine("m-f"))) == [Deal], "who leaves is not ready"
    log.ready(["m-f"])
    (step,) = steps.due(log.state, "m-f", public("new f"), held(new, current=None))
    assert step == BeReady(log.state.dealt_for.approved.change_id, 0, 1, announce=False), "it has lost them"
    assert due(log, "m-f", held(new, current=None, others=[NEW], noted=NEW), key="new f") == []


def test_who_has_not_dealt_when_the_end_is_known_only_receives() -> None:
    log = scheduled()
    assert due(log, "m-a", held(mine("m-a"))) == [BeReady]
    assert log.state.end is not None
    log.to(log.state.end)
    assert due(log, "m-a", held(mine("m-a"))) == []


def test_a_sleeper_is_ready_late_and_its_shares_count_at_once() -> None:
    log = scheduled()
    log.finish()
    (step,) = steps.due(log.state, "m-a", public("m-a"), held(mine("m-a")))
    assert isinstance(step, BeReady)
    assert (step.late, step.epoch) == (True, 1)
    noted = held(mine("m-a"), others=[NEW], noted=NEW)
    assert due(log, "m-a", noted) == [Switch, BeReady]
    assert due(log, "m-a", held(current=NEW, noted=NEW)) == [BeReady], "the rest it needs no secret for"
    assert due(log, "m-a", held()) == []
    assert due(log, "m-b", held(mine("m-b"))) == [], "it is ready already"
    log.agree(log.change(LIGHT, put_member("m-b", "org-b", "new b")), ORGANISATIONS[1:5])
    assert due(log, "m-a", held(mine("m-a"))) == [BeReady]
    log.finish()
    (later,) = steps.due(log.state, "m-a", public("m-a"), held(mine("m-a")))
    assert later == step, "it is the same attempt, whatever epoch it is"


def test_a_sleeper_waits_for_a_change_that_deals_to_the_key_that_it_has() -> None:
    log = scheduled()
    log.finish()
    log.agree(log.change(FULL, slots=2**40))
    assert due(log, "m-a", held(mine("m-a"))) == []
    log.deal(MEMBERS[1:6])
    assert due(log, "m-a", held(mine("m-a"))) == [BeReady]


def test_what_an_attempt_under_way_needs_stays() -> None:
    log = replaced()
    log.deal(MEMBERS[:5])
    log.ready(["m-b"])
    folder = held(mine("m-b"), b"n" * 32, others=[NEW], noted=NEW, dealings=(NEW,))
    tidy = steps.tidy(log.state, "m-b", public("m-b"), folder)
    assert not tidy
    active = replace(log.state.dealt_for, attempt=1, readies=())
    gone = steps.tidy(replace(log.state, active=active), "m-b", public("m-b"), folder)
    assert gone == Tidy(shares=(NEW,), dealings=(NEW,))
    late = replace(folder, generations=(OLD, AGAIN), pieces=(OLD, AGAIN), received={}, dealings=())
    assert steps.tidy(replace(log.state, active=None), "m-b", public("m-b"), late) == Tidy(shares=(AGAIN,))


def test_a_receiver_is_used_up_when_its_shares_count_and_the_log_has_the_next_one() -> None:
    log = scheduled()
    log.finish()
    state = log.state
    following = steps.fingerprint(state.directory.member("m-b").receiver)
    folder = held(mine("m-b"), following, current=NEW, noted=NEW)
    assert steps.tidy(state, "m-b", public("m-b"), folder).receivers == ((mine("m-b"), following, NEW),)
    for other in (
        held(mine("m-b"), b"o" * 32, current=NEW, noted=NEW),
        held(mine("m-b"), following, current=NEW),
        held(mine("m-b"), following, others=[NEW], noted=NEW),
    ):
        assert not steps.tidy(state, "m-b", public("m-b"), other).receivers
    before = found()
    assert not steps.tidy(before, "m-b", public("m-b"), folder)


def test_a_receiver_that_something_was_dealt_to_is_not_the_next_one() -> None:
    log = replaced()
    target = mine("m-f", "new f")
    assert steps.not_to_be_next(log.state, "m-f", held()) == {mine("m-f"), target}
    noted = held(noted=NEW)
    assert steps.not_to_be_next(log.state, "m-c", noted) == {mine("m-c"), mine("m-b")}
    later = scheduled()
    later.finish()
    now = steps.fingerprint(later.state.directory.member("m-b").receiver)
    assert steps.not_to_be_next(later.state, "m-b", held()) == {mine("m-b"), now}


@pytest.mark.parametrize(
    ("before", "threshold", "after", "expected"),
    [
        (QuorumSystem(6, 1), 3, QuorumSystem(11, 2), 5),
        (QuorumSystem(6, 1), 2, QuorumSystem(11, 2), 3),
        (QuorumSystem(6, 1), 5, QuorumSystem(11, 2), 9),
        (QuorumSystem(11, 2), 5, QuorumSystem(6, 1), 3),
        (QuorumSystem(6, 1), 4, QuorumSystem(7, 1), 4),
        (QuorumSystem(11, 2), 7, QuorumSystem(6, 1), 5),
        (QuorumSystem(16, 1), 4, QuorumSystem(16, 3), 4),
        (QuorumSystem(4, 1, LEAN), 3, QuorumSystem(5, 1, LEAN), 3),
    ],
)
def test_a_threshold_keeps_its_meaning_or_its_number(
    before: QuorumSystem, threshold: int, after: QuorumSystem, expected: int
) -> None:
    assert next_threshold(threshold, before, after) == expected


def test_dealings_are_bound_to_alliance_epoch_change_and_attempt() -> None:
    """And the encoding that the process gets is of all of it."""
    key = deal_once(4, 3, 1, "bound", 0, 512, 2).public_key
    receivers = tuple(
        (name, receiver(1024, number).key.to_bytes()) for number, name in enumerate(MEMBERS[:4])
    )
    attempt = Attempt(
        bytes(32), 1, 1, bytes(32), 0, (key,), (3,), 1, MEMBERS[:4], receivers, (("m-a", b"d"),)
    )
    assert Attempt.read(Reader(attempt.encode())) == attempt
    others = [
        replace(attempt, alliance_id=b"a" * 32),
        replace(attempt, epoch=2),
        replace(attempt, change_id=b"c" * 32),
        replace(attempt, attempt=1),
        replace(attempt, receivers=receivers[::-1]),
    ]
    digests = {one.redistribution.digest for one in (attempt, *others)}
    assert len(digests) == 6
    assert replace(attempt, posted=()).redistribution.digest in digests
