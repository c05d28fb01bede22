"""A wide area in simulated time: real engines and drivers, links that delay, narrow uplinks, and costs.

Deterministic. A turn of a member's driver lasts as long as what it computes, by ``Costs``. A message leaves
when the member's uplink is free, takes ``bytes / bandwidth``, and then the delay of the link. Sizes are those
of the real codec. Not simulated: loss, downlinks, and envelopes that carry many messages (each message pays a
frame).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from alliance.testing.member import SimulatedMember
from alliance.testing.network import Clockwork
from alliance.wire import peer_messages as codec
from fab_paxos import EngineConfig, RestoredState
from fab_paxos.control import Control
from fab_paxos.effects import Record
from fab_paxos.events import EndorsementMade, Event, PeerConnected, Received, Submitted, TimerFired
from fab_paxos.messages import Accepted, Message, NewView, Propose, Report
from quorum import Context, Endorsement, QuorumCertificate, QuorumSystem, VerifiedEndorsement
from verifiable_log import Entry, Submission
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.ordering_state import Checkpoint

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


class Blank:
    """A scheme and a signer whose signatures have the size of real ones, and cost nothing but ``Costs``."""

    context = Context(bytes(32), 0)
    last_slot = None

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        return _JOINT

    def verify(self, message: bytes, signature: bytes) -> None: ...

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        return VerifiedEndorsement(endorsement)

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        return _SHARE


class NoDisk:
    """Nobody crashes here: of the log, all members share one copy, which nobody prunes."""

    def __init__(self, entries: dict[int, Entry]) -> None:
        self._entries = entries
        self._certificate: QuorumCertificate | None = None

    def restore(self) -> RestoredState:
        return RestoredState()

    def write(self, records: Sequence[Record]) -> None: ...

    def decided(self, entry: Entry) -> None:
        self._entries.setdefault(entry.slot, entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        self._certificate = certificate

    def save(self, checkpoint: Checkpoint) -> None: ...

    def prune(self, slot: int) -> None: ...

    def frame(self, first_slot: int) -> LogFrame:
        if self._certificate is None:
            raise LookupError("asked for a frame before anything is certified")
        last = _slot(self._certificate)
        batches = tuple(self._entries[slot].batch for slot in range(first_slot, last + 1))
        return LogFrame(first_slot, batches, self._certificate, ())

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        raise NotImplementedError("nobody is so far behind here")

    def offer(self, checkpoint: Checkpoint) -> Offer:
        raise NotImplementedError("nobody is so far behind here")

    def crash(self) -> None: ...


class WanMember(SimulatedMember):
    """One engine with its one core, its signer and its uplink; times in simulated seconds.

    What a turn brings about happens when the turn has been paid for, at its end.
    """

    def __init__(self, config: EngineConfig, threshold: int, wan: Wan) -> None:
        blank = Blank(threshold)
        super().__init__(config, blank, blank, NoDisk(wan.entries))
        self.decided_at: dict[int, float] = {}
        self.certified_at: dict[int, float] = {}
        self._wan = wan
        self._costs = wan.costs
        self._turning = False
        self._cost = 0.0
        self._due: list[Callable[[], None]] = []
        self._signer_free = self._uplink_free = 0.0
        self._timers: Counter[str] = Counter()

    def clock(self) -> float:
        return self._wan.now

    def wake(self) -> None:
        if not self._turning:
            self._turning = True
            self._wan.after(0.0, self._turn)

    def _turn(self) -> None:
        self._cost = sum(map(self._admission, self.inbox))
        self.turn(len(self.inbox))
        self._wan.counts.busy += self._cost
        if self.me == 0:
            self._wan.counts.leader_busy += self._cost
        self._wan.after(self._cost, self._finish)

    def _finish(self) -> None:
        due, self._due = self._due, []
        for act in due:
            act()
        self._turning = False
        if self.inbox:
            self.wake()

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
        self._wan.counts.verified += signatures
        return self._costs.message + signatures * self._costs.verify

    def persist(self, records: Sequence[Record]) -> None:
        self._cost += self._costs.sync

    def say(self, recipients: Iterable[int], message: Message) -> None:
        """With a signature's bytes where the real seal puts one."""
        if isinstance(message, Propose | Accepted | Report | NewView):
            self._wan.counts.signed += 1
            self._cost += self._costs.sign
            if not message.signature:
                message = replace(message, signature=_SIGNATURE)
        for to in recipients:
            self._cost += self._costs.message / 2
            self._due.append(partial(self._transmit, to, message))

    def _transmit(self, to: int, message: Message) -> None:
        size = self._wan.sent(self.me, message)
        uplink_free = max(self._wan.now, self._uplink_free) + size * self._wan.seconds_per_byte
        self._uplink_free = uplink_free
        delay = uplink_free + self._wan.delay - self._wan.now
        self._wan.after(delay, self._wan.members[to].post, Received(self.me, message))

    def answer(self, event: Event) -> None:
        self._due.append(partial(self._signed if isinstance(event, EndorsementMade) else self.post, event))

    def _signed(self, event: Event) -> None:
        self._wan.counts.shares += 1
        self._signer_free = max(self._wan.now, self._signer_free) + self._costs.share
        self._wan.after(self._signer_free - self._wan.now, self.post, event)

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        self._wan.counts.combined += 1
        self._cost += self._costs.combine * len(endorsements)
        super().combine(endorsements)

    def decided(self, entry: Entry, control: Control | None) -> None:
        super().decided(entry, control)
        self._due.append(partial(self._decided, entry))

    def _decided(self, entry: Entry) -> None:
        self.decided_at[entry.slot] = self._wan.now
        self._wan.on_decided(self.me, entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        super().certified(certificate)
        self._due.append(partial(self._certified, _slot(certificate)))

    def _certified(self, slot: int) -> None:
        for one in range(max(self.certified_at, default=0) + 1, slot + 1):
            self.certified_at[one] = self._wan.now

    def set_timer(self, name: StrEnum, seconds: float) -> None:
        self._timers[name] += 1
        number = self._timers[name]

        def fire() -> None:
            if self._timers[name] == number:  # else it was set anew
                self.post(TimerFired(name))

        self._due.append(partial(self._wan.after, seconds, fire))


class Wan(Clockwork):
    """``delay`` is one way, in seconds; ``bandwidth`` each member's uplink, in bits per second."""

    def __init__(
        self,
        system: QuorumSystem,
        delay: float,
        bandwidth: float,
        costs: Costs | None = None,
        view_timeout_seconds: float = 0.5,
    ) -> None:
        super().__init__(seed=0)  # nothing here is left to chance
        self.delay = delay
        self.seconds_per_byte = 8.0 / bandwidth
        self.costs = costs or Costs()
        self.counts = Counts()
        self.entries: dict[int, Entry] = {}
        self.on_decided: Callable[[int, Entry], None] = lambda me, entry: None
        self._sizes: dict[int, tuple[Message, int]] = {}
        count = system.member_count
        self.members = [
            WanMember(
                EngineConfig(system, me, view_timeout_seconds=view_timeout_seconds), system.decision, self
            )
            for me in range(count)
        ]
        for member in self.members:
            member.start()
            for peer in range(count):
                if peer != member.me:
                    member.post(PeerConnected(peer))

    @property
    def views_changed(self) -> int:
        return max(member.engine.view for member in self.members)

    def submit(self, to: int, submission: Submission) -> None:
        """A client beside member ``to`` hands in its work now."""
        self.members[to].post(Submitted(submission))

    def sent(self, sender: int, message: Message) -> int:
        """Counts a message that leaves its sender; its size in bytes."""
        size = self._size(message)
        self.counts.messages += 1
        self.counts.sent_bytes += size
        if sender == 0:
            self.counts.leader_bytes += size
        return size

    def _size(self, message: Message) -> int:
        held = self._sizes.get(id(message))
        if held is None or held[0] is not message:
            if len(self._sizes) > 256:
                self._sizes.clear()
            held = self._sizes[id(message)] = (message, len(codec.encode(message)) + FRAME_BYTES)
        return held[1]


def _slot(certificate: QuorumCertificate) -> int:
    slot: int = getattr(certificate.statement, "slot", 0)
    return slot
