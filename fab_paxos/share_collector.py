"""Collecting the endorsements of one statement until they combine, and finding out who spoils it.

Combine first, look at proofs only when that fails: members whose share came without a proof are asked for
one; members proven to have sent a bad share are left out for good. One endorsement per member is held.
"""

from __future__ import annotations

from fab_paxos.effects import Blame, Broadcast, Combine, Effect, Offence
from fab_paxos.limits import SHARES_PER_BEAT
from fab_paxos.messages import ProveShare
from quorum import Endorsement, JointStatement, Quorums
from quorum.faults import mask_of

DOUBTS_MAX = 2
"""So often a member may owe us the proof of a spoilt share before its shares are looked at last."""


class Reputation:
    """What a member knows of others' shares; shared by all its joint signings.

    ``blamed`` have sent a share that is proven to be bad: theirs are no longer looked at. ``doubts`` counts
    how often in a row a member's share was part of a failed combination and its proof had not come when the
    others were enough. Such a member proves nothing against itself, and can spoil every first combination:
    so its shares are used only when a heartbeat has passed without enough others.
    """

    def __init__(self) -> None:
        self.blamed: set[int] = set()
        self.doubts: dict[int, int] = {}

    def is_doubtful(self, member: int) -> bool:
        return self.doubts.get(member, 0) >= DOUBTS_MAX


class ShareCollector:
    """The endorsements of one place: a slot in a view, or a view that is to be left.

    ``dropped`` counts a member's shares that lacked their proof; it begins anew with every heartbeat.
    """

    __slots__ = (
        "_combining",
        "_dropped",
        "_endorsements",
        "_me",
        "_patient",
        "_proofs_asked",
        "_reputation",
        "_system",
    )

    def __init__(self, system: Quorums, me: int, reputation: Reputation) -> None:
        """``reputation`` is shared by all joint signings of a member."""
        self._system = system
        self._me = me
        self._reputation = reputation
        self._patient = True
        self._endorsements: dict[int, Endorsement] = {}
        self._combining = False
        self._proofs_asked = False
        self._dropped: dict[int, int] = {}

    def add(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Counts a member's first endorsement; our own may be replaced by the one with its proof."""
        member = endorsement.member
        if member in self._reputation.blamed or self._dropped.get(member, 0) >= SHARES_PER_BEAT:
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
            if member not in self._reputation.blamed:
                self._reputation.blamed.add(member)
                out.append(Blame(member, Offence.BAD_SHARE, str(statement)))
        for member in unproven:
            self._endorsements.pop(member, None)
            self._dropped[member] = self._dropped.get(member, 0) + 1
        ask = bool(unproven) and not self._proofs_asked
        if ask:
            self._proofs_asked = True
            out.append(Broadcast(ProveShare(statement)))
        self._combine(statement, out)
        return ask and self._me in unproven

    def on_heartbeat(self, out: list[Effect]) -> None:
        """Shares and proofs may have been lost: both may be sent, and asked for, again."""
        self._dropped.clear()
        self._proofs_asked = False
        self._patient = False
        for statement in dict.fromkeys(e.statement for e in self._endorsements.values()):
            self._combine(statement, out)

    def settled(self) -> None:
        """There is a certificate: who still owes a proof is doubted, who gave it is not any more."""
        doubts = self._reputation.doubts
        for member in self._dropped:
            if member in self._endorsements:
                doubts.pop(member, None)
            else:
                doubts[member] = doubts.get(member, 0) + 1

    def _combine(self, statement: JointStatement, out: list[Effect]) -> None:
        usable = tuple(
            endorsement
            for member, endorsement in self._endorsements.items()
            if endorsement.statement == statement
            and not (self._patient and self._reputation.is_doubtful(member))
        )
        members = mask_of(endorsement.member for endorsement in usable)
        if not self._combining and self._system.decides(members):
            self._combining = True
            out.append(Combine(usable))
