"""One member in the explorer: the real engine, what it has said so far, and the turn that an event causes.

A turn is what the driver makes of one event: Drained, records to the journal, endorsements signed, missing
batches brought, until nothing is left to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fab_paxos import EngineConfig, Replica
from fab_paxos.effects import Blame, BlameClient, Broadcast, Decide, Endorse, Offence, Persist, Send
from fab_paxos.events import Drained, EndorsementMade, Event, Received, Started
from fab_paxos.messages import (
    Accepted,
    Batches,
    CertifyRequest,
    Endorsed,
    FetchBatches,
    Message,
    NewView,
    Propose,
    Report,
)
from quorum import AcceptedStatement, Endorsement, QuorumSystem
from tests.campaigns.explorer.clone import clone
from tests.campaigns.explorer.freeze import freeze
from tests.campaigns.explorer.words import (
    BATCHES,
    Certified,
    Content,
    NewViewName,
    content_of,
    letter_of,
    log_of,
    name_new_view,
)
from tests.worlds.disk import Disk
from tests.worlds.standin import CONTEXT, StandInEndorser

ROUNDS_MAX = 20
"""Two or three are the rule: what is signed or fetched comes back at once, and leads to little more."""


class Violation(Exception):
    """A promise is broken; the text says which."""


Step = tuple[Any, ...]
"""What can happen to a member (``steps``)."""

OpenedBy = tuple[tuple[int, Content], ...]
"""The Reports of a NewView, by member."""


@dataclass(frozen=True, slots=True)
class Said:
    """All that a member ever told the others, and what it decided: it can be delivered from now on."""

    votes: frozenset[Certified] = frozenset()
    shares: frozenset[Certified] = frozenset()
    reports: frozenset[tuple[int, Content]] = frozenset()
    new_views: frozenset[NewViewName] = frozenset()
    proposals: frozenset[Certified] = frozenset()
    followed: frozenset[NewViewName] = frozenset()
    decided: str = ""


@dataclass(slots=True)
class Engine:
    """A running member. ``liar`` is who may be blamed."""

    system: QuorumSystem
    me: int
    liar: int
    replica: Replica
    disk: Disk
    said: Said = field(default_factory=Said)

    @classmethod
    def new(cls, system: QuorumSystem, me: int, liar: int) -> Engine:
        engine = cls(system, me, liar, Replica(EngineConfig(system, me), Disk().restore()), Disk())
        engine.turn([Started()])
        return engine

    def restart(self) -> None:
        """A crash between two turns: memory is lost, the journal stays."""
        self.replica = Replica(EngineConfig(self.system, self.me), self.disk.restore())
        self.turn([Started()])

    @property
    def log(self) -> str:
        """What it holds as accepted in its view, decided slots first."""
        tail = self.replica.rooms.log
        root = tail.root(tail.tip)
        return log_of(root) if root is not None else "?"

    def turn(self, events: Sequence[Event]) -> None:
        """Raises Violation when a correct member is blamed, and whatever the engine raises."""
        waiting = deque(events)
        for _ in range(ROUNDS_MAX):
            while waiting:
                self._carry_out(waiting.popleft(), waiting)
            self._requested()
            self._carry_out(Drained(), waiting)
            if not waiting:
                return
        raise Violation(f"member {self.me} is not done with {events} after {ROUNDS_MAX} rounds")

    def forget_words(self) -> None:
        """What others accepted, but for the leader, is told anew each time: all of it, or nothing.

        Those who are alike change their numbers from state to state, and nobody is to be counted twice.
        """
        learner, known = self.replica.rooms.learner, (self.me, self.replica.leader)
        learner._support = [slot if m in known else 0 for m, slot in enumerate(learner._support)]
        learner._words = [{} for _ in learner._words]
        learner._shown.clear()

    def forget_reports(self) -> None:
        """Others' Reports are told anew each time, too: as many as open a view."""
        reports = self.replica.rooms.view_change._reports
        for member in [member for member in reports if member != self.me]:
            del reports[member]

    def _requested(self) -> None:
        """The leader's flag on all that was accepted is never late: shares only add certificates."""
        status = self.replica.status
        leader = self.replica.leader
        if leader != self.me and status.accepted > status.certified:
            self.replica.step(Received(leader, CertifyRequest(status.view, status.accepted)))

    def _carry_out(self, event: Event, waiting: deque[Event]) -> None:
        effects = self.replica.step(event)
        self.disk.write([effect.record for effect in effects if isinstance(effect, Persist)])
        for effect in effects:
            match effect:
                case Broadcast(message) | Send(_, message):
                    self._say(message, waiting)
                case Endorse(AcceptedStatement() as statement, proven):
                    share = StandInEndorser(self.me).endorse(statement.encode(CONTEXT), proven=proven)
                    waiting.append(EndorsementMade(statement, share, proven))
                case Decide(entry):
                    self._decided(entry.slot, letter_of(entry.batch.digest), log_of(entry.root))
                case Blame(member, offence) if member != self.liar and offence is not Offence.OTHER_LOG:
                    raise Violation(f"member {member} is correct and is blamed: {effect.reason}")
                case BlameClient():
                    raise Violation("a client is blamed, and all are honest")
                case _:
                    pass
        self._followed()

    def _followed(self) -> None:
        new_view = self.replica.rooms.view_change.new_view
        if new_view is not None:
            name = name_new_view(new_view)
            if name not in self.said.followed:
                self.said = replace(self.said, followed=self.said.followed | {name})

    def _decided(self, slot: int, letter: str, log: str) -> None:
        before = self.said.decided
        if log[:-1] != before[: slot - 1] or (slot <= len(before) and before[slot - 1] != letter):
            raise Violation(
                f"member {self.me} decided {before!r}, and then {letter} at slot {slot} of {log!r}"
            )
        if slot > len(before):
            self.said = replace(self.said, decided=log)

    def _say(self, message: Message, waiting: deque[Event]) -> None:
        said = self.said
        match message:
            case Accepted(view, _, root):
                self.said = replace(said, votes=said.votes | {(view, log_of(root))})
            case Propose(view, _, _, root) if self.system.leader(view) == self.me:  # its own vote, too
                name = (view, log_of(root))
                self.said = replace(said, proposals=said.proposals | {name}, votes=said.votes | {name})
            case Endorsed(Endorsement(AcceptedStatement(view=view, root=root))):
                self.said = replace(said, shares=said.shares | {(view, log_of(root))})
            case Report(view):
                self.said = replace(said, reports=said.reports | {(view, content_of(message))})
            case NewView():
                self.said = replace(said, new_views=said.new_views | {name_new_view(message)})
            case FetchBatches(digests):
                found = tuple(batch for batch in BATCHES.values() if batch.digest in digests)
                waiting.append(Received(self.liar, Batches(found)))
            case _:
                pass


