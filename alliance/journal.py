"""The journal: what a member must not forget, in one SQLite file (WAL, synchronous=FULL).

``append`` returns when everything is durable; if it cannot be made durable it raises, and the process
must end without having said anything. Every row carries a digest of all that it says, every root is checked
against the Merkle log, and the last slot is written down apart from the entries, so that damage anywhere is
found. A torn last transaction is dropped by SQLite, whose WAL is checksummed.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from alliance.errors import JournalError
from fab_paxos.effects import CutRecord, EntryRecord, NewViewRecord, ProvenRecord, Record, ViewRecord
from fab_paxos.log import MerkleLog, slot_leaf
from fab_paxos.state import RestoredEntry, RestoredState
from fab_paxos.types import Batch, InvalidSubmission, Submission
from fab_paxos.windows import ClientWindows
from quorum import AcceptedStatement, QuorumCertificate, SuspectStatement

FORMAT = 1
STARTED = ".started"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    slot INTEGER PRIMARY KEY, view INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL,
    batch BLOB NOT NULL, seal BLOB NOT NULL
);
"""
_ROWS = "SELECT slot, view, root, signature, batch, seal FROM entries"
_DAMAGE = (sqlite3.DatabaseError, InvalidSubmission, struct.error, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a restart begins from: the engine's state, and the Merkle log of the proven slots."""

    state: RestoredState
    log: MerkleLog


@dataclass(frozen=True, slots=True)
class _Position:
    """The highest proven slot, the last accepted one, the fence, and the certificates to be kept.

    A certificate is its statement's fields and its signature: ``certificate`` the newest of the proven log,
    ``beyond`` a newer one, ``election`` what moved this member into ``view``. ``new_view`` is the digest of
    the NewView it keeps to in that view.
    """

    proven: int = 0
    last: int = 0
    view: int = 0
    certificate: bytes = b""
    beyond: bytes = b""
    election: bytes = b""
    new_view: bytes = b""

    def pack(self) -> bytes:
        parts = [struct.pack(">QQQ", self.proven, self.last, self.view)]
        for blob in (self.certificate, self.beyond, self.election, self.new_view):
            parts += [struct.pack(">I", len(blob)), blob]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes | None) -> _Position:
        """Raises ValueError or struct.error."""
        if data is None:
            raise ValueError("its position is gone")
        numbers = struct.unpack_from(">QQQ", data)
        place, blobs = 24, []
        for _ in range(4):
            (length,) = struct.unpack_from(">I", data, place)
            blobs.append(data[place + 4 : place + 4 + length])
            place += 4 + length
        return cls(*numbers, *blobs)


