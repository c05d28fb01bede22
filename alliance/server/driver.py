"""The loop around the engine: events in, ``step``, effects out, in order.

It decides nothing. It takes any ``Engine``. What its effects mean in the world is the ``World``'s; the server
has one, tests and simulators have others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from fab_paxos.control import Control
from fab_paxos.effects import (
    READS_JOURNAL,
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
    SaveCheckpoint,
    Send,
    SendLogFrame,
    SetTimer,
    SnapshotInstalled,
    Timer,
)
from fab_paxos.events import Clock, Drained, Event, Started, Submitted
from fab_paxos.evidence import TwoSubmissions
from fab_paxos.messages import Message, Status
from quorum import Endorsement, JointStatement, QuorumCertificate
from verifiable_log.batch import Entry
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.submission import Submission

TURN_EVENTS_MAX = 1024
"""Events before the engine is told that it may speak: bounds the latency that a flood adds."""


class Engine(Protocol):
    """A protocol without a world: all that happens to it are events, all that it does are effects."""

    @property
    def status(self) -> Status: ...

    @property
    def pending(self) -> tuple[Submission, ...]:
        """What this member's own clients have submitted, and is not decided."""
        ...

    def step(self, event: Event) -> tuple[Effect, ...]: ...


class World(Protocol):
    """Where effects go. ``persist`` returns only when the records are durable, or raises."""

    def persist(self, records: Sequence[Record]) -> None: ...
    def send(self, to: int, message: Message) -> None: ...
    def broadcast(self, message: Message) -> None: ...
    def endorse(self, statement: JointStatement, *, proven: bool) -> None: ...
    def combine(self, endorsements: Sequence[Endorsement]) -> None: ...
    def decided(self, entry: Entry, control: Control | None) -> None: ...
    def certified(self, certificate: QuorumCertificate) -> None: ...
    def send_log_frame(self, to: int, first_slot: int) -> None: ...
    def offer_checkpoint(self, to: int, checkpoint: Checkpoint) -> None: ...
    def save_checkpoint(self, checkpoint: Checkpoint) -> None: ...
    def prune(self, slot: int) -> None: ...
    def snapshot_installed(self, checkpoint: Checkpoint) -> None: ...
    def refuse(self, submission: Submission, reason: str) -> None: ...
    def already_ordered(self, submission: Submission, slot: int) -> None: ...
    def blame(self, blame: Blame) -> None: ...
    def blame_client(self, evidence: TwoSubmissions) -> None: ...
    def set_timer(self, name: StrEnum, seconds: float) -> None: ...


