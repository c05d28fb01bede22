"""The learner: who supports which slot, and what is therefore decided."""

from __future__ import annotations

from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.tail import Tail
from quorum import QuorumSystem


class Learner:
    """Cumulative support within one view (protocol.md, normal case, step 3).

    Member i supports slot s when its Accepted names a slot at or above s whose root is the root of our
    own log there. Memory: one number and at most WINDOW_SLOTS waiting roots per member.
    """

    def __init__(self, system: QuorumSystem, tail: Tail) -> None:
        self._system = system
        self._tail = tail
        self._support = [0] * system.member_count
        self._waiting: list[dict[int, bytes]] = [{} for _ in range(system.member_count)]

    def on_accepted(self, member: int, slot: int, root: bytes) -> bool:
        """Counts a member's word in the current view; False when it contradicts our own log."""
        if slot <= self._tail.decided:
            return True
        if slot <= self._tail.tip:
            if self._tail.root(slot) != root:
                return False
            self._support[member] = max(self._support[member], slot)
            return True
        waiting = self._waiting[member]
        if slot <= self._tail.base + 2 * WINDOW_SLOTS and len(waiting) < WINDOW_SLOTS:
            waiting.setdefault(slot, root)
        return True

    def enter_view(self) -> None:
        """Support is counted within one view."""
        self._support = [0] * len(self._support)
        self._waiting = [{} for _ in self._waiting]

    def on_own(self, member: int, slot: int) -> None:
        """This member accepted up to ``slot``, or the leader, whose proposal is its word, did."""
        self._support[member] = max(self._support[member], slot)

    def on_extended(self, slot: int, root: bytes) -> list[int]:
        """Our log has reached ``slot``: counts who spoke of it before; those who contradict it."""
        liars = []
        for member, waiting in enumerate(self._waiting):
            said = waiting.pop(slot, None)
            if said is None:
                continue
            if said == root:
                self._support[member] = max(self._support[member], slot)
            else:
                liars.append(member)
        return liars

    def replaced(self, slot: int) -> None:
        """Our log above ``slot`` was exchanged for another: who supported the old one says nothing of it."""
        self._support = [min(support, slot) for support in self._support]

    def decided(self) -> int:
        """The highest slot that a decision quorum supports."""
        ranked = sorted(self._support, reverse=True)
        return min(ranked[self._system.decision - 1], self._tail.tip)

    def forget(self, slot: int) -> None:
        """Drops what waits for slots up to ``slot``: they are decided."""
        for waiting in self._waiting:
            for old in [old for old in waiting if old <= slot]:
                del waiting[old]
