"""The load generator counts what a stalled system costs its clients, and loses nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from benchmarks import generator
from benchmarks.generator import Job, Run
from benchmarks.histogram import Histogram
from benchmarks.measure import _parts

T = TypeVar("T")


class Clock(selectors.DefaultSelector):
    """Nobody waits: when nothing happens before a timer ends, it is then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "it waits forever"
            self.now += timeout
        return ready


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(generator, "time", clock)
    return clock


def run(clock: Clock, work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = clock.monotonic  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)


class Stalling:
    """Answers within a millisecond, but for one pause in the middle; refuses what it is told to."""

    def __init__(self, clock: Clock, begin: float, end: float, *, refuse: int = 0) -> None:
        self._clock = clock
        self._pause = (begin, end)
        self._refuse = refuse

    async def request(self, commands: list[bytes]) -> None:
        begin, end = self._pause
        now = self._clock.now
        await _later(end - now if begin <= now < end else 0.001)
        if self._refuse:
            self._refuse -= 1
            raise ConnectionError("full")

    async def close(self) -> None:
        return None


async def _later(seconds: float) -> None:
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, end.set)
    await end.wait()


async def _run(clock: Clock, job: Job, *, refuse: int = 0) -> tuple[dict[str, object], Histogram]:
    start = clock.now + 0.01
    connection = Stalling(clock, start + 0.2, start + 0.5, refuse=refuse)
    result = await Run(job, [connection]).go(start)
    return result, Histogram(result["histogram"])


def test_an_open_loop_counts_from_when_a_command_was_to_be_sent(clock: Clock) -> None:
    job = Job("", (), rate=100.0, warmup_seconds=0.0, seconds=0.6)
    result, histogram = run(clock, _run(clock, job))
    assert histogram.count == 60
    assert result["unfinished"] == 0
    # Half of all arrivals meet the pause of 300 ms: the median of those waits 150 ms.
    assert histogram.percentile(70) > 0.05
    assert histogram.percentile(95) > 0.2


def test_a_closed_loop_keeps_so_many_outstanding(clock: Clock) -> None:
    job = Job("", (), commands=10, pipeline=3, warmup_seconds=0.0, seconds=0.3)

    async def count() -> int:
        outstanding = highest = 0

        class Counting:
            async def request(self, commands: list[bytes]) -> None:
                nonlocal outstanding, highest
                assert len(commands) == 10
                assert all(len(command) == 100 for command in commands)
                outstanding += 1
                highest = max(highest, outstanding)
                await _later(0.01)
                outstanding -= 1

            async def close(self) -> None:
                return None

        await Run(job, [Counting()]).go(clock.now)
        return highest

    assert run(clock, count()) == 3


def test_refused_commands_are_told_and_are_not_throughput(clock: Clock) -> None:
    job = Job("", (), commands=5, warmup_seconds=0.0, seconds=0.15)
    result, _ = run(clock, _run(clock, job, refuse=1))
    assert result["failed"] == 5
    assert result["problem"] == "ConnectionError: full"


@pytest.mark.parametrize(("connections", "processes"), [(1, 2), (2, 2), (64, 2), (5, 3)])
def test_the_parts_of_a_job_are_the_job(connections: int, processes: int) -> None:
    job = Job("", [f"client-{number}" for number in range(7)], connections, rate=1000.0)
    parts = _parts(job, processes)
    assert sum(part.connections for part in parts) == connections
    assert sum(part.rate for part in parts) == pytest.approx(1000.0)
    assert all(part.places for part in parts)
    if connections >= processes:
        shared = [place for part in parts for place in part.places]
        assert sorted(shared) == sorted(set(shared)), "two processes share an identity"


def test_percentiles_are_within_two_percent() -> None:
    samples = [0.001 * number for number in range(1, 1001)]
    histogram = Histogram.of(samples)
    for percent in (1, 50, 95, 99):
        assert histogram.percentile(percent) == pytest.approx(percent / 100, rel=0.02)
    merged = Histogram(Histogram.of(samples[:500]).to_dict())
    merged.merge(Histogram.of(samples[500:]))
    assert merged.percentile(50) == histogram.percentile(50)
    assert Histogram().percentile(50) == 0.0
