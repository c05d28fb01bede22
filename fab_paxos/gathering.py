"""Gathering the endorsements of one statement until they combine, and finding out who spoils it.

Combine first, look at proofs only when that fails: members whose share came without a proof are asked for
one; members proven to have sent a bad share are left out for good. One endorsement per member is held.
"""

from __future__ import annotations

from fab_paxos.effects import Blame, Broadcast, Combine, Effect
from fab_paxos.limits import SHARES_PER_BEAT
from fab_paxos.messages import ProveShare
from quorum import Endorsement, JointStatement, QuorumSystem


class Gathering:
    """The endorsements of one place: a slot in a view, or a view that is to be left.

    ``dropped`` counts a member's shares that lacked their proof; it begins anew with every heartbeat.
    """

    __slots__ = ("_blamed", "_combining", "_dropped", "_endorsements", "_me", "_proofs_asked", "_system")

    def __init__(self, system: QuorumSystem, me: int, blamed: set[int]) -> None:
        """``blamed`` is shared by all gatherings of a member: whose shares are no longer looked at."""
        self._system = system
        self._me = me
        self._blamed = blamed
        self._endorsements: dict[int, Endorsement] = {}
        self._combining = False
        self._proofs_asked = False
        self._dropped: dict[int, int] = {}

    def add(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Counts a member's first endorsement; our own may be replaced by the one with its proof."""
        member = endorsement.member
        if member in self._blamed or self._dropped.get(member, 0) >= SHARES_PER_BEAT:
            return
        held = self._endorsements.get(member)
        if held is not None and (member != self._me or held.statement != endorsement.statement):
            return
        self._endorsements[member] = endorsement
        self._combine(endorsement.statement, out)

    def failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> bool:
        """A combination failed. True when our own share is among those that are to be proven."""
        self._combining = False
        if not culprits and not unproven:  # nothing is learnt from such a failure: begin anew
            self._endorsements.clear()
            return False
        for member in culprits:
            self._endorsements.pop(member, None)
            if member not in self._blamed:
                self._blamed.add(member)
                out.append(Blame(member, f"a bad signature share on {statement}"))
        for member in unproven:
            self._endorsements.pop(member, None)
            self._dropped[member] = self._dropped.get(member, 0) + 1
        ask = bool(unproven) and not self._proofs_asked
        if ask:
            self._proofs_asked = True
            out.append(Broadcast(ProveShare(statement)))
        self._combine(statement, out)
        return ask and self._me in unproven

    def on_heartbeat(self) -> None:
        """Shares and proofs may have been lost: both may be sent, and asked for, again."""
        self._dropped.clear()
        self._proofs_asked = False

    def _combine(self, statement: JointStatement, out: list[Effect]) -> None:
        usable = tuple(e for e in self._endorsements.values() if e.statement == statement)
        if not self._combining and len(usable) >= self._system.decision:
            self._combining = True
            out.append(Combine(usable))
