"""A member alone at the end of its epoch, its shares for the next one, and a peer with a memory."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from alliance.cli.serve import _whose
from alliance.config import file as config_file
from alliance.config.control import founded
from alliance.keys import handover, shares
from alliance.keys.handover import Received
from alliance.keys.shares import Generation, load_endorser
from alliance.pb import peer_pb2 as pb
from alliance.resharing.work import Answer, Kind, Task
from alliance.server.latest_statements import SignedStatement
from alliance.server.server import JOURNAL, Server
from alliance.server.signer import Signer
from alliance.storage.journal import Journal
from alliance.wire.membership import MembershipProof
from consensus.control import ControlState
from consensus.control.changes import Change, ChangeKind
from consensus.control.operations import PutMember
from consensus.control.pending import ActiveChange, ApprovedChange, PostedReady
from consensus.control.rows import receiver_statement
from consensus.control.transcript import transcript_digest
from fab_paxos.effects import CheckpointRecord, EntryRecord, ProvenRecord
from quorum import Context, GreetingStatement, JointStatement, VoteStatement
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.newcomers import newcomer
from tests.alliance.server.test_arrival import END, begun, with_state
from tests.worlds.founding import KEY_BITS, dealt, receiver
from verifiable_log.ordering_state import Checkpoint

ME, PEER = 0, 1
OLD, NEW = Generation(0), Generation(1)


class InProcess(Signer):
    """The share is opened as the signer's process opens it, without one: a process takes most of a second."""

    endorser: ThresholdRsaEndorser

    async def start(self, folder: Path, passphrase: bytes) -> None:
        alliance = config_file.load(folder)
        assert alliance.epoch == self._context.epoch
        self.endorser = load_endorser(folder, alliance, ME, passphrase)

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        """The others need no share of this member's."""


def _start(greeting: SignedStatement) -> int:
    assert isinstance(greeting.statement, GreetingStatement)
    return greeting.statement.incarnation


@dataclass
class Peer:
    """Another member: it remembers what it has heard of this one, and shows it, as it has to."""

    farm: Farm
    voted: SignedStatement
    heard: list[tuple[int, SignedStatement]] = field(default_factory=list)
    """With the epoch, the first one first."""

    def copy(self) -> Peer:
        return replace(self, heard=list(self.heard))

    @property
    def epoch(self) -> int:
        """In which the member has spoken last."""
        return self.heard[-1][0] if self.heard else 0

    async def greeted_by(self, server: Server) -> None:
        """Both shake hands, as on a new link. What the member says must not contradict what it has said."""
        epoch = server.term.config.epoch
        assert epoch >= self.epoch, "it speaks in an epoch that it has left"
        shown = [said for when, said in self.heard[-1:] if when == epoch]
        shown += [self.voted] if epoch == 0 else []
        mine = GreetingStatement(PEER, ME, 1, b"s" * 32)
        message = mine.encode(Context(self.farm.config.alliance_id, epoch))
        greeting = SignedStatement(mine, self.farm.members[PEER].signing_key.sign(message))
        steps: Iterator[dict[str, Any]] = iter(
            [
                {"memory": pb.Memory(statements=[one.encode() for one in shown])},
                {"greeting": greeting.encode()},
                {"welcome": pb.Welcome()},
            ]
        )

        async def read() -> bytes:
            return pb.Handshake(engine=pb.FAB_PAXOS, epoch=epoch, **next(steps)).SerializeToString()

        async def write(frame: bytes) -> None:
            said = pb.Handshake.FromString(frame)
            assert said.epoch == epoch
            if said.WhichOneof("step") == "greeting":
                came = SignedStatement.decode(said.greeting)
                came.verify(self.farm.config.members[ME].identity_key, server.term.config.context)
                assert all(_start(came) > _start(known) for _, known in self.heard)
                self.heard.append((epoch, came))

        await server.term.incarnation.shake_hands(PEER, read, write)


