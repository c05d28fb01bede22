"""The end of the log that the engine keeps in memory: everything above the certified slot."""

from __future__ import annotations

from fab_paxos.log import Frontier, slot_leaf
from fab_paxos.types import Batch, Entry
from fab_paxos.windows import ClientWindows


class Tail:
    """Accepted entries without gaps, decided ones first; ``base <= decided <= tip``.

    Slots up to ``base`` are certified, journalled and out of memory.
    """

    def __init__(self, base: Frontier, windows: ClientWindows) -> None:
        self._base = base
        self._entries: list[Entry] = []
        self.windows = windows
        self.decided = base.size

    @property
    def base(self) -> int:
        return self._base.size

    @property
    def tip(self) -> int:
        """The highest accepted slot."""
        return self._base.size + len(self._entries)

    def entry(self, slot: int) -> Entry | None:
        """The accepted entry of a slot above ``base``."""
        place = slot - self._base.size - 1
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def frontier(self, slot: int) -> Frontier:
        """The Merkle frontier after ``slot``, which lies between ``base`` and ``tip``."""
        if slot == self._base.size:
            return self._base
        entry = self.entry(slot)
        if entry is None:
            raise LookupError(f"slot {slot} is not between {self.base} and {self.tip}")
        return entry.frontier

    def root(self, slot: int) -> bytes | None:
        """The root of the log up to ``slot``, if it is still (or already) here."""
        if slot == self._base.size:
            return self._base.root
        entry = self.entry(slot)
        return entry.root if entry is not None else None

    def next_frontier(self, batch: Batch) -> Frontier:
        """What the frontier would be after accepting this batch at ``tip + 1``."""
        return self.frontier(self.tip).append(slot_leaf(self.tip + 1, batch.digest))

    def append(self, view: int, batch: Batch, frontier: Frontier, signature: bytes) -> Entry:
        """Accepts ``batch`` at ``tip + 1``; ``frontier`` is ``next_frontier(batch)``."""
        slot = self.tip + 1
        fresh = tuple(self.windows.admit(slot, submission) for submission in batch.submissions)
        entry = Entry(slot, view, batch, frontier.root, frontier, signature, fresh)
        self._entries.append(entry)
        return entry

    def truncate(self, slot: int) -> None:
        """Drops the accepted entries above ``slot``; decided ones never. Raises ValueError for those."""
        if slot < self.decided:
            raise ValueError(f"slot {self.decided} is decided: the log cannot be cut at {slot}")
        del self._entries[slot - self._base.size :]
        self.windows.rollback(slot)

    def decide(self, slot: int) -> tuple[Entry, ...]:
        """Marks everything up to ``slot`` decided; the newly decided entries in order."""
        if slot <= self.decided:
            return ()
        first = self.decided - self._base.size
        newly = tuple(self._entries[first : slot - self._base.size])
        if newly:
            self.decided = newly[-1].slot
            self.windows.settle(self.decided)
        return newly

    def forget(self, slot: int) -> None:
        """Drops decided entries up to ``slot`` from memory."""
        slot = min(slot, self.decided)
        if slot > self._base.size:
            base = self.frontier(slot)
            del self._entries[: slot - self._base.size]
            self._base = base
