"""A second log that a two-faced member tells to some: consistent in itself, so that it is believed."""

from __future__ import annotations

from fab_paxos.messages import Propose
from verifiable_log import Batch
from verifiable_log.merkle import Frontier, slot_leaf


class Story:
    """The roots of one log of one view, from some frontier on."""

    def __init__(self, view: int, begin: Frontier) -> None:
        self.view = view
        self._last = begin
        self._roots: dict[int, bytes] = {}

    @property
    def slot(self) -> int:
        return self._last.size

    def root(self, slot: int) -> bytes | None:
        return self._roots.get(slot)

    def tell(self, digest: bytes) -> bytes:
        """The next slot holds this batch; the root."""
        self._last = self._last.append(slot_leaf(self.slot + 1, digest))
        self._roots[self.slot] = self._last.root
        return self._last.root

    def propose(self, batch: Batch) -> Propose:
        root = self.tell(batch.digest)
        return Propose(self.view, self.slot, batch, root)
