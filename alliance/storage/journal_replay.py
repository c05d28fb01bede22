"""Reading the journal when the member starts: the state that its rows amount to, if they fit together.

A restart begins from the newest stable checkpoint: of the entries below it only the digests are read. What
was pruned is gone but for the frontier that the log goes on from. All that does not fit raises one of DAMAGE.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from alliance.storage.checkpoint_file import CheckpointFile
from alliance.storage.journal_openings import OPENINGS, unpack_openings
from alliance.storage.journal_records import (
    HEAD,
    WHOLE,
    Position,
    decision,
    election,
    opened,
    sealed,
    unpack_checkpoint,
    unpack_frontier,
)
from fab_paxos.control import Control, after
from fab_paxos.state import RestoredEntry, RestoredState
from quorum import QuorumCertificate
from verifiable_log.batch import Entry
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import Frontier, MerkleLog, slot_leaf
from verifiable_log.ordering_state import Checkpoint, Snapshot


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a restart begins from: the engine's state, and the Merkle log of the proven slots.

    ``certificate`` is the newest one of the proven log. Until the member's epoch has one of its own, it is
    that with which the epoch before ended: it proves the log to others, and is none to the engine.
    """

    state: RestoredState
    log: MerkleLog
    certificate: QuorumCertificate | None


def replay(
    db: sqlite3.Connection,
    checkpoints: CheckpointFile,
    position: Position,
    read_note: Callable[[str], bytes | None],
    control: Control | None = None,
) -> Replayed:
    """``read_note``: the journal's note of this key, as it was written. ``control``: that before slot 1."""
    base = read_note("base")
    log = MerkleLog(unpack_frontier(base) if base is not None else Frontier())
    pruned = log.size
    checkpoint = _checkpoint(checkpoints, read_note("checkpoint"))
    windows = ClientWindows()
    if checkpoint is not None:
        windows = ClientWindows.read(checkpoint.snapshot.client_items, checkpoint.snapshot.places)
        if control is not None:
            control = after(control.read(checkpoint.snapshot.control_items), checkpoint.slot, position.start)
        _read_heads(db, log, checkpoint)
    elif pruned:
        raise ValueError("its checkpoint is gone")
    entries: list[RestoredEntry] = []
    expected = log.size + 1
    for row in db.execute(f"{WHOLE} WHERE slot > ? ORDER BY slot", (log.size,)):
        if row[0] != expected:
            raise ValueError(f"slot {expected} is missing")
        expected += 1
        entry = opened(row)
        if entry.slot > position.proven:
            entries.append(entry)
            continue
        log.append(slot_leaf(entry.slot, entry.batch.digest))
        if log.root() != entry.root:
            raise ValueError(f"the batch of slot {entry.slot} is not the one that was accepted")
        if control is not None:
            windows.drop(entry.slot, control.departed(entry.slot))
        fresh = tuple(windows.admit(entry.slot, submission) for submission in entry.batch.submissions)
        windows.settle(entry.slot)
        if control is not None:
            head = entry.slot, entry.view, entry.batch, entry.root
            control, _ = control.apply(Entry(*head, log.frontier(), entry.signature, fresh))
            control = after(control, entry.slot, position.start)
    if expected - 1 != position.last:
        raise ValueError(f"the entries after slot {expected - 1} are gone")
    if log.size != position.proven:
        raise ValueError(f"the log ends at slot {log.size}, but {position.proven} slots were proven")
    certificate = _certificate(position, log)
    state = _state(position, log, certificate)
    state = replace(state, windows=windows, control=control, entries=tuple(entries))
    openings = unpack_openings(read_note(OPENINGS))
    state = replace(state, checkpoint=checkpoint, pruned=pruned, openings=openings)
    return Replayed(state, log, certificate)


def _checkpoint(file: CheckpointFile, packed: bytes | None) -> Checkpoint | None:
    if packed is None:
        file.load(0)
        return None
    frontier, certificate = unpack_checkpoint(packed)
    snapshot = Snapshot(frontier, *file.load(frontier.size))
    try:
        return Checkpoint(snapshot, certificate)
    except ValueError:
        raise ValueError(
            f"{file.path.name} does not hold the state of its checkpoint at slot {snapshot.slot}"
        ) from None


def _read_heads(db: sqlite3.Connection, log: MerkleLog, checkpoint: Checkpoint) -> None:
    """The log up to the checkpoint, from the digests of its batches alone."""
    heads = db.execute(f"{HEAD} WHERE slot <= ? ORDER BY slot", (checkpoint.slot,))
    for head in heads:
        slot, digest = sealed(head)
        if slot != log.size + 1:
            raise ValueError(f"slot {log.size + 1} is missing")
        log.append(slot_leaf(slot, digest))
    if log.size != checkpoint.slot or log.root() != checkpoint.snapshot.frontier.root:
        raise ValueError(f"the log up to slot {log.size} is not that of the checkpoint")


def _state(position: Position, log: MerkleLog, certificate: QuorumCertificate | None) -> RestoredState:
    beyond = decision(position.beyond)
    if beyond is not None and beyond.slot <= log.size:
        beyond = None
    return RestoredState(
        view=position.view,
        election=election(position.election),
        new_view_digest=position.new_view or None,
        frontier=log.frontier(),
        certificate=certificate if certificate is None or certificate.epoch == position.epoch else None,
        beyond=beyond.certificate if beyond is not None else None,
        muted_up_to=position.muted_up_to,
        start=position.start,
    )


def _certificate(position: Position, log: MerkleLog) -> QuorumCertificate | None:
    newest = decision(position.certificate)
    if newest is None or newest.slot < log.base.size:
        return None  # older than what others brought: a newer one is on its way
    if newest.slot > log.size or log.root(newest.slot) != newest.root:
        raise ValueError(f"the certificate of slot {newest.slot} is not one of this log")
    return newest.certificate
