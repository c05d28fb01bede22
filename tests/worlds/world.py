"""The seeded world with liars in it: the harness of the engine's tests, behind a gate.

An adversary owns one member. It sees what reaches that member and decides what leaves it, to whom; it may
keep a real engine at work and spoil its words, and it may ``speak`` whatever it likes in its own name. The
gate sees to it that this is all.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from random import Random

from alliance.storage.journal_epochs import EpochRecord
from fab_paxos.control import Control
from fab_paxos.effects import Blame, BlameClient, Offence, Timer
from fab_paxos.events import Received
from fab_paxos.limits import CHECKPOINT_SLOTS
from fab_paxos.messages import Certified, Message, Status
from quorum import (
    AcceptedStatement,
    Endorsement,
    Endorser,
    JointStatement,
    QuorumCertificate,
    QuorumSystem,
    Scheme,
    SuspectStatement,
    combine,
)
from tests.worlds.checkers import check, check_live
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.court import Court
from tests.worlds.gate import Dropped, Gate
from tests.worlds.journals import JournalDisk
from tests.worlds.member import Member
from tests.worlds.require import require
from tests.worlds.standin import StandInScheme
from tests.worlds.words import Life, Words
from verifiable_log import Submission

SPEECHES_MAX = 4000
"""What one adversary may add of its own accord in a run: it ends, so that runs do."""

HEARD_MAX = 1000
"""Words of an epoch that somebody may remember in the next."""


class Adversary:
    """Does no harm yet: each kind overrides what it abuses. ``words_max`` bounds its misdeeds: after so many
    it does as its engine says."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        self.world = world
        self.me = me
        self.dice = dice
        self.words = 0
        self.words_max: int | None = None
        self._speeches = 0

    @property
    def others(self) -> list[int]:
        return [peer for peer in range(self.world.system.member_count) if peer != self.me]

    @property
    def puppet(self) -> Member:
        """The member whose engine works for the adversary."""
        return self.world.members[self.me]

    # -- what kinds override -------------------------------------------------------------------------

    def equip(self) -> None:
        """Before its member's first start."""

    def begin_epoch(self, record: EpochRecord) -> None:
        """It takes its seat in an epoch that is not the first."""

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

    # -- what it can do ------------------------------------------------------------------------------

    @property
    def tired(self) -> bool:
        return self.words_max is not None and self.words >= self.words_max

    def misspeak(self, sender: int, to: int, message: Message) -> list[Message]:
        return [message] if self.tired else self._counted(message, self.tamper(sender, to, message))

    def mishear(self, sender: int, message: Message) -> list[Message]:
        return [message] if self.tired else self._counted(message, self.hear(sender, message))

    def _counted(self, message: Message, instead: list[Message]) -> list[Message]:
        if len(instead) != 1 or instead[0] is not message:
            self.words += 1
        return instead

    def speak(self, to: int, message: Message) -> None:
        if self._speeches < SPEECHES_MAX and not self.tired:
            self._speeches += 1
            self.words += 1
            self.world.transmit(self.me, to, message)

    def endorse(self, statement: JointStatement, *, proven: bool = False) -> Endorsement:
        """Its own share on whatever it wants: what no correct signer would sign, too."""
        text = statement.encode(self.world.scheme.context)
        share = self.world.endorsers[self.me].endorse(text, proven=proven)
        return Endorsement(statement, self.me, share)


