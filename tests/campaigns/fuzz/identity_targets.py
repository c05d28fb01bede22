"""What accuses somebody: files of evidence, and the handshake in which members show each other's words."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from alliance.errors import InvalidEvidence
from alliance.evidence.portable import TWO_STATEMENTS, PortableEvidence, export
from alliance.evidence.verdict import verify
from alliance.net.channels import NotServed
from alliance.pb import peer_pb2 as pb
from alliance.server.incarnation import Doubt, Incarnation, _next
from alliance.server.latest_statements import LatestStatements, SignedStatement
from alliance.storage.journal import Journal
from alliance.wire.bounds import Malformed
from alliance.wire.envelope import Mismatch
from fab_paxos.evidence import TwoStatements
from quorum import GreetingStatement, IndividualStatement, VoteStatement
from tests.alliance.farm import Chain, Farm
from tests.alliance.offences import history, offences
from tests.worlds.require import require

ME, PEER = 5, 0


# -- evidence ----------------------------------------------------------------------------------------


def evidences(farm: Farm, chain: Chain) -> list[bytes]:
    """Of every kind one, and the true words of a correct member, put together as if they were evidence."""
    context, log = farm.config.context, history([])
    made = [export(context, culprit, evidence, h) for culprit, evidence, h in offences(farm).values()]
    slots = chain.entries[3], chain.entries[4]
    proposals = TwoStatements(farm.propose(slots[0]), farm.propose(slots[1]))
    votes = TwoStatements(*(farm.accepted(e.view, e.slot, e.root, 0) for e in slots))
    same = TwoStatements(proposals.first, farm.accepted(slots[0].view, slots[0].slot, slots[0].root, 0))
    innocent = [export(context, "member-1", words, log) for words in (proposals, votes, same)]
    return [evidence.to_json().encode() for evidence in (*made, *innocent)]


class EvidenceTarget:
    """Whoever is convicted did contradict itself."""

    def __init__(self, farm: Farm) -> None:
        self._config = farm.config
        self._guilty = {culprit for culprit, _, _ in offences(farm).values()}

    def __call__(self, data: bytes) -> bool:
        try:
            evidence = PortableEvidence.from_json(data)
            require(PortableEvidence.from_json(evidence.to_json()) == evidence, "a file changes on its way")
            verdict = verify(self._config, evidence)
        except InvalidEvidence:
            return False
        require(verdict.culprit in self._guilty, f"{verdict.culprit} is convicted and has done nothing")
        require(verdict.kind != TWO_STATEMENTS or verdict.culprit == "member-3", "of what another has done")
        return True


# -- the handshake -----------------------------------------------------------------------------------


class HandshakeTarget:
    """A member that shakes hands: it stops for nothing that it said, and believes only true greetings."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self._farm = farm
        name = farm.config.members[ME].name
        self._journal = Journal(folder / "handshake.sqlite", farm.config.alliance_id, name)
        key = farm.members[ME].signing_key
        self._member = Incarnation(farm.config, ME, key, self._journal, LatestStatements(len(farm.members)))
        self._true = {word.encode().SerializeToString() for word in self._greetings()}

    def corpus(self) -> list[bytes]:
        own = SignedStatement.decode(self._member._greeting(PEER).encode())
        early = self._signed(ME, VoteStatement(0, 0, bytes(32)))
        return [
            _step(memory=pb.Memory()),
            _step(memory=pb.Memory(statements=[own.encode(), early.encode()])),
            _step(memory=pb.Memory(statements=[self._signed(PEER, early.statement).encode()])),
            *(_step(greeting=word.encode()) for word in self._greetings()),
            _step(greeting=self._signed(PEER, GreetingStatement(PEER, 1, 9, b"s" * 32)).encode()),
            _step(welcome=pb.Welcome()),
            _step(farewell="its start number 3"),
            _step(engine=pb.ENGINE_UNSPECIFIED, memory=pb.Memory()),
            _step(epoch=1, memory=pb.Memory()),
        ]

    def _greetings(self) -> list[SignedStatement]:
        return [self._signed(PEER, GreetingStatement(PEER, ME, number, b"s" * 32)) for number in (1, 2)]

    def _signed(self, member: int, statement: IndividualStatement) -> SignedStatement:
        message = statement.encode(self._farm.config.context)
        return SignedStatement(statement, self._farm.members[member].signing_key.sign(message))

    def __call__(self, data: bytes) -> bool:
        passed = [self._passes(data, step) for step in ("memory", "greeting", "welcome")]
        return any(passed)

    def _passes(self, data: bytes, step: str) -> bool:
        async def read() -> object:
            return data

        try:
            came = _now(_next(read, step, 0))
            if step == "memory":
                self._member._examine(PEER, came.memory)
            elif step == "greeting":
                word = SignedStatement.decode(came.greeting)
                self._member._take(PEER, self._member._held[PEER], word)
                require(word.encode().SerializeToString() in self._true, "a greeting is believed")
        except (Malformed, Mismatch, NotServed, Doubt):
            return False
        return True


def _step(**what: Any) -> bytes:
    return pb.Handshake(**{"engine": pb.FAB_PAXOS, **what}).SerializeToString()


def _now(work: Coroutine[Any, Any, pb.Handshake]) -> pb.Handshake:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: pb.Handshake = done.value
        return result
    raise AssertionError("it waits")
