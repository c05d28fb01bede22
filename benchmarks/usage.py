"""What processes have used so far: processor time, memory, disk and wire, as the kernel counts them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sockets import Carried, traffic

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over some processes: seconds of user and system time, and bytes written to disk.

    ``resident_max`` is the highest peak of a single one with its children, in bytes; ``wire`` what each open
    connection has carried.
    """

    cpu_seconds: float
    disk_bytes: int
    resident_max: int
    wire: Mapping[int, Carried] = field(repr=False)

    def since(self, before: Usage) -> Usage:
        """What was used after ``before``; the peak of memory is that of the whole life.

        A connection that was closed in between is missing: the kernel has forgotten it.
        """
        nothing = Carried(False, 0)
        wire = {
            inode: Carried(carried.inside, carried.size - before.wire.get(inode, nothing).size)
            for inode, carried in self.wire.items()
        }
        return Usage(
            self.cpu_seconds - before.cpu_seconds,
            self.disk_bytes - before.disk_bytes,
            self.resident_max,
            wire,
        )

    @property
    def peer_bytes(self) -> int:
        """From one of the processes to another."""
        return sum(carried.size for carried in self.wire.values() if carried.inside)

    @property
    def client_bytes(self) -> int:
        """Between the processes and others, both ways."""
        return sum(carried.size for carried in self.wire.values() if not carried.inside)


def used(roots: Iterable[int]) -> Usage:
    """What these processes and their children have used; one that has ended counts as nothing."""
    families = [family(root) for root in roots]
    everyone = [pid for pids in families for pid in pids]
    return Usage(
        sum(map(cpu_seconds, everyone)),
        sum(map(_disk_bytes, everyone)),
        max((sum(map(_peak, pids)) for pids in families), default=0),
        traffic(everyone),
    )


def family(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        for task in _lines(Path(f"/proc/{pid}/task")):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
                found += [int(child) for child in children.split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads."""
    return _ticks(Path(f"/proc/{pid}/stat")) * _TICK


def thread_seconds(pid: int) -> tuple[float, float]:
    """User and system time of the main thread, and of all threads."""
    return _ticks(Path(f"/proc/{pid}/task/{pid}/stat")) * _TICK, cpu_seconds(pid)


def _ticks(path: Path) -> int:
    try:
        fields = path.read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def resident(root: int) -> int:
    """Bytes of memory that a process and its children hold now."""
    return 1024 * sum(_number(Path(f"/proc/{pid}/status"), "VmRSS:") for pid in family(root))


def _disk_bytes(pid: int) -> int:
    return _number(Path(f"/proc/{pid}/io"), "write_bytes:")


def _peak(pid: int) -> int:
    return 1024 * _number(Path(f"/proc/{pid}/status"), "VmHWM:")


def _number(path: Path, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text("ascii", "replace").splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def _lines(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
