"""The peers under the product's load, and the ratios."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from benchmarks import applications, suite
from benchmarks.generator import Job
from benchmarks.measure import drive
from benchmarks.peers import etcd, pysyncobj, zookeeper
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkFailed
from benchmarks.report import Report, Row
from benchmarks.verdict import PEERS

BATCH = (100, 16)
CONNECTIONS = (64, 256)
STEPS = 22
"""How often ``progress`` is called."""

RATIOS = (
    "Ratios: ours to the peer's, in this run (throughput: above 1 is ours; latency: below 1 is ours)"
    " (batches: our best shape, which is larger than theirs)"
)


def run(plan: Plan, report: Report, progress: Callable[[str], None]) -> list[str]:
    """Measures the peers that are there; a line for each that is not, with what would install it."""
    missing = []
    for name, peer in (("etcd", etcd), ("ZooKeeper", zookeeper)):
        if not peer.installed():
            missing.append(_absent(name, peer.INSTALL))
            continue
        try:
            _clients(name, peer, plan, report, progress)
        except BenchmarkFailed as error:
            missing.append(f"{name} was not measured: {error}")
    if not pysyncobj.installed():
        missing.append(_absent("PySyncObj", pysyncobj.INSTALL))
    else:
        try:
            _pysyncobj(plan, report, progress)
        except BenchmarkFailed as error:
            missing.append(f"PySyncObj was not measured: {error}")
    ratios(report)
    return missing


def _absent(name: str, command: str) -> str:
    return f"{name} is not installed and was not measured: {command}"


def _clients(
    name: str, peer: ModuleType, plan: Plan, report: Report, progress: Callable[[str], None]
) -> None:
    """One client, small clients, and clients that batch, against three members."""
    with tempfile.TemporaryDirectory(prefix="alliance-bench-") as folder, ExitStack() as stack:
        progress(f"{name}: three members")
        addresses, pids = peer.start(Path(folder), stack)
        shapes = [("one client", 1, 1, 1, 1)]
        shapes += [(f"{count} connections", count, 1, 1, suite.LOAD_PROCESSES) for count in CONNECTIONS]
        shapes += [("batches of 100 x 16", 2, BATCH[0], BATCH[1] // 2, 1)]
        for label, connections, commands, pipeline, processes in shapes:
            progress(f"{name}: {label}")
            job = _job(plan, name.lower(), addresses, connections)
            job = replace(job, commands=commands, pipeline=pipeline)
            report.add(Row.of_load(PEERS, f"{name}, {label}", drive(job, processes, lambda: pids)))
        for count in plan.lock_clients:
            label = applications.lock_label(count)
            progress(f"{name}: {label}")
            job = _job(plan, f"{name.lower()}-locks", addresses, count)
            measured = drive(job, min(count, suite.LOAD_PROCESSES), lambda: pids)
            report.add(Row.of_load(PEERS, f"{name}, {label}", measured))
        if peer is etcd:
            _watch(addresses, pids, plan, report, progress)


def _watch(
    addresses: list[str], pids: list[int], plan: Plan, report: Report, progress: Callable[[str], None]
) -> None:
    """etcd's watch is the like of a subscription. ZooKeeper's tells that something changed, and not what."""
    for count in plan.subscribers:
        label = applications.broadcast_label(count)
        progress(f"etcd: {label}")
        publisher, watcher = (_job(plan, target, addresses[:1], 1) for target in ("etcd", "etcd-watch"))
        places = [[addresses[number % len(addresses)]] for number in range(count)]
        measured = applications.measured_broadcast(publisher, watcher, places, lambda: pids)
        report.add(Row.of_load(PEERS, f"etcd, {label}", measured))


def _job(plan: Plan, target: str, places: list[str], connections: int) -> Job:
    warmup = plan.warmup_seconds + 1.0
    return Job(target, places, connections, warmup_seconds=warmup, seconds=plan.seconds)


def _pysyncobj(plan: Plan, report: Report, progress: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="alliance-bench-") as folder, ExitStack() as stack:
        progress("PySyncObj: three members")
        children = pysyncobj.start(Path(folder), stack)
        for label, outstanding in (
            ("one client", 1),
            ("256 connections", 256),
            ("batches of 100 x 16", 1600),
        ):
            progress(f"PySyncObj: {label}")
            measured = pysyncobj.drive(children, outstanding, plan)
            report.add(Row.of_load(PEERS, f"PySyncObj (not synced), {label}", measured))
        for count in plan.lock_clients:
            label = applications.lock_label(count)
            progress(f"PySyncObj: {label}")
            measured = pysyncobj.drive(children, count, plan, locks=True)
            report.add(Row.of_load(PEERS, f"PySyncObj (not synced), {label}", measured))


def ratios(report: Report) -> None:
    """What we reach for each kind of load, over what the peer reaches."""
    ours = {
        "one client": report.find(suite.BATCHES, "1 x 1"),
        **{f"{count} connections": report.find(suite.SMALL, f"{count} connections") for count in CONNECTIONS},
    }
    batched = report.find(suite.BATCHES)
    for section in (applications.LOCKS, applications.BROADCAST):
        ours.update({row.label: [row] for row in report.find(section)})
    best = max(batched, key=lambda row: float(row.figures["commands_per_second"]), default=None)
    ours["batches of 100 x 16"] = [best] if best is not None else []
    for row in report.find(PEERS):
        mine = next((rows[0] for kind, rows in ours.items() if row.label.endswith(kind) and rows), None)
        if mine is None or not row.figures["commands_per_second"]:
            continue
        figures = {
            "ours": mine.label,
            "throughput": mine.figures["commands_per_second"] / row.figures["commands_per_second"],
            "p50": mine.figures["p50_ms"] / max(row.figures["p50_ms"], 1e-3),
            "server_cpu": mine.figures["server_cpu_us"] / max(row.figures["server_cpu_us"], 1e-3),
        }
        report.add(Row(RATIOS, row.label, figures))
