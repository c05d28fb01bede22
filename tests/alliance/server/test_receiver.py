"""What comes over links waits in turn: one member's flood is its own, in memory and in time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from alliance.server import receiver as module
from alliance.server.clocks import PeerClocks
from alliance.server.driver import TURN_EVENTS_MAX, Inbox
from alliance.server.gate import Gate
from alliance.server.member_log import MemberLog
from alliance.server.receiver import (
    CREDIT_SECONDS,
    MESSAGE_BYTES,
    QUEUE_BYTES_MAX,
    SHARE,
    SLICE_SECONDS,
    PeerReceiver,
)
from alliance.wire import peer_messages
from alliance.wire.envelope import ENVELOPE_MESSAGES_MAX
from fab_paxos.events import Received, Submitted, TimerFired
from fab_paxos.messages import Fetch, Forward, Status
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.newcomers import newcomer
from verifiable_log import UnsignedSubmission

LEADER, FLOODER, HONEST = 0, 5, 3
STATUS = peer_messages.encode(Status(0, 9, 8, 7, clock_ms=5_000))


class Desk:
    """A receiver whose clock goes on by a step each time that it is looked at."""

    def __init__(self, farm: Farm, step: float = 0.0001) -> None:
        self.seconds, self._step = 0.0, step
        self.inbox, self.log = Inbox(), MemberLog(farm.config)
        self.clocks = PeerClocks(farm.config)
        nobody: Any = None
        self.receiver = PeerReceiver(
            Gate(farm.config), self.inbox, self.log, self.clocks, nobody, nobody, lambda: LEADER, nobody
        )

    def now(self) -> float:
        self.seconds += self._step
        return self.seconds

    def serve(self) -> float:
        return self.receiver.serve(self.now)

    def taken(self) -> list[Received]:
        """What has come to the engine since the last time."""
        return [event for event in self.inbox.take() if isinstance(event, Received)]


def test_each_gets_its_moment_however_long_the_others_queue_is(farm: Farm) -> None:
    desk = Desk(farm)
    for _ in range(5_000):
        desk.receiver.received(FLOODER, STATUS)
    desk.receiver.received(HONEST, STATUS)
    assert desk.serve() == 0.0
    taken = desk.taken()
    assert HONEST in [event.sender for event in taken]
    assert len(taken) <= 2 + SLICE_SECONDS / 0.0001


def test_a_member_that_does_not_lead_gets_a_share_of_the_time(farm: Farm) -> None:
    """And what it saved up; the leader, for whom everybody waits, gets all that there is."""
    for sender, share in ((FLOODER, SHARE), (LEADER, 1.0)):
        desk, used = Desk(farm), 0.0
        while desk.seconds < 2.0:
            for _ in range(12):
                desk.receiver.received(sender, STATUS)
            before = desk.seconds
            pause = desk.serve()
            if pause:
                desk.seconds += min(pause, 0.01)  # something else is done meanwhile
            else:
                used += desk.seconds - before
        assert used <= 1.3 * share * desk.seconds + CREDIT_SECONDS
        assert used >= 0.5 * share * desk.seconds


def test_who_has_no_credit_left_waits_and_nobody_else_does(farm: Farm) -> None:
    desk = Desk(farm)
    for _ in range(3_000):
        desk.receiver.received(FLOODER, STATUS)
    while not (pause := desk.serve()):
        pass
    assert 0.0 < pause < 1.0
    desk.taken()
    desk.receiver.received(HONEST, STATUS)
    assert desk.serve() == 0.0
    assert [event.sender for event in desk.taken()] == [HONEST]


def test_a_message_of_thousands_of_signatures_is_checked_in_steps(farm: Farm) -> None:
    """One that takes a quarter of a second must not take it at once."""
    desk = Desk(farm)
    forward = Forward(tuple(farm.submission(number) for number in range(1, 41)))
    desk.receiver.received(FLOODER, peer_messages.encode(forward))
    desk.receiver.received(FLOODER, STATUS)
    rounds = 0
    while not (taken := desk.taken()):
        desk.serve()
        rounds += 1
    assert rounds >= 40 * 0.0001 / SLICE_SECONDS
    assert taken[0].message == forward, "in the order in which they came"


def test_a_client_that_is_not_known_here_is_held_against_nobody(farm: Farm) -> None:
    """Who brings what it signed may know more of the log."""
    desk, new = Desk(farm), newcomer()
    for signature, refused in ((None, 0), (b"\0" * 64, 1)):
        client = new if signature is None else farm.clients[0]
        unsigned = UnsignedSubmission(client.party.client_id, 1, [b"open"])
        message = unsigned.message(farm.config.context)
        signed = unsigned.sign(signature or client.signing_key.sign(message))
        desk.receiver.received(HONEST, peer_messages.encode(Forward((signed,))))
        desk.serve()
        assert desk.log.refused[HONEST] == refused
    assert not desk.taken()


def test_the_time_of_arrival_goes_with_the_message(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it waits here; and so does what its Status says of its clock."""
    times = itertools.chain([7.0, 8.0, 9.0], itertools.repeat(99.0))
    monkeypatch.setattr(module.time, "time", lambda: next(times))
    desk = Desk(farm)
    for sender in (1, 2, HONEST):
        desk.receiver.received(sender, STATUS)
    desk.serve()
    assert [event.arrived_ms for event in desk.taken()] == [7_000, 8_000, 9_000]
    assert desk.clocks.ahead_ms == 3_000


