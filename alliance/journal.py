"""The journal: what a member must not forget, in one SQLite file (WAL, synchronous=FULL).

``append`` returns when everything is durable; if it cannot be made durable it raises, and the process
must end without having said anything. ``replay`` checks what it reads: every batch against its digest and
every root against the Merkle log, so that damage anywhere is found. A torn last transaction is dropped by
SQLite, whose WAL is checksummed.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.errors import JournalError
from fab_paxos.effects import EntryRecord, ProvenRecord, Record
from fab_paxos.log import MerkleLog, slot_leaf
from fab_paxos.state import RestoredEntry, RestoredState
from fab_paxos.types import Batch, InvalidSubmission, Submission
from fab_paxos.windows import ClientWindows
from quorum import AcceptedStatement, QuorumCertificate

FORMAT = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    slot INTEGER PRIMARY KEY, view INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL,
    batch BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a restart begins from: the engine's state, and the Merkle log of the proven slots."""

    state: RestoredState
    log: MerkleLog


class Journal:
    """One writer at a time: a second process on the same file is refused."""

    def __init__(self, path: Path, alliance_id: bytes, member: str) -> None:
        """Opens or creates the file. Raises JournalError when it is another member's, in use, or damaged."""
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA wal_autocheckpoint=4000")
            self._db.execute("BEGIN EXCLUSIVE")
            self._claim(alliance_id, member)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"{path} is in use by another process: is this member already running?"
                ) from None
            raise JournalError(
                f"{path} cannot be opened: {error}; check the folder's owner and space"
            ) from None
        except sqlite3.DatabaseError as error:
            raise self.damaged(str(error)) from None
        path.chmod(0o600)

    def _claim(self, alliance_id: bytes, member: str) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            for statement in _SCHEMA.strip().split(";"):
                if statement.strip():
                    self._db.execute(statement)
            self._put("format", str(FORMAT).encode())
            self._put("alliance", alliance_id)
            self._put("member", member.encode())
        if self._get("format") != str(FORMAT).encode():
            raise JournalError(f"{self.path} has another format than this version writes ({FORMAT})")
        if self._get("alliance") != alliance_id:
            raise JournalError(f"{self.path} is the journal of another alliance: do not mix their folders")
        if self._get("member") != member.encode():
            raise JournalError(f"{self.path} is the journal of another member: do not mix their folders")

    # -- writing -------------------------------------------------------------------------------------

    def append(self, records: Sequence[Record]) -> None:
        """Makes the records durable, all or none. Raises JournalError: then nothing may leave."""
        if not records:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for record in records:
                self._write(record)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.path} cannot be written ({error}); this member stops before it says anything that it"
                " might forget: free space or replace the disk, then start it again"
            ) from None

    def _write(self, record: Record) -> None:
        match record:
            case EntryRecord(entry):
                self._db.execute("DELETE FROM entries WHERE slot > ?", (entry.slot,))
                self._db.execute(
                    "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
                    (entry.slot, entry.view, entry.root, entry.signature, pack_batch(entry.batch)),
                )
            case ProvenRecord(slot, certificate):
                self._put("proven", str(slot).encode())
                if certificate is not None:
                    self._put("certificate", certificate.statement.fields() + certificate.signature)

    def close(self) -> None:
        self._db.close()

    # -- reading -------------------------------------------------------------------------------------

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of slots ``first`` to ``last``, as long as they are here."""
        try:
            rows = self._db.execute(
                "SELECT batch FROM entries WHERE slot BETWEEN ? AND ? ORDER BY slot", (first, last)
            )
            for (packed,) in rows:
                yield unpack_batch(packed)
        except (sqlite3.DatabaseError, InvalidSubmission, struct.error) as error:
            raise self.damaged(str(error)) from None

    def replay(self) -> Replayed:
        """Rebuilds the state. Raises JournalError when anything does not fit together."""
        try:
            return self._replay()
        except (sqlite3.DatabaseError, InvalidSubmission, struct.error, ValueError) as error:
            raise self.damaged(str(error)) from None

    def _replay(self) -> Replayed:
        proven = int(self._get("proven") or b"0")
        log, windows = MerkleLog(), ClientWindows()
        entries: list[RestoredEntry] = []
        expected = 1
        for slot, view, root, signature, packed in self._db.execute(
            "SELECT slot, view, root, signature, batch FROM entries ORDER BY slot"
        ):
            if slot != expected:
                raise ValueError(f"slot {expected} is missing")
            expected += 1
            batch = unpack_batch(packed)
            if slot > proven:
                entries.append(RestoredEntry(slot, view, batch, root, signature))
                continue
            log.append(slot_leaf(slot, batch.digest))
            for submission in batch.submissions:
                windows.admit(slot, submission)
            windows.settle(slot)
            if log.root() != root:
                raise ValueError(f"the batch of slot {slot} is not the one that was accepted")
        if log.size != proven:
            raise ValueError(f"the log ends at slot {log.size}, but {proven} slots were proven")
        state = RestoredState(0, log.frontier(), windows, self._certificate(log), tuple(entries))
        return Replayed(state, log)

    def _certificate(self, log: MerkleLog) -> QuorumCertificate | None:
        data = self._get("certificate")
        if data is None:
            return None
        size = AcceptedStatement.LAYOUT.size
        statement = AcceptedStatement(*AcceptedStatement.LAYOUT.unpack(data[:size]))
        if statement.slot > log.size or log.root(statement.slot) != statement.root:
            raise ValueError(f"the certificate of slot {statement.slot} is not one of this log")
        return QuorumCertificate(statement, data[size:])

    def _get(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else None

    def _put(self, key: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def damaged(self, detail: str) -> JournalError:
        """The error for a journal whose records do not fit together."""
        return JournalError(
            f"{self.path} is damaged: {detail}; this member must not vote on it: restore the whole disk"
            " or ask the alliance for a new identity"
        )


def pack_batch(batch: Batch) -> bytes:
    """``count u32 | (length u32 | submission) x count``."""
    parts = [struct.pack(">I", len(batch.submissions))]
    for submission in batch.submissions:
        parts.append(struct.pack(">I", len(submission.encoded)))
        parts.append(submission.encoded)
    return b"".join(parts)


def unpack_batch(packed: bytes) -> Batch:
    """Raises InvalidSubmission or struct.error."""
    (count,) = struct.unpack_from(">I", packed)
    place = 4
    submissions = []
    for _ in range(count):
        (length,) = struct.unpack_from(">I", packed, place)
        submissions.append(Submission.decode(packed[place + 4 : place + 4 + length]))
        place += 4 + length
    if place != len(packed):
        raise InvalidSubmission("a batch with bytes to spare")
    return Batch.of(submissions)
