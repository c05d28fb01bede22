"""The decided log as this server tells it: frames for listeners and peers, placements for receipts.

The newest certificate proves every slot up to it, so older ones are not kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochRecord
from alliance.wire.log_frames import FRAME_BYTES_MAX, FRAME_SLOTS_MAX
from quorum import DecisionCertificate, QuorumCertificate
from verifiable_log.batch import Batch, Entry
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import MerkleLog, slot_leaf
from verifiable_log.merkle_proofs import inclusion_from_cover
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.placement import Placement
from verifiable_log.submission import Submission

RECENT_BYTES_MAX = 16 * 1024 * 1024
"""Batches kept in memory for those who follow closely; older ones are read from the journal."""


class Pruned(LookupError):
    """What was asked for lies in a part of the log that is no longer kept here."""


class History:
    """Grows by ``decided``; ``certified`` says up to where it can be proven."""

    def __init__(self, journal: Journal, log: MerkleLog, certificate: QuorumCertificate | None) -> None:
        self._journal = journal
        self._log = log
        self._recent: OrderedDict[int, Batch] = OrderedDict()
        self._recent_bytes = 0
        self._certificate = DecisionCertificate.of(certificate) if certificate is not None else None
        self._news = asyncio.Event()
        self._proofs: _SlotProofs | None = None
        self.checkpoint: Checkpoint | None = None
        """The newest stable one: what a listener begins from that begins in the middle."""

    @property
    def certificate(self) -> DecisionCertificate | None:
        return self._certificate

    @property
    def certified_slot(self) -> int:
        return self._certificate.slot if self._certificate is not None else 0

    @property
    def pruned(self) -> int:
        """The log up to this slot is no longer kept here."""
        return self._log.base.size

    def decided(self, entry: Entry) -> None:
        """The next slot is decided (and journalled). Raises ValueError for another one."""
        if entry.slot != self._log.size + 1:
            raise ValueError(f"slot {entry.slot} does not follow slot {self._log.size}")
        self._log.append(slot_leaf(entry.slot, entry.batch.digest))
        self._recent[entry.slot] = entry.batch
        self._recent_bytes += _size(entry.batch)
        while self._recent_bytes > RECENT_BYTES_MAX and len(self._recent) > 1:
            _, batch = self._recent.popitem(last=False)
            self._recent_bytes -= _size(batch)

    def certified(self, certificate: QuorumCertificate) -> None:
        """A newer certificate, at or below the decided slot; wakes who waits for one."""
        self._certificate = DecisionCertificate.of(certificate)
        self._news.set()
        self._news = asyncio.Event()

    def prune(self, slot: int) -> None:
        """Forgets the log up to ``slot``, which is decided here."""
        self._log.forget(slot)
        self._forget_recent(slot)
        self._journal.prune(self._log.base)

    def install_snapshot(self, checkpoint: Checkpoint) -> None:
        """The log goes on after this checkpoint, which others brought (and which is journalled)."""
        self.checkpoint = checkpoint
        self._log = MerkleLog(checkpoint.snapshot.frontier)
        self._proofs = None
        self._forget_recent(checkpoint.slot)
        self._news.set()  # who waits for a slot below it is to hear that it will not come
        self._news = asyncio.Event()

    def bring(self, record: EpochRecord, between: Sequence[Entry] | None) -> None:
        """The log goes on with an epoch's checkpoint, which others brought, and which is journalled.

        ``between`` are the slots up to it, at least those after the last one here; None: the log here begins
        behind it.
        """
        if self._journal.pruned > self.pruned:
            self.install_snapshot(record.checkpoint)
        for entry in between or ():
            if entry.slot > self.slot:
                self.decided(entry)
        self.checkpoint = record.checkpoint
        if record.is_at_its_slot:
            self.certified(record.decision)

    def _forget_recent(self, slot: int) -> None:
        for old in [old for old in self._recent if old <= slot]:
            self._recent_bytes -= _size(self._recent.pop(old))

    def offer(self, checkpoint: Checkpoint) -> Offer:
        """This member's stable checkpoint, for one that the log can no longer reach.

        Raises LookupError when its proof lies beyond the log that is here.
        """
        certificate = self._certificate
        if certificate is None:
            raise LookupError("nothing is certified yet")
        cover = self._log.right_cover(checkpoint.slot, self.certified_slot)
        snapshot = checkpoint.snapshot
        peaks, leaves = snapshot.frontier.peaks, snapshot.leaves
        return Offer(checkpoint.certificate, peaks, leaves, certificate.certificate, cover)

    async def wait_beyond(self, slot: int) -> None:
        """Returns when a slot after ``slot`` is certified, or pruned."""
        while max(self.certified_slot, self.pruned) <= slot:
            await self._news.wait()

    def frame(self, first_slot: int, bytes_max: int | None = None) -> LogFrame:
        """Batches from ``first_slot``, certified here, as many as fit, with their proof.

        The batch that reaches ``bytes_max``, or else FRAME_BYTES_MAX, is the last one.

        Raises Pruned when the slot is no longer here, and LookupError when it is not certified.
        """
        # A snapshot is written before it is told: for the rest of that turn the journal is ahead.
        pruned = max(self.pruned, self._journal.pruned)
        if first_slot <= pruned:
            raise Pruned(f"slots up to {pruned} are no longer kept here")
        certificate = self._certificate
        if certificate is None or not 1 <= first_slot <= self.certified_slot:
            raise LookupError(f"slot {first_slot} is not certified yet")
        bytes_max = FRAME_BYTES_MAX if bytes_max is None else bytes_max
        batches: list[Batch] = []
        size = 0
        last = min(self.certified_slot, first_slot + FRAME_SLOTS_MAX - 1)
        slot = first_slot
        while slot <= last and size < bytes_max:
            batch = self._recent.get(slot)
            if batch is None:
                for batch in self._journal.batches(slot, min(last, slot + 63)):
                    batches.append(batch)
                    size += _size(batch)
                    slot += 1
                    if size >= bytes_max:
                        break
                continue
            batches.append(batch)
            size += _size(batch)
            slot += 1
        cover = self._log.right_cover(slot - 1, self.certified_slot)
        return LogFrame(first_slot, tuple(batches), certificate.certificate, cover)

    def root(self, slot: int) -> bytes | None:
        """The root of the log up to ``slot``; None if that is not known here, yet or any more."""
        return self._log.root(slot) if self.pruned <= slot <= self.slot and slot else None

    def peaks(self, slot: int) -> tuple[bytes, ...]:
        """The frontier of the log up to ``slot``, which is decided here."""
        return self._log.frontier(slot).peaks

    def locate(self, submission: Submission, slot: int) -> int | None:
        """The index of a submission within the batch of a decided slot; None if another has its number there.

        Raises Pruned when the slot is no longer here.
        """
        for index, held in enumerate(self.batch(slot).submissions):
            if held.client_id == submission.client_id and held.client_seq == submission.client_seq:
                return index if held.body_digest == submission.body_digest else None
        return None

    def placement(self, slot: int, index: int) -> Placement:
        """The proof of a place in a certified slot, for the newest certificate."""
        proofs = self._proofs
        certified = self.certified_slot
        if proofs is None or (proofs.slot, proofs.certified_slot) != (slot, certified):
            # Kept for the others of the same batch: a tree for each of them would take quadratic time.
            batch = self.batch(slot)
            path = self._log.inclusion_proof(slot - 1, certified)
            proofs = self._proofs = _SlotProofs(slot, certified, batch.time_ms, batch.tree(), path)
        size = proofs.leaves.size
        path = proofs.leaves.inclusion_proof(index, size)
        return Placement(slot, index, size, proofs.time_ms, path, proofs.log_path)

    @property
    def slot(self) -> int:
        """The last decided slot."""
        return self._log.size

    def path_beyond(self, slot: int, later: Sequence[bytes]) -> tuple[bytes, ...]:
        """The path from a slot to the root of this log as continued by batches of these digests.

        Raises LookupError for a slot that is in neither.
        """
        end = self._log.size
        longer = MerkleLog(self._log.frontier())
        for number, digest in enumerate(later, end + 1):
            longer.append(slot_leaf(number, digest))
        if slot > end:
            return longer.inclusion_proof(slot - 1, longer.size)
        return inclusion_from_cover(self._log, slot - 1, longer.size, longer.right_cover(end, longer.size))

    def batch(self, slot: int) -> Batch:
        """The batch of a decided slot. Raises LookupError."""
        if slot <= self.pruned:
            raise Pruned(f"slot {slot} is no longer kept here")
        batch = self._recent.get(slot)
        if batch is None:
            if not 1 <= slot <= self._log.size:
                raise LookupError(f"slot {slot} is not decided here")
            (batch,) = self._journal.batches(slot, slot)
        return batch


@dataclass(frozen=True, slots=True)
class _SlotProofs:
    """What all placements of one slot share."""

    slot: int
    certified_slot: int
    time_ms: int
    leaves: MerkleLog
    log_path: tuple[bytes, ...]


def _size(batch: Batch) -> int:
    return 64 + sum(len(submission.encoded) for submission in batch.submissions)
