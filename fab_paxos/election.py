"""Leaving a view: suspicion, and the election proof that moves everyone.

A Suspect is a share of a jointly signed statement and does not fence: its sender goes on in the view until
``decision`` members suspect. Their shares combine into one signature, which moves anyone in a lower view.

Others are joined when so many suspect that most of them are correct: f liars whose Suspects stand all the
time would otherwise need one impatient member to end a view that serves everybody else. Nobody has to be
joined for an end to come: who suspects tells everybody what it waits for, and their own timers run.
"""

from __future__ import annotations

from fab_paxos.effects import Effect, Endorse
from fab_paxos.joint_signing import JointSigning
from fab_paxos.share_collector import Reputation
from quorum import Endorsement, JointStatement, QuorumCertificate, Quorums, SuspectStatement
from quorum.faults import mask_of

STANDING_BEATS = 4
"""Heartbeats for which a Suspect counts: who still suspects repeats it with each of its own."""


class Election:
    """docs/concepts/protocol.md, section 9, steps 1 and 2. Holds the newest Suspect of each member, and the
    view's."""

    def __init__(
        self,
        system: Quorums,
        me: int,
        view: int,
        proof: QuorumCertificate | None,
        reputation: Reputation,
    ) -> None:
        self.view = view
        self.proof = proof
        self._system = system
        self.signing = JointSigning(system, me, reputation, _suspected_view)
        self._newest: dict[int, int] = {}
        self._heard: dict[int, int] = {}  # in which of our heartbeats each of these was said last
        self._beats = 0
        self._suspected = -1

    @property
    def suspecting(self) -> bool:
        """Whether this member suspects the leader of the view."""
        return self._suspected == self.view

    @property
    def resigned(self) -> bool:
        """Whether the leader of the view has told this member that its view is over.

        What it suspects is joined at once: a liar gains nothing by it that its silence would not bring.
        """
        return self._newest.get(self._system.leader(self.view)) == self.view

    def suspect(self, out: list[Effect]) -> bool:
        """This member gives up the view; True the first time, when others should know why."""
        if self._suspected < self.view:
            self._suspected = self.view
            out.append(Endorse(SuspectStatement(self.view)))
            return True
        return False

    def on_endorsement_made(
        self, statement: JointStatement, signature: bytes, proven: bool, out: list[Effect]
    ) -> None:
        """Our Suspect, unless its view has ended in the meantime."""
        if _suspected_view(statement) == self.view:
            self.signing.add(self.signing.share(statement, signature, proven, out), out)

    def on_endorsement_refused(self, statement: JointStatement) -> None:
        """The signer could not say our Suspect: it is asked again."""
        if _suspected_view(statement) == self.view:
            self.signing.refused(statement)

    def on_suspect(self, endorsement: Endorsement, statement: SuspectStatement, out: list[Effect]) -> bool:
        """Another member's Suspect; True when enough of them suspect this view or a later one to join."""
        member, view = endorsement.member, statement.view
        if view >= self.view and view >= self._newest.get(member, 0):
            self._newest[member] = view
            self._heard[member] = self._beats
            self.signing.add(endorsement, out)
            self._prune()
        return self._system.joins(mask_of(filter(self._counts, self._newest)))

    def _counts(self, member: int) -> bool:
        """Whether its Suspect stands: said lately, and not of a view that is out of reach.

        Who is as far ahead as a round of leaders says why with each Status: it has an election proof.
        """
        reach = range(self.view, self.view + self._system.member_count)
        return self._newest[member] in reach and self._beats - self._heard[member] < STANDING_BEATS

    def on_heartbeat(self, out: list[Effect]) -> None:
        """Time passes, and shares may have been lost: ours is said again."""
        self._beats += 1
        self.signing.on_heartbeat(out)

    def enter(self, view: int, proof: QuorumCertificate) -> None:
        """A verified election proof moves this member; ``view`` is above its own."""
        self.view = view
        self.proof = proof
        self._newest = {member: newest for member, newest in self._newest.items() if newest >= view}
        self._heard = {member: self._heard[member] for member in self._newest}
        self._prune()

    def _prune(self) -> None:
        """Far-future views cost a spammer its own earlier Suspect, and nobody any memory."""
        self.signing.retain({self.view, *self._newest.values()})


def _suspected_view(statement: JointStatement) -> int:
    return statement.view if isinstance(statement, SuspectStatement) else -1
