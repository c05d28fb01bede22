"""The states of checkpoints, in a SQLite file of their own beside the journal.

Nothing that is said waits for it: a checkpoint is saved here by a thread, in portions that are synced one
after the other, while the journal takes votes. It counts as soon as the journal names it
(``CheckpointRecord``); its state is then, of each key, the newest row at or below its slot. What the
journal's checkpoint needs is deleted only after the journal names a later one. So a crash at any point
leaves the one before or the new one, whole, and rows that belong to neither are deleted later.

Only what has changed is written. No mark guards this file: the certificate that the journal keeps names the
digest of the whole state, so whatever is lost, old or altered here is found at the start.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from alliance.storage.journal_files import PAGE_SIZE
from verifiable_log.client_windows import CLIENT_ITEM
from verifiable_log.ordering_state import Snapshot

PORTION_ITEMS = 64
"""Rows that are synced at once: some 256 KiB, so that a vote's own sync never waits for more than that."""

_ID_BYTES = 33
_WORD = 8
_PLACES_BYTES_MAX = 16 * 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    key BLOB NOT NULL, slot INTEGER NOT NULL, item BLOB NOT NULL, places BLOB NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (key, slot)
)
"""
Row: TypeAlias = tuple[bytes, bytes]
"""An item of the state, and what this member knows beside it."""


class CheckpointFile:
    """Usable from any thread; who comes while a checkpoint is being saved waits."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises sqlite3.Error or OSError."""
        self.path = path
        self._lock = threading.Lock()
        self._rows: dict[bytes, tuple[int, Row]] = {}  # by key: since which slot it is so
        self._replaced: list[tuple[int, bytes, int]] = []  # the slot of the successor, key and slot
        self._newest = 0  # the newest checkpoint that is here whole
        self._counts = 0  # the one that the journal names
        path.touch(0o600)
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute(f"PRAGMA page_size={PAGE_SIZE}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Raises sqlite3.Error."""
        with self._lock:
            self._db.close()

    def load(self, slot: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Items of the checkpoint that the journal names, and places beside those of clients; 0: of none.

        Nothing is written.
        Raises one of ``journal_records.DAMAGE`` when a row was altered. That none is missing, only the
        checkpoint's certificate shows.
        """
        with self._lock:
            self._rows = {}
            self._replaced = []
            for key, since, item, packed, seal in self._db.execute("SELECT * FROM items ORDER BY key, slot"):
                if seal != _seal(since, item, packed):
                    raise ValueError("an item of the state was altered")
                if since > slot:  # of a checkpoint that never came to count
                    self._replaced.append((0, key, since))
                    continue
                if (held := self._rows.get(key)) is not None:
                    self._replaced.append((0, key, held[0]))
                self._rows[key] = since, (item, _unpack(packed))
            for key in [key for key, (_, (item, _)) in self._rows.items() if not item]:
                self._replaced.append((0, key, self._rows.pop(key)[0]))
            self._newest = self._counts = slot
            rows = [row for _, row in self._rows.values()]
        clients = (places for item, places in rows if item[0] == CLIENT_ITEM)
        return tuple(item for item, _ in rows), tuple(clients)

    def sync(self) -> None:
        """What an earlier process could not sync may be in memory only: nothing is to be built upon it.

        Raises sqlite3.Error.
        """
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def save(self, snapshot: Snapshot) -> None:
        """Makes the state of a checkpoint durable beside the one that counts, if it is not yet.

        Raises sqlite3.Error.
        """
        with self._lock:
            slot = snapshot.slot
            if slot <= self._newest:
                return
            rows = dict(keyed(snapshot))
            changed = [
                key for key, row in rows.items() if (held := self._rows.get(key)) is None or held[1] != row
            ]
            gone = [key for key in self._rows if key not in rows]
            self._forget()
            for first in range(0, len(changed), PORTION_ITEMS):
                self._write(slot, [(key, rows[key]) for key in changed[first : first + PORTION_ITEMS]])
            for first in range(0, len(gone), PORTION_ITEMS):
                self._write(slot, [(key, (b"", b"")) for key in gone[first : first + PORTION_ITEMS]])
            self._note(slot, rows, changed, gone)

    def counts(self, slot: int) -> None:
        """The journal names this checkpoint from now on: what it replaced may go."""
        self._counts = max(self._counts, slot)

    def _forget(self) -> None:
        """What no checkpoint that counts, or will, needs any more."""
        done = [(key, slot) for successor, key, slot in self._replaced if successor <= self._counts]
        self._replaced = [held for held in self._replaced if held[0] > self._counts]
        for first in range(0, len(done), PORTION_ITEMS):
            self._db.execute("BEGIN IMMEDIATE")
            portion = done[first : first + PORTION_ITEMS]
            self._db.executemany("DELETE FROM items WHERE key = ? AND slot = ?", portion)
            self._db.execute("COMMIT")

    def _write(self, slot: int, portion: Sequence[tuple[bytes, Row]]) -> None:
        values = []
        for key, (item, places) in portion:
            packed = _pack(places)
            values.append((key, slot, item, packed, _seal(slot, item, packed)))
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", values)
        self._db.execute("COMMIT")

    def _note(
        self, slot: int, rows: dict[bytes, Row], changed: Sequence[bytes], gone: Sequence[bytes]
    ) -> None:
        """All of it is durable."""
        for key in changed:
            if (held := self._rows.get(key)) is not None:
                self._replaced.append((slot, key, held[0]))
            self._rows[key] = slot, rows[key]
        for key in gone:
            since, _ = self._rows.pop(key)
            self._replaced += [(slot, key, since), (slot, key, slot)]
        self._newest = slot


def keyed(snapshot: Snapshot) -> Iterator[tuple[bytes, Row]]:
    """The items of a state by keys that ascend with them: a client's item has its kind and its client's id,
    any other one its kind and its number among those of its kind."""
    numbers = Counter[int]()
    for at, item in enumerate(snapshot.state):
        kind = item[0]
        key = item[:_ID_BYTES] if kind == CLIENT_ITEM else item[:1] + numbers[kind].to_bytes(4, "big")
        numbers[kind] += 1
        yield key, (item, snapshot.places[at] if at < len(snapshot.places) else b"")


def _pack(places: bytes) -> bytes:
    """Numbers that hardly differ in their upper bytes: first the first byte of each, then the second, …"""
    if not places:
        return b""
    return zlib.compress(b"".join(places[at::_WORD] for at in range(_WORD)), 1)


def _unpack(packed: bytes) -> bytes:
    """Raises ValueError."""
    if not packed:
        return b""
    try:
        sorted_out = zlib.decompressobj().decompress(packed, _PLACES_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"the places of a client's numbers: {error}") from None
    count = len(sorted_out) // _WORD
    places = bytearray(count * _WORD)
    for at in range(_WORD):
        places[at::_WORD] = sorted_out[at * count : (at + 1) * count]
    return bytes(places)


def _seal(slot: int, item: bytes, packed: bytes) -> bytes:
    head = slot.to_bytes(8, "big") + len(item).to_bytes(4, "big")
    return sha256(b"\x02" + head + item + packed).digest()
