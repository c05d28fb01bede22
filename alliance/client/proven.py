"""How far this client's folder has seen the log proven, so that who listens next hears at least that much.

A receipt may be ahead of what other members can prove yet: ``alliance propose … && alliance listen …`` must
show what was proposed, whoever is asked. The slot is a file beside the keys, for all processes of the folder.
It is not synced: by the time that a power cut is over, the others can prove it, too.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

FILE = "proven"
_CONTENT = re.compile(rb"[0-9]{20}\n")


class ProvenSlot:
    """The highest slot that a certificate has shown to any process of the folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._mine = 0

    @property
    def slot(self) -> int:
        """0 if there is none. A file that is damaged, or cannot be read, says nothing."""
        with suppress(OSError):
            return max(self._mine, _number(self._path.read_bytes()))
        return self._mine

    def note(self, slot: int) -> None:
        """A certificate covers this slot."""
        if slot <= self._mine:
            return
        self._mine = slot
        with suppress(OSError):  # this process knows it nevertheless
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if slot > _number(os.pread(descriptor, 32, 0)):
                    os.pwrite(descriptor, b"%020d\n" % slot, 0)
                    os.ftruncate(descriptor, 21)
            finally:
                os.close(descriptor)


def _number(data: bytes) -> int:
    return int(data) if _CONTENT.fullmatch(data) else 0
