"""The scenarios of ``make bench``, one after the other, on fresh alliances in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import applications, failures, latency, listening, profiles, simulator
from benchmarks.ceiling import Ceiling
from benchmarks.generator import Job
from benchmarks.measure import Measured, drive
from benchmarks.plan import Plan, Shape
from benchmarks.report import Report, Row
from benchmarks.servers import Servers

BATCHES = "Batching clients: commands of 100 bytes, closed loop"
RATES_BATCHED = "Batching clients: 100 commands in a submission, open loop"
RATES_SINGLE = "Small clients: one command at a time on 64 connections, open loop"
SMALL = "Small clients: one command of 100 bytes at a time, closed loop"
SIZES = "Larger commands, closed loop"
DOWN = "One member is down, closed loop"
CEILING = "Ceiling: the parts without a protocol (latency: from proposal to decision)"
OPEN_COMMANDS, OPEN_CONNECTIONS = 100, 64
LOAD_PROCESSES = 2
NAMES = (
    "latency",
    "locks",
    "broadcast",
    "batches",
    "rates",
    "small",
    "sizes",
    "down",
    "listener",
    "leader",
    "restart",
    "members",
    "profiles",
    "ceiling",
    "simulator",
)

USUAL = tuple(name for name in NAMES if name != "profiles")
"""What runs where nothing is named: within five minutes."""

Progress = Callable[[str], None]


class Suite:
    """One run. ``only`` names the scenarios wanted; the USUAL ones when it is empty."""

    def __init__(self, plan: Plan, report: Report, progress: Progress, only: Sequence[str] = ()) -> None:
        self._plan = plan
        self._report = report
        self._progress = progress
        self._only = only or USUAL

    def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="alliance-bench-") as folder:
            if set(self._only) - {"members", "profiles", "simulator"}:
                self._of_six(Path(folder) / "six")
            if "members" in self._only:
                for members, faults in self._plan.members:
                    self._more_members(Path(folder) / f"of-{members}", members, faults)
            if "profiles" in self._only:
                profiles.compare(Path(folder), self._plan, self._report, self._progress)
        if "simulator" in self._only:
            self._progress("simulator")
            self._report.add(simulator.speed(self._plan.seeds))

    def _of_six(self, folder: Path) -> None:
        self._progress("founding six members")
        servers = Servers(folder, clients=self._plan.clients)
        if set(self._only) - {"members", "profiles", "ceiling", "simulator"}:
            with servers.running(tapped=True):
                self._six(servers)
        if "ceiling" in self._only:
            self._ceiling(servers)

    def steps(self) -> int:
        """How often ``progress`` will be called, about."""
        plan = self._plan
        counts = {
            "latency": 1, "locks": 2 + len(plan.lock_clients), "broadcast": len(plan.subscribers),
            "batches": len(plan.shapes), "rates": 2 + 2 * len(plan.fractions),
            "small": len(plan.connections), "sizes": len(plan.sizes), "down": 1, "listener": 1, "leader": 1,
            "restart": 1, "members": len(plan.members) * (2 + len(plan.member_shapes)),
            "profiles": len(plan.profiles) * (1 + plan.profile_rounds),
            "ceiling": 1 + len(plan.ceiling_shapes), "simulator": 1,
        }  # fmt: skip
        return 2 + sum(counts[name] for name in self._only)

    def _six(self, servers: Servers) -> None:
        scenarios: dict[str, Callable[[Servers], None]] = {
            "latency": self._latency,
            "locks": self._locks,
            "broadcast": self._broadcast,
            "batches": self._batches,
            "small": self._small,
            "rates": self._rates,
            "sizes": self._sizes,
            "down": self._down,
            "listener": self._listener,
            "leader": self._leader,
            "restart": self._restart,
        }
        for name, scenario in scenarios.items():
            if name in self._only:
                scenario(servers)

    def _job(self, servers: Servers, connections: int = 2, shape: Shape = (1, 1), size: int = 100) -> Job:
        commands, pipeline = shape
        return self._plan.job("alliance", servers.client_folders(), connections, commands, size, pipeline)

    def _drive(self, servers: Servers, job: Job, what: str) -> Measured:
        self._progress(what)
        return drive(job, LOAD_PROCESSES if job.connections > 2 else 1, servers.pids)

    def _latency(self, servers: Servers) -> None:
        self._progress("latency of one client")
        self._report.add(latency.one_client(servers, self._plan.seconds, self._plan.warmup_seconds))

    def _locks(self, servers: Servers) -> None:
        applications.locks(servers, self._plan, self._report, self._progress)

    def _broadcast(self, servers: Servers) -> None:
        applications.broadcast(servers, self._plan, self._report, self._progress)

    def _shape(self, servers: Servers, section: str, shape: Shape, label: str, size: int = 100) -> Measured:
        commands, pipeline = shape
        connections = 1 if pipeline == 1 else 2
        each = (commands, max(1, pipeline // connections))
        measured = self._drive(servers, self._job(servers, connections, each, size), label)
        self._report.add(Row.of_load(section, label, measured, batch=commands, pipeline=pipeline))
        return measured

    def _batches(self, servers: Servers) -> None:
        for commands, pipeline in self._plan.shapes:
            self._shape(servers, BATCHES, (commands, pipeline), f"{commands} x {pipeline}")

    def _small(self, servers: Servers) -> None:
        for connections in self._plan.connections:
            label = f"{connections} connections"
            measured = self._drive(servers, self._job(servers, connections), label)
            self._report.add(Row.of_load(SMALL, label, measured, connections=connections))

    def _rates(self, servers: Servers) -> None:
        """Rising fractions of what a closed loop of the same kind gets through."""
        for section, connections, commands in (
            (RATES_BATCHED, 2, OPEN_COMMANDS),
            (RATES_SINGLE, OPEN_CONNECTIONS, 1),
        ):
            pipeline = 16 if commands > 1 else 1
            job = self._job(servers, connections, (commands, pipeline))
            peak = self._drive(servers, job, f"peak for {section.lower()}").rate
            for fraction in self._plan.fractions:
                offered = max(fraction * peak, commands / 1.0)
                job = self._job(servers, connections, (commands, 1))
                job = replace(job, rate=offered)
                label = f"{offered:,.0f}/s arrive ({fraction:.0%})"
                measured = self._drive(servers, job, label)
                self._report.add(Row.of_load(section, label, measured, offered=offered))

    def _sizes(self, servers: Servers) -> None:
        for size, commands, pipeline in self._plan.sizes:
            self._shape(
                servers, SIZES, (commands, pipeline), f"{size // 1024} KiB, {commands} x {pipeline}", size
            )

    def _down(self, servers: Servers) -> None:
        commands, pipeline = self._plan.shapes[-1]
        with failures.one_down(servers):
            self._shape(servers, DOWN, (commands, pipeline), f"{commands} x {pipeline}")

    def _listener(self, servers: Servers) -> None:
        self._progress("listener")
        self._report.add(listening.catch_up(servers, 3 * self._plan.seconds))

    def _leader(self, servers: Servers) -> None:
        self._progress(f"leader killed {self._plan.kills} times")
        self._report.add(failures.leader_killed(servers, self._plan.kills))

    def _restart(self, servers: Servers) -> None:
        self._progress(f"restart with {self._plan.slots:,} slots")
        self._report.add(failures.restart(servers, self._plan.slots, self._plan.slots_seconds))

    def _more_members(self, folder: Path, members: int, faults: int) -> None:
        self._progress(f"founding {members} members")
        servers = Servers(folder, members=members, faults=faults, clients=3)
        with servers.running(tapped=True):
            self._latency(servers)
            for commands, pipeline in self._plan.member_shapes:
                section = f"{members} members: commands of 100 bytes, closed loop"
                self._shape(servers, section, (commands, pipeline), f"{commands} x {pipeline}")

    def _ceiling(self, servers: Servers) -> None:
        self._progress("skeleton")
        homes = [servers.folder / "members" / name for name in servers.names]
        with ExitStack() as stack:
            ceiling = Ceiling(homes, stack)
            for commands, pipeline in self._plan.ceiling_shapes:
                label = f"{commands} x {pipeline}"
                self._progress(f"skeleton {label}")
                measured = ceiling.drive(commands, pipeline, 100, self._plan.seconds)
                self._report.add(Row.of_load(CEILING, label, measured, batch=commands, pipeline=pipeline))
