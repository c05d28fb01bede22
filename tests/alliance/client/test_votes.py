"""Votes for a receipt: gathered from servers of which some lie, are silent, or have not heard enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.client import Client, votes
from alliance.client import revisions as follower
from alliance.errors import InvalidReceipt, VotesMissing
from alliance.pb import client_pb2 as pb
from alliance.proofs.receipt import Receipt
from alliance.proofs.votes import Vote
from quorum import Context, DecisionCertificate, VoteStatement
from tests.alliance.conftest import Run
from tests.alliance.epochs import END, new_member, next_epoch, proof
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Doors, Office, Said, at, serving

SHORT = 0.3
"""Seconds: for what never comes."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "PAUSES_SECONDS", (0.01,))
    monkeypatch.setattr(votes, "STAGGER_SECONDS", 0.05)
    monkeypatch.setattr(follower, "PAUSES_SECONDS", (0.0,) * 5)


@pytest.fixture
def receipt(farm: Farm) -> Receipt:
    return Chain(farm).grow(3).receipt(2, 0, 0, 3)


def signature(farm: Farm, receipt: Receipt, member: int, **other: Any) -> bytes:
    """The member's vote on the receipt's log, or on an ``other`` one."""
    said = receipt.certificate.statement
    fields: dict[str, Any] = {"view": said.view, "slot": said.slot, "root": said.root}
    fields |= {"context": receipt.context} | other
    return farm.accepted(signer=member, **fields).signature


def replied(pairs: Iterable[tuple[int, bytes]]) -> pb.VotesReply:
    return pb.VotesReply(votes=[pb.MemberVote(member=at, signature=signed) for at, signed in pairs])


@dataclass
class Stage:
    """A log, one receipt of it, and a client; the servers are each test's own."""

    farm: Farm
    receipt: Receipt
    _client: Client | None = None

    @property
    def client(self) -> Client:
        assert self._client is not None
        return self._client

    def true(self, *members: int) -> list[tuple[int, bytes]]:
        return [(member, signature(self.farm, self.receipt, member)) for member in members]

    async def gather(self, timeout: float = 10.0) -> list[int]:
        """Whose votes there are. Each of them is true, and no more than it takes."""
        voted = await self.client.with_votes(self.receipt, timeout)
        voted.verify(self.client.public_key, [one.identity_key for one in self.farm.config.members])
        assert replace(voted, votes=()) == self.receipt
        assert Receipt.from_json(voted.to_json()) == voted
        return [vote.member for vote in voted.votes]


