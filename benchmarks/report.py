"""What was measured, as rows: printed as tables, kept as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured

Value = float | int | str
_LOAD_COLUMNS = (
    ("commands/s", "commands_per_second", "{:,.0f}"),
    ("p50 ms", "p50_ms", "{:.1f}"),
    ("p99 ms", "p99_ms", "{:.1f}"),
    ("server µs", "server_cpu_us", "{:,.1f}"),
    ("client µs", "client_cpu_us", "{:,.1f}"),
    ("peer B", "peer_bytes", "{:,.0f}"),
    ("client B", "client_bytes", "{:,.0f}"),
    ("disk B", "disk_bytes", "{:,.0f}"),
    ("MiB", "server_mib", "{:.0f}"),
    ("cores", "cores_used", "{:.2f}"),
)
LEGEND = (
    "server µs, client µs: processor time per command, of all servers together and of the load generator."
    " peer B, client B, disk B: bytes per command between servers, between servers and clients, and written"
    " to disk by all servers together. MiB: the largest server's peak, signer included. cores: how many cores"
    " the servers and the load kept busy."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of one section: what was done, and its figures by name."""

    section: str
    label: str
    figures: Mapping[str, Any]
    is_load: bool = False

    @classmethod
    def of_load(cls, section: str, label: str, measured: Measured, **more: Value) -> Row:
        return cls(section, label, {**measured.to_dict(), **more}, True)

    def problem(self) -> str:
        """What went wrong while it was measured; empty if nothing did."""
        lost = self.figures.get("failed", 0) or self.figures.get("unfinished", 0)
        if not lost:
            return ""
        return (
            f"{self.label}: {self.figures['failed']} commands failed, {self.figures['unfinished']} had no"
            f" answer in time. {self.figures['problem']}"
        ).strip()


@dataclass(slots=True)
class Report:
    """All rows of one run, and what it ran on."""

    rows: list[Row] = field(default_factory=list)
    conditions: dict[str, Any] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def find(self, section: str, label: str | None = None) -> list[Row]:
        return [r for r in self.rows if r.section == section and label in (None, r.label)]

    def best(self, section: str, figure: str) -> float | None:
        """The highest value of a figure within a section."""
        return max((row.figures[figure] for row in self.find(section)), default=None)

    def to_json(self) -> str:
        rows = [{"section": r.section, "label": r.label, **r.figures} for r in self.rows]
        return json.dumps({"conditions": self.conditions, "rows": rows}, indent=1)

    def text(self) -> str:
        """All sections as tables."""
        parts = []
        for section in dict.fromkeys(row.section for row in self.rows):
            rows = self.find(section)
            parts.append(f"{section}\n{_load_table(rows) if rows[0].is_load else _plain_table(rows)}")
            parts += [f"  ! {problem}" for row in rows if (problem := row.problem())]
        return "\n\n".join(parts) + f"\n\n{LEGEND}"


def _load_table(rows: Sequence[Row]) -> str:
    heading = ["", *(name for name, _, _ in _LOAD_COLUMNS)]
    body = [[r.label, *(form.format(r.figures[key]) for _, key, form in _LOAD_COLUMNS)] for r in rows]
    return aligned([heading, *body])


def _plain_table(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    heading = ["", *(name.replace("_", " ") for name in names)]
    return aligned([heading, *([row.label, *(shown(row.figures.get(n, "")) for n in names)] for row in rows)])


def shown(value: Any) -> str:
    """A figure with three digits or so."""
    if isinstance(value, float):
        return (
            f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        )
    return f"{value:,}" if isinstance(value, int) else str(value)


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first to the left, the others to the right."""
    table = [list(row) for row in rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def conditions() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    import grpc

    model = ""
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count() or 0,
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "kernel": platform.release(),
    }