@dataclass(frozen=True)
class Ending:
    """The end of epoch 0 by a full change, as everybody has it, and the shares that a member has then."""

    farm: Farm
    proof: MembershipProof
    state: ControlState
    checkpoint: Checkpoint
    chain: Chain
    shares: dict[str, ThresholdRsaEndorser]

    def begin(self, home: Path) -> Path:
        """A member's folder at that end."""
        shutil.copytree(self.farm.member_home(ME), home)
        journal = Journal(home / JOURNAL, self.farm.config.alliance_id, self.farm.config.members[ME].name)
        decided = [*map(EntryRecord, self.chain.entries[:END])]
        journal.append([*decided, ProvenRecord(END, self.chain.certificate(END))])
        journal.save(self.checkpoint)
        journal.append([CheckpointRecord(self.checkpoint)])
        journal.close()
        return home

    def voted(self) -> SignedStatement:
        statement = VoteStatement(0, END, self.chain.root(END))
        message = statement.encode(self.farm.config.context)
        return SignedStatement(statement, self.farm.members[ME].signing_key.sign(message))

    async def perform(self, folder: Path, task: Task) -> Answer:
        """What a process of its own does: the shares are noted, and durable."""
        await asyncio.sleep(0)
        if task.kind is Kind.RECEIVE and NEW not in shares.generations(folder):
            agreed, _ = self.state.dealt_for.agreed
            (dealt_to,) = handover.receivers(folder)
            handover.note_received(folder, NEW, Received(agreed, dealt_to))
            shares.add_shares(folder, NEW, self.shares, PASSPHRASE)
        return Answer(self.proof.keys)


def ending(farm: Farm, chain: Chain, *, leaves: bool = False) -> Ending:
    """``leaves``: another one takes this member's place, with its name."""
    config = farm.config
    before: list[tuple[str, AgreementKey]] = [("agreement", config.key), *config.purpose_keys]
    made = [
        dealt(config.system, key.threshold, KEY_BITS, place=place, dealing=1)[0]
        for place, (_, key) in enumerate(before)
    ]
    digest = transcript_digest([key.to_bytes() for key, _ in made])
    state = founded(config)
    row = state.directory.members[ME]
    operations: tuple[PutMember, ...] = ()
    if leaves:
        other = newcomer(row.name)
        identity, certificate = other.party.identity, other.party.certificate.public_bytes(Encoding.DER)
        key = receiver(27).key.to_bytes()
        signature = other.signing_key.sign(receiver_statement(row.name, identity, key))
        changed = replace(
            row, identity=identity, certificate=certificate, receiver=key, receiver_signature=signature
        )
        operations = (PutMember(changed, bytes(64)),)
    approved = ApprovedChange(b"c" * 32, Change(ChangeKind.FULL, 0, bytes(32), 0, 0, operations), 1)
    ready = tuple(
        PostedReady(one.name, 2, digest, one.receiver, one.receiver_signature, b"")
        for one in state.directory.members
        if not (leaves and one is row)
    )
    active = ActiveChange(approved, 1, 0, readies=ready)
    state = replace(state, slot=END, end=END, scheduled=(approved,), active=active)
    snapshot = with_state(chain, END, state)
    proof = begun(chain, state.next_epoch(), snapshot, tuple(key for key, _ in made))
    mine = {purpose: held[ME] for (purpose, _), (_, held) in zip(before, made, strict=True)}
    return Ending(farm, proof, state, Checkpoint(snapshot, farm.certify(snapshot.statement)), chain, mine)


@asynccontextmanager
async def started(home: Path) -> AsyncIterator[Server]:
    """As ``alliance serve`` starts it, but for its port. Raises what it ends with."""
    party, takes_part = _whose(home)
    assert takes_part
    server = Server.open(home, PASSPHRASE)
    try:
        assert server.name == party.name
        server._passphrase = PASSPHRASE
        server._parting = server._prepare_parting(PASSPHRASE)
        await server.term.start(PASSPHRASE)
        yield server
    finally:
        await server.stop()


async def go_over(server: Server, end: Ending) -> None:
    """From the end of epoch 0 into epoch 1, as soon as it is told who takes part there."""
    assert server._parting is not None
    _, succession = server._parting
    server._voucher._accept(end.proof)
    await server._epoch_over(succession)
    assert server._next is not None
    await server._enter(server._next)
