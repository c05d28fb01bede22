"""A member's journal in memory: what a crash leaves, and the state that a restart builds from it."""

from __future__ import annotations

from collections.abc import Sequence

from alliance.storage.history import Pruned
from alliance.storage.journal_epochs import EpochRecord
from fab_paxos import RestoredEntry, RestoredState
from fab_paxos.control import Control, after
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
from fab_paxos.messages import Progress
from quorum import AcceptedStatement, QuorumCertificate
from tests.worlds.require import require
from verifiable_log import Batch, Entry
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.client_windows import ClientWindows
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import Frontier, MerkleLog, slot_leaf
from verifiable_log.ordering_state import Checkpoint


class Disk:
    """What is written is durable; what is being written when power fails is not."""

    def __init__(self, founded: Control | None = None) -> None:
        """``founded``: what holds of the alliance itself before slot 1."""
        self.founded = founded
        self.start = 0
        self.entries: dict[int, Entry] = {}
        self.proven = 0
        self.certificate: QuorumCertificate | None = None
        self.beyond: QuorumCertificate | None = None
        self.view = 0
        self.election: QuorumCertificate | None = None
        self.new_view_digest: bytes | None = None
        self.checkpoint: Checkpoint | None = None
        self.saved = 0  # up to this slot the states of checkpoints are durable
        self.base = Frontier()
        self.muted_up_to = 0
        self.openings: tuple[Progress, ...] = ()
        self.leaps: list[int] = []
        self.checkpoints = 0  # how many it took, or was brought

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            match record:
                case TruncateRecord(cut, muted_up_to):
                    self.muted_up_to = muted_up_to
                    for slot in [slot for slot in self.entries if slot > cut]:
                        del self.entries[slot]
                case ViewRecord(view, election):
                    require(view > self.view, "a fence never goes back")
                    self.view, self.election, self.new_view_digest, self.muted_up_to = view, election, None, 0
                case NewViewRecord(view, digest):
                    require((view, self.new_view_digest) == (self.view, None), "one NewView a view")
                    self.new_view_digest = digest
                case ProgressRecord(openings):
                    require(self.view in {opening.view for opening in openings}, "openings of other views")
                    self.openings = openings
                case EntryRecord(entry):
                    require(entry.slot > self.proven, "a proven slot is never written again")
                    self.entries[entry.slot] = entry
                case ProvenRecord(slot, certificate):
                    require(slot >= self.proven, "what is proven stays proven")
                    known = slot in self.entries or slot == self.base.size
                    require(known, "proven before it was journalled")
                    self.proven = slot
                    self._keep(certificate)
                case CheckpointRecord(checkpoint):
                    require(checkpoint.slot <= self.proven, "a checkpoint above what is proven")
                    require(checkpoint.slot <= self.saved, "a checkpoint counts before it is saved")
                    self.checkpoint = checkpoint
                    self.checkpoints += 1
                case SnapshotRecord(checkpoint, certificate, muted_up_to):
                    self.muted_up_to = muted_up_to
                    require(checkpoint.slot > self.proven, "a leap that leads back")
                    self.checkpoint, self.base = checkpoint, checkpoint.snapshot.frontier
                    self.proven = checkpoint.slot
                    self.leaps.append(checkpoint.slot)
                    self._drop(checkpoint.slot)
                    self._keep(certificate)

    def _keep(self, certificate: QuorumCertificate) -> None:
        if _slot(certificate) > self.proven:
            self.beyond = certificate
        else:
            self.certificate = certificate

    def save(self, checkpoint: Checkpoint) -> None:
        """The state of a checkpoint, beside the one that counts."""
        self.saved = checkpoint.slot

    def prune(self, slot: int) -> None:
        """What lies up to ``slot`` is forgotten."""
        require(self.checkpoint is not None and slot <= self.checkpoint.slot, f"pruned at {slot}: too far")
        self.base = self._log(slot).frontier()
        self._drop(slot)

    def _drop(self, slot: int) -> None:
        for old in [old for old in self.entries if old <= slot]:
            del self.entries[old]

    def _log(self, last: int) -> MerkleLog:
        log = MerkleLog(self.base)
        for slot in range(self.base.size + 1, last + 1):
            log.append(slot_leaf(slot, self.entries[slot].batch.digest))
        return log

    def tear(self, records: Sequence[Record]) -> None:
        """Power fails while these records are written: nothing was acknowledged."""

    def tear_save(self, checkpoint: Checkpoint) -> None:
        """Power fails while the state of a checkpoint is saved: it does not count."""

    def tear_prune(self, slot: int) -> None:
        """Power fails while what lies up to ``slot`` is forgotten."""

    def crash(self) -> None:
        """The process ends, at whatever point."""

    def decided(self, entry: Entry) -> None:
        """The entry is decided here."""

    def certified(self, certificate: QuorumCertificate) -> None:
        """A certificate covers the log that is decided here."""

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        """The log goes on after a checkpoint, which is written."""

    def close(self) -> None:
        """Nobody needs it any more."""

    def image(self) -> Disk:
        """A copy, for a member that will be set back to it."""
        other = Disk(self.founded)
        other.adopt(self)
        return other

    def adopt(self, other: Disk) -> None:
        """Becomes what the other one is."""
        self.entries = dict(other.entries)
        self.proven, self.certificate, self.beyond = other.proven, other.certificate, other.beyond
        self.view, self.election, self.new_view_digest = other.view, other.election, other.new_view_digest
        self.checkpoint, self.base, self.muted_up_to = other.checkpoint, other.base, other.muted_up_to
        self.start = other.start
        self.leaps, self.checkpoints, self.openings = list(other.leaps), other.checkpoints, other.openings

    def begin_epoch(self, own: Disk | None, record: EpochRecord) -> None:
        """Goes on in a later epoch with what its member's disk ``own`` has of earlier ones; None for one that
        is new, or has lost it.

        Of the epochs before nothing but the log remains: their certificates are those of other members.
        """
        checkpoint, end = record.checkpoint, record.checkpoint.slot
        self.base, self.entries = checkpoint.snapshot.frontier, {}
        if own is not None and own.proven >= end:
            self.base, self.entries = own.base, {s: e for s, e in own.entries.items() if s <= end}
        self.start, self.proven = record.membership.start, end
        self.checkpoint = checkpoint
        self.view, self.muted_up_to, self.openings = 0, 0, ()
        self.certificate = self.beyond = self.election = None
        self.new_view_digest = None
        if record.decision.epoch == record.membership.epoch:  # else it is no certificate here
            self._keep(record.decision)

    def restore(self) -> RestoredState:
        log, windows, first = self._log(self.proven), ClientWindows(), 1
        control = self.founded
        if self.checkpoint is not None:
            snapshot = self.checkpoint.snapshot
            windows, first = ClientWindows.read(snapshot.client_items, snapshot.places), snapshot.slot + 1
            if control is not None:
                control = after(control.read(snapshot.control_items), snapshot.slot, self.start)
        for slot in range(first, self.proven + 1):
            windows.drop(slot, control.departed(slot) if control is not None else ())
            for submission in self.entries[slot].batch.submissions:
                windows.admit(slot, submission)
            windows.settle(slot)
            if control is not None:
                control = after(control.apply(self.entries[slot])[0], slot, self.start)
        entries = tuple(
            RestoredEntry(slot, entry.view, entry.batch, entry.root, entry.signature)
            for slot, entry in sorted(self.entries.items())
            if slot > self.proven
        )
        return RestoredState(
            self.view,
            self.election,
            self.new_view_digest,
            log.frontier(),
            windows,
            self.certificate if _slot(self.certificate) >= self.base.size else None,
            self.beyond if _slot(self.beyond) > self.proven else None,
            entries,
            self.checkpoint,
            self.base.size,
            self.muted_up_to,
            self.openings,
            control,
            self.start,
        )

    def offer(self, checkpoint: Checkpoint) -> Offer:
        """What an OfferCheckpoint effect asks for. Raises Pruned when this turn has written a later one."""
        if checkpoint.slot < self.base.size:
            raise Pruned(f"the log from slot {checkpoint.slot} on is no longer kept")
        certificate = self.certificate
        if certificate is None:
            raise AssertionError("asked to offer a checkpoint without a certificate")
        cover = self._log(self.proven).right_cover(checkpoint.slot, _slot(certificate))
        snapshot = checkpoint.snapshot
        return Offer(checkpoint.certificate, snapshot.frontier.peaks, snapshot.leaves, certificate, cover)

    def frame(self, first_slot: int, slots_max: int) -> LogFrame:
        """What a SendLogFrame effect asks for: the slot must be certified here. Raises Pruned."""
        certificate = self.certificate
        statement = certificate.statement if certificate is not None else None
        if certificate is None or not isinstance(statement, AcceptedStatement):
            raise AssertionError("asked to supply what is not certified")
        certified = statement.slot
        require(1 <= first_slot <= certified, f"asked to supply slot {first_slot}, certified are {certified}")
        if first_slot <= self.base.size:
            raise Pruned(f"slot {first_slot} is no longer kept")
        log = self._log(certified)
        last = min(certified, first_slot + slots_max - 1)
        return LogFrame(
            first_slot, self.batches(first_slot, last), certificate, log.right_cover(last, certified)
        )

    def batches(self, first: int, last: int) -> tuple[Batch, ...]:
        return tuple(self.entries[slot].batch for slot in range(first, last + 1))


def _slot(certificate: QuorumCertificate | None) -> int:
    if certificate is None or not isinstance(certificate.statement, AcceptedStatement):
        return 0
    return certificate.statement.slot