class Teller:
    """A server that answers with these votes, and counts how often it was asked."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.asked: list[pb.VotesRequest] = []

    def serve(self, server: grpc.aio.Server) -> None:
        handlers: Any = {"Votes": grpc.unary_unary_rpc_method_handler(self._answer)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("alliance.v1.Client", handlers),)
        )

    async def _answer(self, request: bytes, context: Any) -> bytes:
        self.asked.append(pb.VotesRequest.FromString(request))
        if not self.replies:
            await asyncio.Event().wait()  # it never answers
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def telling(*pairs: tuple[int, bytes]) -> Teller:
    return Teller(replied(pairs).SerializeToString())


@asynccontextmanager
async def stage(farm: Farm, folder: Path, servers: Callable[[Stage], dict[int, Any]]) -> AsyncIterator[Stage]:
    it = Stage(farm, Chain(farm).grow(3).receipt(2, 0, 0, 3))
    async with AsyncExitStack() as stack:
        ports = {i: await stack.enter_async_context(serving(farm, i, one)) for i, one in servers(it).items()}
        dead = await stack.enter_async_context(Doors(farm, {}))
        members = tuple(at(farm.config, i, ports.get(i, dead.dead_port)) for i in range(6))
        config = replace(farm.config, members=members)
        it._client = await stack.enter_async_context(Client(config, farm.clients[0], folder))
        yield it


def test_one_server_has_them_all(farm: Farm, tmp_path: Path, run: Run) -> None:
    """As many as it takes are taken, and what is asked for is the log of the certificate."""
    asked: list[Teller] = []

    def servers(it: Stage) -> dict[int, Any]:
        asked.append(telling(*it.true(1, 2, 4, 5)))
        return {3: asked[0]}

    async def scenario() -> None:
        async with stage(farm, tmp_path, servers) as it:
            assert await it.gather() == [1, 2]
            said = it.receipt.certificate
            expected = pb.VotesRequest(epoch=said.epoch, view=said.view, slot=said.slot, root=said.root)
            assert asked[0].asked[0] == expected

    run(scenario())


def test_several_servers_have_one_each(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with stage(farm, tmp_path, lambda it: {n: telling(*it.true(4 - n)) for n in (0, 2)}) as it:
            assert await it.gather() == [2, 4]

    run(scenario())


def test_what_comes_late_is_asked_for_again(farm: Farm, tmp_path: Path, run: Run) -> None:
    """A certificate may be ahead of the votes of slow members."""

    def servers(it: Stage) -> dict[int, Any]:
        few, more = replied(it.true(1)), replied(it.true(1, 5))
        return {0: Teller(*(reply.SerializeToString() for reply in (replied(()), few, few, more)))}

    async def scenario() -> None:
        async with stage(farm, tmp_path, servers) as it:
            assert await it.gather() == [1, 5]

    run(scenario())


LIES: dict[str, Callable[[Stage], list[tuple[int, bytes]]]] = {
    "no signature": lambda it: [(1, b"")],
    "zeros": lambda it: [(1, bytes(64))],
    "cut": lambda it: [(1, it.true(1)[0][1][:-1])],
    "of another member": lambda it: [(1, it.true(2)[0][1])],
    "of nobody": lambda it: [(6, it.true(1)[0][1])],
    "of a member far off": lambda it: [(2**64 - 1, it.true(1)[0][1])],
    "of another slot": lambda it: [(1, signature(it.farm, it.receipt, 1, slot=9))],
    "of another view": lambda it: [(1, signature(it.farm, it.receipt, 1, view=9))],
    "of another root": lambda it: [(1, signature(it.farm, it.receipt, 1, root=b"o" * 32))],
    "of another epoch": lambda it: [
        (1, signature(it.farm, it.receipt, 1, context=Context(it.receipt.alliance_id, 1)))
    ],
    "of another alliance": lambda it: [(1, signature(it.farm, it.receipt, 1, context=Context(b"o" * 32, 0)))],
    "a proposal": lambda it: [(1, it.farm.propose(Chain(it.farm).grow(3).entries[-1], 1).signature)],
    "far too many": lambda it: it.true(1) * 7,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_false_vote_counts_for_nothing(
    farm: Farm, receipt: Receipt, lie: Callable[[Stage], list[tuple[int, bytes]]]
) -> None:
    """Nor does what its teller says after it."""
    it = Stage(farm, receipt)
    gathering = votes._Gathering(receipt)
    gathering.electorate = farm.config
    with pytest.raises(InvalidReceipt):
        gathering.take(replied([*lie(it), *it.true(4, 5)]))
    assert not gathering._votes.keys() & {4, 5}
    assert not gathering.complete
    gathering.take(replied(it.true(4, 5)))
    assert [vote.member for vote in gathering.taken()] in ([4, 5], [1, 4])


def test_a_liar_is_not_asked_again(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Beside it, another one's true votes are taken."""
    liars: list[Teller] = []

    def servers(it: Stage) -> dict[int, Any]:
        liars.append(telling((1, bytes(64)), *it.true(2)))
        late = [replied(()).SerializeToString()] * 3
        return {0: liars[0], 4: Teller(*late, replied(it.true(3, 5)).SerializeToString())}

    async def scenario() -> None:
        async with stage(farm, tmp_path, servers) as it:
            assert await it.gather() == [3, 5]
            assert len(liars[0].asked) == 1

    run(scenario())


def test_one_vote_told_by_all_is_one_vote(farm: Farm, tmp_path: Path, run: Run) -> None:
    """A liar's own, which it gives to everybody, twice: nor do f liars' votes make f + 1."""

    async def scenario() -> None:
        async with stage(farm, tmp_path, lambda it: {n: telling(*it.true(3, 3)) for n in range(3)}) as it:
            with pytest.raises(VotesMissing, match="1 of the 2 votes that are more than liars make"):
                await it.gather(SHORT)

    run(scenario())


@pytest.mark.parametrize("answer", [b"\xff", b"\x0a\x02\x08"], ids=["junk", "cut"])
def test_servers_that_are_silent_or_speak_in_tongues_delay_nobody(
    farm: Farm, tmp_path: Path, run: Run, answer: bytes
) -> None:
    """One never answers, one answers nonsense, one is of a version without votes, others are down."""

    def servers(it: Stage) -> dict[int, Any]:
        late = [replied(()).SerializeToString()] * 2
        true = Teller(*late, replied(it.true(0, 5)).SerializeToString())
        return {0: Teller(), 1: Teller(answer), 2: Said("Status", b""), 3: true}

    async def scenario() -> None:
        async with stage(farm, tmp_path, servers) as it:
            assert await it.gather(votes.ASK_SECONDS - 1) == [0, 5]

    run(scenario())


