"""Makes a failing schedule smaller: fewer steps, fewer misdeeds, fewer liars, the same complaint.

Delta debugging (Zeller and Hildebrandt, 2002) over the steps of the plan, then the liars and what they may
still do. A smaller plan is kept when it fails in the same way; how is told by the complaint without numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.campaigns.simulation.campaign import Campaign
from tests.campaigns.simulation.plan import Plan

WORDS_MAX = 4096


@dataclass(frozen=True)
class Cut:
    """What is left of a seed's plan: the numbers of its steps, of its liars, and the liars' misdeeds."""

    steps: tuple[int, ...]
    liars: tuple[int, ...]
    words: int | None = None

    @classmethod
    def nothing(cls, plan: Plan) -> Cut:
        return cls(tuple(range(len(plan.steps))), tuple(range(len(plan.liars))))

    def of(self, plan: Plan) -> Plan:
        liars = tuple(plan.liars[at] for at in self.liars)
        lying = {me for me, _, _ in liars}
        kept = plan.only([at for at in self.steps if not _without_liar(plan, at, lying)])
        return replace(kept, liars=liars, words_max=self.words)

    def arguments(self, plan: Plan) -> str:
        """How the command line says it."""
        said = f"--steps {','.join(map(str, self.steps)) or 'none'}"
        if len(self.liars) < len(plan.liars):
            said += f" --liars {','.join(map(str, self.liars)) or 'none'}"
        if self.words is not None:
            said += f" --words {self.words}"
        return said


def _without_liar(plan: Plan, at: int, lying: set[int]) -> bool:
    step = plan.steps[at]
    return step.what == "act" and step.arguments[0] not in lying


def complaint(plan: Plan) -> str | None:
    """What goes wrong, without the numbers that differ from run to run; None when nothing does."""
    try:
        Campaign(plan).run()
    except Exception as error:
        return f"{type(error).__name__}: {re.sub(r'[0-9]+', 'N', str(error))[:60]}"
    return None


def shrink(plan: Plan, tell: Callable[[str], None] = lambda _: None) -> Cut:
    """The smallest cut found of a failing plan. Raises ValueError for one that does not fail."""
    wanted = complaint(plan)
    if wanted is None:
        raise ValueError(f"seed {plan.seed} does not fail")

    def fails(cut: Cut) -> bool:
        return complaint(cut.of(plan)) == wanted

    def fewer_steps(cut: Cut) -> Cut:
        kept = _fewer(cut.steps, lambda steps: fails(replace(cut, steps=tuple(steps))))
        tell(f"{len(kept)} of {len(plan.steps)} steps")
        return replace(cut, steps=kept)

    def fewer_liars(cut: Cut) -> Cut:
        return replace(cut, liars=_fewer(cut.liars, lambda liars: fails(replace(cut, liars=tuple(liars)))))

    cut = Cut.nothing(plan)
    while True:
        smaller = _fewer_words(fewer_liars(fewer_steps(cut)), fails)
        if smaller == cut:
            return cut
        cut = smaller


def _fewer(items: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> tuple[int, ...]:
    """Leaves out halves, then quarters, …, then single ones, as long as it still fails."""
    kept = list(items)
    size = max(1, len(kept) // 2)
    while kept:
        removed = False
        for begin in range(0, len(kept), size):
            rest = kept[:begin] + kept[begin + size :]
            if fails(rest):
                kept, removed = rest, True
                break
        if not removed:
            if size == 1:
                break
            size = max(1, size // 2)
        size = min(size, max(1, len(kept)))
    return tuple(kept)


def _fewer_words(cut: Cut, fails: Callable[[Cut], bool]) -> Cut:
    """The fewest misdeeds, by halving; the last ones may not matter."""
    if not cut.liars:
        return replace(cut, words=None)
    low, high = 0, cut.words if cut.words is not None else WORDS_MAX
    while low < high:
        middle = (low + high) // 2
        if fails(replace(cut, words=middle)):
            high = middle
        else:
            low = middle + 1
    found = replace(cut, words=high)
    return found if high < WORDS_MAX and fails(found) else cut
