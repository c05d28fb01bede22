"""Explicit-state search of the real engine: breadth first, every state once, until nothing new is found.

A state is the tuple of the states of the correct members; the messages under way are all that they ever said.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from tests.campaigns.explorer.engine import Local, Said, Step, Table, Violation
from tests.campaigns.explorer.instance import Instance
from tests.campaigns.explorer.menu import Context, Menu
from tests.campaigns.explorer.steps import ENTERING, NEWS, RESTART, take

PROGRESS_STATES = 10_000
CRASH = 10
"""What a crash costs; news cost 1. The last part of a state is what is left of both."""

State = tuple[int, ...]
Way = tuple[int, ...]
"""States of one member, each a step from the one before."""


Schedule = tuple[tuple[int, Step], ...]
"""Who takes which step, in order."""


@dataclass(frozen=True, slots=True)
class Found:
    """``exhausted``: there is no further state within the bound. ``decided``: every log that ever was."""

    instance: Instance
    states: int
    transitions: int
    depth: int
    engines: int
    turns: int
    decided: tuple[str, ...]
    exhausted: bool
    violation: str | None = None
    schedule: Schedule = ()


class Search:
    """Roles come first in a state, then followers, sorted: who of them is who does not matter."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._table = table = Table(instance.system, instance.liar, restarts=instance.restarts > 0)
        self._menu = Menu(
            instance.system, instance.liar, instance.views, instance.slots, instance.letters, table.opened_by
        )
        self._roles = len(instance.leaders)
        self._numbers: dict[State, int] = {}
        self._states: list[State] = []
        self._parents = array("q")
        self._depths = array("l")
        self._traits: dict[tuple[int, Said], int] = {}
        self._trait_of: list[int] = []
        self._context_numbers: dict[State, int] = {}
        self._contexts: list[Context] = []
        self._context_of = array("l")
        self._after: dict[tuple[int, int, bool], tuple[tuple[int, int], ...]] = {}
        self._ends: dict[tuple[int, int], tuple[Way | None, tuple[Way, ...]]] = {}
        self._here = -1
        self._transitions = 0

    def run(self, states_max: int, progress: Callable[[int, int], None] = lambda *_: None) -> Found:
        """Visits ``states_max`` states, or stops at a violation. ``progress`` hears states and depth."""
        try:
            self._visit(self._start(), -1)
            for here, state in enumerate(self._states):  # it grows as we go
                self._here = here
                if here and here % PROGRESS_STATES == 0:
                    progress(len(self._states), self._depths[here])
                if len(self._states) >= states_max:
                    return self._found(exhausted=False)
                self._expand(here, state)
        except Violation as violation:
            schedule = self._schedule(self._here)
            return self._found(exhausted=False, violation=str(violation), schedule=schedule)
        return self._found(exhausted=True)

    def _start(self) -> State:
        members = (*self._instance.leaders, *(self._instance.followers[-1] for _ in self._instance.followers))
        locals_ = [self._table.first(member) for member in members]
        for step in self._instance.prelude:
            locals_ = [self._step(local, step) for local in locals_]
        return (*locals_, self._instance.restarts * CRASH + (self._instance.news or 0))

    # -- states --------------------------------------------------------------------------------------

    def _expand(self, here: int, state: State, *, wholly: bool = False) -> None:
        """``wholly``: what concerns one member alone is a step like any other."""
        context, roles = self._context_of[here], self._roles
        highest = max(self._table.locals[local].view for local in state[:-1])
        left = state[-1]
        for place, local in enumerate(state[:-1]):
            if place > roles and local == state[place - 1]:
                continue  # another follower in the same state
            if not wholly and left < CRASH and self._is_finished(local):
                self._let_finish(here, state, local, context)
                continue
            late = self._is_late(local, context, highest)
            for after, cost in self._steps(local, context, late=late):
                if wholly or not cost:
                    self._visit(self._moved(state, place, after, left), here)
                elif (left >= CRASH) if cost == CRASH else left % CRASH:
                    self._visit(self._moved(state, place, after, left - cost), here)

    def _moved(self, state: State, place: int, after: int, left: int) -> State:
        roles = self._roles
        if place < roles:
            return (*state[:place], after, *state[place + 1 : -1], left)
        followers = [*state[roles:place], *state[place + 1 : -1], after]
        followers.sort()
        return (*state[:roles], *followers, left)

    def _visit(self, state: State, parent: int) -> None:
        self._transitions += 1
        if state in self._numbers:
            return
        self._numbers[state] = len(self._states)
        self._states.append(state)
        self._parents.append(parent)
        self._depths.append(self._depths[parent] + 1 if parent >= 0 else 0)
        self._context_of.append(self._context(state))

    # -- members that said their last word -----------------------------------------------------------

    def _is_finished(self, local: int) -> bool:
        """Whether a member has accepted the only slot, in the last view: the rest concerns nobody else.

        With more slots it might decide one now, and the next one when more was said.
        """
        member = self._table.locals[local]
        at_the_end = member.view == self._instance.views[-1] and member.active
        return at_the_end and self._instance.slots == len(member.log) == 1

    def _let_finish(self, here: int, state: State, local: int, context: int) -> None:
        """It goes through all that may still happen to it, now: nobody waits for it. Raises Violation."""
        if (local, context) not in self._ends:
            self._ends[local, context] = self._alone(state, local)
        broken, spoken = self._ends[local, context]
        for way in spoken:
            self._walk(here, state, way)
        if broken is not None:
            self._here = self._walk(here, state, broken)
            self._expand(self._here, self._states[self._here], wholly=True)

    def _alone(self, state: State, first: int) -> tuple[Way | None, tuple[Way, ...]]:
        """The way to a state with a step that breaks a promise, and those to states that say something."""
        ways: dict[int, Way] = {first: (first,)}
        queue, spoken = [first], []
        for local in queue:
            try:
                for after, cost in self._steps(local, self._context_with(state, first, local), late=False):
                    if after in ways or cost == CRASH:
                        continue
                    ways[after] = (*ways[local], after)
                    self._context_with(state, first, after)
                    if self._speaks(first, after):
                        spoken.append(ways[after])
                    else:
                        queue.append(after)
            except Violation:
                return ways[local], ()
        return None, tuple(spoken)

    def _context_with(self, state: State, local: int, after: int) -> int:
        """The context if this member had come so far. Raises Violation."""
        return self._context(self._moved(state, state.index(local), after, state[-1]))

    def _speaks(self, first: int, after: int) -> bool:
        """Whether it said more than what it decides."""
        before, said = self._table.locals[first].said, self._table.locals[after].said
        return replace(said, decided=before.decided) != before

    def _walk(self, here: int, state: State, way: Way) -> int:
        """One member goes its way; the number of the state that it leads to."""
        for local, after in pairwise(way):
            state = self._moved(state, state.index(local), after, state[-1])
            self._visit(state, here)
            here = self._numbers[state]
        return here

    # -- members -------------------------------------------------------------------------------------

    def _is_late(self, local: int, context: int, highest: int) -> bool:
        """Whether somebody is in a later view, of which nothing can reach this member but its election.

        All that it may still do in its view it could have done before: then it did.
        """
        view = self._table.locals[local].view
        return view < highest and all(at <= view for at, _ in self._contexts[context].certificates)

    def _steps(self, local: int, context: int, *, late: bool) -> tuple[tuple[int, int], ...]:
        """The states, other than its own, in which a member may find itself next, and what each costs."""
        known = self._after.get((local, context, late))
        if known is None:
            offers = self._offers(self._table.locals[local], self._contexts[context], late=late)
            costs: dict[int, int] = {}
            for step in offers:
                after = self._step(local, step)
                cost = self._cost(local, step, after)
                costs[after] = min(cost, costs.get(after, cost))
            costs.pop(local, None)
            known = self._after[local, context, late] = tuple(costs.items())
        return known

    def _cost(self, local: int, step: Step, after: int) -> int:
        """What a step takes from the last part of a state, which bounds crashes and news."""
        if step == RESTART:
            return CRASH
        before, then = self._table.locals[local].said, self._table.locals[after].said
        news = step[0] in NEWS or (step[0] in ENTERING and then.decided != before.decided)
        return 1 if news and self._instance.news is not None else 0

    def _offers(self, local: Local, context: Context, *, late: bool) -> Iterator[Step]:
        for step in self._menu.offers(local, context):
            if not late or step[0] in ENTERING:
                yield step
        if self._instance.restarts and not late:
            yield RESTART

    def _step(self, local: int, step: Step) -> int:
        """Raises Violation for whatever the engine raises."""
        try:
            return self._table.after(local, step, take)
        except Exception as error:
            text = str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
            raise Violation(text) from error

    def _context(self, state: State) -> int:
        """What has been said in this state; states in which the same was said share it. Raises Violation."""
        for local in self._table.locals[len(self._trait_of) :]:
            traits = self._traits.setdefault((local.role, local.said), len(self._traits))
            self._trait_of.append(traits)
        trait_of, roles = self._trait_of, self._roles
        traits_ = [trait_of[local] for local in state[:-1]]
        key = (*traits_[:roles], *sorted(traits_[roles:]))
        number = self._context_numbers.get(key)
        if number is None:
            known = list(self._traits)
            numbers = (*self._instance.leaders, *self._instance.followers)
            members = [(member, known[traits][1]) for member, traits in zip(numbers, key, strict=True)]
            self._contexts.append(self._menu.context(members))
            number = self._context_numbers[key] = len(self._contexts) - 1
        return number

    # -- what came of it -----------------------------------------------------------------------------

    def _found(self, *, exhausted: bool, violation: str | None = None, schedule: Schedule = ()) -> Found:
        return Found(
            self._instance,
            len(self._states),
            self._transitions,
            max(self._depths, default=0),
            len(self._table.locals),
            self._table.turns_taken,
            tuple(sorted({local.said.decided for local in self._table.locals} - {""})),
            exhausted,
            violation,
            schedule,
        )

    def _schedule(self, last: int) -> Schedule:
        """The way to a state, and the step from there that breaks a promise; followers get their numbers."""
        way = [last]
        while self._parents[way[0]] >= 0:
            way.insert(0, self._parents[way[0]])
        goals = [self._states[number] for number in way[1:]]
        numbers = (*self._instance.leaders, *self._instance.followers)
        members = dict(zip(numbers, self._states[way[0]], strict=False))
        schedule = []
        for number, goal in zip(way, [*goals, None], strict=True):
            member, step, after = self._find(members, number, goal)
            schedule.append((member, step))
            members[member] = after
        return tuple(schedule)

    def _find(self, members: dict[int, int], here: int, goal: State | None) -> tuple[int, Step, int]:
        """Who may take which step from this state to the next one, or (None) to a violation."""
        said = [(member, self._table.locals[local].said) for member, local in sorted(members.items())]
        context, state = self._menu.context(said), self._states[here]
        shared = self._context_of[here]
        highest = max(self._table.locals[local].view for local in state[:-1])
        for member, number in members.items():
            local, late = self._table.locals[number], self._is_late(number, shared, highest)
            named = self._offers(replace(local, role=member), context, late=late)
            steps = [*zip(self._offers(local, self._contexts[shared], late=late), named, strict=True)]
            for step, told in steps:
                try:
                    after = self._step(number, step)
                    moved = self._moved(state, state.index(number), after, (goal or state)[-1])
                    self._context(moved)
                except Violation:
                    if goal is None:
                        return member, told, number
                else:
                    if moved == goal:
                        return member, told, after
        raise LookupError(f"no step leads from {state} to {goal}")
