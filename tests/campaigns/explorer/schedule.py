"""A counterexample as text, and back: who takes which step, to be read by people and to be played again."""

from __future__ import annotations

from ast import literal_eval
from collections import Counter
from dataclasses import asdict

from fab_paxos.messages import NewView
from quorum import QuorumSystem
from tests.campaigns.explorer.engine import Engine, OpenedBy, Step, Violation
from tests.campaigns.explorer.instance import Instance
from tests.campaigns.explorer.menu import Context, Menu
from tests.campaigns.explorer.search import Schedule
from tests.campaigns.explorer.steps import describe, take
from tests.campaigns.explorer.words import NewViewName, content_of, name_new_view

MARK = " # "


def tell(instance: Instance, schedule: Schedule) -> str:
    """One line a step; what follows the mark is the step itself, which ``read`` understands."""
    lines = [f"{instance}{MARK}{asdict(instance)}"]
    lines += [f"member {member} {describe(step)}{MARK}{(member, step)}" for member, step in schedule]
    return "\n".join(lines)


def read(text: str) -> tuple[Instance, Schedule]:
    """Raises ValueError or SyntaxError for what ``tell`` did not write."""
    first, *steps = (literal_eval(line.split(MARK, 1)[1]) for line in text.splitlines() if MARK in line)
    return Instance(**{**first, "system": QuorumSystem(**first["system"])}), tuple(steps)


def replay(instance: Instance, schedule: Schedule) -> str | None:
    """Plays it with one fresh engine for each member; what is broken at the end, if anything."""
    try:
        game = _Game(instance)
        for member, step in schedule:
            game.play(member, step)
    except Exception as error:
        return str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
    return None


class _Game:
    """One engine for each member, and the gate: what nobody said, or no quorum, is not heard."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._engines = {
            me: Engine.new(instance.system, me, instance.liar)
            for me in sorted((*instance.leaders, *instance.followers))
        }
        self._opened_by: dict[NewViewName, OpenedBy] = {}
        self._menu = Menu(
            instance.system, instance.liar, instance.views, instance.slots, instance.letters, {}
        )
        for step in instance.prelude:
            for engine in self._engines.values():
                take(step, engine)

    def play(self, member: int, step: Step) -> None:
        """Raises Violation, and whatever the engine raises."""
        passed = self._passed(step, self._context())
        if passed is not None:
            take(passed, self._engines[member])
            self._context()

    def _context(self) -> Context:
        return self._menu.context([(me, engine.said) for me, engine in self._engines.items()])

    def _passed(self, step: Step, context: Context) -> Step | None:
        match step:
            case ("NewView" | "Progress" as kind, name, by):
                if kind == "Progress" and name not in context.progress:
                    return None
                opened_by = self._opened_by.get(name) or self._made(name, by)
                if opened_by is None:
                    return None
                self._opened_by[name] = opened_by
                return (kind, name, opened_by)
            case ("open", view, by) | ("bad NewView", (view, _, _), by):
                return step if self._reported(view, by) else None
            case ("certificate" | "frame", view, log):
                return step if (view, log) in context.certificates else None
            case _:
                return step

    def _made(self, name: NewViewName, by: OpenedBy) -> OpenedBy | None:
        """The Reports of the NewView of this name: a correct leader's own, or those that the liar quotes."""
        leader = self._instance.system.leader(name[0])
        if leader == self._instance.liar:
            return by if self._reported(name[0], by) else None
        made = self._engines[leader].replica.rooms.view_change.new_view
        if not isinstance(made, NewView) or name_new_view(made) != name:
            return None
        return tuple((member, content_of(report)) for member, report in made.reports)

    def _reported(self, view: int, by: OpenedBy) -> bool:
        """Whether correct members said all that is quoted."""
        quoted = Counter(content for member, content in dict(by).items() if member != self._instance.liar)
        engines = self._engines.values()
        return quoted <= Counter(
            content for engine in engines for at, content in engine.said.reports if at == view
        )
