"""The driver's contract: what must not be forgotten is durable before anybody hears of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from alliance.errors import JournalError
from alliance.server.driver import TURN_EVENTS_MAX, Driver, Inbox
from fab_paxos.effects import (
    AlreadyOrdered,
    Blame,
    BlameClient,
    Broadcast,
    Certify,
    Combine,
    Decide,
    Effect,
    Endorse,
    EntryRecord,
    Offence,
    OfferCheckpoint,
    Persist,
    ProvenRecord,
    Prune,
    RefusalReason,
    Refuse,
    SaveCheckpoint,
    Send,
    SendLogFrame,
    SetTimer,
    SnapshotInstalled,
    Timer,
)
from fab_paxos.events import Clock, Drained, Event, Started, TimerFired
from fab_paxos.evidence import TwoStatements, TwoSubmissions
from fab_paxos.messages import Accepted, Fetch, Status
from quorum import SuspectStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm


class Engine:
    """Answers each event with the next of its prepared effects."""

    status = Status(0, 0, 0, 0)

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.effects: deque[tuple[Effect, ...]] = deque()

    def step(self, event: Event) -> tuple[Effect, ...]:
        if not isinstance(event, Clock):  # every turn begins with it
            self.seen.append(event)
        if isinstance(event, TimerFired) and event.name == "bug":
            raise ArithmeticError("a bug of the engine")
        if isinstance(event, Clock | Drained | Started) or not self.effects:
            return ()
        return self.effects.popleft()


class World:
    """Writes down what it is told to do, in order."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.broken = False

    def persist(self, records: Sequence[object]) -> None:
        if self.broken:
            raise JournalError("disk full")
        self.done.append(("persist", *records))

    def __getattr__(self, name: str) -> Any:
        def act(*arguments: Any, **named: Any) -> None:
            self.done.append((name, *arguments, *named.values()))

        return act