class Journal:
    """One writer at a time: a second process on the same file is refused."""

    def __init__(self, path: Path, alliance_id: bytes, member: str) -> None:
        """Opens or creates the file. Raises JournalError when it is another member's, in use, or damaged."""
        self.path = path
        self._failed = False
        started = path.with_suffix(STARTED)
        try:
            if started.exists() and not path.exists():
                raise JournalError(
                    f"{path} is gone, but this member has run before: without what it said it must not vote."
                    " Put the newest journal back; if it is lost, the member needs a new identity"
                )
            path.touch(0o600)
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unopened(error) from None
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA wal_autocheckpoint=4000")
            self._db.execute("BEGIN EXCLUSIVE")
            self._claim(alliance_id, member)
            self._db.execute("COMMIT")
            started.touch(0o600)  # a member that loses its journal from now on is not a new one
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError | OSError):
                raise self._unopened(error) from None
            if isinstance(error, _DAMAGE):
                raise self.damaged(str(error)) from None
            raise

    def _unopened(self, error: Exception) -> JournalError:
        if "locked" in str(error):
            return JournalError(f"{self.path} is in use by another process: is this member already running?")
        return JournalError(f"{self.path} cannot be opened: {error}; check the folder's owner and space")

    def _claim(self, alliance_id: bytes, member: str) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            # A new file has one page by now. A larger one has lost its tables: not to be taken for new.
            if (
                self.path.with_suffix(STARTED).exists()
                or self._db.execute("PRAGMA page_count").fetchone()[0] > 1
            ):
                raise ValueError("its tables are gone")
            for statement in _SCHEMA.strip().split(";"):
                if statement.strip():
                    self._db.execute(statement)
            self._put("format", str(FORMAT).encode())
            self._put("alliance", alliance_id)
            self._put("member", member.encode())
            self._put("position", _Position().pack())
        if self._get("format") != str(FORMAT).encode():
            raise JournalError(f"{self.path} has another format than this version writes ({FORMAT})")
        if self._get("alliance") != alliance_id:
            raise JournalError(f"{self.path} is the journal of another alliance: do not mix their folders")
        if self._get("member") != member.encode():
            raise JournalError(f"{self.path} is the journal of another member: do not mix their folders")
        self._position = _Position.unpack(self._get("position"))

    # -- writing -------------------------------------------------------------------------------------

    def append(self, records: Sequence[Record]) -> None:
        """Makes the records durable, all or none. Raises JournalError: then nothing may leave, ever again."""
        if not records:
            return
        try:
            if self._failed:
                raise sqlite3.Error("an earlier append failed")
            self._failed = True
            self._db.execute("BEGIN IMMEDIATE")
            position = self._position
            for record in records:
                position = self._write(record, position)
            self._put("position", position.pack())
            self._db.execute("COMMIT")
            self._position = position
            self._failed = False
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.path} cannot be written ({error}); this member stops before it says anything that it"
                " might forget: free space or replace the disk, then start it again"
            ) from None

    def _write(self, record: Record, position: _Position) -> _Position:
        match record:
            case EntryRecord(entry):
                packed = pack_batch(entry.batch)
                seal = _entry_seal(entry.slot, entry.view, entry.root, entry.signature, entry.batch)
                self._db.execute(
                    "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                    (entry.slot, entry.view, entry.root, entry.signature, packed, seal),
                )
                return replace(position, last=max(position.last, entry.slot))
            case CutRecord(slot):
                self._db.execute("DELETE FROM entries WHERE slot > ?", (slot,))
                return replace(position, last=min(position.last, slot))
            case ProvenRecord(slot, certificate):
                if isinstance(certificate.statement, AcceptedStatement) and certificate.statement.slot > slot:
                    return replace(position, proven=slot, beyond=_signed(certificate))
                return replace(position, proven=slot, certificate=_signed(certificate))
            case ViewRecord(view, election):
                return replace(position, view=view, election=_signed(election), new_view=b"")
            case NewViewRecord(_, digest):
                return replace(position, new_view=digest)

    def close(self) -> None:
        self._db.close()

    # -- reading -------------------------------------------------------------------------------------

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of slots ``first`` to ``last``; raises JournalError when one is not here."""
        try:
            rows = self._db.execute(f"{_ROWS} WHERE slot BETWEEN ? AND ? ORDER BY slot", (first, last))
            for expected in range(first, last + 1):
                row = rows.fetchone()
                if row is None or row[0] != expected:
                    raise ValueError(f"slot {expected} is missing")
                yield _opened(row).batch
        except _DAMAGE as error:
            raise self.damaged(str(error)) from None

    def replay(self) -> Replayed:
        """Rebuilds the state. Raises JournalError when anything does not fit together."""
        try:
            return self._replay()
        except _DAMAGE as error:
            raise self.damaged(str(error)) from None

    def _replay(self) -> Replayed:
        proven, last = self._position.proven, self._position.last
        log, windows = MerkleLog(), ClientWindows()
        entries: list[RestoredEntry] = []
        expected = 1
        for row in self._db.execute(f"{_ROWS} ORDER BY slot"):
            if row[0] != expected:
                raise ValueError(f"slot {expected} is missing")
            expected += 1
            entry = _opened(row)
            if entry.slot > proven:
                entries.append(entry)
                continue
            log.append(slot_leaf(entry.slot, entry.batch.digest))
            for submission in entry.batch.submissions:
                windows.admit(entry.slot, submission)
            windows.settle(entry.slot)
            if log.root() != entry.root:
                raise ValueError(f"the batch of slot {entry.slot} is not the one that was accepted")
        if expected - 1 != last:
            raise ValueError(f"the entries after slot {expected - 1} are gone")
        if log.size != proven:
            raise ValueError(f"the log ends at slot {log.size}, but {proven} slots were proven")
        return Replayed(self._state(log, windows, tuple(entries)), log)

    def _state(
        self, log: MerkleLog, windows: ClientWindows, entries: tuple[RestoredEntry, ...]
    ) -> RestoredState:
        position = self._position
        election = None
        if position.election:
            size = SuspectStatement.LAYOUT.size
            suspected = SuspectStatement(*SuspectStatement.LAYOUT.unpack(position.election[:size]))
            election = QuorumCertificate(suspected, position.election[size:])
        beyond = _accepted(position.beyond)
        if beyond is not None and beyond[0].slot <= log.size:
            beyond = None
        return RestoredState(
            view=position.view,
            election=election,
            new_view_digest=position.new_view or None,
            frontier=log.frontier(),
            windows=windows,
            certificate=self._certificate(log),
            beyond=QuorumCertificate(*beyond) if beyond is not None else None,
            entries=entries,
        )

    def _certificate(self, log: MerkleLog) -> QuorumCertificate | None:
        newest = _accepted(self._position.certificate)
        if newest is None:
            return None
        statement, signature = newest
        if statement.slot > log.size or log.root(statement.slot) != statement.root:
            raise ValueError(f"the certificate of slot {statement.slot} is not one of this log")
        return QuorumCertificate(statement, signature)

    def _get(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value, seal FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        value: bytes = row[0]
        if row[1] != _meta_seal(key, value):
            raise ValueError(f"its '{key}' was altered")
        return value

    def _put(self, key: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, value, _meta_seal(key, value)))

    def damaged(self, detail: str) -> JournalError:
        """The error for a journal whose records do not fit together."""
        short = " ".join(detail.split())[:200]
        return JournalError(
            f"{self.path} is damaged: {short}; this member must not vote on it: restore the whole disk or ask"
            " the alliance for a new identity"
        )


def _signed(certificate: QuorumCertificate) -> bytes:
    return certificate.statement.fields() + certificate.signature


def _accepted(signed: bytes) -> tuple[AcceptedStatement, bytes] | None:
    """A kept decision certificate, in its parts; raises struct.error."""
    if not signed:
        return None
    size = AcceptedStatement.LAYOUT.size
    return AcceptedStatement(*AcceptedStatement.LAYOUT.unpack(signed[:size])), signed[size:]


def _opened(row: tuple[int, int, bytes, bytes, bytes, bytes]) -> RestoredEntry:
    """A row of entries; raises one of _DAMAGE when it is not as it was written."""
    slot, view, root, signature, packed, seal = row
    batch = unpack_batch(packed)
    if seal != _entry_seal(slot, view, root, signature, batch):
        raise ValueError(f"the entry of slot {slot} was altered")
    return RestoredEntry(slot, view, batch, root, signature)


def _entry_seal(slot: int, view: int, root: bytes, signature: bytes, batch: Batch) -> bytes:
    head = struct.pack(">QQI", slot, view, len(root))
    return sha256(b"\x00" + head + root + batch.digest + signature).digest()


def _meta_seal(key: str, value: bytes) -> bytes:
    return sha256(b"\x01" + struct.pack(">I", len(key)) + key.encode() + value).digest()


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
