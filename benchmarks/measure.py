"""Load processes against running servers, and what both used within the measured window."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.generator import Job
from benchmarks.histogram import Histogram
from benchmarks.processes import Child, python
from benchmarks.targets import PASSPHRASE
from benchmarks.usage import Usage, used

OPEN_SECONDS = 90.0
LEAD_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """One window of load. Rates per second, latencies in seconds, costs per completed command."""

    seconds: float
    commands: int
    failed: int
    unfinished: int
    problem: str
    histogram: Histogram
    servers: Usage
    load_cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.commands / self.seconds

    def to_dict(self) -> dict[str, Any]:
        each = max(self.commands, 1)
        return {
            "commands_per_second": self.rate,
            "p50_ms": 1e3 * self.histogram.percentile(50),
            "p95_ms": 1e3 * self.histogram.percentile(95),
            "p99_ms": 1e3 * self.histogram.percentile(99),
            "server_cpu_us": 1e6 * self.servers.cpu_seconds / each,
            "client_cpu_us": 1e6 * self.load_cpu_seconds / each,
            "peer_bytes": self.servers.peer_bytes / each,
            "client_bytes": self.servers.client_bytes / each,
            "disk_bytes": self.servers.disk_bytes / each,
            "server_mib": self.servers.resident_max / 2**20,
            "cores_used": (self.servers.cpu_seconds + self.load_cpu_seconds) / self.seconds,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "problem": self.problem,
        }


def drive(job: Job, processes: int, servers: Callable[[], Sequence[int]]) -> Measured:
    """The job, its connections, rate and identities divided among so many load processes.

    ``servers`` gives the process ids whose use is measured. Raises BenchmarkFailed.
    """
    return drive_beside([_parts(job, processes)], servers)[0]


def drive_beside(groups: Sequence[Sequence[Job]], servers: Callable[[], Sequence[int]]) -> list[Measured]:
    """Groups of jobs at once, a load process for each job; what each group did.

    All jobs have one window. The servers' use and that of all load processes is told with each group.
    Raises BenchmarkFailed.
    """
    jobs = [job for group in groups for job in group]
    warmup, seconds = jobs[0].warmup_seconds, jobs[0].seconds
    with ExitStack() as stack:
        children = []
        for job in jobs:
            child = Child("load", python("benchmarks.load"), {"ALLIANCE_PASSPHRASE": PASSPHRASE})
            stack.callback(child.kill)
            child.write(json.dumps(asdict(job)))
            children.append(child)
        for child in children:
            child.line(OPEN_SECONDS)
        start = time.monotonic() + LEAD_SECONDS
        for child in children:
            child.write(repr(start))
        load = [child.pid for child in children]
        _sleep_until(start + warmup)
        began, before, load_before = time.monotonic(), used(servers()), _cpu(load)
        _sleep_until(start + warmup + seconds)
        ended, after, load_after = time.monotonic(), used(servers()), _cpu(load)
        results = iter([json.loads(child.line(jobs[0].drain_seconds + OPEN_SECONDS)) for child in children])
    use, load_cpu = after.since(before), load_after - load_before
    return [
        _merged([next(results) for _ in group], seconds, use, load_cpu, ended - began) for group in groups
    ]


def _parts(job: Job, processes: int) -> list[Job]:
    processes = min(processes, job.connections)
    return [
        replace(
            job,
            connections=len(range(number, job.connections, processes)),
            places=job.places[number % len(job.places) :: processes] or job.places,
            rate=job.rate / processes,
        )
        for number in range(processes)
    ]


def _merged(
    results: Sequence[dict[str, Any]], seconds: float, servers: Usage, load_cpu: float, window: float
) -> Measured:
    histogram = Histogram()
    for result in results:
        histogram.merge(Histogram(result["histogram"]))
    scale = seconds / window  # the kernel was asked a little later than the load generator stopped
    return Measured(
        seconds,
        sum(result["commands"] for result in results),
        sum(result["failed"] for result in results),
        sum(result["unfinished"] for result in results),
        next((result["problem"] for result in results if result["problem"]), ""),
        histogram,
        replace(servers, cpu_seconds=servers.cpu_seconds * scale),
        load_cpu * scale,
    )


def _cpu(pids: Sequence[int]) -> float:
    return used(pids).cpu_seconds


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