def test_reading_stops_when_a_peers_own_queue_is_full(farm: Farm, run: Run) -> None:
    desk, large = Desk(farm), b"x" * 1024 * 1024

    async def scenario() -> None:
        queue = desk.receiver._queue(FLOODER)
        while queue.size <= QUEUE_BYTES_MAX:
            await asyncio.wait_for(desk.receiver.room(FLOODER), 1)
            desk.receiver.received(FLOODER, large)
        reader = asyncio.create_task(desk.receiver.room(FLOODER))
        await asyncio.wait([reader], timeout=0.01)
        assert not reader.done()
        await asyncio.wait_for(desk.receiver.room(HONEST), 1)
        while not reader.done():
            desk.serve()
            await asyncio.sleep(0)
        assert queue.size <= QUEUE_BYTES_MAX
        for _ in range(100):
            desk.receiver.received(HONEST, b"")
        assert desk.receiver._queue(HONEST).size == 100 * MESSAGE_BYTES

    run(scenario())


def test_it_runs_when_something_comes_and_waits_for_the_engine(farm: Farm, run: Run) -> None:
    desk = Desk(farm)

    async def scenario() -> None:
        running = asyncio.create_task(desk.receiver.run())
        for _ in range(3):
            desk.receiver.received(HONEST, STATUS)
            for _ in range(10):
                await asyncio.sleep(0)
            assert len(desk.taken()) == 1
        for number in range(TURN_EVENTS_MAX + 1):
            desk.inbox.post(TimerFired(str(number)))  # type: ignore[arg-type]
        desk.receiver.received(HONEST, peer_messages.encode(Fetch(1)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(desk.inbox.take()) == TURN_EVENTS_MAX, "the engine is to be heard first"
        running.cancel()
        await asyncio.wait([running])

    run(scenario())


def test_members_do_not_wait_behind_what_clients_submit(farm: Farm, run: Run) -> None:
    inbox = Inbox()
    for number in range(10 * TURN_EVENTS_MAX):
        inbox.post(Submitted(farm.submission(1) if not number else Submitted))  # type: ignore[arg-type]
    inbox.post(Received(1, Fetch(1)))

    async def scenario() -> None:
        await asyncio.wait_for(inbox.peer_room(), 1)
        waiting = asyncio.create_task(inbox.room())
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    run(scenario())
    assert Received(1, Fetch(1)) in inbox.take()
    assert len(inbox.take()) == TURN_EVENTS_MAX // 2


def test_an_envelope_is_not_more_than_a_queue_holds_again() -> None:
    assert ENVELOPE_MESSAGES_MAX * MESSAGE_BYTES <= QUEUE_BYTES_MAX