def test_who_has_none_is_told_what_to_do(farm: Farm, tmp_path: Path, run: Run) -> None:
    """From servers of ours that have heard nothing; the receipt is what it was."""
    chain = Chain(farm).grow(3)

    async def scenario() -> None:
        office = Office(tmp_path / "journal.sqlite", chain)
        async with stage(farm, tmp_path, lambda it: {0: office}) as it:
            with pytest.raises(VotesMissing, match=r"0 of the 2 votes .* within 0.3 s: .* Client.resume"):
                await it.gather(SHORT)
            with pytest.raises(InvalidReceipt):
                await it.client.with_votes(replace(it.receipt, command=b"another"))
            wrong: Any = it.receipt.to_json()
            with pytest.raises(TypeError, match="must be a Receipt"):
                await it.client.with_votes(wrong)
        office.journal.close()

    run(scenario())


def test_epoch_votes_beside_the_last_receipts_of_an_epoch(farm: Farm, tmp_path: Path, run: Run) -> None:
    """The members of the epoch go on to the next, the client too: the votes are of the old epoch's members,
    and those of the next epoch's count for nothing there. So with the first receipt of the next one, at a
    client that does not know its members yet.
    """
    chain, seventh = Chain(farm).grow(END), new_member("seventh")
    office = Office(tmp_path / "journal.sqlite", chain)
    office.tell_all()

    def note(of: Farm, receipt: Receipt, *members: int) -> None:
        said = receipt.certificate.statement
        for member in members:
            signed = signature(of, receipt, member)
            vote = VoteStatement(said.view, said.slot, said.root)
            office.term.gate.votes.note(member, vote, signed)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(serving(farm, 1, office))
            nobody = (await stack.enter_async_context(Doors(farm, {}))).dead_port
            old = replace(
                farm, config=replace(farm.config, members=tuple(at(farm.config, n, nobody) for n in range(6)))
            )
            members = (*old.config.members[:1], at(farm.config, 1, port), *old.config.members[2:])
            old = replace(old, config=replace(old.config, members=members))
            client = await stack.enter_async_context(Client(old.config, farm.clients[0], tmp_path))
            last = chain.receipt(END, 0, 0, END)
            note(old, last, 0, 3)
            new, membership = next_epoch(old, {0: seventh}, addresses={0: f"127.0.0.1:{nobody}"})
            # The server is in the next epoch, and has votes of its members on its first slot.
            office.directory.update(new.config)
            office.voucher.proof = proof(old, new, membership, chain.frontiers[-1].root)
            office.term.gate = type(office.term.gate)(new.config)
            office.service.start()
            chain.farm = new
            chain.grow(1, first_seq=END + 1)
            there = chain.receipt(END + 1, 0, 0, END + 1)
            signed = DecisionCertificate.of(new.certify(there.certificate.statement, new.config.context))
            first = replace(there, certificate=signed)
            note(new, first, 0, 2)
            assert client.config.epoch == 0
            voted = await client.with_votes(first)
            assert client.config.epoch == 1
            voted.verify(client.public_key, [one.identity_key for one in new.config.members])
            assert [vote.member for vote in voted.votes] == [0, 2]
            before = await client.with_votes(last)
            before.verify(client.public_key, [one.identity_key for one in old.config.members])
            assert [vote.member for vote in before.votes] == [0, 3]
            with pytest.raises(InvalidReceipt, match="not signed by member 1"):
                before.verify(client.public_key, [one.identity_key for one in new.config.members])
            office.service._votes.clear()
            with pytest.raises(VotesMissing, match="0 of the 2"):
                await client.with_votes(last, SHORT)
            client._votes._epochs = client._votes._epochs[-1:]
            with pytest.raises(VotesMissing, match=r"members of epoch 0, .* have gone meanwhile"):
                await client.with_votes(last)
        office.journal.close()

    run(scenario())


def test_epoch_members_that_nobody_proves_are_waited_for_and_not_for_ever(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """A receipt of an epoch ahead, from servers that prove nothing of it; and no vote counts meanwhile."""

    async def scenario() -> None:
        async with stage(farm, tmp_path, lambda it: {0: telling(*it.true(0, 1, 2))}) as it:
            ahead = Context(it.receipt.alliance_id, 1)
            signed = DecisionCertificate.of(farm.certify(it.receipt.certificate.statement, ahead))
            it.receipt = replace(it.receipt, certificate=signed)
            with pytest.raises(VotesMissing, match="who the members of epoch 1 are"):
                await it.gather(SHORT)

    run(scenario())


def test_no_vote_is_taken_twice_from_anybody(farm: Farm, tmp_path: Path, run: Run) -> None:
    """A vote that is held already is not checked again: a second, false one beside it changes nothing."""

    def servers(it: Stage) -> dict[int, Any]:
        first, second = replied(it.true(1)), replied([(1, bytes(64)), *it.true(2)])
        return {0: Teller(first.SerializeToString(), second.SerializeToString())}

    async def scenario() -> None:
        async with stage(farm, tmp_path, servers) as it:
            voted = await it.client.with_votes(it.receipt)
            assert voted.votes == tuple(Vote(*pair) for pair in it.true(1, 2))

    run(scenario())
