"""One simulated member: the real driver around the real engine, in whatever world a subclass puts it.

A subclass says when things happen and what becomes of what is said: ``clock``, ``wake``, ``say``, ``answer``
and ``set_timer``. What outlives the member's process is in its ``Storage``. Everything else that the engine
wants is carried out here, as the server does it; a subclass that wants it otherwise (dying halfway, paying
for it in time, keeping a record) overrides the effect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Protocol

from alliance.server.driver import Driver, World
from alliance.server.signer import SigningGuard
from alliance.storage.history import Pruned
from fab_paxos import EngineConfig, Replica, RestoredState
from fab_paxos.control import Control
from fab_paxos.effects import AlreadyOrdered, Blame, BlameClient, Record, RefusalReason, Refuse
from fab_paxos.events import (
    CheckpointSaved,
    CombinationFailed,
    Combined,
    EndorsementMade,
    EndorsementRefused,
    Event,
)
from fab_paxos.evidence import TwoSubmissions
from fab_paxos.messages import Message
from quorum import (
    CombineFailed,
    Endorsement,
    Endorser,
    InvalidStatement,
    JointStatement,
    QuorumCertificate,
    Scheme,
    combine,
)
from verifiable_log import Entry, Submission
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.ordering_state import Checkpoint

Notice = Refuse | AlreadyOrdered | Blame | BlameClient
"""What a server writes into its log, or answers a client."""


class Storage(Protocol):
    """Where a member's records are: what is written is durable when ``write`` returns."""

    def restore(self) -> RestoredState:
        """What a start builds the engine from. Raises JournalError."""
        ...

    def write(self, records: Sequence[Record]) -> None: ...
    def decided(self, entry: Entry) -> None: ...
    def certified(self, certificate: QuorumCertificate) -> None: ...
    def save(self, checkpoint: Checkpoint) -> None:
        """Makes the state of a checkpoint durable, which counts when its record is written."""
        ...

    def prune(self, slot: int) -> None: ...
    def snapshot_installed(self, checkpoint: Checkpoint) -> None: ...
    def frame(self, first_slot: int) -> LogFrame:
        """Raises Pruned."""
        ...

    def offer(self, checkpoint: Checkpoint) -> Offer: ...

    def crash(self) -> None:
        """The process has ended."""
        ...


class SimulatedMember(ABC):
    """One life after another: engine and inbox die, the disk stays. It is the driver's ``World``."""

    def __init__(self, config: EngineConfig, scheme: Scheme, endorser: Endorser, disk: Storage) -> None:
        self.me = config.me
        self.config = config
        self.disk = disk
        self.replica: Replica | None = None
        self.inbox: deque[Event] = deque()
        self.told: list[Notice] = []
        self.scruples = True  # its signer refuses a second statement about what it has endorsed
        self._scheme = scheme
        self._endorser = endorser
        self._peers = tuple(peer for peer in range(config.system.member_count) if peer != config.me)

    @property
    def engine(self) -> Replica:
        if self.replica is None:
            raise AssertionError(f"member {self.me} is down")
        return self.replica

    # -- what its world decides ----------------------------------------------------------------------

    @abstractmethod
    def clock(self) -> float:
        """What its clock shows, in seconds since 1970."""

    @abstractmethod
    def wake(self) -> None:
        """Something waits: its world calls ``turn`` when it is time."""

    @abstractmethod
    def say(self, recipients: Iterable[int], message: Message) -> None:
        """The engine speaks; a message that its member signs is not signed yet."""

    @abstractmethod
    def answer(self, event: Event) -> None:
        """What its signer, combining or its disk has made of what was asked: to be posted in time."""

    @abstractmethod
    def set_timer(self, name: StrEnum, seconds: float) -> None:
        """``TimerFired`` is to be posted so much later, unless it is set anew before."""

    # -- its life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Builds the engine from the disk. Raises JournalError when the disk is refused."""
        self.replica = Replica(self.config, self.disk.restore())
        self._guard = SigningGuard(self._scheme.context)
        self._driver = Driver(self.replica, self.world(), self.clock)

    def world(self) -> World:
        """Where the driver's effects go in this life."""
        return self

    def stop(self) -> None:
        """As SIGKILL does: what was not written is gone."""
        self.replica = None
        self.inbox.clear()
        self.disk.crash()

    def post(self, event: Event) -> None:
        if self.replica is not None:
            self.inbox.append(event)
            self.wake()

    def turn(self, events: int) -> None:
        """Hands so many waiting events to the driver, and lets it turn."""
        for _ in range(min(events, len(self.inbox))):
            self._driver.post(self.inbox.popleft())
        self._driver.turn()

    # -- effects -------------------------------------------------------------------------------------

    def persist(self, records: Sequence[Record]) -> None:
        self.disk.write(records)

    def send(self, to: int, message: Message) -> None:
        self.say((to,), message)

    def broadcast(self, message: Message) -> None:
        self.say(self._peers, message)

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        text = statement.encode(self._scheme.context)
        try:
            if self.scruples:
                self._guard.judge(text)
            signature = self._endorser.endorse(text, proven=proven)
        except InvalidStatement:
            self.answer(EndorsementRefused(statement))
            return
        self.answer(EndorsementMade(statement, signature, proven))

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        try:
            self.answer(Combined(combine(self._scheme, endorsements)))
        except CombineFailed as failure:
            self.answer(CombinationFailed(endorsements[0].statement, failure.culprits, failure.unproven))

    def decided(self, entry: Entry, control: Control | None) -> None:
        self.disk.decided(entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        self.disk.certified(certificate)

    def send_log_frame(self, to: int, first_slot: int) -> None:
        with suppress(Pruned):  # within this turn, by a snapshot: it asks again, and is offered the state
            self.send(to, self.disk.frame(first_slot))

    def offer_checkpoint(self, to: int, checkpoint: Checkpoint) -> None:
        with suppress(Pruned):  # as above
            self.send(to, self.disk.offer(checkpoint))

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.disk.save(checkpoint)
        self.answer(CheckpointSaved(checkpoint.slot))

    def prune(self, slot: int) -> None:
        self.disk.prune(slot)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        self.disk.snapshot_installed(checkpoint)

    def refuse(self, submission: Submission, reason: str) -> None:
        self.tell(Refuse(submission, RefusalReason(reason)))

    def already_ordered(self, submission: Submission, slot: int) -> None:
        self.tell(AlreadyOrdered(submission, slot))

    def blame(self, blame: Blame) -> None:
        self.tell(blame)

    def blame_client(self, evidence: TwoSubmissions) -> None:
        self.tell(BlameClient(evidence))

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)