class Bench:
    def __init__(self) -> None:
        self.engine, self.world = Engine(), World()
        self.inbox = Inbox()
        self.driver = Driver(self.engine, self.world, inbox=self.inbox)

    def post(self, *effects: Effect) -> None:
        self.engine.effects.append(effects)
        self.driver.post(TimerFired("x"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_event_is_started_and_every_turn_ends_drained(bench: Bench) -> None:
    bench.driver.turn()
    assert bench.engine.seen == [Started(), Drained()]
    bench.post()
    bench.post()
    bench.driver.turn()
    assert bench.engine.seen[2:] == [TimerFired("x"), TimerFired("x"), Drained()]


def test_everything_is_durable_before_anything_leaves(bench: Bench, long_chain: Chain) -> None:
    first, second = EntryRecord(long_chain.entries[0]), ProvenRecord(1, long_chain.certificate(1))
    bench.post(Send(1, Fetch(1)), Persist(first), Broadcast(Fetch(2)))
    bench.post(Persist(second), Send(2, Fetch(3)))
    bench.driver.turn()
    assert bench.world.done == [
        ("persist", first, second),
        ("send", 1, Fetch(1)),
        ("broadcast", Fetch(2)),
        ("send", 2, Fetch(3)),
    ]


def test_what_may_come_late_waits_for_the_next_record(bench: Bench, long_chain: Chain) -> None:
    proven, entry = ProvenRecord(1, long_chain.certificate(1)), EntryRecord(long_chain.entries[1])
    bench.post(Persist(proven, lazily=True), Send(1, Fetch(1)))
    bench.driver.turn()
    assert bench.world.done == [("send", 1, Fetch(1))]
    bench.post(Send(2, Fetch(2)), Persist(entry))
    bench.driver.turn()
    bench.post(Persist(entry))
    bench.driver.turn()
    assert bench.world.done[1:] == [
        ("persist", proven, entry),
        ("send", 2, Fetch(2)),
        ("persist", entry),
    ]


def test_what_was_put_off_is_written_before_the_journal_is_needed(bench: Bench, long_chain: Chain) -> None:
    proven, checkpoint = ProvenRecord(1, long_chain.certificate(1)), long_chain.checkpoint(20)
    for effect in (
        SetTimer(Timer.HEARTBEAT, 0.5),
        SendLogFrame(3, 1),
        OfferCheckpoint(3, checkpoint),
        Prune(5),
        SnapshotInstalled(checkpoint),
    ):
        bench.post(Persist(proven, lazily=True), SetTimer(Timer.VIEW, 0.5))
        bench.driver.turn()
        bench.post(effect)
        bench.driver.turn()
        timer, written, then = bench.world.done
        assert timer[0] == "set_timer"
        assert written == ("persist", proven)
        assert then[0] != "persist", effect
        bench.world.done.clear()


def test_without_records_nothing_is_synced(bench: Bench) -> None:
    bench.post(Send(1, Fetch(1)))
    bench.driver.turn()
    assert bench.world.done == [("send", 1, Fetch(1))]


def test_every_effect_reaches_the_world(bench: Bench, farm: Farm, long_chain: Chain) -> None:
    entry, submission = long_chain.entries[0], farm.submission(1)
    certificate, statement = long_chain.certificate(20), SuspectStatement(1)
    endorsement, checkpoint = farm.endorse(0, statement), long_chain.checkpoint(20)
    word = Accepted(0, 1, bytes(32))
    blame = Blame(2, Offence.TWO_VOTES, "1", TwoStatements(word, word))
    effects = [
        (Send(1, Fetch(1)), ("send", 1, Fetch(1))),
        (Broadcast(Fetch(1)), ("broadcast", Fetch(1))),
        (Endorse(statement, proven=True), ("endorse", statement, True)),
        (Combine((endorsement,)), ("combine", (endorsement,))),
        (Decide(entry), ("decided", entry, None)),
        (Certify(certificate), ("certified", certificate)),
        (SendLogFrame(3, 7), ("send_log_frame", 3, 7)),
        (OfferCheckpoint(3, checkpoint), ("offer_checkpoint", 3, checkpoint)),
        (SaveCheckpoint(checkpoint), ("save_checkpoint", checkpoint)),
        (Prune(5), ("prune", 5)),
        (SnapshotInstalled(checkpoint), ("snapshot_installed", checkpoint)),
        (Refuse(submission, RefusalReason.BUSY), ("refuse", submission, "busy")),
        (AlreadyOrdered(submission, 4), ("already_ordered", submission, 4)),
        (blame, ("blame", blame)),
        (
            BlameClient(TwoSubmissions(submission, submission)),
            ("blame_client", TwoSubmissions(submission, submission)),
        ),
        (SetTimer(Timer.HEARTBEAT, 0.5), ("set_timer", Timer.HEARTBEAT, 0.5)),
    ]
    assert {type(effect) for effect, _ in effects} | {Persist} == set(Effect.__args__)  # type: ignore[attr-defined]
    bench.post(*(effect for effect, _ in effects))
    bench.driver.turn()
    assert bench.world.done == [done for _, done in effects]


def test_when_the_journal_fails_nothing_leaves_and_run_raises(
    bench: Bench, long_chain: Chain, run: Run
) -> None:
    bench.world.broken = True
    bench.post(Send(1, Fetch(1)), Persist(EntryRecord(long_chain.entries[0])), Broadcast(Fetch(2)))

    async def scenario() -> None:
        with pytest.raises(JournalError, match="disk full"):
            await bench.driver.run()

    run(scenario())
    assert bench.world.done == []


def test_when_the_engine_fails_nothing_leaves_and_run_raises(bench: Bench, run: Run) -> None:
    bench.post(Send(1, Fetch(1)))
    bench.driver.post(TimerFired("bug"))

    async def scenario() -> None:
        with pytest.raises(ArithmeticError):
            await bench.driver.run()

    run(scenario())
    assert bench.world.done == []


def test_a_flood_is_handled_in_turns_and_readers_wait_meanwhile(bench: Bench, run: Run) -> None:
    async def scenario() -> None:
        running = asyncio.create_task(bench.driver.run())
        await bench.inbox.room()
        for number in range(3 * TURN_EVENTS_MAX):
            bench.driver.post(TimerFired(str(number)))
        reader = asyncio.create_task(bench.inbox.room())
        await asyncio.wait([reader])
        handled = [event for event in bench.engine.seen if isinstance(event, TimerFired)]
        assert len(handled) == 3 * TURN_EVENTS_MAX
        longest = streak = 0
        for event in bench.engine.seen:
            streak = 0 if isinstance(event, Drained) else streak + 1
            longest = max(longest, streak)
        assert longest <= TURN_EVENTS_MAX
        running.cancel()
        await asyncio.wait([running])

    run(scenario())


def test_after_a_halt_nothing_waits_for_a_turn_any_more(bench: Bench, run: Run) -> None:
    async def scenario() -> None:
        bench.inbox.halt()
        await bench.driver.run()

    run(scenario())
    assert bench.engine.seen == []


def test_it_sleeps_while_there_is_nothing_to_do(bench: Bench, run: Run) -> None:
    async def scenario() -> None:
        running = asyncio.create_task(bench.driver.run())
        await asyncio.wait([running], timeout=0.05)
        turns = len(bench.engine.seen)
        assert turns == 2
        bench.driver.post(TimerFired("x"))
        await asyncio.wait([running], timeout=0.05)
        assert len(bench.engine.seen) == 4
        running.cancel()
        await asyncio.wait([running])

    run(scenario())
