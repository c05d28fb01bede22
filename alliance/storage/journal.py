"""The journal: what a member must not forget, in one SQLite file (WAL, synchronous=FULL).

The states of checkpoints are in a second file (``checkpoint_file``), so that votes do not wait for them.

``append`` returns when everything is durable; if it cannot be made durable it raises, and the process
must end without having said anything. Every row carries a digest of all that it says, every root is checked
against the Merkle log, and the last slot is written down apart from the entries, so that damage anywhere in
the database is found. Damage of the WAL, which SQLite would pass over, is found before it opens the files
(``journal_files``), and what they lack at their end by the mark beside them (``journal_marker``). Only the
last transaction may be torn, if nobody was told of it: SQLite drops it.

``journal_replay`` reads it when the member starts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from alliance.errors import JournalError
from alliance.storage.checkpoint_file import CheckpointFile
from alliance.storage.journal_claim import COUNT, Owner, claim, damaged, unopened, unwritten
from alliance.storage.journal_epochs import EPOCH, SHARES, EpochRecord, read_membership, read_shares
from alliance.storage.journal_files import PAGE_SIZE, Presence, examine
from alliance.storage.journal_marker import Mark, Reached
from alliance.storage.journal_openings import OPENINGS, pack_openings
from alliance.storage.journal_over import require_not_over
from alliance.storage.journal_records import (
    COMMITS,
    DAMAGE,
    HEARD_IN_ANY,
    WHOLE,
    Position,
    Starts,
    entry_row,
    note_seal,
    opened,
    pack_certificate,
    pack_checkpoint,
    pack_frontier,
)
from alliance.storage.journal_replay import Replayed, replay
from fab_paxos.control import Control
from fab_paxos.effects import (
    CheckpointRecord,
    EntryRecord,
    NewViewRecord,
    ProgressRecord,
    ProvenRecord,
    Record,
    SnapshotRecord,
    TruncateRecord,
    ViewRecord,
)
from quorum import DecisionCertificate
from verifiable_log.batch import Batch
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Checkpoint


class Journal:
    """One writer at a time: a second process on the same file is refused."""

    def __init__(self, path: Path, alliance_id: bytes, member: str) -> None:
        """Opens or creates the file. Raises JournalError when it is another member's, in use, or damaged.

        ``membership`` is then who takes part in the member's epoch, None for the first one, which [founding]
        describes; ``shares`` is the generation that counts in it, None for that of the founding.
        """
        self.path, self._wal = path, path.with_name(path.name + "-wal")
        self._failed = False
        self._named = 0  # the slot of the checkpoint from which a restart begins
        self.pruned = 0  # entries up to this slot are gone
        try:
            self._mark = Mark(path, alliance_id + member.encode())
        except OSError as error:
            raise unopened(self.path, error) from None
        try:
            self._open(alliance_id, member)
        except BaseException:
            self._mark.close()
            raise

    def _open(self, alliance_id: bytes, member: str) -> None:
        """Nothing is written before the files and the mark are found good."""
        try:
            self._mark.check_files()
            self._mark.check_commits(examine(self.path, self._wal).commits)
            if self._mark.reached is None:
                self._mark.create()
            self.path.touch(0o600)
        except OSError as error:
            raise unopened(self.path, error) from None
        except DAMAGE as error:
            raise self.damaged(str(error)) from None
        self._db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute(f"PRAGMA page_size={PAGE_SIZE}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA wal_autocheckpoint=4000")
            self._db.execute("BEGIN EXCLUSIVE")
            fresh = self._claim(alliance_id, member)
            self._mark.check(self._reached)
            self._db.execute("COMMIT")
            self._checkpoints = CheckpointFile(self.path.with_suffix(".checkpoints"))
            self._presence = Presence(self.path, self._wal, self._mark.path, self._checkpoints.path)
            if fresh:
                self._mark.write(self._reached)
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError | OSError):
                raise unopened(self.path, error) from None
            if isinstance(error, DAMAGE):
                raise self.damaged(str(error)) from None
            raise

    def _claim(self, alliance_id: bytes, member: str) -> bool:
        """Whether it is a new file. Reads what a member goes on from."""
        used = self._mark.reached is not None and self._mark.reached.commits > 0
        owner = Owner(self.path, alliance_id, member)
        fresh = claim(self._db, owner, used, self._read_note, self._write_note)
        self._position = Position.unpack(self._read_note("position"))
        self._starts = Starts.unpack(self._read_note("starts"))
        self.membership = read_membership(self._read_note(EPOCH))
        self.shares = read_shares(self._read_note(SHARES))
        (self._commits,) = COUNT.unpack(self._read_note(COMMITS) or b"")
        return fresh

    @property
    def _reached(self) -> Reached:
        furthest = (self._position.epoch, *self._position.furthest)
        return Reached(self._starts.newest, self._commits, furthest)

    # -- writing -------------------------------------------------------------------------------------

    def begin(self, session: bytes) -> int:
        """Notes one more start of this member; its number, from 1. Raises JournalError.

        First everything is moved from the WALs into the files, and synced: what an earlier process could
        not sync may be in memory only, and nothing more is to be built upon it."""
        with self._durably():
            require_not_over(self.path, self.epoch, self._read_note)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._checkpoints.sync()
            self._presence.forget_sizes()
            self._db.execute("BEGIN IMMEDIATE")
            self._starts = self._starts.next(session)
            self._write_note("starts", self._starts.pack())
        try:
            self._mark.sync()
        except OSError as error:
            raise unwritten(self.path, error) from None
        return self._starts.newest

    def append(
        self, records: Sequence[Record | EpochRecord], notes: Mapping[str, bytes] | None = None
    ) -> None:
        """Makes the records durable, all or none, and ``notes`` with them, which alone are not worth a write.

        Raises JournalError: then nothing may leave, ever again.
        """
        if not records:
            return
        with self._durably():
            self._db.execute("BEGIN IMMEDIATE")
            for record in records:
                self._position = self._write(record, self._position)
            self._write_note("position", self._position.pack())
            for key, value in (notes or {}).items():
                self._write_note(key, value)
        self._checkpoints.counts(self._named)

    def save(self, checkpoint: Checkpoint) -> None:
        """Makes the state of a checkpoint durable: it counts with its record. Any thread. JournalError."""
        try:
            self._checkpoints.save(checkpoint.snapshot)
        except (sqlite3.Error, OSError) as error:
            raise unwritten(self.path, error) from None

    def keep(self, key: str, value: bytes) -> None:
        """Makes a note durable; it replaces the one of the same key. Raises JournalError."""
        with self._durably():
            self._db.execute("BEGIN IMMEDIATE")
            self._write_note(key, value)

    @contextmanager
    def _durably(self) -> Iterator[None]:
        """Commits what is written inside. An error is the last thing that happens to this journal."""
        if self._failed:
            raise unwritten(self.path, sqlite3.Error("an earlier write failed"))
        self._failed = True
        try:
            yield
            self._write_note(COMMITS, COUNT.pack(self._commits + 1))
            self._db.execute("COMMIT")
            self._commits += 1
            self.check_presence()  # what is written to a file that has no name any more will not be found
            self._mark.write(self._reached)
        except (sqlite3.Error, OSError) as error:
            raise unwritten(self.path, error) from None
        self._failed = False

    def check_presence(self) -> None:
        """Raises JournalError when a file of this journal was taken away or replaced while it is open."""
        try:
            self._presence.check()
        except JournalError:
            self._failed = True
            raise

    def _write(self, record: Record | EpochRecord, position: Position) -> Position:
        match record:
            case EpochRecord():
                return self._enter(record, position)
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
            case ProgressRecord(openings):
                self._write_note(OPENINGS, pack_openings(openings))
                return position
            case CheckpointRecord(checkpoint):
                self._write_checkpoint(checkpoint)
                return position
            case SnapshotRecord(checkpoint, certificate, muted_up_to):
                self._write_checkpoint(checkpoint)
                self._write_base(checkpoint.snapshot.frontier)
                slot = checkpoint.slot
                after = replace(position, last=max(position.last, slot), muted_up_to=muted_up_to)
                return self._write(ProvenRecord(slot, certificate), after)

    def _enter(self, record: EpochRecord, position: Position) -> Position:
        """What was said and heard in the epoch before is of no use any more: it has members of its own."""
        after, checkpoint = record.enter(position), record.checkpoint
        self._db.execute("DELETE FROM meta WHERE key = ? OR key GLOB ?", (OPENINGS, HEARD_IN_ANY))
        self._db.execute("DELETE FROM entries WHERE slot > ?", (checkpoint.slot,))
        self.membership, self.shares = record.membership, record.shares or self.shares
        self._write_note(EPOCH, record.membership.pack())
        self._write_note(SHARES, str(self.shares or "").encode())
        self._write_checkpoint(checkpoint)
        if checkpoint.slot > position.proven:
            self._write_base(checkpoint.snapshot.frontier)
        return self._write(ProvenRecord(checkpoint.slot, record.decision), after)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """What certifies it, after its state, which is durable already unless others brought it."""
        self._checkpoints.save(checkpoint.snapshot)
        self._named = checkpoint.slot
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
        with suppress(sqlite3.Error, OSError):  # what a failing disk takes now was not acknowledged
            self._mark.sync()
            self._db.close()
            self._checkpoints.close()
        self._mark.close()

    # -- what is remembered of starts and votes ------------------------------------------------------

    @property
    def starts(self) -> Starts:
        return self._starts

    @property
    def furthest(self) -> tuple[int, int]:
        """View and slot beyond which this member has said nothing in its epoch."""
        return self._position.furthest

    @property
    def epoch(self) -> int:
        """The epoch that this member is in, whatever else is said anywhere."""
        return self._position.epoch

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

    def replay(self, founded: Control | None = None) -> Replayed:
        """Rebuilds the state. Raises JournalError when anything does not fit together.

        ``founded``: what holds of the alliance itself before slot 1; None where nothing of that kind counts.
        """
        try:
            replayed = replay(self._db, self._checkpoints, self._position, self._read_note, founded)
        except DAMAGE as error:
            raise self.damaged(str(error)) from None
        self.pruned = replayed.state.pruned
        return replayed

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
        return damaged(self.path, detail)