class Inbox:
    """The events that wait for the engine: of links, clients, timers and the signer.

    What clients submit waits apart, so that the members do not wait for one another behind a client's flood.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque([Started()])
        self._submitted: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._wake.set()
        self._room = asyncio.Event()
        self._room.set()
        self._peer_room = asyncio.Event()
        self._peer_room.set()
        self._halted = False

    def post(self, event: Event) -> None:
        """Hands over an event; it is handled in one of the next turns."""
        (self._submitted if isinstance(event, Submitted) else self._events).append(event)
        self._wake.set()
        if len(self._events) > TURN_EVENTS_MAX:
            self._peer_room.clear()
        if len(self._events) + len(self._submitted) > TURN_EVENTS_MAX:
            self._room.clear()

    async def room(self) -> None:
        """Waits while too many events are waiting: who reads from clients calls it, so that they feel it."""
        await self._room.wait()

    async def peer_room(self) -> None:
        """The same, for who reads from peers: what clients submitted does not count."""
        await self._peer_room.wait()

    def halt(self) -> None:
        """No turn begins any more: this member says nothing from now on."""
        self._halted = True
        self._wake.set()

    @property
    def submitted(self) -> tuple[Submission, ...]:
        """What clients have submitted, and no turn has handled."""
        return tuple(event.submission for event in self._submitted if isinstance(event, Submitted))

    def take(self) -> list[Event]:
        """What waits, as far as one turn handles it; at most half of it is what clients submitted."""
        submitted = min(len(self._submitted), TURN_EVENTS_MAX // 2)
        others = min(len(self._events), TURN_EVENTS_MAX - submitted)
        taken = [self._events.popleft() for _ in range(others)]
        taken += [self._submitted.popleft() for _ in range(submitted)]
        if not self._events:
            self._peer_room.set()
        return taken

    async def filled(self) -> bool:
        """Waits for an event. False after ``halt``."""
        if not self._events and not self._submitted and not self._halted:
            self._wake.clear()
            self._room.set()
        await self._wake.wait()
        return not self._halted


class Driver:
    """``turn`` is plain code, so that a simulator can call it."""

    def __init__(
        self,
        engine: Engine,
        world: World,
        now: Callable[[], float] = time.time,
        inbox: Inbox | None = None,
    ) -> None:
        """``now`` is this member's clock, in seconds since 1970. ``inbox``: if others post to it, too."""
        self._now = now
        self._engine = engine
        self._world = world
        self._inbox = inbox if inbox is not None else Inbox()
        self._late: list[Record] = []

    def post(self, event: Event) -> None:
        self._inbox.post(event)

    def turn(self) -> None:
        """Handles what waits, then carries out the effects: all records first, durable at once.

        Persisting earlier than the order of effects asks for is always safe; one sync then serves all.
        """
        effects: list[Effect] = [*self._engine.step(Clock(round(1000 * self._now())))]
        for event in self._inbox.take():
            effects.extend(self._engine.step(event))
        effects.extend(self._engine.step(Drained()))
        self._late.extend(effect.record for effect in effects if isinstance(effect, Persist))
        if self._late and any(map(_needs_the_journal, effects)):
            self._world.persist(self._late)
            self._late = []
        for effect in effects:
            _CARRY_OUT[type(effect)](self._world, effect)

    async def run(self) -> None:
        """A turn whenever anything waits. Ends by ``Inbox.halt``, or by an error, which is fatal."""
        while await self._inbox.filled():
            self.turn()
            await asyncio.sleep(0)


# A third of the time that a match over sixteen classes takes; a test asks that none is missing.
_CARRY_OUT: dict[type[Effect], Callable[[World, Any], None]] = {
    Persist: lambda world, effect: None,  # before everything else, in ``turn``
    Send: lambda world, effect: world.send(effect.to, effect.message),
    Broadcast: lambda world, effect: world.broadcast(effect.message),
    Endorse: lambda world, effect: world.endorse(effect.statement, proven=effect.proven),
    Combine: lambda world, effect: world.combine(effect.endorsements),
    Decide: lambda world, effect: world.decided(effect.entry, effect.control),
    Certify: lambda world, effect: world.certified(effect.certificate),
    SendLogFrame: lambda world, effect: world.send_log_frame(effect.to, effect.first_slot),
    OfferCheckpoint: lambda world, effect: world.offer_checkpoint(effect.to, effect.checkpoint),
    SaveCheckpoint: lambda world, effect: world.save_checkpoint(effect.checkpoint),
    Prune: lambda world, effect: world.prune(effect.slot),
    SnapshotInstalled: lambda world, effect: world.snapshot_installed(effect.checkpoint),
    Refuse: lambda world, effect: world.refuse(effect.submission, effect.reason.value),
    AlreadyOrdered: lambda world, effect: world.already_ordered(effect.submission, effect.slot),
    Blame: lambda world, effect: world.blame(effect),
    BlameClient: lambda world, effect: world.blame_client(effect.evidence),
    SetTimer: lambda world, effect: world.set_timer(effect.name, effect.seconds),
}


def _needs_the_journal(effect: Effect) -> bool:
    """Whether what was put off must be durable before this is carried out."""
    match effect:
        case Persist(lazily=lazily):
            return not lazily
        case SetTimer(name):
            return name is Timer.HEARTBEAT
        case _:
            return type(effect) in READS_JOURNAL
