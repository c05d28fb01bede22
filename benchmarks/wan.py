"""A wide area in simulated time: the real engines, with links that delay, uplinks that are narrow, and costs.

Deterministic. Each member takes turns as the real driver does; a turn lasts as long as what it computes, by
``Costs``. A message leaves when the member's uplink is free, takes ``bytes / bandwidth``, and then the delay
of the link. Sizes are those of the real codec. Not simulated: loss, downlinks, and envelopes that carry many
messages (each message pays a frame).
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from alliance.wire import peer_messages as codec
from fab_paxos import EngineConfig, Replica, RestoredState
from fab_paxos.effects import (
    Broadcast,
    Certify,
    Combine,
    Decide,
    Effect,
    Endorse,
    Persist,
    Prune,
    Send,
    SendLogFrame,
    SetTimer,
)
from fab_paxos.events import (
    Combined,
    Drained,
    EndorsementMade,
    Event,
    PeerConnected,
    Received,
    Started,
    Submitted,
    TimerFired,
)
from fab_paxos.messages import Accepted, Message, NewView, Propose, Report
from quorum import QuorumCertificate, QuorumSystem
from verifiable_log import Entry, Submission
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import MerkleLog, slot_leaf

FRAME_BYTES = 120
"""TLS, HTTP/2, TCP and IP around a message that travels alone."""

_SIGNATURE = bytes(64)
_JOINT = bytes(256)
_SHARE = bytes(260)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one core. Measured on an AMD EPYC of 2024; RSA of 2048 bits."""

    sign: float = 25e-6
    verify: float = 60e-6
    share: float = 2.1e-3
    combine: float = 30e-6
    """Per share that is combined."""
    message: float = 50e-6
    """To receive and decode a message; sending one costs half."""
    sync: float = 110e-6


@dataclass(slots=True)
class Counts:
    """What all members did together."""

    messages: int = 0
    sent_bytes: int = 0
    leader_bytes: int = 0
    signed: int = 0
    verified: int = 0
    shares: int = 0
    combined: int = 0
    busy: float = 0.0
    leader_busy: float = 0.0


class Member:
    """One engine with its one core, its signer and its uplink; times in simulated seconds."""

    def __init__(self, config: EngineConfig) -> None:
        self.me = config.me
        self.engine = Replica(config, RestoredState())
        self.inbox: list[Event] = [Started()]
        self.turning = False
        self.core_free = self.signer_free = self.uplink_free = 0.0
        self.timers: Counter[str] = Counter()
        self.decided: dict[int, float] = {}
        self.certified: dict[int, float] = {}
        self.certificate: QuorumCertificate | None = None


