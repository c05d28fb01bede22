"""What a seed of the crossings stands for: two or three epochs, each with its own trouble, and how they end.

The plan of an epoch is made when it is known who takes part in it: that may be what the log has decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

from quorum import QuorumSystem
from quorum.system import CLASSIC, LEAN
from tests.campaigns.simulation.campaign import KINDS_OF
from tests.campaigns.simulation.plan import ELEVEN, LEAN_NINE, LEAN_SYSTEMS, NOBODY, Plan, Step, make_plan
from tests.worlds.cluster import SIX, client_id
from tests.worlds.control import admit, ending
from tests.worlds.end_liars import END_KINDS
from tests.worlds.government import EDITS, FULL, LIGHT, NEW_KEYS
from tests.worlds.timed import SECOND

SEVEN = QuorumSystem(7, 1)
SYSTEMS = {
    CLASSIC: (*[SIX] * 8, *[SEVEN] * 3, ELEVEN),
    LEAN: (*LEAN_SYSTEMS * 4, LEAN_NINE),
}
UNFIT = {"amnesiac", "bit flips"}
"""Kinds of liars that have an old disk: in a later epoch that would be one of another epoch."""
GOVERNED_EVERY = 4
"""In every fourth seed operators and members change their alliance by the product's control state."""
REAL_JOURNAL_EVERY = 16
HANDED_ON_EVERY = 256
"""In one of so many: the product's gate, and the alliance's real key, handed on with real dealings."""
THREE_EVERY = 6
"""One seed of so many goes through three epochs."""
SHIFT = 7_000_000


@dataclass(frozen=True)
class CrossingPlan:
    """``kind``: what the first liar of the first epoch is; None leaves it to the seed.

    ``new_keys``: epochs begin with other keys, and a liar has all shares of those before.
    """

    seed: int
    kind: str | None = None
    new_keys: bool = False

    @cached_property
    def window(self) -> int:
        return Random(f"window {self.seed}").choice((8, 8, 12))

    @cached_property
    def haste(self) -> float:
        """How likely a member is to go over, each time that it might."""
        return Random(f"haste {self.seed}").choice((0.02, 0.1, 0.5))

    @property
    def governed(self) -> bool:
        turns = self.seed // REAL_JOURNAL_EVERY + self.seed // HANDED_ON_EVERY
        return self.seed % GOVERNED_EVERY == turns % GOVERNED_EVERY  # with all other residues in turn

    @property
    def real_journals(self) -> bool:
        return self.seed % REAL_JOURNAL_EVERY == 3

    @property
    def handed_on(self) -> bool:
        return self.seed % HANDED_ON_EVERY == 7

    def renews(self, number: int) -> bool:
        """Whether this epoch is to begin with other keys; in a governed crossing the log decides it."""
        return self.new_keys and Random(f"keys {self.seed} {number}").random() < 0.7

    @cached_property
    def systems(self) -> tuple[QuorumSystem, ...]:
        """Of the epochs, as they are meant to be: in some, one member is suspended."""
        dice = Random(f"systems {self.seed}")
        count = 3 if dice.randrange(THREE_EVERY) == 0 else 2
        systems = [dice.choice(SYSTEMS[dice.choice((CLASSIC, CLASSIC, LEAN))]) for _ in range(count)]
        first = [one for one in systems[:1] if one != SEVEN] or [SIX]
        later = [self._suspended(dice, system) for system in systems[1:]]
        return (*first, *later)

    def _suspended(self, dice: Random, system: QuorumSystem) -> QuorumSystem:
        if self.governed or dice.random() >= 0.3:
            return system
        count = system.member_count
        return replace(system, leaders=tuple(sorted(dice.sample(range(count), count - 1))))

    def stage(self, number: int, system: QuorumSystem) -> Plan:
        """The trouble of one epoch. The last one does not end."""
        last = number == len(self.systems) - 1
        dice = Random(f"stage {self.seed} {number}")
        kinds = [one for one in KINDS_OF[system.profile] if one not in UNFIT]
        kind = self.kind if number == 0 else None
        seed, offered = self.seed + number * SHIFT, kinds if last else [*kinds, *END_KINDS]
        plan = make_plan(seed, kind, offered, system.profile, replace(system, leaders=()))
        plan = replace(plan, system=system, real_scheme=self.handed_on, real_journals=self.real_journals)
        if number and dice.random() < (1.0 if self.new_keys else 0.3):
            named = "thief" if self.new_keys else "revenant", *(name for _, name, _ in plan.liars[1:])
            others = zip(plan.liars, named, strict=False)
            plan = _with_liars(plan, tuple((me, name, at) for (me, _, at), name in others))
        if number and dice.random() < 0.4:  # nobody lies: so others may sleep, or come late
            plan = _with_liars(plan, ())
        if last:
            return self._with(plan, self._edits(dice, plan))
        plan = replace(plan, checkpoint_slots=dice.choice((2, 3, 5, 1000)))
        if kind is None and dice.random() < 0.4:
            # They want no end, or go on behind it.
            kinds = [dice.choice([*END_KINDS, NOBODY]) for _ in plan.liars]
            others = zip(plan.liars, kinds, strict=True)
            plan = _with_liars(plan, tuple((me, name, at) for (me, _, at), name in others if name != NOBODY))
        return self._with(plan, [*self._edits(dice, plan), *self._end(dice, plan, number)])

    def _with(self, plan: Plan, steps: list[Step]) -> Plan:
        return replace(plan, steps=tuple(sorted([*plan.steps, *steps], key=lambda step: step.at)))

    def _edits(self, dice: Random, plan: Plan) -> list[Step]:
        """Clients that come and go, addresses, the policy."""
        span, steps = _span(plan), []
        for number in range(dice.choice((0, 1, 4))):
            if self.governed:
                aim = dice.choice((*EDITS, *EDITS, "policy"))
                steps.append(Step(dice.randrange(span), "want", (aim,)))
            else:
                word = admit(client_id(30 + dice.randrange(3)), admitted=dice.random() < 0.5)
                steps.append(Step(dice.randrange(span), "decree", (dice.choice(_honest(plan)), word, number)))
        return steps

    def _end(self, dice: Random, plan: Plan, number: int) -> Iterator[Step]:
        at = dice.randrange(_span(plan) // 2 + 1)
        if not self.governed:
            yield Step(at, "decree", (dice.choice(_honest(plan)), ending(number), 1000))
            return
        target = self.systems[number + 1]
        resized = replace(plan.system, leaders=()) != target
        aim = "resize" if resized else dice.choice((*LIGHT, *FULL[:2]))
        if resized and dice.random() < 0.2:
            aim = dice.choice((*LIGHT, *FULL[:2]))
        if self.renews(number + 1):
            aim = NEW_KEYS
        yield Step(at, "want", (aim, target))
        if dice.random() < 0.5:  # another change at the same time, or while the first is under way
            yield Step(
                at + dice.randrange(_span(plan)), "want", (dice.choice(("suspend", *LIGHT, *FULL[:2])),)
            )


def _span(plan: Plan) -> int:
    return max((step.at for step in plan.steps), default=SECOND) + 1


def _honest(plan: Plan) -> list[int]:
    liars = {me for me, _, _ in plan.liars}
    return [me for me in range(plan.system.member_count) if me not in liars]


def _with_liars(plan: Plan, liars: tuple[tuple[int, str, int], ...]) -> Plan:
    """These instead of the planned ones, some of them in their places."""
    lying = {me for me, _, _ in liars}
    steps = tuple(step for step in plan.steps if step.what != "act" or step.arguments[0] in lying)
    return replace(plan, liars=liars, steps=steps)
