"""The loop around the engine: events in, ``step``, effects out, in order.

It decides nothing. What its effects mean in the world is the ``World``'s; the server has one, tests and
simulators have others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

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
    OfferCheckpoint,
    Persist,
    Prune,
    Record,
    Refuse,
    Send,
    SendLogFrame,
    SetTimer,
    SnapshotInstalled,
)
from fab_paxos.events import Clock, Drained, Event, Started
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Message
from fab_paxos.replica import HEARTBEAT, Replica
from quorum import Endorsement, JointStatement, QuorumCertificate
from verifiable_log.batch import Entry
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.submission import Submission

TURN_EVENTS_MAX = 1024
"""Events before the engine is told that it may speak: bounds the latency that a flood adds."""


class World(Protocol):
    """Where effects go. ``persist`` returns only when the records are durable, or raises."""

    def persist(self, records: Sequence[Record]) -> None: ...
    def send(self, to: int, message: Message) -> None: ...
    def broadcast(self, message: Message) -> None: ...
    def endorse(self, statement: JointStatement, *, proven: bool) -> None: ...
    def combine(self, endorsements: Sequence[Endorsement]) -> None: ...
    def decided(self, entry: Entry) -> None: ...
    def certified(self, certificate: QuorumCertificate) -> None: ...
    def supply(self, to: int, first_slot: int) -> None: ...
    def present(self, to: int, checkpoint: Checkpoint) -> None: ...
    def prune(self, slot: int) -> None: ...
    def leapt(self, checkpoint: Checkpoint) -> None: ...
    def refuse(self, submission: Submission, reason: str) -> None: ...
    def locate(self, submission: Submission, slot: int) -> None: ...
    def blame(self, member: int, reason: str, evidence: Evidence | None) -> None: ...
    def blame_client(self, evidence: TwoSubmissions) -> None: ...
    def set_timer(self, name: str, seconds: float) -> None: ...


class Driver:
    """Holds the waiting events. ``turn`` is plain code, so that a simulator can call it."""

    def __init__(self, replica: Replica, world: World, now: Callable[[], float] = time.time) -> None:
        """``now`` is this member's clock, in seconds since 1970."""
        self._now = now
        self._replica = replica
        self._world = world
        self._events: deque[Event] = deque([Started()])
        self._wake = asyncio.Event()
        self._wake.set()
        self._room = asyncio.Event()
        self._room.set()
        self._halted = False
        self._late: list[Record] = []

    def post(self, event: Event) -> None:
        """Hands over an event; it is handled in one of the next turns."""
        self._events.append(event)
        self._wake.set()
        if len(self._events) > TURN_EVENTS_MAX:
            self._room.clear()

    async def room(self) -> None:
        """Waits while too many events are waiting: readers call this, so that peers feel it."""
        await self._room.wait()

    def turn(self) -> None:
        """Handles what waits, then carries out the effects: all records first, durable at once.

        Persisting earlier than the order of effects asks for is always safe; one sync then serves all.
        """
        effects: list[Effect] = [*self._replica.step(Clock(round(1000 * self._now())))]
        for _ in range(min(len(self._events), TURN_EVENTS_MAX)):
            effects.extend(self._replica.step(self._events.popleft()))
        effects.extend(self._replica.step(Drained()))
        self._late.extend(effect.record for effect in effects if isinstance(effect, Persist))
        if self._late and any(map(_needs_the_journal, effects)):
            self._world.persist(self._late)
            self._late = []
        for effect in effects:
            self._carry_out(effect)

    def halt(self) -> None:
        """No turn begins any more: this member says nothing from now on."""
        self._halted = True
        self._wake.set()

    async def run(self) -> None:
        """Turns as long as there is anything to do. Ends by ``halt``, or by an error, which is fatal."""
        while True:
            await self._wake.wait()
            if self._halted:
                return
            self.turn()
            if not self._events:
                self._wake.clear()
                self._room.set()
            await asyncio.sleep(0)

    def _carry_out(self, effect: Effect) -> None:
        world = self._world
        match effect:
            case Persist():
                pass
            case Send(to, message):
                world.send(to, message)
            case Broadcast(message):
                world.broadcast(message)
            case Endorse(statement, proven):
                world.endorse(statement, proven=proven)
            case Combine(endorsements):
                world.combine(endorsements)
            case Decide(entry):
                world.decided(entry)
            case Certify(certificate):
                world.certified(certificate)
            case SendLogFrame(to, first_slot):
                world.supply(to, first_slot)
            case OfferCheckpoint(to, checkpoint):
                world.present(to, checkpoint)
            case Prune(slot):
                world.prune(slot)
            case SnapshotInstalled(checkpoint):
                world.leapt(checkpoint)
            case Refuse(submission, reason):
                world.refuse(submission, reason.value)
            case AlreadyOrdered(submission, slot):
                world.locate(submission, slot)
            case Blame(member, reason, evidence):
                world.blame(member, reason, evidence)
            case BlameClient(evidence):
                world.blame_client(evidence)
            case SetTimer(name, seconds):
                world.set_timer(name, seconds)


def _needs_the_journal(effect: Effect) -> bool:
    """Whether what was put off must be durable before this is carried out."""
    match effect:
        case Persist(lazily=lazily):
            return not lazily
        case SendLogFrame() | OfferCheckpoint() | Prune() | SnapshotInstalled():
            return True
        case SetTimer(name):
            return name == HEARTBEAT
        case _:
            return False
