"""A client's sequence numbers: never used twice, also across processes and crashes.

The counter is a file beside the keys, advanced under a lock by blocks; what a process does not use of its
block is skipped, which the servers' windows allow. So does a fork: the rest of the block stays the parent's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from pathlib import Path

from alliance.errors import ConfigError
from alliance.keys.files import sync
from alliance.net import forks

FILE = "sequence"
BLOCK = 16
_CONTENT = re.compile(rb"[0-9]{20}\n")


class Sequence:
    """``next()`` gives the next number of this client."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._begin = 0
        self._next = 0
        self._end = 0
        self._forks = forks.count()

    def next(self) -> int:
        """Raises ConfigError when the counter cannot be read or made durable."""
        if self._next == self._end or self._forks != forks.count():
            self._begin_block()
        self._next += 1
        return self._next - 1

    def renew(self, unusable: int, skip: int) -> None:
        """Gives up the block of a number that the members no longer take, and ``skip`` numbers after it.

        Nothing happens if that block was given up before. Raises ConfigError as ``next``.
        """
        if unusable >= self._begin:
            self._begin_block(skip)

    def _begin_block(self, skip: int = 0) -> None:
        try:
            self._begin = self._next = self._reserve(skip)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self._path} cannot be advanced ({error}): it keeps this client's sequence numbers;"
                " make the folder writable, or restore the file"
            ) from None
        self._end = self._next + BLOCK
        self._forks = forks.count()

    def _reserve(self, skip: int) -> int:
        if not self._path.exists():
            self._create()
        with self._path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read(32)
            if not _CONTENT.fullmatch(text):
                raise ValueError("it is damaged")
            begin = int(text) + skip
            if not 1 <= begin - skip <= begin < 2**63:
                raise ValueError("its number is out of range")
            # Twenty digits whatever the number, so that a torn write can never shorten it.
            file.seek(0)
            file.write(b"%020d\n" % (begin + BLOCK))
            file.flush()
            os.fsync(file.fileno())
        return begin

    def _create(self) -> None:
        """The file appears with its content, durably: an empty one is damage and never taken for new."""
        descriptor, fresh = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"%020d\n" % 1)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(fresh, self._path)
        finally:
            os.unlink(fresh)
        sync(self._path.parent)
