"""The seeded world with liars in it: the harness of the engine's tests, behind a gate.

An adversary owns one member. It sees what reaches that member and decides what leaves it, to whom; it may
keep a real engine at work and spoil its words, and it may ``speak`` whatever it likes in its own name. The
gate sees to it that this is all.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from fab_paxos import Submission
from fab_paxos.effects import Blame, BlameClient, Effect
from fab_paxos.events import Received
from fab_paxos.messages import Certified, Message
from quorum import Endorsement, JointStatement, QuorumCertificate, QuorumSystem, SuspectStatement, combine
from tests.fab_paxos.checkers import check, check_live
from tests.fab_paxos.cluster import SIX, Cluster, Member
from tests.fab_paxos.require import require
from tests.simulation.court import Court
from tests.simulation.gate import Dropped, Gate

SPEECHES_MAX = 4000
"""What one adversary may add of its own accord in a run: it ends, so that runs do."""


class Adversary:
    """Does no harm yet: each kind overrides what it abuses."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        self.world = world
        self.me = me
        self.dice = dice
        self._speeches = 0

    @property
    def others(self) -> list[int]:
        return [peer for peer in range(self.world.system.member_count) if peer != self.me]

    @property
    def puppet(self) -> Member:
        """The member whose engine works for the adversary."""
        return self.world.members[self.me]

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        """What is sent in place of the engine's own message."""
        return [message]

    def hear(self, sender: int, message: Message) -> list[Message]:
        """A message arrives; what the engine gets to see of it."""
        return [message]

    def act(self) -> None:
        """A moment of its own, between events."""

    def on_time(self, name: str) -> None:
        """A heartbeat or a view time-out passes."""

    def speak(self, to: int, message: Message) -> None:
        if self._speeches < SPEECHES_MAX:
            self._speeches += 1
            self.world.transmit(self.me, to, message)

    def endorse(self, statement: JointStatement, *, proven: bool = False) -> Endorsement:
        """Its own share on whatever it wants: what no correct signer would sign, too."""
        text = statement.encode(self.world.scheme.context)
        share = self.world.endorsers[self.me].endorse(text, proven=proven)
        return Endorsement(statement, self.me, share)


class World(Cluster):
    def __init__(
        self, system: QuorumSystem = SIX, seed: int = 0, *, loss: float = 0.0, traced: bool = False
    ) -> None:
        super().__init__(system, seed, loss=loss, traced=traced)
        self.gate = Gate(system, self.scheme)
        self.court = Court(system, self.gate)
        self.adversaries: dict[int, Adversary] = {}
        self.quiet = False  # the clients of the liars have nothing more to order

    def corrupt(self, adversary: Adversary) -> None:
        self.adversaries[adversary.me] = adversary
        self.tampers[adversary.me] = adversary.tamper

    @property
    def honest(self) -> list[Member]:
        """Live or not: those to whom the promises are made."""
        return [member for member in self.members if member.me not in self.adversaries]

    # -- the gate ------------------------------------------------------------------------------------

    def submit(self, member: int, *submissions: Submission) -> None:
        for submission in submissions:
            self.gate.know(submission)
        super().submit(member, *submissions)

    def transmit(self, sender: int, to: int, said: Message) -> None:
        honest = sender not in self.adversaries
        said = self.gate.seal(sender, said, honest=honest)
        try:
            admitted = self.gate.admit(sender, said)
        except Dropped as reason:
            require(not honest, f"the gate refuses a correct member's word: {reason}")
            return
        super().transmit(sender, to, admitted)

    def arrive(self, sender: int, to: int, message: Message) -> None:
        adversary = self.adversaries.get(to)
        for heard in adversary.hear(sender, message) if adversary is not None else [message]:
            super().arrive(sender, to, heard)

    def _carry_out(self, member: Member, effect: Effect) -> None:
        super()._carry_out(member, effect)
        if isinstance(effect, Blame | BlameClient) and member.me not in self.adversaries:
            self.court.hear(member, effect)

    # -- time ----------------------------------------------------------------------------------------

    def beat(self) -> None:
        super().beat()
        for adversary in self.adversaries.values():
            adversary.on_time("heartbeat")
            adversary.act()

    def lose_patience(self) -> None:
        super().lose_patience()
        for adversary in self.adversaries.values():
            adversary.on_time("patience")
            adversary.act()

    # -- by hand -------------------------------------------------------------------------------------

    def isolate(self, *members: int) -> None:
        """These hear and are heard by nobody."""
        count = self.system.member_count
        self.cut |= {(a, b) for a in members for b in range(count)} | {
            (a, b) for b in members for a in range(count)
        }

    def election_proof(self, view: int) -> QuorumCertificate:
        """What moves members into ``view``: the suspicion of a quorum, whose timers ran out."""
        statement = SuspectStatement(view - 1)
        text = statement.encode(self.scheme.context)
        shares = [
            Endorsement(statement, me, self.endorsers[me].endorse(text, proven=False))
            for me in range(self.system.decision)
        ]
        return combine(self.scheme, shares)

    def elect(self, view: int, members: Sequence[int] | None = None) -> None:
        """These members (or all who live) learn now that ``view`` has been elected."""
        proof = Certified(self.election_proof(view))
        for me in members if members is not None else [member.me for member in self.live()]:
            self.members[me].inbox.append(Received((me + 1) % self.system.member_count, proof))

    # -- the verdict ---------------------------------------------------------------------------------

    def check(self) -> None:
        check(self, self.honest)
        self._check_blames()

    def check_all(self) -> None:
        self.check()
        check_live(self)

    def _check_blames(self) -> None:
        """No correct member is accused, but of a log that differs, which its leader may have done to it."""
        for member in self.honest:
            for blame in member.blames:
                harmless = blame.member in self.adversaries or "differs from ours" in blame.reason
                require(harmless, f"seed {self.seed}: member {member.me} accuses {_text(blame)}")
        for (witness, _), verdict in self.court.convictions.items():
            lied = verdict.is_client or int(verdict.culprit[7:]) in self.adversaries
            require(lied, f"seed {self.seed}: the evidence of member {witness} convicts {verdict}")


def _text(blame: Blame) -> str:
    return f"{blame.member}, who is correct: {blame.reason}"
