"""A client's sequence numbers: never used twice, also across processes and crashes.

The counter is a file beside the keys, advanced under a lock by blocks; what a process does not use of its
block is skipped, which the servers' windows allow.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from alliance.errors import ConfigError

FILE = "sequence"
BLOCK = 16


class Sequence:
    """``next()`` gives the next number of this client."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._next = 0
        self._end = 0

    def next(self) -> int:
        """Raises ConfigError when the counter cannot be read or made durable."""
        if self._next == self._end:
            try:
                self._next = self._reserve()
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{self._path} cannot be advanced ({error}): it keeps this client's sequence numbers;"
                    " make the folder writable, or restore the file"
                ) from None
            self._end = self._next + BLOCK
        self._next += 1
        return self._next - 1

    def _reserve(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read(32)
            begin = int(text) if text else 1
            # Twenty digits whatever the number, so that a torn write can never shorten it.
            file.seek(0)
            file.write(b"%020d\n" % (begin + BLOCK))
            file.flush()
            os.fsync(file.fileno())
        return begin
