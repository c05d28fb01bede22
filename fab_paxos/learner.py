"""The learner: who supports which slot, and what is therefore decided."""

from __future__ import annotations

from fab_paxos.effects import Blame, Effect, Offence, Send
from fab_paxos.evidence import TwoStatements
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Accepted, Propose
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import Quorums


class Learner:
    """Cumulative support within one view (docs/concepts/protocol.md, section 5, step 4).

    Member i supports slot s when its Accepted names a slot at or above s whose root is the root of our
    own log there. Each member's first vote on a slot is kept: until our log gets there, and to lay it beside
    a second one. Memory: one number and at most 2 * WINDOW_SLOTS votes per member.
    """

    def __init__(self, system: Quorums, log: UncertifiedLog) -> None:
        self._system = system
        self._log = log
        self._support = [0] * system.member_count
        self._words: list[dict[int, Accepted]] = [{} for _ in range(system.member_count)]
        self._forgotten = log.base
        self._shown: set[int] = set()

    def on_accepted(self, member: int, accepted: Accepted, out: list[Effect]) -> None:
        """Counts a member's first vote on a slot in the current view."""
        slot = accepted.slot
        if not self._log.base < slot <= self._log.base + 2 * WINDOW_SLOTS:
            return
        first = self._words[member].setdefault(slot, accepted)
        if first.root != accepted.root:
            out.append(Blame(member, Offence.TWO_VOTES, str(slot), TwoStatements(first, accepted)))
        elif self._log.decided < slot <= self._log.tip:
            self._count(member, accepted, out)

    def _count(self, member: int, accepted: Accepted, out: list[Effect]) -> None:
        """A vote on a slot that our log has reached."""
        if self._log.root(accepted.slot) == accepted.root:
            self._support[member] = max(self._support[member], accepted.slot)
            return
        proposed = self._proposed(accepted)
        if proposed is not None and member == self._system.leader(accepted.view):
            evidence = TwoStatements(proposed, accepted)
            out.append(Blame(member, Offence.VOTE_AGAINST_OWN_PROPOSAL, str(accepted.slot), evidence))
            return
        out.append(Blame(member, Offence.OTHER_LOG, str(accepted.slot)))
        if proposed is not None and member not in self._shown:
            # If the leader did, the two proposals are in one hand now: there it is convicted.
            self._shown.add(member)
            out.append(Send(member, proposed))

    def _proposed(self, accepted: Accepted) -> Propose | None:
        """The leader's proposal that we accepted at the slot, if it was one."""
        entry = self._log.entry(accepted.slot)
        if entry is None or entry.view != accepted.view or not entry.signature:
            return None
        return Propose(entry.view, entry.slot, entry.batch, entry.root, entry.signature)

    def enter_view(self) -> None:
        """Support is counted within one view."""
        self._support = [0] * len(self._support)
        self._words = [{} for _ in self._words]
        self._shown.clear()

    def on_own(self, member: int, slot: int) -> None:
        """This member accepted up to ``slot``, or the leader, whose proposal is its vote, did."""
        self._support[member] = max(self._support[member], slot)

    def on_extended(self, slot: int, out: list[Effect]) -> None:
        """Our log has reached ``slot``: counts who spoke of it before."""
        for member, words in enumerate(self._words):
            accepted = words.get(slot)
            if accepted is not None:
                self._count(member, accepted, out)

    def voters(self, slot: int, root: bytes) -> list[int]:
        """Who has voted for exactly this slot with this root, also above our own log."""
        return [m for m, words in enumerate(self._words) if slot in words and words[slot].root == root]

    def replaced(self, slot: int) -> None:
        """Our log above ``slot`` was exchanged for another: who supported the old one says nothing of it."""
        self._support = [min(support, slot) for support in self._support]

    def decided(self) -> int:
        """The highest slot that a decision quorum supports."""
        return min(self._system.decided(self._support), self._log.tip)

    def forget(self) -> None:
        """Drops the votes on slots that are certified, and can be compared with nothing any more."""
        if self._forgotten < self._log.base:
            self._forgotten = self._log.base
            for words in self._words:
                for old in [old for old in words if old <= self._forgotten]:
                    del words[old]