class World(Cluster):
    def __init__(
        self,
        system: QuorumSystem = SIX,
        seed: int = 0,
        *,
        loss: float = 0.0,
        traced: bool = False,
        frame_slots: int = 7,
        scheme: Scheme | None = None,
        endorsers: list[Endorser] | None = None,
        gate: Gate | None = None,
        court: Court | None = None,
        checkpoint_slots: int = CHECKPOINT_SLOTS,
        retain_slots: int | None = None,
        founded: Control | None = None,
    ) -> None:
        self.adversaries: dict[int, Adversary] = {}
        self.quiet = False  # the clients of the liars have nothing more to order
        self.faults: Counter[str] = Counter()
        self.words = Words()
        self._spoiled: set[int] = set()
        """Whose words a test has exchanged or held back: later ones may be as old."""
        self.heard: deque[Message] = deque(maxlen=HEARD_MAX)
        self.heard_before: tuple[Message, ...] = ()  # in the epoch before
        self.forge: Callable[[JointStatement, int], QuorumCertificate] | None = None
        """What whoever has got hold of all shares of a former key makes of them, in whatever epoch."""
        self.names: list[Hashable] = [f"member {me}" for me in range(system.member_count)]
        self.gate = gate or Gate(system, scheme or StandInScheme(system.decision))
        self.court = court or Court(system, self.gate)
        super().__init__(
            system,
            seed,
            loss=loss,
            traced=traced,
            frame_slots=frame_slots,
            scheme=scheme,
            endorsers=endorsers,
            checkpoint_slots=checkpoint_slots,
            retain_slots=retain_slots,
            founded=founded,
        )

    def corrupt(self, adversary: Adversary) -> None:
        self.adversaries[adversary.me] = adversary
        self.tampers[adversary.me] = adversary.misspeak
        self.members[adversary.me].scruples = False
        adversary.equip()

    @property
    def honest(self) -> list[Member]:
        """Live or not: those to whom the promises are made."""
        return [member for member in self.members if member.me not in self.adversaries]

    def write(self, client: int, seq: int, command: bytes = b"") -> Submission:
        """What a client signs; from now on anybody may say it."""
        one = self.gate.signed(submission(client, seq, command))
        self.gate.know(one)
        return one

    def journal_disk(self, me: int) -> JournalDisk:
        raise NotImplementedError("this world has no folder")

    def later(self, delay: int, act: Callable[..., None], *arguments: object) -> None:
        """In so many microseconds; where no time passes, at once."""
        act(*arguments)

    # -- the gate ------------------------------------------------------------------------------------

    def submit(self, member: int, *submissions: Submission) -> None:
        for one in submissions:
            self.gate.know(one)
        super().submit(member, *submissions)

    def spread(self, sender: int, recipients: Iterable[int], said: Message) -> None:
        honest = sender not in self.adversaries
        if sender in self.tampers:
            self._spoiled.add(sender)
        if honest and sender not in self._spoiled:
            epoch, start = self.scheme.context.epoch, self.gate.start
            self.words.said(self.names[sender], epoch, start, sender, self.system, said)
        try:
            admitted = self.gate.pass_on(sender, said, honest=honest)
        except Dropped as reason:
            require(not honest, f"the gate refuses a correct member's word: {reason}")
            return
        if not isinstance(admitted, Status):
            self.heard.append(admitted)
        for to in recipients:
            self.carry(sender, to, admitted)

    def endorsed(self, member: Member, statement: JointStatement) -> None:
        if member.me not in self.adversaries and member.me not in self._spoiled:
            who, epoch = self.names[member.me], self.scheme.context.epoch
            self.words.endorsed(who, epoch, self.gate.start, statement, _life_of(member))

    def arrive(self, sender: int, to: int, message: Message) -> None:
        adversary = self.adversaries.get(to)
        for heard in adversary.mishear(sender, message) if adversary is not None else [message]:
            super().arrive(sender, to, heard)

    def accused(self, member: Member, blame: Blame | BlameClient) -> None:
        if member.me not in self.adversaries:
            self.court.hear(member, blame)

    # -- time ----------------------------------------------------------------------------------------

    def beat(self) -> None:
        super().beat()
        for adversary in self.adversaries.values():
            adversary.on_time(Timer.HEARTBEAT)
            adversary.act()

    def fire_view_timers(self) -> None:
        super().fire_view_timers()
        for adversary in self.adversaries.values():
            adversary.on_time(Timer.VIEW)
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
            self.members[me].post(Received((me + 1) % self.system.member_count, proof))

    # -- the verdict ---------------------------------------------------------------------------------

    def check(self) -> None:
        check(self, self.honest)
        self._check_blames()

    def check_all(self) -> None:
        self.check()
        check_live(self)

    def _check_blames(self) -> None:
        """No correct member is accused; one that its leader told another log is suspected."""
        for member in self.honest:
            for blame in member.blames:
                harmless = blame.member in self.adversaries or blame.offence is Offence.OTHER_LOG
                require(harmless, f"seed {self.seed}: member {member.me} accuses {_text(blame)}")
        for (witness, _), verdict in self.court.convictions.items():
            lied = verdict.is_client or int(verdict.culprit[7:]) in self.adversaries
            require(lied, f"seed {self.seed}: the evidence of member {witness} convicts {verdict}")


def _life_of(member: Member) -> Life:
    rooms = member.engine.rooms
    log, newest = rooms.log, rooms.certifier.newest
    roots = {slot: root for slot in range(log.base, log.tip + 1) if (root := log.root(slot)) is not None}
    statement = newest.statement if newest is not None else None
    proven = (statement.slot, statement.root) if isinstance(statement, AcceptedStatement) else (0, b"")
    return Life(len(member.runs), roots, proven)


def _text(blame: Blame) -> str:
    return f"{blame.member}, who is correct: {blame.reason}"
