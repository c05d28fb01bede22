"""The runner: each command once, in order; what must not be is undone; restarts go on where they were."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from alliance.client.delivery import DecidedSlot
from alliance.execution import Command, Outcome, Refused, Runner, Status
from alliance.execution.machine import Kind, unwrap, wrap
from alliance.execution.outcome import KEPT_PER_CLIENT, Outcomes
from alliance.execution.runner import COMPARE_SLOTS, compare_digests
from examples.kv.store import Store
from tests.execution.feed import Feed
from verifiable_log.merkle_tree import ProofError, leaf_hash


def outcomes(runner: Runner) -> list[tuple[Status, bytes]]:
    return [(outcome.status, outcome.payload) for outcome in runner.outcomes]


class Moody:
    """Counts, and does on demand what no state machine may do."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def apply(self, command: Command) -> bytes:
        self.seen.append(command.slot)
        match command.payload:
            case b"raise":
                raise KeyError(f"at {id(self)}")
            case b"text":
                return "no bytes"  # type: ignore[return-value]
            case b"long":
                return bytes(1024 * 1024 + 1)
            case b"refuse":
                self.seen.pop()
                raise Refused("not today")
        return str(len(self.seen)).encode()

    def query(self, query: bytes) -> bytes:
        if query == b"raise":
            raise ValueError
        return json.dumps(self.seen).encode()

    def snapshot(self) -> bytes:
        return json.dumps(self.seen).encode()

    def restore(self, snapshot: bytes) -> None:
        self.seen = json.loads(snapshot)


def test_commands_of_others_are_passed_over() -> None:
    assert unwrap("kv", wrap("kv", Kind.QUERY, b"x")) == (Kind.QUERY, b"x")
    for foreign in (b"", b"hello", wrap("kvs", Kind.APPLY, b"x"), wrap("k", Kind.APPLY, b"x")):
        assert unwrap("kv", foreign) is None
    assert unwrap("kv", wrap("kv", Kind.APPLY, b"")[:-1]) is None
    assert unwrap("kv", wrap("kv", Kind.APPLY, b"")[:-1] + b"\x02x") is None
    feed, runner = Feed(), Runner("kv", machine := Moody())
    feed.add(b"1")
    feed.add(b"plain", raw=True)
    feed.add(b"2", application="lock")
    feed.add(b"3")
    feed.tell(runner)
    assert machine.seen == [1, 4]
    assert outcomes(runner) == [(Status.DONE, b"1"), (Status.DONE, b"2")]


def test_a_repetition_in_the_log_is_executed_once_also_after_a_restart() -> None:
    feed = Feed()
    feed.add(b"1")
    feed.batches.append(feed.batches[0])
    feed.batches.append(feed.batches[0])
    runner = Runner("kv", machine := Moody())
    feed.tell(runner, 2)
    assert machine.seen == [1]
    again = Runner("kv", machine := Moody(), runner.state())
    feed.tell(again)
    assert machine.seen == [1]
    feed.tell(runner)
    with pytest.raises(ValueError, match="does not follow"):
        runner.execute(DecidedSlot(5, feed.batches[0], ()))


@pytest.mark.parametrize(("command", "error"), [(b"raise", b"KeyError"), (b"text", b"TypeError")])
def test_a_command_that_fails_leaves_no_trace(command: bytes, error: bytes) -> None:
    feed, runner = Feed(), Runner("kv", machine := Moody())
    feed.add(b"1", b"2", command, b"3")
    feed.add(command)
    feed.tell(runner)
    assert machine.seen == [1, 1, 1]
    done = [(Status.DONE, b"1"), (Status.DONE, b"2"), (Status.FAILED, error), (Status.DONE, b"3")]
    assert outcomes(runner) == [*done, (Status.FAILED, error)]


def test_an_answer_over_the_limit_is_a_failure_and_a_refusal_is_none() -> None:
    feed, runner = Feed(), Runner("kv", machine := Moody())
    feed.add(b"long", b"refuse", b"1")
    feed.tell(runner)
    assert machine.seen == [1]
    expected = [(Status.FAILED, b"OverflowError"), (Status.REFUSED, b"not today"), (Status.DONE, b"1")]
    assert outcomes(runner) == expected


