"""The journal: what a member must not forget, in one SQLite file (WAL, synchronous=FULL).

``append`` returns when everything is durable; if it cannot be made durable it raises, and the process
must end without having said anything. Every row carries a digest of all that it says, every root is checked
against the Merkle log, and the last slot is written down apart from the entries, so that damage anywhere is
found. A torn last transaction is dropped by SQLite, whose WAL is checksummed.

A restart begins from the newest stable checkpoint: of the entries below it only the digests are read. What
was pruned is gone but for the frontier that the log goes on from.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from alliance.errors import JournalError
from alliance.storage.journal_marker import Marker
from alliance.storage.journal_records import (
    DAMAGE,
    ENTRIES,
    HEAD,
    WHOLE,
    Position,
    Starts,
    decision,
    election,
    entry_row,
    note_seal,
    opened,
    pack_certificate,
    pack_checkpoint,
    pack_frontier,
    sealed,
    unpack_checkpoint,
    unpack_frontier,
)
from fab_paxos.effects import (
    CheckpointRecord,
    EntryRecord,
    NewViewRecord,
    ProvenRecord,
    Record,
    SnapshotRecord,
    TruncateRecord,
    ViewRecord,
)
from fab_paxos.state import RestoredEntry, RestoredState
from quorum import DecisionCertificate, QuorumCertificate
from verifiable_log.batch import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import Frontier, MerkleLog, slot_leaf
from verifiable_log.ordering_state import Checkpoint

FORMAT = 3
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID",
    ENTRIES,
    "CREATE TABLE clients (client_id BLOB PRIMARY KEY, state BLOB NOT NULL)",
)


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
        self._failed = False
        self._marker = Marker(path)
        self._written: set[bytes] = set()  # the rows of clients
        self.pruned = 0  # entries up to this slot are gone
        try:
            self._marker.check_files()
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
            self._marker.check_starts(self._starts.newest)
            self._db.execute("COMMIT")
            self._marker.touch()  # a member that loses its journal from now on is not a new one
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError | OSError):
                raise self._unopened(error) from None
            if isinstance(error, DAMAGE):
                raise self.damaged(str(error)) from None
            raise

    def _unopened(self, error: Exception) -> JournalError:
        if "locked" in str(error):
            return JournalError(f"{self.path} is in use by another process: is this member already running?")
        return JournalError(f"{self.path} cannot be opened: {error}; check the folder's owner and space")

    def _claim(self, alliance_id: bytes, member: str) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            # A new file has one page by now. A larger one has lost its tables: not to be taken for new.
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            if self._marker.starts is not None or pages > 1:
                raise ValueError("its tables are gone")
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._write_note("format", str(FORMAT).encode())
            self._write_note("alliance", alliance_id)
            self._write_note("member", member.encode())
            self._write_note("position", Position().pack())
            self._write_note("starts", Starts().pack())
        if self._read_note("format") != str(FORMAT).encode():
            raise JournalError(f"{self.path} has another format than this version writes ({FORMAT})")
        if self._read_note("alliance") != alliance_id:
            raise JournalError(f"{self.path} is the journal of another alliance: do not mix their folders")
        if self._read_note("member") != member.encode():
            raise JournalError(f"{self.path} is the journal of another member: do not mix their folders")
        self._position = Position.unpack(self._read_note("position"))
        self._starts = Starts.unpack(self._read_note("starts"))

    # -- writing -------------------------------------------------------------------------------------

    def begin(self, session: bytes) -> int:
        """Notes one more start of this member; its number, from 1. Raises JournalError.

        First everything is moved from the WAL into the file, and synced: what an earlier process could not
        sync may be in memory only, and nothing more is to be built upon it.
        """
        starts = self._starts.next(session)
        with self._durably():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("BEGIN IMMEDIATE")
            self._write_note("starts", starts.pack())
        try:
            self._marker.write(starts.newest)
        except OSError as error:
            raise self._unopened(error) from None
        self._starts = starts
        return starts.newest

    def append(self, records: Sequence[Record]) -> None:
        """Makes the records durable, all or none. Raises JournalError: then nothing may leave, ever again."""
        if not records:
            return
        position = self._position
        with self._durably():
            self._db.execute("BEGIN IMMEDIATE")
            for record in records:
                position = self._write(record, position)
            self._write_note("position", position.pack())
        self._position = position

    def keep(self, key: str, value: bytes) -> None:
        """Makes a note durable; it replaces the one of the same key. Raises JournalError."""
        with self._durably():
            self._db.execute("BEGIN IMMEDIATE")
            self._write_note(key, value)

    @contextmanager
    def _durably(self) -> Iterator[None]:
        """Commits what is written inside. An error is the last thing that happens to this journal."""
        try:
            if self._failed:
                raise sqlite3.Error("an earlier write failed")
            self._failed = True
            yield
            self._db.execute("COMMIT")
            self._failed = False
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.path} cannot be written ({error}); this member stops before it says anything that it"
                " might forget: free space or replace the disk, then start it again"
            ) from None

    def _write(self, record: Record, position: Position) -> Position:
        match record:
            case EntryRecord(entry):
                values = entry_row(entry)
                self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                return position.accepted(entry.view, entry.slot)
            case TruncateRecord(slot, muted_up_to):
                self._db.execute("DELETE FROM entries WHERE slot > ?", (slot,))
                return replace(position, last=min(position.last, slot), muted_up_to=muted_up_to)
            case ProvenRecord(slot, certificate):
                if DecisionCertificate.of(certificate).slot > slot:
                    return replace(position, proven=slot, beyond=pack_certificate(certificate))
                return replace(position, proven=slot, certificate=pack_certificate(certificate))
            case ViewRecord(view, election):
                proof = pack_certificate(election)
                return replace(position, view=view, election=proof, new_view=b"", muted_up_to=0)
            case NewViewRecord(_, digest):
                return replace(position, new_view=digest)
            case CheckpointRecord(checkpoint):
                self._write_checkpoint(checkpoint)
                return position
            case SnapshotRecord(checkpoint, certificate, muted_up_to):
                self._write_checkpoint(checkpoint)
                self._write_base(checkpoint.snapshot.frontier)
                slot = checkpoint.slot
                after = replace(position, last=max(position.last, slot), muted_up_to=muted_up_to)
                return self._write(ProvenRecord(slot, certificate), after)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """The state of the clients that have changed, and what certifies all of it."""
        state = checkpoint.snapshot.state
        for item in sorted(set(state) - self._written):
            self._db.execute("INSERT OR REPLACE INTO clients VALUES (?, ?)", (item[:32], item))
        self._written = set(state)
        self._write_note("checkpoint", pack_checkpoint(checkpoint))

    def _write_base(self, frontier: Frontier) -> None:
        self._db.execute("DELETE FROM entries WHERE slot <= ?", (frontier.size,))
        self._write_note("base", pack_frontier(frontier))
        self.pruned = frontier.size

    def prune(self, frontier: Frontier) -> None:
        """Forgets the entries up to ``frontier``, which a stable checkpoint covers. Raises JournalError."""
        with self._durably():
            self._db.execute("BEGIN IMMEDIATE")
            self._write_base(frontier)

    def close(self) -> None:
        with suppress(sqlite3.Error):  # a disk that fails now takes nothing away that was acknowledged
            self._db.close()

    # -- what is remembered of starts and words ------------------------------------------------------

    @property
    def starts(self) -> Starts:
        return self._starts

    @property
    def furthest(self) -> tuple[int, int]:
        """View and slot beyond which this member has said nothing."""
        return self._position.furthest

    def kept(self, key: str) -> bytes | None:
        """The note of this key. Raises JournalError when it was altered."""
        try:
            return self._read_note(key)
        except DAMAGE as error:
            raise self.damaged(str(error)) from None

    # -- reading -------------------------------------------------------------------------------------

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of slots ``first`` to ``last``; raises JournalError when one is not here."""
        try:
            rows = self._db.execute(f"{WHOLE} WHERE slot BETWEEN ? AND ? ORDER BY slot", (first, last))
            for expected in range(first, last + 1):
                row = rows.fetchone()
                if row is None or row[0] != expected:
                    raise ValueError(f"slot {expected} is missing")
                yield opened(row).batch
        except DAMAGE as error:
            raise self.damaged(str(error)) from None

    def replay(self) -> Replayed:
        """Rebuilds the state. Raises JournalError when anything does not fit together."""
        try:
            return self._replay()
        except DAMAGE as error:
            raise self.damaged(str(error)) from None

    def _replay(self) -> Replayed:
        proven, last = self._position.proven, self._position.last
        base = self._read_note("base")
        log = MerkleLog(unpack_frontier(base) if base is not None else Frontier())
        self.pruned = pruned = log.size
        checkpoint = self._read_checkpoint()
        windows = ClientWindows()
        if checkpoint is not None:
            windows = ClientWindows.read(checkpoint.snapshot.state)
            self._read_heads(log, checkpoint)
        elif pruned:
            raise ValueError("its checkpoint is gone")
        entries: list[RestoredEntry] = []
        expected = log.size + 1
        for row in self._db.execute(f"{WHOLE} WHERE slot > ? ORDER BY slot", (log.size,)):
            if row[0] != expected:
                raise ValueError(f"slot {expected} is missing")
            expected += 1
            entry = opened(row)
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
        state = replace(self._state(log), windows=windows, entries=tuple(entries))
        return Replayed(replace(state, checkpoint=checkpoint, pruned=pruned), log)

    def _read_checkpoint(self) -> Checkpoint | None:
        packed = self._read_note("checkpoint")
        if packed is None:
            return None
        rows = self._db.execute("SELECT state FROM clients ORDER BY client_id")
        checkpoint = unpack_checkpoint(packed, tuple(state for (state,) in rows))
        self._written = set(checkpoint.snapshot.state)
        return checkpoint

    def _read_heads(self, log: MerkleLog, checkpoint: Checkpoint) -> None:
        """The log up to the checkpoint, from the digests of its batches alone."""
        heads = self._db.execute(f"{HEAD} WHERE slot <= ? ORDER BY slot", (checkpoint.slot,))
        for head in heads:
            slot, digest = sealed(head)
            if slot != log.size + 1:
                raise ValueError(f"slot {log.size + 1} is missing")
            log.append(slot_leaf(slot, digest))
        if log.size != checkpoint.slot or log.root() != checkpoint.snapshot.frontier.root:
            raise ValueError(f"the log up to slot {log.size} is not that of the checkpoint")

    def _state(self, log: MerkleLog) -> RestoredState:
        position = self._position
        beyond = decision(position.beyond)
        if beyond is not None and beyond.slot <= log.size:
            beyond = None
        return RestoredState(
            view=position.view,
            election=election(position.election),
            new_view_digest=position.new_view or None,
            frontier=log.frontier(),
            certificate=self._certificate(log),
            beyond=beyond.certificate if beyond is not None else None,
            muted_up_to=position.muted_up_to,
        )

    def _certificate(self, log: MerkleLog) -> QuorumCertificate | None:
        newest = decision(self._position.certificate)
        if newest is None or newest.slot < log.base.size:
            return None  # older than what others brought: a newer one is on its way
        if newest.slot > log.size or log.root(newest.slot) != newest.root:
            raise ValueError(f"the certificate of slot {newest.slot} is not one of this log")
        return newest.certificate

    def _read_note(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value, seal FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        value: bytes = row[0]
        if row[1] != note_seal(key, value):
            raise ValueError(f"its '{key}' was altered")
        return value

    def _write_note(self, key: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, value, note_seal(key, value)))

    def damaged(self, detail: str) -> JournalError:
        """The error for a journal whose records do not fit together."""
        short = " ".join(detail.split())[:200]
        return JournalError(
            f"{self.path} is damaged: {short}; this member must not vote on it: restore the whole disk or ask"
            " the alliance for a new identity"
        )
