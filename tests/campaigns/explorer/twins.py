"""One identity, two engines: every way in which three views can be led and heard, with two twins in between.

After S. Bano et al., "Twins: BFT Systems Made Robust", OPODIS 2021: a member's machine is cloned, keys and
all, and the network decides who hears which clone. Both are real, honest engines; together they equivocate.

A scenario is, for each of three views, who leads it (views in between are passed over) and which correct
members are on the side of the first twin; the others are on that of the second. What a leader says reaches
its own side. What is accepted is heard, in the first two views, by the last member of each side alone (a
decision that one learner knows of is the hard case), and in the last view by the whole side. Reports reach
the leader wherever it is, its own side's first. One slot is filled: the twins propose A and B, a correct
leader what the twin of its side would.

In profile lean, batches that a Report names are fetched from the other side, too, and everybody on a side
hears the shares by which a NewView gets its progress certificate: without them nothing is accepted.

The twins are alike, so that the last member is on the first twin's side in the first view: what is left are
6·16 · 6·32 · 6·32 scenarios of six members, and 4·4 · 4·8 · 4·8 of four. A number names one; the numbers are
dealt so that the first ones are a sample of all. Engines are deterministic: what a member does after the same
history is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from fab_paxos import EngineConfig, Replica
from fab_paxos.effects import (
    Blame,
    Broadcast,
    Certify,
    Combine,
    Decide,
    Effect,
    Endorse,
    Offence,
    Persist,
    Send,
)
from fab_paxos.events import Combined, Drained, EndorsementMade, Event, Received, Started, Submitted
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    Endorsed,
    FetchBatches,
    Forward,
    Message,
    Propose,
    Report,
)
from quorum import AcceptedStatement, ProgressStatement, QuorumSystem, SuspectStatement, combine
from quorum.system import LEAN
from tests.campaigns.explorer.clone import clone
from tests.campaigns.explorer.words import BATCHES, election_proof, letter_of, log_of
from tests.worlds.cluster import SIX
from tests.worlds.disk import Disk
from tests.worlds.require import require
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme

TWIN = 0
STRETCH = 16
"""So many consecutive scenarios share their first two views, which are then run once for all of them."""
STRIDE = 84_481
"""Prime to the number of stretches: one stretch and the next differ in everything."""
FOUR = QuorumSystem(4, 1, LEAN)

FOR_LEARNERS = (Accepted, Endorsed, Certified)
ASKED = (FetchBatches, Batches)
HISTORIES_MAX = 10_000
ROUNDS_MAX = 40

Choice = tuple[int, int]
"""Leader, and a bit for each correct member on the first twin's side."""


Scenario = tuple[Choice, ...]


def _sides(system: QuorumSystem) -> int:
    """In how many ways the correct members can be on two sides."""
    return int(2 ** (system.member_count - 1))


def scenarios(system: QuorumSystem = SIX) -> int:
    """How many there are."""
    choices = system.member_count * _sides(system)
    return choices // 2 * choices**2


