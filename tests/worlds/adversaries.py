"""The liars, by name. Each owns one member and nothing else; ``equivocation`` has the two-faced ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from fab_paxos.events import Submitted
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    FetchBatches,
    FetchState,
    Forward,
    Message,
    NewView,
    Propose,
    ProveShare,
    Report,
    Status,
)
from fab_paxos.selection import ReportedEntry
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    JointStatement,
    ProgressStatement,
    SuspectStatement,
)
from tests.worlds.cluster import client_id
from tests.worlds.equivocation import Equivocator, Twin, TwoOpenings, rogue_submission
from tests.worlds.hardships import Amnesiac, Poisoner, RottenDisk, Slow
from tests.worlds.standin import BAD_PLAIN, BAD_PROVEN
from tests.worlds.world import Adversary, World
from verifiable_log import Batch
from verifiable_log.batch import NOOP
from verifiable_log.checkpoint_offer import StatePart
from verifiable_log.log_frame import LogFrame


class Silent(Adversary):
    """Says nothing; or nothing any more from some moment on."""

    def __init__(self, world: World, me: int, dice: Random, patience: int | None = None) -> None:
        super().__init__(world, me, dice)
        self._left = dice.choice((0, 0, 30, 100, 300)) if patience is None else patience

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        self._left -= 1
        return [message] if self._left >= 0 else []


class Withholder(Adversary):
    """Keeps some kinds of messages from some members, and others back for a while."""

    KINDS = (
        Propose, Accepted, CertifyRequest, Endorsed, Certified, Status, LogFrame, Forward, Report,
        NewView, Batches,
    )  # fmt: skip

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self._never = {(kind, to) for kind in self.KINDS for to in self.others if dice.random() < 0.3}
        self._slow = {kind for kind in self.KINDS if dice.random() < 0.3}
        self._kept: list[tuple[int, Message]] = []

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if (type(message), to) in self._never:
            return []
        if type(message) in self._slow:
            self._kept.append((to, message))
            return []
        return [message]

    def act(self) -> None:
        kept, self._kept = self._kept, []
        for to, message in kept:
            self.speak(to, message)


class Censor(Adversary):
    """Orders everybody's work but one client's; fills the log with a friend's, so that it moves on."""

    def __init__(self, world: World, me: int, dice: Random, client: int = 0) -> None:
        super().__init__(world, me, dice)
        self._victim = client_id(client)
        self._friend = 0

    def hear(self, sender: int, message: Message) -> list[Message]:
        if not isinstance(message, Forward):
            return [message]
        kept = tuple(one for one in message.submissions if one.client_id != self._victim)
        return [Forward(kept)] if kept else []

    def on_time(self, name: str) -> None:
        if self.puppet.replica is not None and not self.world.quiet:
            self.puppet.post(Submitted(rogue_submission(self.world, self.dice)))


class ShareForger(Adversary):
    """Bad shares on everything that is jointly signed: garbage, garbage as proof, another statement's."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if not isinstance(message, Endorsed):
            return [message]
        endorsement = message.endorsement
        return [Endorsed(self._spoilt(endorsement)), *([message] if self.dice.random() < 0.3 else [])]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if isinstance(message, Endorsed) and self.dice.random() < 0.5:  # a bad one on whatever is going on
            self.speak(sender, Endorsed(self._spoilt(message.endorsement)))
        return [message]

    def _spoilt(self, endorsement: Endorsement) -> Endorsement:
        statement = endorsement.statement
        match self.dice.randrange(4):
            case 0:
                return replace(endorsement, signature=BAD_PLAIN)
            case 1:
                return replace(endorsement, signature=BAD_PROVEN)
            case 2:
                other = self.endorse(_shifted(statement), proven=self.dice.random() < 0.5)
                return Endorsement(statement, self.me, other.signature)
            case _:
                return self.endorse(_shifted(statement))


def _shifted(statement: JointStatement) -> JointStatement:
    match statement:
        case AcceptedStatement(view, slot, root):
            return AcceptedStatement(view, slot + 1, root)
        case SuspectStatement(view):
            return SuspectStatement(view + 1)
        case CheckpointStatement(slot, root, digest):
            return CheckpointStatement(slot + 1, root, digest)
        case ProgressStatement(view, digest):
            return ProgressStatement(view + 1, digest)
        case _:
            return statement


class ReportLiar(Adversary):
    """Its Reports name wrong digests, leave out entries, invent slots, and differ from time to time."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        return [self._lie(message)] if isinstance(message, Report) else [message]

    def hear(self, sender: int, message: Message) -> list[Message]:
        view = self.puppet.engine.view if self.puppet.replica is not None else 0
        if isinstance(message, Certified | Report) and self.dice.random() < 0.5:
            leader = self.world.system.leader(view)
            if leader != self.me:
                self.speak(leader, self._lie(Report(view, None, ())))
        return [message]

    def _lie(self, report: Report) -> Report:
        entries = list(report.entries)
        base = report.base if self.dice.random() < 0.7 else None
        below = (
            base.statement.slot if base is not None and isinstance(base.statement, AcceptedStatement) else 0
        )
        match self.dice.randrange(5):
            case 0:
                entries = [e for e in entries if self.dice.random() < 0.5]
            case 1:
                entries = [replace(e, batch_digest=self._digest()) for e in entries]
            case 2:
                top = below + self.dice.choice((3, WINDOW_SLOTS, 2 * WINDOW_SLOTS))
                entries = [ReportedEntry(slot, 0, self._digest()) for slot in range(below + 1, top + 1)]
            case 3:
                entries = [replace(e, view=self.dice.randrange(report.view + 2)) for e in entries]
            case _:
                entries += entries[-1:]  # the same slot twice
        kept = tuple(entry for entry in entries if entry.slot > below)
        return Report(report.view, base, kept)

    def _digest(self) -> bytes:
        held = [e.batch.digest for e in self.puppet.disk.entries.values()]
        return self.dice.choice([NOOP.digest, bytes(32), self.dice.randbytes(32), *held[-4:]])