@dataclass(slots=True)
class Local:
    """A state in which some member can be, with what the search asks of it again and again."""

    role: int
    engine: Engine
    view: int
    opened: bool
    active: bool
    log: str
    certified: int
    said: Said


class Table:
    """Every state that members were found in, and every turn that was taken: each is computed once.

    A role is a member that leads one of the explored views, or one that stands for all who lead none:
    those differ in nothing but their number.
    """

    def __init__(self, system: QuorumSystem, liar: int, *, restarts: bool) -> None:
        """``restarts``: what the journal holds makes a difference."""
        self._system = system
        self._liar = liar
        self._restarts = restarts
        self._names: dict[bytes, NewViewName] = {}  # of NewViews that somebody followed, by digest
        self.opened_by: dict[NewViewName, OpenedBy] = {}
        """Reports from which a NewView of this name was made: those that were found first."""
        self._numbers: dict[Hashable, int] = {}
        self._turns: dict[tuple[int, Step], int] = {}
        self.locals: list[Local] = []
        self.turns_taken = 0

    def first(self, role: int) -> int:
        """The state of a member that never ran."""
        return self._number(Engine.new(self._system, role, self._liar))

    def after(self, local: int, step: Step, take: Callable[[Step, Engine], None]) -> int:
        """The state after a step; ``take`` makes a running engine take it."""
        step = self._named(step)
        known = self._turns.get((local, step))
        if known is None:
            engine = clone(self.locals[local].engine)
            take(step, engine)
            self.turns_taken += 1
            known = self._turns[local, step] = self._number(engine)
        return known

    def _named(self, step: Step) -> Step:
        """One NewView for each name: members tell two of them apart by their digests."""
        if step[0] == "NewView":
            _, name, by = step
            return "NewView", name, self.opened_by.get(name, by)
        return step

    def _number(self, engine: Engine) -> int:
        new_view = engine.replica.rooms.view_change.new_view
        if new_view is not None:
            name = self._names[new_view.digest] = name_new_view(new_view)
            if isinstance(new_view, NewView):
                by = tuple((member, content_of(report)) for member, report in new_view.reports)
                self.opened_by.setdefault(name, by)
        parts: tuple[object, ...] = (engine.replica, *([engine.disk] if self._restarts else ()))
        form = (engine.me, engine.said, freeze(parts, self._names))
        number = self._numbers.get(form)
        if number is None:
            number = self._numbers[form] = len(self.locals)
            status = engine.replica.status
            self.locals.append(
                Local(
                    engine.me,
                    engine,
                    status.view,
                    new_view is not None,
                    status.active,
                    engine.log,
                    status.certified,
                    engine.said,
                )
            )
        return number