def test_queries_are_answered_at_their_place() -> None:
    feed, runner = Feed(), Runner("kv", Moody())
    feed.add(b"1")
    feed.ask(b"")
    feed.add(b"2")
    feed.ask(b"raise")
    feed.tell(runner)
    assert outcomes(runner)[1] == (Status.DONE, b"[1]")
    assert outcomes(runner)[3] == (Status.FAILED, b"ValueError")


def test_all_answers_of_a_slot_have_one_root() -> None:
    feed, runner = Feed(), Runner("kv", Moody())
    feed.add(b"1", b"2", b"raise", b"3", b"4")
    feed.add(b"other", application="lock")
    feed.add(b"5")
    feed.tell(runner)
    *five, alone = runner.outcomes
    assert [outcome.rank for outcome in five] == [0, 1, 2, 3, 4]
    assert len({outcome.statement() for outcome in five}) == 1
    assert (alone.rank, alone.count, alone.path) == (0, 1, ())
    assert alone.statement().root == leaf_hash(alone.leaf)
    assert [Outcome.unpack(outcome.pack()) for outcome in five] == five
    swapped = replace(five[0], rank=1)
    assert swapped.statement() != five[0].statement()
    for misplaced in ({"rank": 5}, {"count": 9}, {"path": five[0].path[1:]}):
        with pytest.raises(ProofError):
            replace(five[0], **misplaced).statement()


def test_the_agreed_time_never_goes_back() -> None:
    feed, runner = Feed(), Runner("kv", Moody())
    for stamp in (5, 3, 0, 9):
        feed.add(b"x", time_ms=stamp)
    feed.tell(runner, 3)
    again = Runner("kv", Moody(), runner.state())
    feed.tell(again)
    assert [outcome.time_ms for outcome in again.outcomes] == [5, 5, 5, 9]


def test_runners_agree_wherever_they_were_restarted() -> None:
    feed = Feed()
    for number in range(3 * COMPARE_SLOTS):
        feed.add(b"set key-%d %d" % (number % 7, number), b"\xff")
    straight = Runner("kv", Store())
    feed.tell(straight)
    assert sorted(straight.digests) == [COMPARE_SLOTS, 2 * COMPARE_SLOTS, 3 * COMPARE_SLOTS]
    halting = Runner("kv", Store())
    for stop in range(1, 3 * COMPARE_SLOTS, 17):
        feed.tell(halting, stop)
        halting = Runner("kv", Store(), halting.state())
    feed.tell(halting)
    assert halting.digests == {3 * COMPARE_SLOTS: straight.digests[3 * COMPARE_SLOTS]}
    assert halting.state() == straight.state()


def test_who_is_outvoted_halts_and_who_differs_is_named() -> None:
    a, b, c = (bytes([number]) * 32 for number in range(3))
    assert compare_digests(a, {1: a, 2: a, 3: b}, 2) == (False, [3])
    assert compare_digests(b, {0: a, 1: a, 2: a}, 2) == (True, [])
    assert compare_digests(a, {1: b, 2: c}, 2) == (False, [])
    assert compare_digests(a, {}, 2) == (False, [])
    assert compare_digests(a, {1: b}, 2) == (False, [])


def test_old_outcomes_are_forgotten_client_by_client() -> None:
    kept = Outcomes()
    for client in (1, 2):
        for seq in range(KEPT_PER_CLIENT + (client == 1)):
            kept.add(Outcome(bytes([client]) * 32, seq, 0, 1, 0, bytes(32), Status.DONE, b""))
    assert kept.get(b"\1" * 32, 0, 0) is None
    assert kept.get(b"\1" * 32, 1, 0) is not None
    assert kept.get(b"\2" * 32, 0, 0) is not None
    assert kept.get(b"\3" * 32, 0, 0) is None
