"""The file beside the journal that counts its member's starts: a lost journal is not taken for a new one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from alliance.errors import JournalError

NEW_IDENTITY = "if it is lost, the member needs a new identity"


class Marker:
    """``journal.started``: never ahead of the journal, so a journal that knows fewer starts has lost some.

    It is written again in place, so that a full disk does not keep it from being written.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_suffix(".started")
        self._journal = journal
        self._wal = journal.with_name(journal.name + "-wal")

    @property
    def starts(self) -> int | None:
        """None: this member never ran here. A torn line says only that it did. Raises OSError."""
        try:
            line = self._path.read_bytes()
        except FileNotFoundError:
            return None
        return int(line) if re.fullmatch(rb"\d{20}\n", line) else 0

    def touch(self) -> None:
        """Leaves it as it is; an empty one if there is none. Raises OSError."""
        self._path.touch(0o600)

    def write(self, starts: int) -> None:
        """Durable when it returns. Raises OSError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, b"%020d\n" % starts, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def check_files(self) -> None:
        """Raises JournalError when the journal, or the half of it that matters, is gone; or OSError."""
        if self._journal.exists() and self._journal.stat().st_size > 0:
            return
        if self.starts is not None:
            raise JournalError(
                f"{self._journal} is gone, but this member has run before: without what it said it must not"
                f" vote. Put the newest journal back; {NEW_IDENTITY}"
            )
        if self._wal.exists():  # SQLite would throw it away and begin anew
            raise JournalError(
                f"{self._journal} is gone, but its {self._wal.name} is here: put both back as they were;"
                f" {NEW_IDENTITY}"
            )

    def check_starts(self, known: int) -> None:
        """Raises JournalError when the journal knows fewer starts than there were; or OSError."""
        starts = self.starts or 0
        if known < starts:
            raise JournalError(
                f"{self._journal} knows {known} starts of this member, but there were {starts}: it is an old"
                f" one, or its {self._wal.name} is missing. Put the newest files back; {NEW_IDENTITY}"
            )
