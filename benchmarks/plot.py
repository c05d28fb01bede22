"""Latency against throughput, as a picture. Needs matplotlib: the extra ``alliance[bench]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import suite
from benchmarks.report import Report, Row
from benchmarks.verdict import PEERS

_CURVES = (
    (suite.RATES_BATCHED, "open loop, 100 commands in a submission"),
    (suite.RATES_SINGLE, "open loop, one command at a time, 64 connections"),
)
_POINTS = (
    (suite.BATCHES, "closed loop, batches x outstanding", "s"),
    (suite.SMALL, "closed loop, small clients", "o"),
    (suite.CEILING, "ceiling: no protocol", "^"),
    (PEERS, "peers", "D"),
)


def write(report: Report, path: Path) -> bool:
    """Writes a PNG; False when matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6.5), layout="constrained")
    for section, name in _CURVES:
        rows = report.find(section)
        if rows:
            x = [row.figures["commands_per_second"] for row in rows]
            line = axes.plot(x, [row.figures["p50_ms"] for row in rows], marker=".", label=f"{name}: p50")
            ninety_nine = [row.figures["p99_ms"] for row in rows]
            axes.plot(x, ninety_nine, linestyle="--", color=line[0].get_color(), label="p99")
    for section, name, marker in _POINTS:
        _points(axes, report.find(section), name, marker)
    axes.set(xscale="log", yscale="log", xlabel="commands per second", ylabel="latency in ms")
    axes.set_title("alliance, six members on one machine: latency against throughput")
    axes.grid(visible=True, which="both", alpha=0.25)
    if axes.get_legend_handles_labels()[0]:  # a run of one scenario may have nothing to draw
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _points(axes: Any, rows: list[Row], name: str, marker: str) -> None:
    if not rows:
        return
    x = [row.figures["commands_per_second"] for row in rows]
    y = [row.figures["p50_ms"] for row in rows]
    axes.scatter(x, y, marker=marker, label=f"{name}: p50")
    for row, at, height in zip(rows, x, y, strict=True):
        axes.annotate(row.label, (at, height), fontsize=6, xytext=(4, 3), textcoords="offset points")