def scenario(number: int, system: QuorumSystem = SIX) -> Scenario:
    """Scenario ``number``, from 0 to ``scenarios(system) - 1``."""
    sides, total = _sides(system), scenarios(system)
    choices = system.member_count * sides
    stretch, within = divmod(number % total, STRETCH)
    place, part = divmod(stretch * STRIDE % (total // STRETCH), choices // STRETCH)
    third = divmod(part + within * (choices // STRETCH), sides)
    place, second = divmod(place, choices)
    leader, half = divmod(place, sides // 2)
    return (leader, half | sides // 2), divmod(second, sides), third


Said = tuple[int | None, Message]
"""To whom (None: to all), and what."""


@dataclass(slots=True)
class Seat:
    """An engine at work: one of the twins, or a correct member."""

    system: QuorumSystem
    me: int
    replica: Replica
    disk: Disk
    decided: str = ""
    certified: frozenset[str] = frozenset()

    def turn(self, events: tuple[Event, ...]) -> list[Said]:
        """What leaves the member. Signatures and certificates are made at once."""
        said: list[Said] = []
        waiting: list[Event] = [*events]
        while waiting:
            following: list[Event] = []
            for event in (*waiting, Drained()):
                effects = self.replica.step(event)
                self.disk.write([effect.record for effect in effects if isinstance(effect, Persist)])
                for effect in effects:
                    self._carry_out(effect, said, following)
            waiting = following
        return said

    def _carry_out(self, effect: Effect, said: list[Said], following: list[Event]) -> None:
        match effect:
            case Send(to, message):
                said.append((to, message))
            case Broadcast(message):
                said.append((None, message))
            case Endorse(statement, proven):
                share = StandInEndorser(self.me).endorse(statement.encode(CONTEXT), proven=proven)
                following.append(EndorsementMade(statement, share, proven))
            case Combine(endorsements):
                following.append(Combined(combine(StandInScheme(self.system.decision), endorsements)))
            case Decide(entry):
                log = self.decided + letter_of(entry.batch.digest)
                require(log == log_of(entry.root), f"member {self.me} decided {log!r} under another root")
                self.decided = log
            case Certify(certificate):
                if isinstance(certificate.statement, AcceptedStatement):
                    self.certified |= {log_of(certificate.statement.root)}
            case Blame(member, offence):
                fair = member == TWIN or offence is Offence.OTHER_LOG
                require(fair, f"member {self.me} blames {member}, who is correct: {effect.reason}")
            case _:
                pass


@dataclass(slots=True)
class History:
    """A seat after all that happened to it. ``leads`` says that it could propose for the first slot."""

    seat: Seat
    leads: bool
    decided: str
    certified: frozenset[str]
    said: tuple[tuple[int | None, int, type], ...]
    """To whom, the number of the event that it is for them, and the kind of message."""


class Twins:
    """Runs scenarios; remembers every history of a seat, so that what scenarios share is run once."""

    def __init__(self, system: QuorumSystem = SIX) -> None:
        self._system = system
        self._seats = (TWIN, TWIN, *range(1, system.member_count))
        self.turns = 0
        self._forget()

    def _forget(self) -> None:
        self._events: list[Event] = []
        self._numbers: dict[Event, int] = {}
        self._histories: list[History] = []
        self._after: dict[tuple[int, tuple[int, ...]], int] = {}
        self._begin = [self._history(_new(self._system, me), (Started(),)) for me in self._seats]

    def run(self, scenario: Scenario) -> tuple[str, ...]:
        """What each correct member decided in the end. Raises AssertionError, or what an engine raises."""
        if len(self._histories) > HISTORIES_MAX:
            self._forget()
        seats = list(self._begin)
        view = -1
        for place, (leader, sides) in enumerate(scenario, 1):
            first = view < 0 and leader == 0
            view += 1 + (leader - view - 1) % self._system.member_count
            self._view(seats, view, sides, elected=not first, loud=place == len(scenario))
            self._check(seats)
        return tuple(self._histories[seat].decided for seat in seats[2:])

    def _view(self, seats: list[int], view: int, sides: int, *, elected: bool, loud: bool) -> None:
        leader = self._system.leader(view)
        groups = (0, 1, *(0 if sides >> place & 1 else 1 for place in range(len(self._seats) - 2)))
        leading = [seat for seat, member in enumerate(self._seats) if member == leader]
        last = {group: seat for seat, group in enumerate(groups) if seat > 1}
        learning = {seat for seat, group in enumerate(groups) if loud or seat < 2 or last[group] == seat}
        unsaid = dict.fromkeys(leading)
        boxes: list[list[int]] = [[] for _ in self._seats]
        if elected:
            proof = self._event(Received(leader, Certified(election_proof(self._system, view))))
            boxes = [[proof] for _ in self._seats]
        for _ in range(ROUNDS_MAX):
            for seat in [seat for seat in unsaid if self._histories[seats[seat]].leads]:
                del unsaid[seat]
                boxes[seat].append(self._event(Submitted(BATCHES["AB"[groups[seat]]].submissions[0])))
            if not any(boxes):
                return
            said = []
            for seat, box in enumerate(boxes):
                if box:
                    seats[seat] = self._turn(seats[seat], tuple(box))
                    said += [(seat, *word) for word in self._histories[seats[seat]].said]
            boxes = self._delivered(said, groups, leading, learning)
        raise AssertionError(f"view {view} does not come to rest in {ROUNDS_MAX} rounds")

    def _delivered(
        self,
        said: list[tuple[int, int | None, int, type]],
        groups: tuple[int, ...],
        leading: list[int],
        learning: set[int],
    ) -> list[list[int]]:
        boxes: list[list[int]] = [[] for _ in self._seats]
        abroad: list[tuple[int, int]] = []
        for seat, to, event, kind in said:
            for target, member in enumerate(self._seats):
                if member == self._seats[seat] or to not in (None, member):
                    continue
                if groups[target] == groups[seat]:
                    if target in learning or kind not in FOR_LEARNERS:
                        boxes[target].append(event)
                elif (kind is Report and target in leading) or (self._system.lean and kind in ASKED):
                    abroad.append((target, event))
        for target, event in abroad:
            boxes[target].append(event)
        return boxes

    # -- histories -----------------------------------------------------------------------------------

    def _turn(self, history: int, box: tuple[int, ...]) -> int:
        after = self._after.get((history, box))
        if after is None:
            seat = clone(self._histories[history].seat)
            after = self._history(seat, tuple(self._events[number] for number in box))
            self._after[history, box] = after
        return after

    def _history(self, seat: Seat, events: tuple[Event, ...]) -> int:
        self.turns += 1
        said = tuple(
            (to, self._event(Received(seat.me, _signed(message))), self._kind(message))
            for to, message in seat.turn(events)
            if not _known_anyway(message)
        )
        status = seat.replica.status
        leads = status.active and status.accepted == 0 and seat.replica.leader == seat.me
        self._histories.append(History(seat, leads, seat.decided, seat.certified, said))
        return len(self._histories) - 1

    def _kind(self, message: Message) -> type:
        """In profile lean shares on PROGRESS are not for learners alone."""
        on_progress = isinstance(message, Endorsed) and isinstance(
            message.endorsement.statement, ProgressStatement
        )
        return ProgressStatement if self._system.lean and on_progress else type(message)

    def _event(self, event: Event) -> int:
        number = self._numbers.setdefault(event, len(self._events))
        if number == len(self._events):
            self._events.append(event)
        return number

    def _check(self, seats: list[int]) -> None:
        """Agreement of those that are no clones; certificates bind the clones as well."""
        final: set[str] = set()
        for place, seat in enumerate(seats):
            history = self._histories[seat]
            final |= history.certified
            if self._seats[place] != TWIN and history.decided:
                final.add(history.decided)
        ordered = sorted(final, key=lambda log: (len(log), log))
        for shorter, longer in pairwise(ordered):
            require(longer.startswith(shorter), f"both {shorter!r} and {longer!r} are final")


def _new(system: QuorumSystem, me: int) -> Seat:
    return Seat(system, me, Replica(EngineConfig(system, me), Disk().restore()), Disk())


def _signed(message: Message) -> Message:
    """A proposal that has left its leader is evidence for Reports."""
    return replace(message, signature=b"signed") if isinstance(message, Propose) else message


def _known_anyway(message: Message) -> bool:
    """Everybody gets the proof of a view first; the scenario hands the leaders their clients' work."""
    relayed = isinstance(message, Certified) and isinstance(message.certificate.statement, SuspectStatement)
    return relayed or isinstance(message, Forward)
