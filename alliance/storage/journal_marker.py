"""The mark: how far the journal has come, in a file beside it, so that a journal that lost its end is known.

The journal cannot vouch for itself: whatever takes its last words takes the count of them, too. So every
COMMIT is followed, before anything is said, by one small write into ``journal.started``: how often this
member was started, how often its journal was written, in which epoch it is, and beyond which view and slot
nothing was said there. The mark is never ahead of the journal. A journal that is behind it is refused.

A write is in the hands of the operating system when it returns: the death of the process does not undo it.
Syncing it each time would double the latency of every append, so it is synced at a start, at the end, and
every ``SYNCED_EVERY`` writes. What lost power takes of it, the other members replace: they keep what this
member said last (``alliance.server.latest_statements``). Two records are written in turn, each in a block of
its own, so that a torn one leaves the other; and each twice, so that one that rots leaves itself.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from alliance.errors import JournalError
from alliance.keys.files import sync

NEW_IDENTITY = "if they are lost, the member needs a new identity"
SYNCED_EVERY = 64
BLOCK_BYTES, SECTOR_BYTES = 4096, 512
_FIELDS = struct.Struct(">5Q")
_RECORD_BYTES = _FIELDS.size + 64
_EARLIER_BYTES = _RECORD_BYTES - 8
"""Of journals up to format 4, which had no epochs."""


@dataclass(frozen=True, slots=True, order=True)
class Reached:
    """How far a journal has come; none of these numbers ever goes back."""

    starts: int = 0
    commits: int = 0
    furthest: tuple[int, int, int] = (0, 0, 0)
    """Epoch, view and slot beyond which this member has said nothing."""

    def covers(self, other: Reached) -> bool:
        """Whether nothing of ``other`` is missing here."""
        return (
            self.starts >= other.starts and self.commits >= other.commits and self.furthest >= other.furthest
        )

    def __str__(self) -> str:
        epoch, view, slot = self.furthest
        place = f"epoch {epoch}, view {view}, slot {slot}"
        return f"{self.starts} starts and {self.commits} writes of this member, up to {place}"


class Mark:
    """``journal.started``: also the lock that keeps a second process away before the files are looked at."""

    def __init__(self, journal: Path, whose: bytes) -> None:
        """``whose``: of which alliance and member. Raises JournalError, or OSError. Creates nothing."""
        self.path = journal.with_suffix(".started")
        self._journal = journal
        self._owner = sha256(whose).digest()
        self._descriptor: int | None = None
        self.reached: Reached | None = None
        """What the file said when it was opened; None: this member never ran here."""
        try:
            self._lock(os.open(self.path, os.O_RDWR | os.O_CLOEXEC))
            self.reached = self._read()
        except FileNotFoundError:
            pass
        except BaseException:
            self.close()
            raise

    def _lock(self, descriptor: int) -> None:
        self._descriptor = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"{self._journal} is in use by another process: is this member already running?"
            ) from None

    def _read(self) -> Reached:
        data = os.pread(self._file, 2 * BLOCK_BYTES, 0)
        places = [at + copy for at in (0, BLOCK_BYTES) for copy in (0, SECTOR_BYTES)]
        records = [self._unpack(data[place : place + _RECORD_BYTES]) for place in places]
        whole = [record for record in records if record is not None]
        earlier = any(_is_sealed(data[place : place + _EARLIER_BYTES]) for place in places)
        if not whole and (earlier or re.fullmatch(rb"\d{20}\n", data)):
            raise JournalError(
                f"{self.path} is of an older version: its journal has another format than this version writes"
            )
        if not whole:
            raise JournalError(
                f"{self.path} is damaged: without it nobody can tell whether {self._journal.name} has lost"
                f" its end. Put the newest files back; {NEW_IDENTITY}"
            )
        return max(whole)

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            raise OSError(f"{self.path} is closed")
        return self._descriptor

    def check_files(self) -> None:
        """Raises JournalError when the journal, or a part of it, is gone; or OSError."""
        wal = self._journal.with_name(self._journal.name + "-wal")
        here = self._journal.exists() and self._journal.stat().st_size > 0
        if self.reached is None and (here or wal.exists()):
            raise JournalError(
                f"{self.path} is gone, but {self._journal.name if here else wal.name} is here: without it"
                f" nobody can tell whether the journal has lost its end. Put the newest files back;"
                f" {NEW_IDENTITY}"
            )
        if not here and self.reached is not None and self.reached.commits:
            raise JournalError(
                f"{self._journal} is gone, but this member has run before: without what it said it must not"
                f" vote. Put the newest files back; {NEW_IDENTITY}"
            )

    def check_commits(self, known: int) -> None:
        """Before SQLite opens the journal. Raises JournalError when it was written more often."""
        if self.reached is not None and known < self.reached.commits:
            raise self._behind(f"{known} writes")

    def check(self, known: Reached) -> None:
        """Raises JournalError when the journal is behind the mark."""
        if self.reached is not None and not known.covers(self.reached):
            raise self._behind(str(known))

    def _behind(self, known: str) -> JournalError:
        return JournalError(
            f"{self._journal} knows {known}, but there were {self.reached}: it is an old one or damaged, or"
            f" its {self._journal.name}-wal is missing or cut. Put the newest files back; {NEW_IDENTITY}"
        )

    def create(self) -> None:
        """For a member that never ran here: whole and durable when it returns. Raises OSError."""
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._lock(descriptor)
        os.ftruncate(descriptor, 2 * BLOCK_BYTES)
        self.write(Reached())
        self.sync()
        fresh.replace(self.path)
        sync(self.path.parent)

    def write(self, reached: Reached) -> None:
        """After the journal is durable that far, and before anything of it is said. Raises OSError."""
        place = reached.commits % 2 * BLOCK_BYTES
        record = self._pack(reached)
        os.pwrite(self._file, record.ljust(SECTOR_BYTES, b"\0") + record, place)
        if reached.commits % SYNCED_EVERY == 0:
            self.sync()

    def sync(self) -> None:
        """Raises OSError."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Lets go of the lock."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _pack(self, reached: Reached) -> bytes:
        fields = _FIELDS.pack(reached.starts, reached.commits, *reached.furthest) + self._owner
        return fields + _seal(fields)

    def _unpack(self, record: bytes) -> Reached | None:
        if len(record) != _RECORD_BYTES or not _is_sealed(record):
            return None
        fields = record[:-32]
        if fields[_FIELDS.size :] != self._owner:
            raise JournalError(
                f"{self.path} is of another member or another alliance: do not mix their folders"
            )
        starts, commits, *furthest = _FIELDS.unpack_from(fields)
        return Reached(starts, commits, (furthest[0], furthest[1], furthest[2]))


def _seal(fields: bytes) -> bytes:
    return sha256(b"\x02" + fields).digest()


def _is_sealed(record: bytes) -> bool:
    return record[-32:] == _seal(record[:-32])
