"""The project's targets with what was measured beside them, the ceiling and the peers where they ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import applications, failures, latency, simulator, suite
from benchmarks.report import Report, aligned, shown

PEERS = "Peers"
MEASURED_NOT = "-"


@dataclass(frozen=True, slots=True)
class Target:
    """``figure`` finds ours in a report: it must be ``bar`` at least, or with ``at_most`` no more."""

    what: str
    bar: float
    unit: str
    figure: Callable[[Report], float | None]
    at_most: bool = False
    ceiling: Callable[[Report], float | None] = lambda _: None
    peer: str = ""
    """The label that a peer's row of the same kind begins with."""


def _one_client(name: str) -> Callable[[Report], float | None]:
    return lambda report: _first(report, latency.SECTION, "6 members", name)


def _first(report: Report, section: str, label: str | None, figure: str) -> float | None:
    rows = report.find(section, label)
    return rows[0].figures.get(figure) if rows else None


def _cpu_at_peak(report: Report) -> float | None:
    rows = report.find(suite.BATCHES)
    return (
        max(rows, key=lambda r: r.figures["commands_per_second"]).figures["server_cpu_us"] if rows else None
    )


def _memory(report: Report) -> float | None:
    return report.best(suite.BATCHES, "server_mib")


def _locks(what: str, clients: int, bar: float) -> Target:
    label = applications.lock_label(clients)
    return Target(
        what,
        bar,
        "pairs/s",
        lambda report: _first(report, applications.LOCKS, label, "commands_per_second"),
        peer=label,
    )


TARGETS = (
    Target(
        "batching clients, 100 bytes",
        100_000,
        "commands/s",
        lambda report: report.best(suite.BATCHES, "commands_per_second"),
        ceiling=lambda report: report.best(suite.CEILING, "commands_per_second"),
        peer="batches",
    ),
    Target(
        "256 small clients, better of etcd, ZooKeeper",
        12_500,
        "commands/s",
        lambda report: _first(report, suite.SMALL, "256 connections", "commands_per_second"),
        peer="256 connections",
    ),
    Target("server CPU per command at the peak", 20, "µs", _cpu_at_peak, at_most=True),
    Target(
        "one client to learned, p50",
        5,
        "ms",
        _one_client("learned_p50"),
        at_most=True,
        ceiling=lambda report: _first(report, suite.CEILING, "1 x 1", "p50_ms"),
    ),
    Target(
        "one client to a receipt, p50", 20, "ms", _one_client("receipt_p50"), at_most=True, peer="one client"
    ),
    Target(
        "gap when the leader is killed, p95",
        1.5,
        "s",
        lambda report: _first(report, failures.GAP, None, "p95"),
        at_most=True,
    ),
    Target(
        "restart of a member until it votes",
        2.0,
        "s",
        lambda report: _first(report, failures.RESTART, None, "votes"),
        at_most=True,
    ),
    _locks("certified locks, one client", 1, 75),
    _locks("certified locks, 64 clients", 64, 851),
    Target("memory of a server", 250, "MiB", _memory, at_most=True),
    Target(
        "simulator, one core",
        2_000,
        "events/s",
        lambda report: _first(report, simulator.SECTION, None, "events_per_second"),
    ),
    Target(
        "simulator, short schedules, one core",
        100,
        "schedules/s",
        lambda report: _first(report, simulator.SECTION, None, "short_schedules_per_second"),
    ),
)


def text(report: Report) -> str:
    """The targets as a table; what was not measured in this run is a dash."""
    rows = [["Targets", "bar", "ours", "met", "ceiling", "peers in this run", "unit"]]
    for target in TARGETS:
        ours = target.figure(report)
        bar = _best_peer(report, target) or target.bar
        sign = "<=" if target.at_most else ">="
        rows.append(
            [
                target.what,
                f"{sign} {shown(bar)}",
                _or_dash(ours),
                MEASURED_NOT
                if ours is None
                else "yes"
                if _met(target, ours, bar)
                else _by_how_much(target, ours, bar),
                _or_dash(target.ceiling(report)),
                _peers(report, target),
                target.unit,
            ]
        )
    return aligned(rows)


def _best_peer(report: Report, target: Target) -> float | None:
    """With 256 small clients, the better of the peers is the bar itself when they ran beside us."""
    if target.peer != "256 connections":
        return None
    rows = [row for row in report.find(PEERS) if target.peer in row.label]
    return max((row.figures["commands_per_second"] for row in rows), default=None)


def _met(target: Target, ours: float, bar: float) -> bool:
    return ours <= bar if target.at_most else ours >= bar


def _by_how_much(target: Target, ours: float, bar: float) -> str:
    ratio = ours / bar if target.at_most else bar / ours if ours else float("inf")
    return f"no, {ratio:.1f} x"


def _peers(report: Report, target: Target) -> str:
    if not target.peer:
        return ""
    figure = "p50_ms" if target.at_most else "commands_per_second"
    rows = [row for row in report.find(PEERS) if target.peer in row.label]
    return (
        ", ".join(f"{row.label.split(',')[0]} {shown(row.figures[figure])}" for row in rows) or MEASURED_NOT
    )


def _or_dash(value: float | None) -> str:
    return MEASURED_NOT if value is None else shown(value)