class BadOpener(Adversary):
    """As leader, NewViews that do not follow from true Reports, before or in place of the true one."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if not isinstance(message, NewView) or self.world.system.leader(message.view) != self.me:
            return [message]
        spoilt = self._spoilt(message)
        return [spoilt, message] if self.dice.random() < 0.5 else [spoilt]

    def _spoilt(self, new_view: NewView) -> NewView:
        reports, vector = new_view.reports, list(new_view.vector)
        match self.dice.randrange(5):
            case 0 if vector:  # a forced digest is ignored
                vector[self.dice.randrange(len(vector))] = self.dice.choice((NOOP.digest, bytes(32)))
            case 1:
                vector = vector[:-1] if vector else [NOOP.digest]
            case 2:  # a Report counts twice
                reports = tuple(sorted((*reports[1:], reports[-1]), key=lambda pair: pair[0]))
            case 3:  # an invented Report
                member, report = reports[-1]
                reports = (*reports[:-1], (member, replace(report, entries=())))
                vector = []
            case _:
                reports = reports[1:]
        return NewView(new_view.view, reports, tuple(vector))


class Spammer(Adversary):
    """Whatever a member may say, false and often."""

    def act(self) -> None:
        for _ in range(0 if self.world.quiet else self.dice.randrange(12)):
            self.speak(self.dice.choice(self.others), self._noise())

    def _noise(self) -> Message:
        dice = self.dice
        view = max((member.engine.view for member in self.world.live()), default=0)
        far = dice.choice((0, 1, 2, 7, 10**6, 2**63))
        slot = max(1, dice.choice((1, 2, 5, 40, 200, 10**9, 2**62)))
        match dice.randrange(12):
            case 0 | 1:
                return Endorsed(self.endorse(SuspectStatement(view + far), proven=dice.random() < 0.5))
            case 2:
                return Status(
                    view + far if dice.random() < 0.3 else view, slot, slot, slot, dice.random() < 0.5
                )
            case 3:
                return CertifyRequest(view, slot)
            case 4:
                return Fetch(slot)
            case 5:
                digests = [entry.batch.digest for entry in self.puppet.disk.entries.values()][-8:]
                return FetchBatches((*digests, bytes(32), NOOP.digest))
            case 6:
                return Forward(tuple(rogue_submission(self.world, dice) for _ in range(dice.randrange(1, 4))))
            case 7:
                return Accepted(view, slot, dice.randbytes(32))
            case 9:
                return FetchState(slot, dice.choice((0, 1, 10**6)))
            case 10:
                return StatePart(slot, 0, (dice.randbytes(60),))
            case 11:
                return Endorsed(self.endorse(CheckpointStatement(slot, dice.randbytes(32), bytes(32))))
            case 8:
                return ProveShare(AcceptedStatement(view, slot, dice.randbytes(32)))
            case _:
                return Batches((Batch.of([rogue_submission(self.world, dice)]),))


class Replayer(Adversary):
    """Says again, to anybody, what it once said to somebody."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self._said: list[Message] = []

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if len(self._said) < 500:
            self._said.append(message)
        return [message]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if isinstance(message, Propose | NewView | Certified | LogFrame | Forward | Batches):
            self._said.append(message)  # words that convince from anybody
        return [message]

    def act(self) -> None:
        for _ in range(min(len(self._said), self.dice.randrange(15))):
            self.speak(self.dice.choice(self.others), self.dice.choice(self._said))


KINDS: dict[str, Callable[[World, int, Random], Adversary]] = {
    "silent": Silent,
    "slow": Slow,
    "withholder": Withholder,
    "censor": Censor,
    "share forger": ShareForger,
    "report liar": ReportLiar,
    "bad opener": BadOpener,
    "amnesiac": Amnesiac,
    "spammer": Spammer,
    "replayer": Replayer,
    "equivocator": Equivocator,
    "conflicting NewViews": TwoOpenings,
    "twin": Twin,
    "poisoner": Poisoner,
    "bit flips": RottenDisk,
}
