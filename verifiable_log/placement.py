"""Where a submission is in the log, with its proof."""

from __future__ import annotations

from dataclasses import dataclass

from verifiable_log.batch import batch_digest
from verifiable_log.merkle import slot_leaf
from verifiable_log.merkle_proofs import root_from_inclusion
from verifiable_log.submission import SubmissionHeader


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a submission is, and the Merkle paths from it to its batch and from there to a root.

    ``time_ms`` is the time stamp of the batch.
    """

    slot: int
    index: int
    batch_size: int
    time_ms: int
    batch_path: tuple[bytes, ...]
    log_path: tuple[bytes, ...]

    def root(self, header: SubmissionHeader, size: int) -> bytes:
        """The root of the log of ``size`` slots that holds this submission here. Raises ValueError."""
        head = root_from_inclusion(header.encode(), self.index, self.batch_size, self.batch_path)
        leaf = slot_leaf(self.slot, batch_digest(self.batch_size, self.time_ms, head))
        return root_from_inclusion(leaf, self.slot - 1, size, self.log_path)
