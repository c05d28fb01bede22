"""Leaving a view: suspicion, and the election proof that moves everyone.

A Suspect is a share of a jointly signed statement and does not fence: its sender goes on in the view until
``decision`` members suspect. Their shares combine into one signature, which moves anyone in a lower view.
"""

from __future__ import annotations

from fab_paxos.effects import Broadcast, Effect, Endorse
from fab_paxos.messages import Endorsed
from fab_paxos.share_collector import Reputation, ShareCollector
from quorum import Endorsement, JointStatement, QuorumCertificate, QuorumSystem, SuspectStatement


class Election:
    """docs/concepts/protocol.md, section 9, steps 1 and 2. Holds the newest Suspect of each member, and the
    view's."""

    def __init__(
        self,
        system: QuorumSystem,
        me: int,
        view: int,
        proof: QuorumCertificate | None,
        reputation: Reputation,
    ) -> None:
        self.view = view
        self.proof = proof
        self._system = system
        self._me = me
        self._reputation = reputation
        self._collectors: dict[int, ShareCollector] = {}
        self._newest: dict[int, int] = {}
        self._suspected = -1
        self._mine: Endorsement | None = None
        self._proof_for: JointStatement | None = None

    @property
    def suspecting(self) -> bool:
        """Whether this member has lost its patience with the view."""
        return self._suspected == self.view

    def suspect(self, out: list[Effect]) -> bool:
        """This member's patience with the view is over; True the first time, when others should know why."""
        if self._suspected < self.view:
            self._suspected = self.view
            out.append(Endorse(SuspectStatement(self.view)))
            return True
        return False

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        if isinstance(statement, SuspectStatement) and statement.view == self.view:
            self._mine = Endorsement(statement, self._me, signature)
            out.append(Broadcast(Endorsed(self._mine)))
            self._count(self._mine, statement.view, out)

    def on_suspect(self, endorsement: Endorsement, statement: SuspectStatement, out: list[Effect]) -> bool:
        """Another member's Suspect; True when enough of them suspect this view or a later one to join."""
        member, view = endorsement.member, statement.view
        if view >= self.view and view >= self._newest.get(member, 0):
            self._newest[member] = view
            self._count(endorsement, view, out)
            self._prune()
        ahead = sum(1 for newest in self._newest.values() if newest >= self.view)
        return ahead >= self._system.one_correct

    def on_combination_failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> None:
        suspected = statement.view if isinstance(statement, SuspectStatement) else self.view
        collector = self._collectors.get(suspected)
        if collector is not None and collector.failed(statement, culprits, unproven, out):
            self.on_prove_share(statement, out)

    def on_prove_share(self, statement: JointStatement, out: list[Effect]) -> None:
        """Somebody could not combine; our proof is broadcast once."""
        if self._mine is not None and self._mine.statement == statement != self._proof_for:
            self._proof_for = statement
            out.append(Endorse(statement, proven=True))

    def on_heartbeat(self, out: list[Effect]) -> None:
        """A Suspect may have been lost with a link."""
        for collector in self._collectors.values():
            collector.on_heartbeat(out)
        if self._mine is not None:
            out.append(Broadcast(Endorsed(self._mine)))

    def enter(self, view: int, proof: QuorumCertificate) -> None:
        """A verified election proof moves this member; ``view`` is above its own."""
        self.view = view
        self.proof = proof
        self._mine = None
        self._newest = {member: newest for member, newest in self._newest.items() if newest >= view}
        self._prune()

    def _count(self, endorsement: Endorsement, view: int, out: list[Effect]) -> None:
        collector = self._collectors.get(view)
        if collector is None:
            collector = self._collectors[view] = ShareCollector(self._system, self._me, self._reputation)
        collector.add(endorsement, out)

    def _prune(self) -> None:
        """Far-future views cost a spammer its own earlier word, and nobody any memory."""
        held = {self.view, *self._newest.values()}
        for view in [view for view in self._collectors if view < self.view or view not in held]:
            del self._collectors[view]
