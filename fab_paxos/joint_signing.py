"""Getting statements jointly signed: our share, everybody's, and what is done when they do not combine.

What is the same whoever signs what is in ``JointSigning``. Its users say which statements still count before
they hand over a share, and who gets ours: ``certifier`` (slots), ``election`` (views), and ``SigningInTurn``
for what members come to at different times (checkpoints, the progress of a view).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from fab_paxos.effects import Broadcast, Effect, Endorse, Send
from fab_paxos.messages import Endorsed
from fab_paxos.share_collector import Reputation, ShareCollector
from quorum import Endorsement, JointStatement, Quorums


class JointSigning:
    """The shares of one kind of statement, collected at places: a slot, or a view.

    Bounded by its users: they hand over shares on few places, and forget places (``settle``, ``retain``).
    """

    def __init__(
        self, system: Quorums, me: int, reputation: Reputation, place: Callable[[JointStatement], int]
    ) -> None:
        """``reputation`` is shared by all of a member's joint signings. ``place`` is that of a statement."""
        self._system = system
        self._me = me
        self._reputation = reputation
        self._place = place
        self._collectors: dict[int, ShareCollector] = {}
        self._proof_for: JointStatement | None = None
        self._refused: JointStatement | None = None
        self.mine: Endorsement | None = None

    def share(
        self,
        statement: JointStatement,
        signature: bytes,
        proven: bool,
        out: list[Effect],
        recipients: Collection[int] | None = None,
    ) -> Endorsement:
        """Tells our share to ``recipients``, or to everybody; with its proof always to everybody.

        The one that was asked for last is kept, to be repeated and proven; a proof of an earlier one takes no
        place. Whether it counts here, too, is for the caller to say.
        """
        endorsement = Endorsement(statement, self._me, signature)
        if not proven or self.mine is None or self._place(statement) >= self._place(self.mine.statement):
            self.mine = endorsement
        if proven or recipients is None:
            out.append(Broadcast(Endorsed(endorsement)))
        else:
            out.extend(Send(member, Endorsed(endorsement)) for member in recipients)
        return endorsement

    def collector(self, statement: JointStatement) -> ShareCollector:
        """That of the statement's place, new if need be."""
        place = self._place(statement)
        collector = self._collectors.get(place)
        if collector is None:
            collector = self._collectors[place] = ShareCollector(self._system, self._me, self._reputation)
        return collector

    def add(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Counts a share, ours or another member's."""
        self.collector(endorsement.statement).add(endorsement, out)

    def on_combination_failed(
        self,
        statement: JointStatement,
        culprits: tuple[int, ...],
        unproven: tuple[int, ...],
        out: list[Effect],
    ) -> None:
        """``culprits`` are proven to be bad, ``unproven`` showed no proof."""
        collector = self._collectors.get(self._place(statement))
        if collector is not None and collector.failed(statement, culprits, unproven, out):
            self.on_prove_share(statement, out)

    def on_prove_share(self, statement: JointStatement, out: list[Effect]) -> None:
        """Somebody could not combine: our share again, with its proof, once for all who ask."""
        if self.mine is not None and self.mine.statement == statement != self._proof_for:
            self._proof_for = statement
            out.append(Endorse(statement, proven=True))

    def refused(self, statement: JointStatement) -> None:
        """The signer did not endorse it: it is asked again with the next heartbeat.

        A member that was away while the keys were handed on has no share for a while. What it had to say
        only once, such as that it suspects a leader, would stay unsaid: too few might be left to say it.
        """
        self._refused = statement

    def on_heartbeat(self, out: list[Effect], certified: int = -1) -> None:
        """Shares may have been lost with a link: ours goes out again if its place is above ``certified``."""
        if self._refused is not None:
            out.append(Endorse(self._refused))
            self._refused = None
        for collector in self._collectors.values():
            collector.on_heartbeat(out)
        if self.mine is not None and self._place(self.mine.statement) > certified:
            out.append(Broadcast(Endorsed(self.mine)))

    def settle(self, certified: int) -> None:
        """There is a certificate, which covers all places up to this one."""
        for place in [place for place in self._collectors if place <= certified]:
            self._collectors.pop(place).settled()

    def retain(self, places: Collection[int]) -> None:
        """Forgets what was collected at other places, and our share there."""
        for place in [place for place in self._collectors if place not in places]:
            del self._collectors[place]
        if self.mine is not None and self._place(self.mine.statement) not in places:
            self.mine = None
        if self._refused is not None and self._place(self._refused) not in places:
            self._refused = None


class SigningInTurn:
    """One statement after another that every member endorses when it holds it true, sooner or later.

    For what is due once and not urgent. At most one statement is under way; the newest endorsement of each
    other member waits until ours says the same.
    """

    def __init__(
        self, system: Quorums, me: int, reputation: Reputation, place: Callable[[JointStatement], int]
    ) -> None:
        """As those of JointSigning; two statements at one place do not follow each other."""
        self.signing = JointSigning(system, me, reputation, place)
        self._held: dict[int, Endorsement] = {}
        self._wanted: JointStatement | None = None

    def want(self, statement: JointStatement, out: list[Effect]) -> None:
        """This member holds ``statement`` true and endorses it; what was under way is given up."""
        if statement == self._wanted:
            return
        self.drop()
        self._wanted = statement
        out.append(Endorse(statement))
        collector = self.signing.collector(statement)  # patient from now on until the next heartbeat
        for endorsement in self._held.values():
            if endorsement.statement == statement:
                collector.add(endorsement, out)

    def drop(self) -> None:
        """Nothing is wanted any more: it is certified, or void."""
        self._wanted = None
        self.signing.retain(())

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        """The signer has endorsed it."""
        if statement == self._wanted:
            self.signing.add(self.signing.share(statement, signature, proven, out), out)

    def on_endorsement_refused(self, statement: JointStatement) -> None:
        """The signer has not."""
        if statement == self._wanted:
            self.signing.refused(statement)

    def on_endorsed(self, endorsement: Endorsement, out: list[Effect]) -> None:
        """Another member's share; a later one takes its place."""
        self._held[endorsement.member] = endorsement
        if endorsement.statement == self._wanted:
            self.signing.add(endorsement, out)
