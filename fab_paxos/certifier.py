"""Certificates, beside the path to a decision and never on it.

The leader flags a slot when the certificate of the last flagged one is complete: every slot while idle,
one per share time under load. Flagged slots are endorsed with a share each; whoever holds enough shares
combines them. One certificate covers all slots before it.
"""

from __future__ import annotations

from fab_paxos.effects import Blame, Broadcast, Combine, Effect, Endorse
from fab_paxos.limits import CERTIFICATE_SLOTS, SHARES_PER_BEAT, WINDOW_SLOTS
from fab_paxos.messages import Endorsed, Flag, ProveShare
from fab_paxos.tail import Tail
from quorum import AcceptedStatement, Endorsement, JointStatement, QuorumCertificate, QuorumSystem


class _Collection:
    """The endorsements of one slot: at most one per member, and one more once proofs were asked for.

    ``dropped`` counts a member's shares that lacked their proof; it begins anew with every heartbeat.
    """

    __slots__ = ("combining", "dropped", "endorsements", "proofs_asked")

    def __init__(self) -> None:
        self.endorsements: dict[int, Endorsement] = {}
        self.combining = False
        self.proofs_asked = False
        self.dropped: dict[int, int] = {}


class Certifier:
    """Flags, endorsements, and their combination. Bounded by the window and the number of members."""

    def __init__(
        self, system: QuorumSystem, me: int, tail: Tail, certificate: QuorumCertificate | None
    ) -> None:
        self._system = system
        self._me = me
        self._tail = tail
        self._collections: dict[int, _Collection] = {}
        self._wanted = 0  # the highest slot that was flagged
        self._flagged = 0  # as leader: the slot whose certificate is awaited
        self._overdue = 0  # as leader: the one that was awaited at the last heartbeat
        self._signing: AcceptedStatement | None = None
        self._mine: Endorsement | None = None
        self._proof_for: JointStatement | None = None
        self.blamed: set[int] = set()
        self.newest = certificate

    @property
    def certified(self) -> int:
        """The slot of the newest certificate whose whole log is decided here."""
        return _slot(self.newest.statement) if self.newest is not None else 0

    # -- flags ---------------------------------------------------------------------------------------

    def flag_as_leader(self, view: int, out: list[Effect]) -> None:
        """Self-clocking: the next flag follows the last certificate."""
        tip = self._tail.tip
        if tip > self.certified and self._flagged <= self.certified:
            self._flagged = tip
            self._wanted = max(self._wanted, tip)
            out.append(Broadcast(Flag(view, tip)))

    def flag_again(self, view: int, out: list[Effect]) -> None:
        """A flag or a share may have been lost with a link: repeat both.

        A flag that is overdue moves on to the tip. Members whose certificates differ may disagree on
        whether an earlier slot is worth a share; nobody has passed the tip.
        """
        if self._flagged > self.certified:
            if self._flagged == self._overdue:
                self._flagged = self._tail.tip
                self._wanted = max(self._wanted, self._flagged)
            self._overdue = self._flagged
            out.append(Broadcast(Flag(view, self._flagged)))
        for collection in self._collections.values():
            collection.dropped.clear()
            collection.proofs_asked = False
        mine = self._mine
        if mine is not None and _slot(mine.statement) > self.certified:
            out.append(Broadcast(Endorsed(mine)))

    def on_flag(self, slot: int) -> None:
        if self.certified < slot <= self.certified + WINDOW_SLOTS:
            self._wanted = max(self._wanted, slot)

    def on_accepted(self, slot: int) -> None:
        """A leader that forgets to flag does not keep the alliance from its certificates."""
        if slot % CERTIFICATE_SLOTS == 0 and slot >= self.certified + CERTIFICATE_SLOTS:
            self._wanted = max(self._wanted, slot)

    # -- our own endorsements ------------------------------------------------------------------------

    def endorse_wanted(self, view: int, out: list[Effect]) -> None:
        """One signature at a time, on the newest slot that was flagged and accepted in this view."""
        slot = min(self._wanted, self._tail.tip)
        if self._signing is not None or slot <= self.certified or slot != self._wanted:
            return
        entry = self._tail.entry(slot)
        if entry is None or entry.view != view:
            return
        statement = AcceptedStatement(view, slot, entry.root)
        if self._mine is None or self._mine.statement != statement:
            self._signing = statement
            out.append(Endorse(statement))

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        endorsement = Endorsement(statement, self._me, signature)
        if not proven:
            self._signing = None
        if self._mine is None or _slot(statement) >= _slot(self._mine.statement):
            self._mine = endorsement
        out.append(Broadcast(Endorsed(endorsement)))
        self.on_endorsed(endorsement, out)

    def on_endorsement_refused(self, statement: JointStatement) -> None:
        """The signer knows better (it signed another root): this slot stays without our share."""
        if self._signing == statement:
            self._signing = None
            if self._wanted == _slot(statement):
                self._wanted = 0

    def on_prove_share(self, statement: JointStatement, out: list[Effect]) -> None:
        """Somebody could not combine. One proof per statement: it is broadcast, whoever asks."""
        mine = self._mine
        if mine is None or mine.statement != statement or statement == self._proof_for:
            return
        self._proof_for = statement
        out.append(Endorse(statement, proven=True))

    # -- everybody's endorsements --------------------------------------------------------------------

    def on_endorsed(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Keeps one endorsement per member and slot; combines when there are enough of one statement."""
        slot = _slot(endorsement.statement)
        member = endorsement.member
        if not self.certified < slot <= self.certified + 2 * WINDOW_SLOTS or member in self.blamed:
            return
        collection = self._collections.setdefault(slot, _Collection())
        if collection.dropped.get(member, 0) >= SHARES_PER_BEAT:
            return
        if member in collection.endorsements and (
            member != self._me or collection.endorsements[member].statement != endorsement.statement
        ):
            return
        collection.endorsements[member] = endorsement
        self._combine(collection, endorsement.statement, out)

    def _combine(self, collection: _Collection, statement: JointStatement, out: list[Effect]) -> None:
        usable = tuple(e for e in collection.endorsements.values() if e.statement == statement)
        if not collection.combining and len(usable) >= self._system.decision:
            collection.combining = True
            out.append(Combine(usable))

    def on_combination_failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> None:
        """Drops the proven culprits for good and asks, once for a statement, for the missing proofs."""
        collection = self._collections.get(_slot(statement))
        if collection is None:
            return
        if not culprits and not unproven:  # nothing is learnt from such a failure: begin anew
            del self._collections[_slot(statement)]
            return
        collection.combining = False
        for member in culprits:
            collection.endorsements.pop(member, None)
            if member not in self.blamed:
                self.blamed.add(member)
                out.append(Blame(member, f"a bad signature share for slot {_slot(statement)}"))
        for member in unproven:
            collection.endorsements.pop(member, None)
            collection.dropped[member] = collection.dropped.get(member, 0) + 1
        if unproven and not collection.proofs_asked:
            collection.proofs_asked = True
            out.append(Broadcast(ProveShare(statement)))
            if self._me in unproven:
                self.on_prove_share(statement, out)
        self._combine(collection, statement, out)

    def on_certificate(self, certificate: QuorumCertificate) -> bool:
        """A verified certificate at or below our decided slot; False when it is not news."""
        slot = _slot(certificate.statement)
        if slot <= self.certified:
            return False
        self.newest = certificate
        for old in [old for old in self._collections if old <= slot]:
            del self._collections[old]
        return True


def _slot(statement: JointStatement) -> int:
    return statement.slot if isinstance(statement, AcceptedStatement) else 0
