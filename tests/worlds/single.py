"""One engine alone on the bench: the test speaks for all its peers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from fab_paxos import EngineConfig, Replica, RestoredState
from fab_paxos.effects import Blame, Broadcast, Certify, Decide, Effect, Persist, Send
from fab_paxos.events import Drained, Event, Received, Started, Submitted
from fab_paxos.messages import Accepted, Message, Propose
from quorum import AcceptedStatement, Endorsement, QuorumCertificate, QuorumSystem, combine
from tests.worlds.cluster import SIX
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme
from verifiable_log import Batch, Submission
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf

Kind = TypeVar("Kind")


class Script:
    """A log that the leader of view 0 might propose, with the votes and certificates that belong to it."""

    def __init__(self, system: QuorumSystem = SIX) -> None:
        self.system = system
        self.batches: list[Batch] = []
        self.frontiers: list[Frontier] = [EMPTY]

    def add(self, *submissions: Submission) -> Propose:
        batch = Batch.of(submissions)
        slot = len(self.batches) + 1
        self.batches.append(batch)
        self.frontiers.append(self.frontiers[-1].append(slot_leaf(slot, batch.digest)))
        return self.propose(slot)

    def propose(self, slot: int) -> Propose:
        return Propose(0, slot, self.batches[slot - 1], self.root(slot), b"by the leader")

    def root(self, slot: int) -> bytes:
        return self.frontiers[slot].root

    def accepted(self, slot: int) -> Accepted:
        return Accepted(0, slot, self.root(slot), b"by an acceptor")

    def statement(self, slot: int) -> AcceptedStatement:
        return AcceptedStatement(0, slot, self.root(slot))

    def endorsement(self, member: int, slot: int, *, proven: bool = False) -> Endorsement:
        statement = self.statement(slot)
        share = StandInEndorser(member).endorse(statement.encode(CONTEXT), proven=proven)
        return Endorsement(statement, member, share)

    def certificate(self, slot: int) -> QuorumCertificate:
        decision = self.system.decision
        return combine(StandInScheme(decision), [self.endorsement(m, slot) for m in range(decision)])


class Bench:
    def __init__(self, me: int = 5, system: QuorumSystem = SIX, state: RestoredState | None = None) -> None:
        self.me = me
        self.replica = Replica(EngineConfig(system, me), state or RestoredState())
        self.log: list[Effect] = []
        self.step(Started())

    def step(self, *events: Event) -> list[Effect]:
        """The effects of these events alone."""
        out: list[Effect] = []
        for event in events:
            out.extend(self.replica.step(event))
        self.log.extend(out)
        return out

    def hear(self, sender: int, *messages: Message) -> list[Effect]:
        return self.step(*(Received(sender, message) for message in messages))

    def drain(self) -> list[Effect]:
        return self.step(Drained())

    def submit(self, *submissions: Submission) -> list[Effect]:
        return self.step(*map(Submitted, submissions))

    @property
    def decided(self) -> list[int]:
        return [effect.entry.slot for effect in self.log if isinstance(effect, Decide)]

    @property
    def blames(self) -> list[Blame]:
        return only(self.log, Blame)


def only(effects: Iterable[Effect], kind: type[Kind]) -> list[Kind]:
    return [effect for effect in effects if isinstance(effect, kind)]


def said(effects: Iterable[Effect], kind: type[Kind]) -> list[Kind]:
    """The messages of one kind that these effects broadcast or send."""
    spoken = [effect.message for effect in effects if isinstance(effect, Broadcast | Send)]
    return [message for message in spoken if isinstance(message, kind)]


def persisted(effects: Iterable[Effect]) -> list[Persist]:
    return only(effects, Persist)


def certified(effects: Iterable[Effect]) -> list[int]:
    statements = [effect.certificate.statement for effect in effects if isinstance(effect, Certify)]
    return [statement.slot for statement in statements if isinstance(statement, AcceptedStatement)]
