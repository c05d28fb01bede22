"""A member's journal in memory: what a crash leaves, and the state that a restart builds from it."""

from __future__ import annotations

from collections.abc import Sequence

from fab_paxos import Batch, Entry, RestoredEntry, RestoredState
from fab_paxos.effects import CutRecord, EntryRecord, NewViewRecord, ProvenRecord, Record, ViewRecord
from fab_paxos.log import MerkleLog, slot_leaf
from fab_paxos.messages import LogFrame
from fab_paxos.windows import ClientWindows
from quorum import AcceptedStatement, QuorumCertificate
from tests.fab_paxos.require import require


class Disk:
    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.proven = 0
        self.certificate: QuorumCertificate | None = None
        self.beyond: QuorumCertificate | None = None
        self.view = 0
        self.election: QuorumCertificate | None = None
        self.new_view_digest: bytes | None = None

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            match record:
                case CutRecord(cut):
                    for slot in [slot for slot in self.entries if slot > cut]:
                        del self.entries[slot]
                case ViewRecord(view, election):
                    require(view > self.view, "a fence never goes back")
                    self.view, self.election, self.new_view_digest = view, election, None
                case NewViewRecord(view, digest):
                    require((view, self.new_view_digest) == (self.view, None), "one NewView a view")
                    self.new_view_digest = digest
                case EntryRecord(entry):
                    require(entry.slot > self.proven, "a proven slot is never written again")
                    self.entries[entry.slot] = entry
                case ProvenRecord(slot, certificate):
                    require(slot >= self.proven, "what is proven stays proven")
                    require(slot in self.entries, "proven before it was journalled")
                    self.proven = slot
                    if _slot(certificate) > slot:
                        self.beyond = certificate
                    else:
                        self.certificate = certificate

    def restore(self) -> RestoredState:
        log, windows = MerkleLog(), ClientWindows()
        for slot in range(1, self.proven + 1):
            batch = self.entries[slot].batch
            log.append(slot_leaf(slot, batch.digest))
            for submission in batch.submissions:
                windows.admit(slot, submission)
            windows.settle(slot)
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
            self.certificate,
            self.beyond if _slot(self.beyond) > self.proven else None,
            entries,
        )

    def frame(self, first_slot: int, slots_max: int) -> LogFrame:
        """What a Supply effect asks for: the slot must be certified here."""
        certificate = self.certificate
        statement = certificate.statement if certificate is not None else None
        if certificate is None or not isinstance(statement, AcceptedStatement):
            raise AssertionError("asked to supply what is not certified")
        certified = statement.slot
        require(1 <= first_slot <= certified, f"asked to supply slot {first_slot}, certified are {certified}")
        log = MerkleLog()
        for slot in range(1, certified + 1):
            log.append(slot_leaf(slot, self.entries[slot].batch.digest))
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
