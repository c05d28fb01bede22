"""What a process has of everything, and what a member's folder has: to be compared after many epochs."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alliance.storage import epochs

OF_AN_EPOCH = ("Term", "Replica", "Gate", "Peers", "Link", "Driver", "Incarnation", "Signer", "Server")
"""Types of which there is as much in each epoch as in the one before."""

LOG = "journal"
_NAMED = re.compile(r"[0-9a-f]{64}|[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Census:
    """``kinds``: objects that the collector sees, by type. ``blocks``: all that Python has allocated.
    ``resident``: bytes of memory, with what the allocators keep for the next time. ``sockets`` are counted
    apart from other descriptors: whoever first asks a member opens a connection to it, at any time."""

    kinds: Counter[str]
    blocks: int
    resident: int
    descriptors: int
    sockets: int
    threads: int
    children: int
    tasks: int

    @classmethod
    def take(cls) -> Census:
        """Of this process, within its loop."""
        while gc.collect():
            pass
        kinds = Counter(type(one).__qualname__ for one in gc.get_objects())
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        children = sum(
            len(path.read_text("ascii").split()) for path in Path("/proc/self/task").glob("*/children")
        )
        return cls(
            kinds,
            sys.getallocatedblocks(),
            pages * os.sysconf("SC_PAGE_SIZE"),
            *_descriptors(),
            threading.active_count(),
            children,
            len(asyncio.all_tasks()),
        )

    @property
    def objects(self) -> int:
        return self.kinds.total()

    def growth(self, earlier: Census, part: float, sockets_max: int) -> list[str]:
        """What has grown since by more than this part; of what each epoch has anew, by one or more; and
        sockets, if there are more than so many."""
        found = [
            f"{name}: {before:,}, then {now:,}"
            for name, before, now in (
                ("objects", earlier.objects, self.objects),
                ("descriptors", earlier.descriptors, self.descriptors),
                ("threads", earlier.threads, self.threads),
                ("children", earlier.children, self.children),
                ("tasks", earlier.tasks, self.tasks),
            )
            if now > before * (1 + part)
        ]
        if self.sockets > sockets_max:
            found.append(f"sockets: {earlier.sockets}, then {self.sockets}, and {sockets_max} at most")
        found += [
            f"{kind}: {earlier.kinds[kind]}, then {self.kinds[kind]}"
            for kind in OF_AN_EPOCH
            if self.kinds[kind] > earlier.kinds[kind]
        ]
        return found

    def swelling(self, earlier: Census, part: float) -> list[str]:
        """Whether memory has grown by more than this part: allocators and bounded caches fill slowly."""
        sizes = ("bytes", earlier.resident, self.resident), ("blocks", earlier.blocks, self.blocks)
        return [f"{name}: {was:,}, then {now:,}" for name, was, now in sizes if now > was * (1 + part)]

    def line(self) -> str:
        return (
            f"{self.resident / 2**20:.1f} MiB, {self.objects:,} objects, {self.blocks:,} blocks,"
            f" {self.descriptors} descriptors, {self.sockets} sockets, {self.threads} threads,"
            f" {self.children} children, {self.tasks} tasks"
        )


def _descriptors() -> tuple[int, int]:
    """(those that are no sockets, sockets) of this process."""
    sockets = others = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            if os.readlink(one).startswith("socket:"):
                sockets += 1
            else:
                others += 1
    return others, sockets


@dataclass(frozen=True)
class Folder:
    """Bytes of a member's folder: of its past epochs, of its log, and of the other files, by kind of name."""

    epochs: int
    log: int
    others: dict[str, int]

    @classmethod
    def of(cls, home: Path) -> Folder:
        past = log = 0
        others: Counter[str] = Counter()
        for path in home.rglob("*"):
            if not path.is_file():
                continue
            size, name = path.stat().st_size, path.relative_to(home).as_posix()
            if name.startswith(f"{epochs.FOLDER}/"):
                past += size
            elif name.startswith(LOG):
                log += size
            else:
                others[_NAMED.sub("*", name)] += size
        return cls(past, log, dict(others))

    def growth(self, earlier: Folder, part: float) -> list[str]:
        """What has come since or grown by more than this part, beside past epochs and the log."""
        return [
            f"{name}: {earlier.others.get(name, 0):,} bytes, then {size:,}"
            for name, size in sorted(self.others.items())
            if size > earlier.others.get(name, 0) * (1 + part)
        ]

    def line(self) -> str:
        others = sum(self.others.values())
        return f"epochs {self.epochs:,} bytes, log {self.log:,}, all else {others:,}"
