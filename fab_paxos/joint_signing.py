"""One statement that every member endorses in its turn: our endorsement, the others', their combination.

For words that are due once and not urgent: checkpoints, and the progress of a view. Members reach them at
different times, so the newest endorsement of each member waits until ours says the same.
"""

from __future__ import annotations

from typing import Protocol

from fab_paxos.effects import Broadcast, Effect, Endorse
from fab_paxos.messages import Endorsed
from fab_paxos.share_collector import Reputation, ShareCollector
from quorum import Endorsement, JointStatement, QuorumSystem


class Words(Protocol):
    """Looks after this member's endorsements of one kind of statement."""

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        """The signer has endorsed it."""

    def on_combination_failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> None:
        """``culprits`` are proven to be bad, ``unproven`` showed no proof."""

    def on_prove_share(self, statement: JointStatement, out: list[Effect]) -> None:
        """Somebody could not combine, and asks for our share with its proof."""


class JointSigning:
    """At most one statement at a time is under way, and one endorsement per member is held."""

    def __init__(self, system: QuorumSystem, me: int, reputation: Reputation) -> None:
        """``reputation`` is shared by all gatherings of a member."""
        self._system = system
        self._me = me
        self._reputation = reputation
        self._held: dict[int, Endorsement] = {}
        self._wanted: JointStatement | None = None
        self._collector = ShareCollector(system, me, reputation)
        self._mine: Endorsement | None = None
        self._proving = False

    def want(self, statement: JointStatement, out: list[Effect]) -> None:
        """This member holds ``statement`` true and endorses it; what was under way is given up."""
        if statement == self._wanted:
            return
        self.drop()
        self._wanted = statement
        out.append(Endorse(statement))
        for endorsement in self._held.values():
            if endorsement.statement == statement:
                self._collector.add(endorsement, out)

    def drop(self) -> None:
        """Nothing is wanted any more: it is certified, or void."""
        self._wanted = self._mine = None
        self._proving = False
        self._collector = ShareCollector(self._system, self._me, self._reputation)

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        if statement == self._wanted:
            self._mine = Endorsement(statement, self._me, signature)
            out.append(Broadcast(Endorsed(self._mine)))
            self._collector.add(self._mine, out)

    def on_endorsed(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Another member's share; a later one takes its place."""
        self._held[endorsement.member] = endorsement
        if endorsement.statement == self._wanted:
            self._collector.add(endorsement, out)

    def on_combination_failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> None:
        if statement == self._wanted and self._collector.failed(statement, culprits, unproven, out):
            self.on_prove_share(statement, out)

    def on_prove_share(self, statement: JointStatement, out: list[Effect]) -> None:
        """Somebody could not combine: our share again, with its proof, once for all who ask."""
        if self._mine is not None and self._mine.statement == statement and not self._proving:
            self._proving = True
            out.append(Endorse(statement, proven=True))

    def on_heartbeat(self, out: list[Effect]) -> None:
        """A share may have been lost with a link."""
        self._collector.on_heartbeat(out)
        if self._mine is not None:
            out.append(Broadcast(Endorsed(self._mine)))
