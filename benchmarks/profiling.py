"""Where the time of a server or client goes under load: py-spy's samples, per command.

Needs ``py-spy`` (pip install py-spy) and the right to look into processes (root, or ptrace_scope=0). Self is
time with this function on top of the stack, what it calls in C included; total with it anywhere. Where a
thread only waits is left out. Threads of gRPC's own, which do TLS and sockets, are in no row; the heading's
processor time has them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.generator import Job
from benchmarks.measure import drive
from benchmarks.processes import BenchmarkFailed
from benchmarks.report import Row, aligned, shown
from benchmarks.servers import Servers
from benchmarks.usage import family, thread_seconds

LOADS = {"single": (1, 1, 1), "batches": (2, 1000, 8), "hundreds": (2, 100, 8), "small": (64, 1, 1)}
"""Connections, commands in a submission, submissions outstanding of each connection."""

WHO = ("leader", "follower", "signer", "client")
WAITING = (
    "EpollSelector.select (python3.11/selectors.py)",
    "Thread.run (python3.11/threading.py)",
    "_worker (futures/thread.py)",
    "_exactly (alliance/server/signer.py)",
)
"""On top of the stack of a thread that waits, or that does gRPC's work in C."""

SHOWN = 30
SAMPLES_PER_SECOND = 200
SETTLE_SECONDS = 3.0


def run(load: str, seconds: float, progress: Callable[[str], None]) -> str:
    """Tables for each of ``WHO`` under the load. Raises BenchmarkFailed without py-spy."""
    tool = shutil.which("py-spy") or str(Path(sys.executable).parent / "py-spy")
    if not Path(tool).exists():
        raise BenchmarkFailed("py-spy is not installed: pip install py-spy")
    connections, commands, pipeline = LOADS[load]
    with tempfile.TemporaryDirectory(prefix="alliance-profile-") as folder:
        progress("founding six members")
        servers = Servers(Path(folder) / "six")
        with servers.running():
            progress(f"{load}: {seconds:g} s of samples")
            job = Job(
                "alliance",
                servers.client_folders(),
                connections,
                commands,
                pipeline=pipeline,
                warmup_seconds=SETTLE_SECONDS,
                seconds=seconds,
            )
            spy = _Spy(tool, Path(folder), seconds)
            watch = threading.Thread(target=spy.watch, args=(servers.pids(),))
            watch.start()
            measured = drive(job, 1, servers.pids)
            watch.join()
            row = Row.of_load("", load, measured)
            parts = [f"{load}: {shown(row.figures['commands_per_second'])} commands/s"]
            parts += [spy.table(who, measured.rate) for who in WHO]
    return "\n\n".join(parts)


class _Spy:
    """One py-spy for each process that is looked into, while the load runs."""

    def __init__(self, tool: str, folder: Path, seconds: float) -> None:
        self._tool = tool
        self._folder = folder
        self._seconds = seconds
        self._cpu: dict[str, tuple[float, float]] = {}

    def watch(self, servers: list[int]) -> None:
        """The first server leads; the signer is its child; the client is our own load process."""
        time.sleep(SETTLE_SECONDS)
        pids = {"leader": servers[0], "follower": servers[1], "signer": family(servers[0])[1]}
        client = _load_process()
        if client is not None:
            pids["client"] = client
        time.sleep(SETTLE_SECONDS / 2)
        before = {who: thread_seconds(pid) for who, pid in pids.items()}
        spies = [subprocess.Popen(self._command(who, pid), **_QUIET) for who, pid in pids.items()]  # type: ignore[call-overload]
        for spy in spies:
            spy.wait()
        for who, pid in pids.items():
            main, all_threads = thread_seconds(pid)
            self._cpu[who] = (main - before[who][0], all_threads - before[who][1])

    def _command(self, who: str, pid: int) -> list[str]:
        options = ["--format", "raw", "--rate", str(SAMPLES_PER_SECOND), "--full-filenames"]
        duration = str(max(1, int(self._seconds - SETTLE_SECONDS)))
        return [self._tool, "record", *options, "-d", duration, "-o", str(self._folder / who), "-p", str(pid)]

    def table(self, who: str, rate: float) -> str:
        path = self._folder / who
        if not path.exists():
            return f"{who}: no samples"
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        everything = 0
        for line in path.read_text("utf-8", "replace").splitlines():
            stack, _, count = line.rpartition(" ")
            frames = [_short(frame) for frame in stack.split(";")]
            if frames[-1] in WAITING:
                continue
            everything += int(count)
            own[frames[-1]] += int(count)
            for frame in set(frames):
                total[frame] += int(count)
        span = max(1, int(self._seconds - SETTLE_SECONDS))
        main, all_threads = (1e6 * cpu / span / max(rate, 1e-9) for cpu in self._cpu.get(who, (0.0, 0.0)))
        each = main / max(everything, 1)
        head = f"{who}: {all_threads:,.1f} µs per command, of which {main:,.1f} in the main thread"
        parts = [head]
        for name, counter in (("self", own), ("total", total)):
            rows = [[name, "%", "µs/command"]]
            told = [(frame, samples) for frame, samples in counter.items() if samples < 0.97 * everything]
            for frame, samples in sorted(told, key=lambda pair: -pair[1])[:SHOWN]:
                rows.append([frame, shown(100.0 * samples / max(everything, 1)), shown(each * samples)])
            parts.append(aligned(rows))
        return "\n".join(parts)


_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _load_process() -> int | None:
    """The load generator that this process has started."""
    import os

    for pid in family(os.getpid()):
        if b"benchmarks.load" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def _short(frame: str) -> str:
    """``function (package/module.py:line)`` without the line and with the end of the path."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    return f"{name} ({'/'.join(path.split('/')[-2:])})"
