"""Full load for long: what the memory of the servers does, and how a member comes back to the log it made.

The load is submissions of 100 commands, as many as the servers take; between two spells of it the resident
memory of each server is read, its signer included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import failures
from benchmarks.generator import Job
from benchmarks.measure import drive
from benchmarks.report import Report, Row
from benchmarks.servers import Servers
from benchmarks.usage import resident

SECTION = "Full load for long: resident memory of the servers, signer included (MiB)"
SPELL_SECONDS = 30.0
COMMANDS, PIPELINE, CONNECTIONS = 100, 8, 2


def run(seconds: float, report: Report, progress: Callable[[str], None]) -> None:
    """Rows as time goes on, and one for the member that is killed and started again in the end."""
    with tempfile.TemporaryDirectory(prefix="alliance-soak-") as folder:
        progress("founding six members")
        servers = Servers(Path(folder) / "six")
        with servers.running():
            begin = time.monotonic()
            commands = 0
            while (left := begin + seconds - time.monotonic()) > 0:
                job = Job(
                    "alliance",
                    servers.client_folders(),
                    CONNECTIONS,
                    COMMANDS,
                    pipeline=PIPELINE,
                    warmup_seconds=0.0,
                    seconds=min(SPELL_SECONDS, left),
                )
                measured = drive(job, 1, servers.pids)
                commands += measured.commands
                report.add(_row(servers, time.monotonic() - begin, commands, measured.rate))
                progress(f"{time.monotonic() - begin:.0f} of {seconds:.0f} s")
            report.add(failures.restart(servers, 0, 0.0))


def _row(servers: Servers, elapsed: float, commands: int, rate: float) -> Row:
    sizes = sorted(resident(pid) / 2**20 for pid in servers.pids())
    figures = {
        "commands": commands,
        "commands_per_second": rate,
        "smallest": sizes[0],
        "median": sizes[len(sizes) // 2],
        "largest": sizes[-1],
    }
    return Row(SECTION, f"{elapsed:,.0f} s", figures)


def steps(seconds: float) -> int:
    return 1 + round(seconds / SPELL_SECONDS)
