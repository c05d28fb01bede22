"""What crossings did, in numbers that add up over seeds and processes, kept block by block in a file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from tests.campaigns.simulation.stages import Crossing


@dataclass
class CrossingFigures:
    """``trace`` is a hash over the traces of all worlds, in their order."""

    counts: Counter[str] = field(default_factory=Counter)
    trace: str = ""
    failures: list[str] = field(default_factory=list)

    def add_crossing(self, crossing: Crossing) -> None:
        plan, worlds = crossing.plan, [stage.world for stage in crossing.stages]
        self.counts += Counter(
            seeds=1,
            epochs=len(worlds),
            events=sum(world.events for world in worlds),
            decided=max(member.engine.status.decided for member in worlds[-1].honest),
            views=sum(max(m.engine.view for m in world.live()) for world in worlds if world.live()),
            words=crossing.words.count,
            governed=plan.governed,
            real_journals=plan.real_journals,
            handed_on=plan.handed_on,
            lean=any(world.system.lean for world in worlds),
            profile_changes=sum(a.system.lean != b.system.lean for a, b in pairwise(worlds)),
            leaps=sum(len(member.leaps) for world in worlds for member in world.honest),
        )
        self.counts.update({what.replace(" ", "_"): n for what, n in crossing.changes.items()})
        for world in worlds:
            self.counts.update(
                {what.replace(" ", "_"): n for what, n in world.faults.items() if "the switch" in what}
            )
            self.counts["sleepers"] += world.faults["members that sleep through an epoch"]
            self.counts["late"] += world.faults["members that come late"]
            self._chain(world.trace())

    def add(self, other: CrossingFigures) -> None:
        self.counts += other.counts
        self.failures += other.failures
        self._chain(other.trace)

    def _chain(self, trace: str) -> None:
        self.trace = sha256((self.trace + trace).encode()).hexdigest()

    def line(self) -> str:
        told = " ".join(f"{what}={number}" for what, number in sorted(self.counts.items()))
        return f"trace={self.trace[:16]} failures={len(self.failures)} {told}"


class Kept:
    """Figures of blocks that are done, one JSON line each, in a file if there is one."""

    def __init__(self, path: Path | None, kind: str | None, *, new_keys: bool = False) -> None:
        self._path = path
        self._which = {"kind": kind, **({"new_keys": True} if new_keys else {})}
        self._done: dict[tuple[int, int], CrossingFigures] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                kept = json.loads(line)
                if {name: kept[name] for name in ("kind", "new_keys") if name in kept} == self._which:
                    figures = CrossingFigures(Counter(kept["counts"]), kept["trace"], kept["failures"])
                    self._done[kept["first"], kept["seeds"]] = figures

    def has(self, block: range) -> bool:
        return (block.start, len(block)) in self._done

    def keep(self, block: range, figures: CrossingFigures) -> None:
        self._done[block.start, len(block)] = figures
        if self._path is not None:
            kept = {**self._which, "first": block.start, "seeds": len(block), **vars(figures)}
            with self._path.open("a") as file:
                file.write(json.dumps(kept) + "\n")

    def total(self, blocks: list[range]) -> CrossingFigures:
        total = CrossingFigures()
        for block in blocks:
            total.add(self._done[block.start, len(block)])
        return total
