"""The load: closed loop (so many requests outstanding) or open loop (so many arrivals per second).

In an open loop the latency of a request counts from the moment at which it was *to be* sent, whether or not
the load generator or the system were able to take it then. Otherwise a system that stops for a second would
be asked nothing during that second, and would look fast (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.histogram import Histogram

OUTSTANDING_MAX = 20_000
"""Open loop: beyond it arrivals wait within the generator; their latency counts all the same."""


class Connection(Protocol):
    """One client's connection to the system under test."""

    async def request(self, commands: list[bytes]) -> None:
        """Returns when all of these are done, as durably as the system promises; raises if not."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """What one load process does.

    ``target`` names the kind of system, ``places`` where it is (client folders, or host:port).
    ``commands`` travel in one request and have ``size`` bytes each. ``pipeline`` requests of each connection
    are outstanding in a closed loop; ``rate`` commands per second arrive in an open one (0: closed).
    """

    target: str
    places: Sequence[str]
    connections: int = 1
    commands: int = 1
    size: int = 100
    pipeline: int = 1
    rate: float = 0.0
    warmup_seconds: float = 1.0
    seconds: float = 4.0
    drain_seconds: float = 5.0


class Run:
    """One job against opened connections. Times are of ``time.monotonic``, the same in all processes."""

    def __init__(self, job: Job, connections: Sequence[Connection]) -> None:
        self._job = job
        self._connections = connections
        self._histogram = Histogram()
        self._begin = self._end = 0.0
        self._done = self._failed = self._serial = 0
        self._problem = ""

    async def go(self, start: float) -> dict[str, Any]:
        """Warms up from ``start`` on, then measures; what was measured, as JSON."""
        job = self._job
        self._begin = start + job.warmup_seconds
        self._end = self._begin + job.seconds
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        unfinished = await (self._open(start) if job.rate else self._closed())
        return {
            "commands": self._done,
            "failed": self._failed,
            "unfinished": unfinished,
            "problem": self._problem,
            "histogram": self._histogram.to_dict(),
        }

    async def _closed(self) -> int:
        job = self._job

        async def worker(connection: Connection) -> None:
            while (intended := time.monotonic()) < self._end:
                await self._one(connection, intended)

        tasks = [
            asyncio.create_task(worker(connection))
            for connection in self._connections
            for _ in range(job.pipeline)
        ]
        return await self._drain(tasks, self._end)

    async def _open(self, start: float) -> int:
        job = self._job
        interval = job.commands / job.rate
        tasks: set[asyncio.Task[None]] = set()
        number = 0
        while (intended := start + number * interval) < self._end:
            late = intended - time.monotonic()
            if late > 0:
                await asyncio.sleep(late)
            while len(tasks) >= OUTSTANDING_MAX and time.monotonic() < self._end + job.drain_seconds:
                await asyncio.wait(tasks, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            if len(tasks) >= OUTSTANDING_MAX:
                break
            task = asyncio.create_task(
                self._one(self._connections[number % len(self._connections)], intended)
            )
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        never_sent = round((self._end - start) / interval) - number
        return max(0, never_sent) * job.commands + await self._drain(list(tasks), self._end)

    async def _drain(self, tasks: list[asyncio.Task[None]], end: float) -> int:
        """Waits for what is outstanding; how many commands got no answer within the time allowed."""
        if not tasks:
            return 0
        allowed = max(0.0, end - time.monotonic()) + self._job.drain_seconds
        _, pending = await asyncio.wait(tasks, timeout=allowed)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return len(pending) * self._job.commands

    async def _one(self, connection: Connection, intended: float) -> None:
        job = self._job
        self._serial += 1
        head = self._serial * job.commands
        commands = [b"%0*d" % (job.size, head + index) for index in range(job.commands)]
        try:
            await connection.request(commands)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever it is, it is counted and told
            self._problem = self._problem or f"{type(error).__name__}: {error}"[:300]
            self._failed += job.commands
            await asyncio.sleep(0.05)
            return
        now = time.monotonic()
        counts = self._begin <= intended < self._end if job.rate else self._begin <= now < self._end
        if counts:
            self._histogram.add(now - intended, job.commands)
        if self._begin <= now < self._end:
            self._done += job.commands
