"""What a campaign did, in numbers that add up over seeds and processes, and one line that tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.campaigns.simulation.plan import Plan
from tests.worlds.timed import TimedWorld


@dataclass
class Figures:
    """``trace`` is a hash over the traces of all seeds, in their order."""

    seeds: int = 0
    cpu_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    slowest_recovery: float = 0.0
    trace: str = ""
    short_seeds: int = 0
    short_cpu_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add_seed(self, plan: Plan, world: TimedWorld, cpu_seconds: float) -> None:
        self.seeds += 1
        self.cpu_seconds += cpu_seconds
        if plan.is_short:
            self.short_seeds += 1
            self.short_cpu_seconds += cpu_seconds
        self.counts += Counter(
            events=world.events,
            decided=max(member.engine.status.decided for member in world.honest),
            views=max(member.engine.view for member in world.honest),
            blames=sum(len(member.blames) for member in world.honest),
            misdeeds=sum(liar.words for liar in world.adversaries.values()),
            convictions=len(world.court.convictions),
            checkpoints=sum(member.disk.checkpoints for member in world.honest),
            pruned=sum(len(member.pruned) for member in world.honest),
            leaps=sum(len(member.leaps) for member in world.honest),
            real_scheme=plan.real_scheme,
            real_journals=plan.real_journals,
        )
        self.faults += world.faults
        self.slowest_recovery = max(self.slowest_recovery, world.recovery)
        self._chain(world.trace())

    def add(self, other: Figures) -> None:
        self.seeds += other.seeds
        self.cpu_seconds += other.cpu_seconds
        self.short_seeds += other.short_seeds
        self.short_cpu_seconds += other.short_cpu_seconds
        self.counts += other.counts
        self.faults += other.faults
        self.slowest_recovery = max(self.slowest_recovery, other.slowest_recovery)
        self.failures += other.failures
        self._chain(other.trace)

    def _chain(self, trace: str) -> None:
        self.trace = sha256((self.trace + trace).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Figures:
        return cls(**{**data, "counts": Counter(data["counts"]), "faults": Counter(data["faults"])})

    def table(self) -> str:
        """What was done to the members, by class."""
        width = max(map(len, self.faults), default=0)
        return "\n".join(f"{name:<{width}}  {count:>12,}" for name, count in sorted(self.faults.items()))

    def line(self) -> str:
        """For people and scripts; the speeds are per core, of CPU time, and alone differ between two runs."""
        counts = " ".join(f"{name}={self.counts[name]}" for name in sorted(self.counts))
        injected = sum(count for name, count in self.faults.items() if not name.startswith("members: "))
        speed = self.counts["events"] / self.cpu_seconds if self.cpu_seconds else 0.0
        short = self.short_seeds / self.short_cpu_seconds if self.short_cpu_seconds else 0.0
        return (
            f"trace={self.trace[:16]} seeds={self.seeds} failures={len(self.failures)} {counts}"
            f" faults={injected} slowest_recovery_timeouts={self.slowest_recovery:.1f}"
            f" events_per_second={speed:.0f} short_schedules_per_second={short:.0f}"
        )