class Wan:
    """``delay`` is one way, in seconds; ``bandwidth`` each member's uplink, in bits per second."""

    def __init__(
        self,
        system: QuorumSystem,
        delay: float,
        bandwidth: float,
        costs: Costs | None = None,
        view_timeout_seconds: float = 0.5,
    ) -> None:
        self.system = system
        self.now = 0.0
        self.counts = Counts()
        self.entries: dict[int, Entry] = {}
        self.on_decided: Callable[[int, Entry], None] = lambda me, entry: None
        self._delay = delay
        self._seconds_per_byte = 8.0 / bandwidth
        self._costs = costs or Costs()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._log = MerkleLog()
        self._sizes: dict[int, tuple[Message, int]] = {}
        count = system.member_count
        self.members = [
            Member(EngineConfig(system, me, view_timeout_seconds=view_timeout_seconds)) for me in range(count)
        ]
        for member in self.members:
            member.inbox += [PeerConnected(peer) for peer in range(count) if peer != member.me]
            self._wake(member)

    @property
    def views_changed(self) -> int:
        return max(member.engine.view for member in self.members)

    def submit(self, to: int, submission: Submission) -> None:
        """A client beside member ``to`` hands in its work now."""
        self._arrive(self.members[to], Submitted(submission))

    def run(self, until: float) -> None:
        """Everything that happens up to this moment."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    # -- a member's turns ----------------------------------------------------------------------------

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (moment, next(self._serial), action))

    def _arrive(self, member: Member, event: Event) -> None:
        member.inbox.append(event)
        self._wake(member)

    def _wake(self, member: Member) -> None:
        if not member.turning:
            member.turning = True
            self._at(max(self.now, member.core_free), lambda: self._turn(member))

    def _turn(self, member: Member) -> None:
        events, member.inbox = member.inbox, []
        effects: list[Effect] = []
        cost = sum(map(self._admission, events))
        for event in events:
            effects.extend(member.engine.step(event))
        effects.extend(member.engine.step(Drained()))
        effects = [self._sealed(effect) for effect in effects]
        cost += sum(map(self._expense, effects))
        if any(isinstance(effect, Persist) for effect in effects):
            cost += self._costs.sync
        self.counts.busy += cost
        if member.me == 0:
            self.counts.leader_busy += cost
        member.core_free = self.now + cost
        self._at(member.core_free, lambda: self._finish(member, effects))

    def _finish(self, member: Member, effects: list[Effect]) -> None:
        for effect in effects:
            self._carry_out(member, effect)
        member.turning = False
        if member.inbox:
            self._wake(member)

    def _admission(self, event: Event) -> float:
        """What the gate does with what comes in."""
        match event:
            case Received(_, Propose() | Accepted() | Report() | NewView() as message):
                signatures = 1 + (len(message.batch.submissions) if isinstance(message, Propose) else 0)
            case Submitted():
                signatures = 1
            case Received():
                signatures = 0
            case _:
                return 0.0
        self.counts.verified += signatures
        return self._costs.message + signatures * self._costs.verify

    def _expense(self, effect: Effect) -> float:
        match effect:
            case Broadcast(message):
                return self._costs.message / 2 * (self.system.member_count - 1) + self._signing(message)
            case Send(_, message):
                return self._costs.message / 2 + self._signing(message)
            case Combine(endorsements):
                self.counts.combined += 1
                return self._costs.combine * len(endorsements)
            case _:
                return 0.0

    def _signing(self, message: Message) -> float:
        if isinstance(message, Propose | Accepted | Report | NewView):
            self.counts.signed += 1
            return self._costs.sign
        return 0.0

    def _sealed(self, effect: Effect) -> Effect:
        """With a signature's bytes where the real seal puts one."""
        if isinstance(effect, Broadcast | Send):
            message = effect.message
            if isinstance(message, Propose | Accepted | Report | NewView) and not message.signature:
                return replace(effect, message=replace(message, signature=_SIGNATURE))
        return effect

    def _carry_out(self, member: Member, effect: Effect) -> None:
        match effect:
            case Broadcast(message):
                for peer in self.members:
                    if peer is not member:
                        self._transmit(member, peer, message)
            case Send(to, message):
                self._transmit(member, self.members[to], message)
            case Endorse(statement, proven):
                self.counts.shares += 1
                member.signer_free = max(self.now, member.signer_free) + self._costs.share
                answer = EndorsementMade(statement, _SHARE, proven)
                self._at(member.signer_free, lambda: self._arrive(member, answer))
            case Combine(endorsements):
                self._arrive(member, Combined(QuorumCertificate(endorsements[0].statement, _JOINT)))
            case Decide(entry):
                self._decided(member, entry)
            case Certify(certificate):
                member.certificate = certificate
                for slot in range(max(member.certified, default=0) + 1, _slot(certificate) + 1):
                    member.certified[slot] = self.now
            case SendLogFrame(to, first_slot):
                self._transmit(member, self.members[to], self._frame(member, first_slot))
            case SetTimer(name, seconds):
                self._set_timer(member, name, seconds)
            case Persist() | Prune():
                pass
            case _:
                raise NotImplementedError(f"this world has no {type(effect).__name__}")

    def _decided(self, member: Member, entry: Entry) -> None:
        member.decided[entry.slot] = self.now
        if entry.slot not in self.entries:
            self.entries[entry.slot] = entry
            self._log.append(slot_leaf(entry.slot, entry.batch.digest))
        self.on_decided(member.me, entry)

    def _set_timer(self, member: Member, name: StrEnum, seconds: float) -> None:
        member.timers[name] += 1
        number = member.timers[name]

        def fire() -> None:
            if member.timers[name] == number:  # else it was set anew
                self._arrive(member, TimerFired(name))

        self._at(self.now + seconds, fire)

    # -- the network ---------------------------------------------------------------------------------

    def _transmit(self, sender: Member, to: Member, message: Message) -> None:
        size = self._size(message)
        self.counts.messages += 1
        self.counts.sent_bytes += size
        if sender.me == 0:
            self.counts.leader_bytes += size
        sender.uplink_free = max(self.now, sender.uplink_free) + size * self._seconds_per_byte
        event = Received(sender.me, message)
        self._at(sender.uplink_free + self._delay, lambda: self._arrive(to, event))

    def _size(self, message: Message) -> int:
        held = self._sizes.get(id(message))
        if held is None or held[0] is not message:
            if len(self._sizes) > 256:
                self._sizes.clear()
            held = self._sizes[id(message)] = (message, len(codec.encode(message)) + FRAME_BYTES)
        return held[1]

    def _frame(self, member: Member, first_slot: int) -> LogFrame:
        certificate = member.certificate
        if certificate is None:
            raise LookupError("asked for a frame before anything is certified")
        last = _slot(certificate)
        batches = tuple(self.entries[slot].batch for slot in range(first_slot, last + 1))
        return LogFrame(first_slot, batches, certificate, ())


def _slot(certificate: QuorumCertificate) -> int:
    slot: int = getattr(certificate.statement, "slot", 0)
    return slot
