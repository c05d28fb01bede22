"""Clients at work: what they propose, one command after the other, and how that goes."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.proofs.receipt import Receipt

LANES = (2, 6)
"""Commands that the first and the second client have under way at once."""

LONGEST_SECONDS = 60.0
"""A client that gets nothing, or an end that does not come, is waited for at most so long: three times what
the slowest attack takes, for machines that have other things to do."""


@dataclass(frozen=True)
class Throughput:
    """What clients saw. ``gap_ms`` is the longest time in which none of them got a receipt;
    ``first_client_ms`` the longest that a command of the first client took."""

    seconds: float
    commands: int
    per_second: float
    p50_ms: float
    p99_ms: float
    gap_ms: float
    first_client_ms: float


class Load:
    """Each lane proposes its next command when it has the receipt of the last one."""

    def __init__(self, clients: Sequence[Client], receipts: list[Receipt]) -> None:
        """``receipts`` grows by all that is proposed."""
        self._clients = clients
        self._receipts = receipts
        self._number = itertools.count(1)

    async def run(self, seconds: float, until: Callable[[], bool] = lambda: True) -> Throughput:
        """At least for so long, and until each client has got something and ``until`` says so.

        Raises what ``propose`` raises.
        """
        run = _Run(time.monotonic(), seconds, until, {number: [] for number in range(len(self._clients))}, [])
        lanes = [
            asyncio.create_task(self._lane(number, run))
            for number, count in enumerate(LANES)
            for _ in range(count)
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        return run.throughput()

    async def _lane(self, number: int, run: _Run) -> None:
        while not run.over():
            begin = time.monotonic()
            command = b"offer %d: %d kWh" % (next(self._number), 5 + int(begin) % 40)
            receipt = await self._clients[number].propose(command, timeout=LONGEST_SECONDS)
            self._receipts.append(receipt)
            run.ends.append(time.monotonic())
            run.latencies[number].append(time.monotonic() - begin)


@dataclass
class _Run:
    begin: float
    seconds: float
    until: Callable[[], bool]
    latencies: dict[int, list[float]]
    ends: list[float]

    def over(self) -> bool:
        passed = time.monotonic() - self.begin
        enough = all(self.latencies.values()) and self.until()
        return passed >= (self.seconds if enough else LONGEST_SECONDS)

    def throughput(self) -> Throughput:
        ordered = sorted(itertools.chain.from_iterable(self.latencies.values()))
        passed = max(self.ends) - self.begin
        gap = max(after - before for before, after in itertools.pairwise([self.begin, *self.ends]))
        return Throughput(
            round(passed, 2),
            len(self.ends),
            round(len(self.ends) / passed, 1),
            percentile(ordered, 0.5),
            percentile(ordered, 0.99),
            round(1000 * gap, 1),
            round(1000 * max(self.latencies[0]), 1),
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """In milliseconds: the smallest value that at least ``share`` of all values do not exceed."""
    return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
