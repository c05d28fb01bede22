"""A file that messages are appended to, each exactly once: its length is kept in the cursor.

A line is written and synced first, and counts when the cursor says so. What a killed process wrote beyond
that, whole or torn, is cut off at the next start, and the message comes again.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from examples.broadcast.cursor import Cursor, CursorError
from examples.broadcast.message import Message


class OutputFile:
    """Opened together with its cursor, and never with another one."""

    def __init__(self, path: str | Path, cursor: Cursor) -> None:
        """Cuts off what is not in the cursor. Raises CursorError for a file that is not the cursor's."""
        self.path = Path(path)
        self._cursor = cursor
        with cursor.transaction() as database:
            database.execute("CREATE TABLE IF NOT EXISTS output (length INTEGER)")
            row = database.execute("SELECT length FROM output").fetchone()
            length = row[0] if row is not None else 0
            self._file = self._open(length, fresh=row is None)
            if row is None:
                database.execute("INSERT INTO output VALUES (0)")
        self._length: int = length

    def _open(self, length: int, fresh: bool) -> int:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            found = os.fstat(file).st_size
            if fresh:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise CursorError(f"{self.path} cannot be written: {error.strerror or error}") from None
        if fresh and found:
            os.close(file)
            raise CursorError(
                f"{self.path} exists, and was not written with the cursor {self._cursor.path}: name another"
            )
        if found < length:
            os.close(file)
            raise CursorError(
                f"{self.path} has {found:,} bytes of the {length:,} that were written with the cursor"
                f" {self._cursor.path}: restore it, or begin another file with another cursor"
            )
        os.ftruncate(file, length)
        return file

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def append(self, message: Message, line: bytes) -> None:
        """Appends what this message becomes, and takes the message. Raises CursorError."""
        end = self._length + len(line)
        with self._cursor.handing_over(message) as database:
            self._write(line)
            database.execute("UPDATE output SET length = ?", (end,))
        self._length = end

    def _write(self, line: bytes) -> None:
        """Durable when it returns."""
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._length + written)
            os.fsync(self._file)
        except OSError as error:
            raise CursorError(f"{self.path} cannot be written: {error.strerror or error}") from None


def _sync_folder(folder: Path) -> None:
    """So that a file that was just made in it survives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
