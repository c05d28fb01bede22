"""The two profiles side by side: alliances of several sizes take turns, each beside its own skeleton."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import applications, latency
from benchmarks.ceiling import Ceiling
from benchmarks.measure import drive
from benchmarks.plan import Plan
from benchmarks.report import Report, Row
from benchmarks.servers import Servers

SECTION = (
    "Profiles side by side: medians of all rounds (ms; commands and locks per second; CPU us per command)"
)
BATCH, OUTSTANDING, SMALL_CONNECTIONS = 1000, 16, 64
LOAD_PROCESSES = 2

Figures = dict[str, float]


def compare(folder: Path, plan: Plan, report: Report, progress: Callable[[str], None]) -> None:
    """A row for each alliance of ``plan.profiles``. They take turns: what disturbs one disturbs all."""
    alliances = {}
    for members, profile in plan.profiles:
        label = f"n={members} {profile}"
        progress(f"founding {label}")
        alliances[label] = Servers(
            folder / label.replace(" ", "-"), members=members, profile=profile, clients=9
        )
    rounds: dict[str, list[Figures]] = {label: [] for label in alliances}
    for number in range(1, plan.profile_rounds + 1):
        for label, servers in alliances.items():
            progress(f"{label}, round {number}")
            with servers.running(tapped=True):
                figures = _product(servers, plan)
            rounds[label].append(figures | _skeleton(servers, plan))
    for label, found in rounds.items():
        report.add(Row(SECTION, label, {name: median(one[name] for one in found) for name in found[0]}))


def _product(servers: Servers, plan: Plan) -> Figures:
    row = latency.one_client(servers, plan.seconds, plan.warmup_seconds)
    figures = {name: row.figures[name] for name in ("learned_p50", "receipt_p50")}
    for name, connections, commands, pipeline in (
        ("batched", 2, BATCH, OUTSTANDING // 2),
        ("small", SMALL_CONNECTIONS, 1, 1),
    ):
        job = plan.job("alliance", servers.client_folders(), connections, commands, pipeline=pipeline)
        measured = drive(job, LOAD_PROCESSES, servers.pids).to_dict()
        figures[name] = measured["commands_per_second"]
        figures[f"{name}_cpu"] = measured["server_cpu_us"]
    with servers.executing(applications.LOCK_MODULE, len(servers.names)) as executors:
        job = plan.job("locks", servers.client_folders())
        figures["locks"] = drive(job, 1, lambda: [*servers.pids(), *executors]).rate
    return figures


def _skeleton(servers: Servers, plan: Plan) -> Figures:
    homes = [servers.folder / "members" / name for name in servers.names]
    with ExitStack() as stack:
        ceiling = Ceiling(homes, stack)
        one = ceiling.drive(1, 1, 100, plan.seconds).to_dict()
        full = ceiling.drive(BATCH, OUTSTANDING, 100, plan.seconds).to_dict()
    return {
        "skeleton_p50": one["p50_ms"],
        "skeleton_batched": full["commands_per_second"],
        "skeleton_cpu": full["server_cpu_us"],
    }
