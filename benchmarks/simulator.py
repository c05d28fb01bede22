"""How fast the simulator runs the real engine: ``make sim`` as anybody runs it, on one core."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path

from benchmarks.processes import BenchmarkFailed
from benchmarks.report import Row, Value

SECTION = "Simulator: random schedules of six engines, one core"
_ROOT = Path(__file__).resolve().parent.parent
_TOLD = ("events_per_second", "short_schedules_per_second")
"""What its last line says of its own speed, by the processor time of the schedules alone."""


def speed(seeds: int) -> Row:
    """``seeds`` schedules; per second of processor time, start of the process included where it says nothing.

    Raises BenchmarkFailed when the simulator does not run, or finds a violation.
    """
    before = _cpu_seconds()
    command = ["make", "--no-print-directory", "sim", "SEED=0", f"SEEDS={seeds}", "WORKERS=1"]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    used = _cpu_seconds() - before
    lines = run.stdout.strip().splitlines()
    if run.returncode or not lines:
        said = (lines or run.stderr.strip().splitlines() or ["nothing"])[-1]
        raise BenchmarkFailed(f"make sim ended with {run.returncode}: {said}")
    told = dict(re.findall(r"(\w+)=(\d+)", lines[-1]))
    figures: dict[str, Value] = {"schedules": seeds, "schedules_per_second": seeds / used}
    figures.update({name: float(told[name]) for name in _TOLD if name in told})
    return Row(SECTION, "make sim", figures)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
