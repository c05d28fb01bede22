"""A member for tests: it may die in the middle of a turn, and what it did is kept for the checkers.

The moments to die at are numbered: 0 is while its records are being written, 1 after that and before anything
is said, k + 1 after k effects. When things happen is up to its ``Surroundings``: a cluster or a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from alliance.errors import JournalError
from alliance.storage.history import Pruned
from alliance.testing.member import Notice, SimulatedMember
from fab_paxos import EngineConfig
from fab_paxos.control import Control
from fab_paxos.effects import AlreadyOrdered, Blame, BlameClient, Record, Refuse
from fab_paxos.events import EndorsementMade, Event
from fab_paxos.messages import Message
from quorum import Endorser, JointStatement, QuorumCertificate, Scheme
from tests.worlds.disk import Disk
from tests.worlds.require import require
from verifiable_log import Entry
from verifiable_log.ordering_state import Checkpoint

MOMENTS = {"before the sync": 0, "after the sync": 1, "within the effects": 3}


class Crash(Exception):
    """Power fails within a turn."""


class Surroundings(Protocol):
    """What a member lives in."""

    scheme: Scheme
    endorsers: list[Endorser]
    frame_slots: int
    founded: Control | None

    def say(self, sender: int, recipients: Iterable[int], message: Message) -> None: ...
    def answer(self, member: Member, event: Event) -> None: ...
    def endorsed(self, member: Member, statement: JointStatement) -> None: ...
    def wake(self, member: Member) -> None: ...
    def clock(self, member: Member) -> float: ...
    def start_timer(self, member: Member, name: str, seconds: float) -> None: ...
    def accused(self, member: Member, blame: Blame | BlameClient) -> None: ...


class Member(SimulatedMember):
    """All its lives, one after another."""

    disk: Disk

    def __init__(self, config: EngineConfig, around: Surroundings) -> None:
        super().__init__(config, around.scheme, around.endorsers[config.me], Disk(around.founded))
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
        self._around = around
        self._hands = Hands(self)

    @property
    def leaps(self) -> list[int]:
        """Checkpoints that others brought: what lies below was decided without this member."""
        return self.disk.leaps

    @property
    def carried_out(self) -> int:
        """Effects of the last turn that were carried out."""
        return self._hands.count

    def start(self) -> None:
        """A member whose disk is refused stays down."""
        try:
            super().start()
        except JournalError as error:
            self.refused_start = str(error)
            return
        self.runs.append([])
        self.fresh = True

    def world(self) -> Hands:
        self._hands = Hands(self)
        return self._hands

    def stop(self) -> None:
        self.fresh = self.dies_writing = self.dies_pruning = False
        self.jobs.clear()
        self.timers.clear()
        super().stop()

    def turn(self, events: int, dies_at: int | None = None) -> None:
        """Raises Crash if it dies in it."""
        self.turns += 1
        self.fresh = False
        self._hands.begin(dies_at)
        super().turn(events)
        if dies_at is not None:
            raise Crash

    def decisions(self) -> dict[int, Entry]:
        """Everything this member ever decided, over all its runs."""
        told = {entry.slot: entry for run in self.runs for entry in run}
        # A crash may come between the record and the word: the record counts.
        proven = {slot: entry for slot, entry in self.disk.entries.items() if slot <= self.disk.proven}
        return {**self.pruned, **proven, **told}

    # -- its surroundings ----------------------------------------------------------------------------

    def clock(self) -> float:
        return self._around.clock(self)

    def wake(self) -> None:
        self._around.wake(self)

    def say(self, recipients: Iterable[int], message: Message) -> None:
        self._around.say(self.me, recipients, message)

    def answer(self, event: Event) -> None:
        if isinstance(event, EndorsementMade):
            self._around.endorsed(self, event.statement)
        self._around.answer(self, event)

    def set_timer(self, name: str, seconds: float) -> None:
        require(seconds > 0, f"a timer of {seconds} s")
        self._around.start_timer(self, name, seconds)

    # -- what is kept for the checkers ---------------------------------------------------------------

    def decided(self, entry: Entry, control: Control | None) -> None:
        self.runs[-1].append(entry)
        super().decided(entry, control)

    def certified(self, certificate: QuorumCertificate) -> None:
        self.certificates.append(certificate)
        super().certified(certificate)

    def send_log_frame(self, to: int, first_slot: int) -> None:
        with suppress(Pruned):
            self.send(to, self.disk.frame(first_slot, self._around.frame_slots))

    def prune(self, slot: int) -> None:
        self.pruned.update({s: entry for s, entry in self.disk.entries.items() if s <= slot})
        super().prune(slot)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        self.runs.append([])
        super().snapshot_installed(checkpoint)

    def tell(self, notice: Notice) -> None:
        match notice:
            case Refuse():
                self.refusals.append(notice)
            case AlreadyOrdered():
                self.located.append(notice)
            case Blame():
                self.blames.append(notice)
                self._around.accused(self, notice)
            case BlameClient():
                self._around.accused(self, notice)


class Hands:
    """The driver's ``World``: every effect is its member's, unless the plan has it die before."""

    def __init__(self, member: Member) -> None:
        self.count = 0
        self._member = member
        self._dies_at: int | None = None

    def begin(self, dies_at: int | None) -> None:
        self.count = 0
        self._dies_at = dies_at

    def persist(self, records: Sequence[Record]) -> None:
        if self._dies_at == 0 or self._member.dies_writing:
            self._member.disk.tear(records)
            raise Crash
        self._member.persist(records)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._next()
        if self._last:
            self._member.disk.tear_save(checkpoint)  # power fails within it
            raise Crash
        self._member.save_checkpoint(checkpoint)

    def prune(self, slot: int) -> None:
        self._next()
        if self._member.dies_pruning or self._last:
            self._member.disk.tear_prune(slot)  # power fails within it
            raise Crash
        self._member.prune(slot)

    def __getattr__(self, effect: str) -> Callable[..., None]:
        carry_out: Callable[..., None] = getattr(self._member, effect)

        def alive(*arguments: Any, **options: Any) -> None:
            self._next()
            carry_out(*arguments, **options)

        setattr(self, effect, alive)  # found at once the next time
        return alive

    @property
    def _last(self) -> bool:
        """No further effect is carried out."""
        return self._dies_at is not None and self.count + 1 >= self._dies_at

    def _next(self) -> None:
        if self._last:
            raise Crash
        self.count += 1
