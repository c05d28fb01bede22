"""One member of a simulated alliance: the real driver around the real engine, and the world that it sees.

When things happen is up to its ``Surroundings``: a cluster or a simulation. A member may be told to die in
the middle of a turn, at a numbered moment: 0 is while its records are being written, 1 after that and before
anything is said, k + 1 after k effects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from alliance.errors import JournalError
from alliance.server.driver import Driver
from alliance.server.signer import SigningGuard
from fab_paxos import EngineConfig, Replica
from fab_paxos.effects import AlreadyOrdered, Blame, BlameClient, Record, RefusalReason, Refuse
from fab_paxos.events import CombinationFailed, Combined, EndorsementMade, EndorsementRefused, Event
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Message
from quorum import (
    CombineFailed,
    Endorsement,
    Endorser,
    InvalidStatement,
    JointStatement,
    QuorumCertificate,
    QuorumSystem,
    Scheme,
    combine,
)
from tests.worlds.disk import Disk
from tests.worlds.require import require
from verifiable_log import Entry, Submission
from verifiable_log.ordering_state import Checkpoint

MOMENTS = {"before the sync": 0, "after the sync": 1, "within the effects": 3}


class Crash(Exception):
    """Power fails within a turn."""


class Surroundings(Protocol):
    """What a member lives in."""

    system: QuorumSystem
    scheme: Scheme
    endorsers: list[Endorser]
    frame_slots: int

    def say(self, sender: int, recipients: Iterable[int], message: Message) -> None: ...
    def answer(self, member: Member, event: Event) -> None: ...
    def wake(self, member: Member) -> None: ...
    def clock(self, member: Member) -> float: ...
    def start_timer(self, member: Member, name: str, seconds: float) -> None: ...
    def accused(self, member: Member, blame: Blame | BlameClient) -> None: ...


class Member:
    """One run after another of one member: engine and inbox die in a crash, the disk stays."""

    def __init__(self, config: EngineConfig, surroundings: Surroundings) -> None:
        self.me = config.me
        self.config = config
        self.disk = Disk()
        self.replica: Replica | None = None
        self.inbox: deque[Event] = deque()
        self.jobs: list[Event] = []
        self.runs: list[list[Entry]] = []
        self.certificates: list[QuorumCertificate] = []
        self.blames: list[Blame] = []
        self.refusals: list[Refuse] = []
        self.located: list[AlreadyOrdered] = []
        self.pruned: dict[int, Entry] = {}
        self.turns = 0
        self.timers: set[str] = set()
        self.fresh = False  # its first turn is due
        self.refused_start = ""  # why it does not start on its disk
        self.dies_writing = False  # power fails while it writes its next records
        self.dies_pruning = False  # or while it forgets what a checkpoint covers
        self.scruples = True  # its signer refuses a second root for a view and slot
        self._around = surroundings
        self._driver: Driver
        self._hands = Hands(self, surroundings)

    @property
    def engine(self) -> Replica:
        if self.replica is None:
            raise AssertionError(f"member {self.me} is down")
        return self.replica

    @property
    def leaps(self) -> list[int]:
        """Checkpoints that others brought: what lies below was decided without this member."""
        return self.disk.leaps

    @property
    def carried_out(self) -> int:
        """Effects of the last turn that were carried out."""
        return self._hands.count

    def start(self) -> None:
        """Builds the engine from the disk; a member whose disk is refused stays down."""
        try:
            state = self.disk.restore()
        except JournalError as error:
            self.refused_start = str(error)
            return
        self.replica = Replica(self.config, state)
        self._hands = Hands(self, self._around)
        self._driver = Driver(self.replica, self._hands, lambda: self._around.clock(self))
        self.runs.append([])
        self.fresh = True

    def stop(self) -> None:
        self.replica = None
        self.fresh = self.dies_writing = self.dies_pruning = False
        self.inbox.clear()
        self.jobs.clear()
        self.timers.clear()
        self.disk.crash()

    def post(self, event: Event) -> None:
        if self.replica is not None:
            self.inbox.append(event)
            self._around.wake(self)

    def turn(self, events: int, dies_at: int | None = None) -> None:
        """Hands so many waiting events to the driver, and lets it turn. Raises Crash if it dies in it."""
        for _ in range(min(events, len(self.inbox))):
            self._driver.post(self.inbox.popleft())
        self.turns += 1
        self.fresh = False
        self._hands.begin(dies_at)
        self._driver.turn()
        if dies_at is not None:
            raise Crash

    def decided(self) -> dict[int, Entry]:
        """Everything this member ever decided, over all its runs."""
        told = {entry.slot: entry for run in self.runs for entry in run}
        # A crash may come between the record and the word: the record counts.
        proven = {slot: entry for slot, entry in self.disk.entries.items() if slot <= self.disk.proven}
        return {**self.pruned, **proven, **told}


class Hands:
    """The driver's ``World``: carries out what the engine wants, and dies where the plan says so."""

    def __init__(self, member: Member, around: Surroundings) -> None:
        self.count = 0
        self._member = member
        self._around = around
        self._me = member.me
        self._others = tuple(peer for peer in range(around.system.member_count) if peer != member.me)
        self._guard = SigningGuard(around.scheme.context)
        self._dies_at: int | None = None

    def begin(self, dies_at: int | None) -> None:
        self.count = 0
        self._dies_at = dies_at

    def persist(self, records: Sequence[Record]) -> None:
        if self._dies_at == 0 or self._member.dies_writing:
            self._member.disk.tear(records)
            raise Crash
        self._member.disk.write(records)

    def send(self, to: int, message: Message) -> None:
        self._next()
        self._around.say(self._me, (to,), message)

    def broadcast(self, message: Message) -> None:
        self._next()
        self._around.say(self._me, self._others, message)

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        self._next()
        text = statement.encode(self._around.scheme.context)
        try:
            if self._member.scruples:
                self._guard.judge(text)
        except InvalidStatement:
            self._around.answer(self._member, EndorsementRefused(statement))
            return
        share = self._around.endorsers[self._me].endorse(text, proven=proven)
        self._around.answer(self._member, EndorsementMade(statement, share, proven))

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        self._next()
        try:
            answer: Event = Combined(combine(self._around.scheme, endorsements))
        except CombineFailed as failure:
            answer = CombinationFailed(endorsements[0].statement, failure.culprits, failure.unproven)
        self._around.answer(self._member, answer)

    def decided(self, entry: Entry) -> None:
        self._next()
        self._member.runs[-1].append(entry)
        self._member.disk.decided(entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        self._next()
        self._member.certificates.append(certificate)
        self._member.disk.certified(certificate)

    def supply(self, to: int, first_slot: int) -> None:
        self._next()
        self._around.say(self._me, (to,), self._member.disk.frame(first_slot, self._around.frame_slots))

    def present(self, to: int, checkpoint: Checkpoint) -> None:
        self._next()
        self._around.say(self._me, (to,), self._member.disk.offer(checkpoint))

    def prune(self, slot: int) -> None:
        self._next()
        if self._member.dies_pruning or (self._dies_at is not None and self.count + 1 >= self._dies_at):
            self._member.disk.tear_prune(slot)  # power fails within it
            raise Crash
        old = {s: entry for s, entry in self._member.disk.entries.items() if s <= slot}
        self._member.pruned.update(old)
        self._member.disk.prune(slot)

    def leapt(self, checkpoint: Checkpoint) -> None:
        self._next()
        self._member.runs.append([])
        self._member.disk.leapt(checkpoint)

    def refuse(self, submission: Submission, reason: str) -> None:
        self._next()
        self._member.refusals.append(Refuse(submission, RefusalReason(reason)))

    def locate(self, submission: Submission, slot: int) -> None:
        self._next()
        self._member.located.append(AlreadyOrdered(submission, slot))

    def blame(self, member: int, reason: str, evidence: Evidence | None) -> None:
        self._next()
        blame = Blame(member, reason, evidence)
        self._member.blames.append(blame)
        self._around.accused(self._member, blame)

    def blame_client(self, evidence: TwoSubmissions) -> None:
        self._next()
        self._around.accused(self._member, BlameClient(evidence))

    def set_timer(self, name: str, seconds: float) -> None:
        self._next()
        require(seconds > 0, f"a timer of {seconds} s")
        self._around.start_timer(self._member, name, seconds)

    def _next(self) -> None:
        """An effect is to be carried out."""
        if self._dies_at is not None and self.count + 1 >= self._dies_at:
            raise Crash
        self.count += 1
