"""Simulated time, and links between members that delay, lose and cut; everything follows from the seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from random import Random

LATENCY_SECONDS = (0.001, 0.02)


class Clockwork:
    """What is to happen, in order of its time."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - it is to be repeated
        self.now = 0.0
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1  # of equal times, the first planned comes first
        heapq.heappush(self._plan, (self.now + seconds, self._count, action))

    def run(self, until: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Everything that is due up to a time; stops early when ``enough``."""
        while self._plan and self._plan[0][0] <= until and not enough():
            self.now, _, action = heapq.heappop(self._plan)
            action()
        if not enough():
            self.now = max(self.now, until)


class Network:
    """Between members of one group everything arrives, later; between groups nothing does."""

    def __init__(self, clockwork: Clockwork, loss: float) -> None:
        self._clockwork = clockwork
        self._loss = loss
        self._group: dict[str, int] = {}

    def part(self, *groups: Collection[str]) -> None:
        """Each group is alone; who is in none of them is in another one, with the others that are in none."""
        self._group = {name: number for number, names in enumerate(groups, 1) for name in names}

    def together(self, one: str, other: str) -> bool:
        return self._group.get(one, 0) == self._group.get(other, 0)

    def carry(self, sender: str, to: str, deliver: Callable[[], None]) -> None:
        def arrive() -> None:
            if self.together(sender, to):
                deliver()

        if self.together(sender, to) and self._clockwork.random.random() >= self._loss:
            self._clockwork.after(self._clockwork.random.uniform(*LATENCY_SECONDS), arrive)
