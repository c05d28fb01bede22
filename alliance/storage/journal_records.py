"""What the journal's rows hold: how it is packed, and the digests that seal it against alteration."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from fab_paxos.state import RestoredEntry
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    DecisionCertificate,
    JointStatement,
    MembershipStatement,
    QuorumCertificate,
    SuspectStatement,
)
from verifiable_log.batch import Batch, Entry
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_tree import HASH_SIZE
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.submission import InvalidSubmission, Submission

DAMAGE = (sqlite3.DatabaseError, InvalidSubmission, struct.error, ValueError, TypeError)
"""What reading altered rows may raise."""

COMMITS = "commits"
"""The note that counts the journal's writes: 8 bytes, in each of them one more."""
SESSION_BYTES = 32
STARTS_KEPT = 1024
"""So many of its latest starts a member can tell from those of a copy of itself."""


@dataclass(frozen=True, slots=True)
class Position:
    """The highest proven slot, the last accepted one, the fence, and the certificates to be kept.

    Certificates are in their encoding (quorum/certificate.py): ``certificate`` the newest of the proven log,
    ``beyond`` a newer one, ``election`` what moved this member into ``view``. ``new_view`` is the digest of
    the NewView it keeps to in that view; up to ``muted_up_to`` it says nothing there any more.
    ``said_view`` and ``said_slot`` are the furthest entry that was ever journalled, also if it was cut later:
    no vote of this member on a later one can have left. ``epoch`` is the one that it serves in, which began
    behind slot ``start``: view, fence and what was said are of this epoch alone.
    """

    proven: int = 0
    last: int = 0
    view: int = 0
    said_view: int = 0
    said_slot: int = 0
    muted_up_to: int = 0
    epoch: int = 0
    start: int = 0
    certificate: bytes = b""
    beyond: bytes = b""
    election: bytes = b""
    new_view: bytes = b""

    @property
    def furthest(self) -> tuple[int, int]:
        """View and slot beyond which this member has said nothing in this epoch."""
        return max((self.view, 0), (self.said_view, self.said_slot))

    def accepted(self, view: int, slot: int) -> Position:
        """After one more entry."""
        said_view, said_slot = max((self.said_view, self.said_slot), (view, slot))
        return replace(self, last=max(self.last, slot), said_view=said_view, said_slot=said_slot)

    def pack(self) -> bytes:
        numbers = (self.proven, self.last, self.view, self.said_view, self.said_slot, self.muted_up_to)
        parts = [struct.pack(">8Q", *numbers, self.epoch, self.start)]
        for blob in (self.certificate, self.beyond, self.election, self.new_view):
            parts += [struct.pack(">I", len(blob)), blob]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes | None) -> Position:
        """Raises ValueError or struct.error."""
        if data is None:
            raise ValueError("its position is gone")
        numbers = struct.unpack_from(">8Q", data)
        place, blobs = 64, []
        for _ in range(4):
            (length,) = struct.unpack_from(">I", data, place)
            blobs.append(data[place + 4 : place + 4 + length])
            place += 4 + length
        return cls(*numbers, *blobs)


@dataclass(frozen=True, slots=True)
class Starts:
    """The starts of this member: the number of the newest, and the sessions of the latest ones in order."""

    newest: int = 0
    sessions: bytes = b""

    def next(self, session: bytes) -> Starts:
        return Starts(self.newest + 1, (self.sessions + session)[-STARTS_KEPT * SESSION_BYTES :])

    def include(self, number: int, session: bytes) -> bool:
        """Whether this start was one of this journal. One that is too old to be kept is given the doubt."""
        back = self.newest - number
        if back < 0:
            return False
        end = len(self.sessions) - back * SESSION_BYTES
        return end <= 0 or self.sessions[end - SESSION_BYTES : end] == session

    def pack(self) -> bytes:
        return struct.pack(">Q", self.newest) + self.sessions

    @classmethod
    def unpack(cls, data: bytes | None) -> Starts:
        """Raises ValueError or struct.error."""
        if data is None:
            raise ValueError("its starts are gone")
        (newest,) = struct.unpack_from(">Q", data)
        starts = cls(newest, data[8:])
        if len(starts.sessions) != min(newest, STARTS_KEPT) * SESSION_BYTES:
            raise ValueError("its starts do not count up")
        return starts


def in_epoch(key: str, epoch: int) -> str:
    """The note of what this member heard, or said, in one epoch: it goes when the next one begins."""
    return f"{key} in epoch {epoch}"


HEARD_IN_ANY = in_epoch("*", 0)[:-1] + "*"
"""All of these, as SQLite's GLOB has it."""


def pack_certificate(certificate: QuorumCertificate) -> bytes:
    return certificate.encode()


