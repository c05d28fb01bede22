"""How much is measured: the default set takes under five minutes on two idle cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.generator import Job
from quorum.system import CLASSIC, LEAN

Shape = tuple[int, int]
"""Commands in a submission, and submissions outstanding."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``make bench`` does. Seconds are of measuring, after ``warmup_seconds`` of the same load."""

    seconds: float = 3.0
    warmup_seconds: float = 1.0
    shapes: tuple[Shape, ...] = ((1, 1), (100, 2), (500, 8), (1000, 4), (1000, 16))
    connections: tuple[int, ...] = (64, 256, 512)
    sizes: tuple[tuple[int, int, int], ...] = ((1024, 100, 4), (16 * 1024, 10, 4))
    """Bytes of a command, commands in a submission, submissions outstanding."""
    fractions: tuple[float, ...] = (0.2, 0.5, 0.8)
    """Open loop: of the closed loop's throughput."""
    kills: int = 5
    slots: int = 10_000
    slots_seconds: float = 20.0
    """The slots for the restart are made by a load that lasts this long at most."""
    members: tuple[tuple[int, int], ...] = ((11, 2),)
    """Further sizes of the alliance, and how many faults each withstands."""
    profiles: tuple[tuple[int, str], ...] = ((4, LEAN), (6, CLASSIC), (6, LEAN))
    """Alliances that withstand one fault, to be compared."""
    profile_rounds: int = 3
    member_shapes: tuple[Shape, ...] = ((1, 1), (500, 8))
    ceiling_shapes: tuple[Shape, ...] = ((1, 1), (100, 2), (500, 8), (1000, 16))
    clients: int = 17
    executors: int = 6
    """Members beside which the lock service is executed: the first ones."""
    lock_clients: tuple[int, ...] = (1, 64)
    subscribers: tuple[int, ...] = (1, 8)
    seeds: int = 40
    """Schedules of the simulator."""

    def job(
        self,
        target: str,
        places: Sequence[str],
        connections: int = 1,
        commands: int = 1,
        size: int = 100,
        pipeline: int = 1,
    ) -> Job:
        """A closed loop for as long as this plan measures; ``generator.Job`` has what each means."""
        return Job(
            target,
            places,
            connections,
            commands,
            size,
            pipeline,
            warmup_seconds=self.warmup_seconds,
            seconds=self.seconds,
        )


FULL = Plan(
    seconds=8.0,
    warmup_seconds=2.0,
    kills=20,
    slots_seconds=900.0,
    seeds=1000,
    members=((11, 2), (16, 3)),
)
"""Longer windows, twenty kills, all slots."""

SMOKE = Plan(
    seconds=0.4,
    warmup_seconds=0.2,
    shapes=((10, 2),),
    connections=(2,),
    sizes=(),
    fractions=(0.5,),
    kills=1,
    slots=20,
    slots_seconds=2.0,
    members=(),
    profiles=((4, LEAN),),
    profile_rounds=1,
    ceiling_shapes=((10, 2),),
    clients=3,
    executors=3,
    lock_clients=(2,),
    subscribers=(1,),
    seeds=3,
)
"""Everything once and briefly: shows that the machinery works, and nothing else."""
