"""Where a submission is in the log, with its proof."""

from __future__ import annotations

from dataclasses import dataclass

from verifiable_log.batch import batch_digest
from verifiable_log.merkle import slot_leaf
from verifiable_log.merkle_proofs import root_from_inclusion
from verifiable_log.merkle_tree import siblings
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
        return root_from_inclusion(self._leaf(header), self.slot - 1, size, self.log_path)

    def root_then(self, header: SubmissionHeader, size: int) -> bytes:
        """The root of the log as it ended with this slot, whatever the size that the path is for.

        On the path, what is to the left of the slot is the whole log before it. Raises ValueError.
        """
        way = siblings(0, self.slot - 1, size)
        before = tuple(node for (_, at), node in zip(way, self.log_path, strict=True) if not at & 1)
        return root_from_inclusion(self._leaf(header), self.slot - 1, self.slot, before)

    def _leaf(self, header: SubmissionHeader) -> bytes:
        head = root_from_inclusion(header.encode(), self.index, self.batch_size, self.batch_path)
        return slot_leaf(self.slot, batch_digest(self.batch_size, self.time_ms, head))
