"""The journal's files before SQLite opens them: whole, torn at the end as lost power leaves them, or damaged.

SQLite's recovery ends at the first bad frame of the WAL and forgets what follows, whatever it is. So the
files are judged first, and nothing is written. The formats: https://sqlite.org/fileformat2.html, headings
"The Database Header" and "The Write-Ahead Log".

**What lost power can leave.** With ``synchronous=FULL`` a COMMIT returns when its frames are synced, and only
then the frames of the next transaction are written. So all transactions but the last are on the disk whole.
Of the last, any sectors may be there or not: any of its frames may be bad, and its commit mark may stand
behind them, as its last frame. The header is synced before any frame that carries its salts. Therefore it is
damage

* when a frame with the header's salts stands behind a commit mark that stands at or behind the first bad
  frame: a later transaction had begun, so the bad frame was on the disk whole;
* when the header is bad and frames follow it;
* when a page of the database is in neither file.

What is left looks like a torn last transaction, which nobody was told of, and may yet be a damaged one: that,
and a WAL that is cut or gone, the mark tells (``journal_marker``), and behind the mark the other members do.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

from alliance.errors import JournalError
from alliance.storage.journal_marker import NEW_IDENTITY
from alliance.storage.journal_records import COMMITS, note_seal

MAGIC = b"SQLite format 3\0"
PAGE_SIZE = 4096
"""Of every journal: the default of SQLite since 2016, on whose compile-time options it does not depend."""
HEADER_BYTES = 32
_FRAME_BYTES = 24 + PAGE_SIZE
_HEADER = struct.Struct(">8I")
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_VERSION = 3007000
_MARKS = struct.Struct(">3I")
_HEADS = struct.Struct(f">6I{PAGE_SIZE}x")
_CHUNK_FRAMES = 1024
_PAIRS = (8 + PAGE_SIZE) // 8
_LOW_WORDS = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * _PAIRS, "little")
_WORD = 0xFFFFFFFF
_COUNT = re.compile(COMMITS.encode() + rb"(?=(.{8})(.{32}))", re.DOTALL)

Sum: TypeAlias = tuple[int, int]


class Damaged(ValueError):
    """The files are not what any crash leaves; one line says why."""


@dataclass(slots=True)
class Wal:
    """What SQLite will find in the WAL: frames in front of the first bad one, up to the last commit mark."""

    frames: int = 0
    pages: int = 0
    """Of the database after the last commit; 0: nothing was committed."""
    written: set[int] = field(default_factory=set)
    """The pages that the committed frames hold."""
    commits: int = 0
    """How often the journal was written, by its own count."""


def examine(main: Path, wal: Path) -> Wal:
    """Raises Damaged, another one of DAMAGE, or OSError. The files are only read."""
    try:
        with wal.open("rb") as file:
            found = _read_wal(file)
    except FileNotFoundError:
        found = Wal()
    if main.exists() and (size := main.stat().st_size):
        with main.open("rb") as file:
            _check_main(file.read(100), size, found)
        if not found.pages:  # then the main file is all
            found.commits = _commits_alone(main)
    elif found.pages:
        raise Damaged("the main file is empty, but the WAL is not")
    return found


def _commits_alone(main: Path) -> int:
    """What the main file counts; SQLite neither writes to it nor looks for a WAL."""
    db = sqlite3.connect(f"{main.absolute().as_uri()}?immutable=1", uri=True)
    try:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            return 0
        row = db.execute("SELECT value FROM meta WHERE key = ?", (COMMITS,)).fetchone()
        return int.from_bytes(row[0]) if row is not None else 0
    finally:
        db.close()


class Presence:
    """Whether the files of an open journal still have their names: what has none is gone with the process."""

    def __init__(self, *paths: Path) -> None:
        """Raises OSError."""
        self._files = {str(path): os.stat(path) for path in paths}

    def forget_sizes(self) -> None:
        """The files were cut on purpose. Raises OSError."""
        self._files = {path: os.stat(path) for path in self._files}

    def check(self) -> None:
        """A few microseconds. Raises JournalError when one was removed, renamed, replaced or cut."""
        for path, before in self._files.items():
            try:
                now = os.stat(path)
            except OSError:
                now = None
            if now is None or (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
                raise JournalError(
                    f"{path} was removed, renamed or replaced while this member ran; it stops before it says"
                    f" anything that would not be found there. Put that very file back; {NEW_IDENTITY}"
                )
            if now.st_size < before.st_size:
                raise JournalError(
                    f"{path} was cut while this member ran; it stops before it says anything more. Put the"
                    f" newest files back; {NEW_IDENTITY}"
                )
            self._files[path] = now


def _check_main(header: bytes, size: int, wal: Wal) -> None:
    """Every page of the database is in one of the files."""
    here = size // PAGE_SIZE
    pages = wal.pages
    if 1 not in wal.written:  # a torn move of the first page is mended from the WAL
        if not header.startswith(MAGIC) or len(header) < 100:
            raise Damaged("the main file does not begin as a database does")
        (page_size,), (known,) = struct.unpack_from(">H", header, 16), struct.unpack_from(">I", header, 28)
        if page_size != PAGE_SIZE:
            raise Damaged(f"the main file's header gives a page size of {page_size}")
        if pages and pages != known:
            raise Damaged(f"the main file's header counts {known} pages, and the WAL {pages}")
        if not pages and size != known * PAGE_SIZE:
            raise Damaged(f"the main file has {size} bytes, but its header counts {known} pages")
        pages = known
    missing = [page for page in range(here + 1, pages + 1) if page not in wal.written]
    if missing:
        raise Damaged(f"page {missing[0]} of {pages} is in neither file")


def _read_wal(file: BinaryIO) -> Wal:
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return Wal()  # nothing was ever committed to it
    magic, version, page_size, _, one, other, first, second = _HEADER.unpack(header)
    order = {_LITTLE: "little", _BIG: "big"}.get(magic)
    seed = (first, second)
    if (
        order is None
        or (version, page_size) != (_VERSION, PAGE_SIZE)
        or checksum((0, 0), struct.iter_unpack("<2I", _little(header[:24], order))) != seed
    ):
        if any(part.strip(b"\0") for part in iter(lambda: file.read(1 << 20), b"")):
            raise Damaged("the WAL's header is damaged, and frames stand behind it")
        return Wal()
    return _read_frames(file, (one, other), seed, order)


def _read_frames(file: BinaryIO, salts: Sum, seed: Sum, order: str) -> Wal:
    wal, pending, commits, number = Wal(), set[int](), 0, 0
    while chunk := file.read(_FRAME_BYTES * _CHUNK_FRAMES):
        heads = list(_HEADS.iter_unpack(chunk[: len(chunk) - len(chunk) % _FRAME_BYTES]))
        whole = _good_frames(chunk, heads, salts, seed, order)
        counts = _counts(chunk)
        for at, (page, commit, _, _, *summed) in enumerate(heads[:whole]):
            number += 1
            pending.add(page)
            commits = max(commits, counts.get(at, 0))
            seed = (summed[0], summed[1])
            if commit:
                wal.frames, wal.pages, wal.commits = number, commit, commits
                wal.written |= pending
                pending.clear()
        if whole < len(heads):
            _check_behind(file, number, salts)
            break
    return wal


def _check_behind(file: BinaryIO, good: int, salts: Sum) -> None:
    """After so many good frames. Of the others, however many they are, only the salts and marks matter."""
    commits: int | None = None
    for number in range(good, (os.fstat(file.fileno()).st_size - HEADER_BYTES) // _FRAME_BYTES):
        head = os.pread(file.fileno(), _MARKS.size, HEADER_BYTES + number * _FRAME_BYTES + 4)
        commit, one, other = _MARKS.unpack(head)
        if (one, other) != salts:
            continue
        if commits is not None:
            raise Damaged(
                f"frame {good + 1} of the WAL is damaged: frame {commits} commits it, and"
                f" {number + 1} follows"
            )
        if commit:
            commits = number + 1


def _counts(chunk: bytes) -> dict[int, int]:
    """By frame, the journal's count of its writes where a page holds it. It is known by its seal; a page may
    hold older ones, too, in its unused parts."""
    found: dict[int, int] = {}
    for match in _COUNT.finditer(chunk):
        value, seal = match.groups()
        if seal == note_seal(COMMITS, value):
            at = match.start() // _FRAME_BYTES
            found[at] = max(found.get(at, 0), int.from_bytes(value))
    return found


def _good_frames(chunk: bytes, heads: list[tuple[int, ...]], salts: Sum, seed: Sum, order: str) -> int:
    """How many frames from the front carry these salts and their right checksums."""
    run = 0
    for page, _, first, second, _, _ in heads:
        if (first, second) != salts or page == 0:
            break
        run += 1
    seeds = [seed, *((head[4], head[5]) for head in heads[:run])]

    def good(low: int, high: int) -> int:
        if all(_sums_up(chunk, seeds, range(first, high, 2), order) for first in (low, low + 1)):
            return high
        middle = (low + high) // 2
        if middle == low:
            return low
        reached = good(low, middle)
        return reached if reached < middle else good(middle, high)

    return good(0, run)


def _sums_up(chunk: bytes, seeds: list[Sum], frames: range, order: str) -> bool:
    """Whether each of these frames leads from the checksum before it to its own.

    The checksum is linear modulo 2**32. So one checksum over a sum of the frames, each with a random odd
    weight, tells of all of them, at the speed of a few additions of long integers. No two are neighbours, so
    that a bad checksum, too, enters the sum once. Then a single bad frame never passes; of several together
    one in 2**15 would, and the mark would tell.
    """
    total = evens = 0
    before, after = [0, 0], [0, 0]
    for at, dice in zip(frames, array("H", secrets.token_bytes(2 * len(frames))), strict=True):
        weight = dice | 1
        frame = chunk[at * _FRAME_BYTES : (at + 1) * _FRAME_BYTES]
        number = int.from_bytes(_little(frame[:8] + frame[24:], order), "little")
        total += weight * number
        evens += weight * (number & _LOW_WORDS)
        for half in (0, 1):
            before[half] += weight * seeds[at][half]
            after[half] += weight * seeds[at + 1][half]
    lanes = struct.Struct(f"<{_PAIRS}Q")
    pairs = zip(
        lanes.unpack(evens.to_bytes(lanes.size, "little")),
        lanes.unpack(((total - evens) >> 32).to_bytes(lanes.size, "little")),
        strict=True,
    )
    return checksum((before[0], before[1]), pairs) == (after[0] & _WORD, after[1] & _WORD)


def checksum(seed: Sum, pairs: Iterable[Sum]) -> Sum:
    """SQLite's checksum of pairs of 32-bit words, going on from ``seed``."""
    first, second = seed
    for one, other in pairs:
        first = (first + one + second) & _WORD
        second = (second + other + first) & _WORD
    return first, second


def _little(data: bytes, order: str) -> bytes:
    """The words as a little-endian machine writes them."""
    if order == "little":
        return data
    words = array("I", data)
    words.byteswap()
    return words.tobytes()
