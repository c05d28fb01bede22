"""Simulated time, and links between members that delay, lose and cut; everything follows from the seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from random import Random
from typing import Any

LATENCY_SECONDS = (0.001, 0.02)


class Clockwork:
    """What is to happen, in order of its time: in seconds since the run began, or in a unit of its owner."""

    def __init__(self, seed: int, begin: float = 0.0) -> None:
        self.random = Random(seed)  # noqa: S311 - it is to be repeated
        self.now = begin
        self._plan: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        self._count += 1  # of equal times, the first planned comes first
        heapq.heappush(self._plan, (self.now + delay, self._count, action, arguments))

    def run(self, until: float, enough: Callable[[], bool] | None = None) -> None:
        """Everything that is due up to a time; stops early when ``enough``."""
        plan = self._plan
        while plan and plan[0][0] <= until:
            if enough is not None and enough():
                return
            self.now, _, action, arguments = heapq.heappop(plan)
            action(*arguments)
        if enough is None or not enough():
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