def decision(packed: bytes) -> DecisionCertificate | None:
    """A kept decision certificate; raises ValueError."""
    kept = _certificate(packed, AcceptedStatement) if packed else None
    return DecisionCertificate.of(kept) if kept is not None else None


def election(packed: bytes) -> QuorumCertificate | None:
    """A kept election proof; raises ValueError."""
    return _certificate(packed, SuspectStatement) if packed else None


def _certificate(packed: bytes, *kinds: type[JointStatement]) -> QuorumCertificate:
    certificate = QuorumCertificate.decode(packed)
    if not isinstance(certificate.statement, kinds):
        raise ValueError(f"a {type(certificate.statement).__name__} where a {kinds[0].__name__} was kept")
    return certificate


def pack_frontier(frontier: Frontier) -> bytes:
    return struct.pack(">Q", frontier.size) + b"".join(frontier.peaks)


def unpack_frontier(packed: bytes) -> Frontier:
    """Raises ValueError or struct.error."""
    (size,) = struct.unpack_from(">Q", packed)
    return Frontier(size, tuple(packed[at : at + HASH_SIZE] for at in range(8, len(packed), HASH_SIZE)))


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The frontier and the certificate; the state is in a file of its own."""
    frontier = pack_frontier(checkpoint.snapshot.frontier)
    return struct.pack(">I", len(frontier)) + frontier + pack_certificate(checkpoint.certificate)


def unpack_checkpoint(packed: bytes) -> tuple[Frontier, QuorumCertificate]:
    """Raises ValueError or struct.error."""
    (length,) = struct.unpack_from(">I", packed)
    certificate = _certificate(packed[4 + length :], CheckpointStatement, MembershipStatement)
    return unpack_frontier(packed[4 : 4 + length]), certificate


# The batch comes last: what stands before a large value is read without it.
ENTRIES = """
CREATE TABLE entries (
    slot INTEGER PRIMARY KEY, view INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL,
    digest BLOB NOT NULL, seal BLOB NOT NULL, batch BLOB NOT NULL
)
"""
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID",
    ENTRIES,
)
HEAD = "SELECT slot, view, root, signature, digest, seal FROM entries"
WHOLE = "SELECT slot, view, root, signature, digest, seal, batch FROM entries"

Head: TypeAlias = tuple[int, int, bytes, bytes, bytes, bytes]


def entry_row(entry: Entry) -> tuple[int, int, bytes, bytes, bytes, bytes, bytes]:
    """A whole row of entries."""
    digest = entry.batch.digest
    seal = _entry_seal(entry.slot, entry.view, entry.root, digest, entry.signature)
    return entry.slot, entry.view, entry.root, entry.signature, digest, seal, pack_batch(entry.batch)


def sealed(head: Head) -> tuple[int, bytes]:
    """Slot and batch digest of a row without its batch; raises one of DAMAGE when it was altered."""
    slot, view, root, signature, digest, seal = head
    if seal != _entry_seal(slot, view, root, digest, signature):
        raise ValueError(f"the entry of slot {slot} was altered")
    return slot, digest


def opened(row: tuple[int, int, bytes, bytes, bytes, bytes, bytes]) -> RestoredEntry:
    """A whole row; raises one of DAMAGE when it is not as it was written."""
    slot, view, root, signature, digest, seal, packed = row
    sealed((slot, view, root, signature, digest, seal))
    batch = unpack_batch(packed)
    if batch.digest != digest:
        raise ValueError(f"the batch of slot {slot} was altered")
    return RestoredEntry(slot, view, batch, root, signature)


def _entry_seal(slot: int, view: int, root: bytes, digest: bytes, signature: bytes) -> bytes:
    head = struct.pack(">QQI", slot, view, len(root))
    return sha256(b"\x00" + head + root + digest + signature).digest()


def note_seal(key: str, value: bytes) -> bytes:
    return sha256(b"\x01" + struct.pack(">I", len(key)) + key.encode() + value).digest()


def pack_batch(batch: Batch) -> bytes:
    """``time_ms u64 | count u32 | (length u32 | submission) x count``."""
    parts = [struct.pack(">QI", batch.time_ms, len(batch.submissions))]
    for submission in batch.submissions:
        parts.append(struct.pack(">I", len(submission.encoded)))
        parts.append(submission.encoded)
    return b"".join(parts)


def unpack_batch(packed: bytes) -> Batch:
    """Raises InvalidSubmission or struct.error."""
    time_ms, count = struct.unpack_from(">QI", packed)
    place = 12
    submissions = []
    for _ in range(count):
        (length,) = struct.unpack_from(">I", packed, place)
        submissions.append(Submission.decode(packed[place + 4 : place + 4 + length]))
        place += 4 + length
    if place != len(packed):
        raise InvalidSubmission("a batch with bytes to spare")
    return Batch.of(submissions, time_ms)
