"""A requester and several desks over mutual TLS: refusals, liars with their names, members that are away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest

from alliance.cli.demo.cluster import free_addresses
from alliance.client import Client
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.errors import ConfigError, Unreachable
from alliance.net.channels import Channels, Identities
from alliance.pb import signing_pb2 as pb
from alliance.pb import signing_pb2_grpc
from alliance.proofs.receipt import Receipt
from alliance.signing import Desk, Policy, SigningClient
from alliance.signing import client as client_module
from alliance.signing.errors import SharesMissing, SigningRefused
from alliance.signing.member import WAITING_PER_CLIENT_MAX, SigningService
from alliance.signing.order import to_command
from tests.alliance.conftest import Run
from tests.alliance.farm import TIME_MS, Farm
from tests.alliance.network import serving
from tests.signing.conftest import Registry, in_epoch_1, signers
from tests.signing.samples import TOKENS, token

Bend = Callable[[pb.ShareReply], pb.ShareReply]
STRICT = TOKENS.replace('"deploy/*"', '"barn"')


class Served(SigningService):
    """A desk at the farm's time; ``bend`` is what a liar makes of its answers."""

    def __init__(self, farm: Farm, config: AllianceConfig, me: int, policy: str, bend: Bend) -> None:
        desk = Desk(config, [Policy.from_toml(policy, "policy")], {"tokens": signers()[me]})
        super().__init__(Directory(config), Identities(config), desk, lambda: TIME_MS / 1000)
        self._bend = bend
        self.asked = 0

    def serve(self, server: grpc.aio.Server) -> None:
        signing_pb2_grpc.add_SigningServicer_to_server(self, server)  # type: ignore[no-untyped-call]

    async def Share(self, request: pb.ShareRequest, context: Any) -> pb.ShareReply:
        self.asked += 1
        return self._bend(await super().Share(request, context))


class Town:
    """Desks by member: a policy, and how it lies."""

    def __init__(self, farm: Farm, config: AllianceConfig, folder: Path) -> None:
        self.farm = farm
        self.config = config
        self.known = config
        """What the client begins with."""
        self.served: list[Served] = []
        self._folder = folder

    @asynccontextmanager
    async def client(self, *desks: tuple[str, Bend] | None) -> AsyncIterator[SigningClient]:
        async with AsyncExitStack() as stack:
            addresses = free_addresses(6)
            for me, desk in enumerate(desks):
                if desk is not None:
                    served = Served(self.farm, self.config, me, *desk)
                    self.served.append(served)
                    port = await stack.enter_async_context(serving(self.farm, me, served))
                    addresses[me] = f"127.0.0.1:{port}"
            members = tuple(
                replace(member, applications=(("sign", address),))
                for member, address in zip(self.config.members, addresses, strict=True)
            )
            there = replace(self.known, members=members)
            yield await stack.enter_async_context(
                SigningClient(Client(there, self.farm.clients[0], self._folder))
            )


def honest(reply: pb.ShareReply) -> pb.ShareReply:
    return reply


def spoiled(reply: pb.ShareReply) -> pb.ShareReply:
    return pb.ShareReply(share=reply.share[:-1] + bytes([reply.share[-1] ^ 1]), digest=reply.digest)


def of_others(reply: pb.ShareReply) -> pb.ShareReply:
    return pb.ShareReply(share=reply.share, digest=bytes(32))


def newer(reply: pb.ShareReply) -> pb.ShareReply:
    assert not reply.revision
    return Membership(0, 5).named_in(reply)


def rude(reply: pb.ShareReply) -> pb.ShareReply:
    return pb.ShareReply(refusal="\x1b[31mno\n" + "x" * 1000)


GOOD, STERN, BAD = (TOKENS, honest), (STRICT, honest), (TOKENS, spoiled)


@pytest.fixture
def town(farm: Farm, config: AllianceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(client_module, "AGAIN_SECONDS", 0.02)
    return Town(farm, config, tmp_path)


@pytest.fixture
def receipt(registry: Registry) -> Receipt:
    return registry.receipt(to_command("tokens", token()))


def test_enough_members_agree_and_the_others_do_not_matter(town: Town, receipt: Receipt, run: Run) -> None:
    """Two good ones of six: the rest refuse, lie, or are not there."""

    async def scenario() -> None:
        async with town.client(STERN, GOOD, None, BAD, GOOD) as client:
            signed = await client.collect(receipt)
        assert signed.members == ("member-2", "member-5")
        heard = dict(signed.refusals) | dict(signed.culprits)
        assert set(heard) <= {"member-1", "member-4"}
        key = jwt.PyJWK(signed.order.occasion.key.to_jwk())
        options: Any = {"verify_iat": False, "verify_exp": False, "verify_aud": False}
        claims = jwt.decode(signed.document.decode(), key, ["RS256"], options=options)
        assert claims["sub"] == "deploy/gate"

    run(scenario())


def test_what_the_desks_say_of_the_membership_is_kept(town: Town, receipt: Receipt, run: Run) -> None:
    async def scenario() -> None:
        async with town.client(GOOD, (TOKENS, newer)) as client:
            await client.collect(receipt)
            assert client.consensus.newest_membership == (0, 5)

    run(scenario())


def test_too_many_refuse(town: Town, receipt: Receipt, run: Run) -> None:
    async def scenario() -> None:
        async with town.client(STERN, STERN, (TOKENS, rude), STERN, GOOD, STERN) as client:
            with pytest.raises(SigningRefused) as refused:
                await client.collect(receipt)
        error = refused.value
        assert error.receipt is receipt
        assert dict(error.refusals)["member-1"] == "the subject 'deploy/gate' is not allowed"
        said = str(error)
        assert "2 members must agree, 1 did" in said or "2 members must agree, 0 did" in said
        assert "refused: member-1, member-2, member-4, member-6: the subject" in said
        assert "\x1b" not in said
        assert len(said) < 1000

    run(scenario())


def test_liars_are_named(town: Town, receipt: Receipt, run: Run) -> None:
    """Five of six, so that it is clear at once that two will not agree."""

    async def scenario() -> None:
        others = (TOKENS, of_others)
        async with town.client(GOOD, BAD, others, BAD, STERN, others) as client:
            with pytest.raises(SigningRefused) as refused:
                await client.collect(receipt)
        said = str(refused.value)
        assert "at fault: member-2, member-4: a bad share: " in said
        assert "at fault: member-3, member-6: it signed other bytes" in said
        assert "refused: member-5: the subject" in said
        assert [name for name, _ in refused.value.refusals] == ["member-5"]

    run(scenario())


def test_when_nobody_is_there_the_receipt_is_for_later(town: Town, receipt: Receipt, run: Run) -> None:
    async def scenario() -> None:
        async with town.client() as client:
            with pytest.raises(SharesMissing, match="2 members must agree, 0 did") as missing:
                await client.collect(receipt, timeout=0.2)
            assert missing.value.receipt is receipt
        async with town.client(GOOD, GOOD) as client:
            assert (await client.collect(receipt)).members == ("member-1", "member-2")

    run(scenario())


def test_who_collects_when_the_client_is_closed_keeps_the_receipt(
    town: Town, receipt: Receipt, run: Run
) -> None:
    async def scenario() -> None:
        async with town.client(GOOD) as client:
            collecting = asyncio.create_task(client.collect(receipt))
            while not client._channels:
                await asyncio.wait([collecting], timeout=0.01)
            await client.consensus.close()
            with pytest.raises(SharesMissing) as missing:
                await collecting
            assert missing.value.receipt is receipt
            with pytest.raises(Unreachable, match="this client is closed"):
                await client.collect(receipt)

    run(scenario())


def test_an_answer_that_breaks_the_client_is_told_and_not_waited_out(
    town: Town, receipt: Receipt, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("a bug")

    monkeypatch.setattr(client_module._Collection, "_hear", fail)

    async def scenario() -> None:
        async with town.client(GOOD) as client:
            with pytest.raises(ArithmeticError, match="a bug"):
                await client.collect(receipt)

    run(scenario())


def test_a_client_that_floods_waits_for_itself(
    town: Town, receipt: Receipt, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it hangs up: there is room again when the work is done, and not before."""
    free, judge = threading.Event(), Desk.judge

    def slow(desk: Desk, *arguments: Any) -> Any:
        free.wait(60)
        return judge(desk, *arguments)

    monkeypatch.setattr(Desk, "judge", slow)

    async def scenario() -> None:
        async with town.client(GOOD) as client:
            ask: Any = client.channel(client.config.members[0]).unary_unary(
                "/alliance.v1.Signing/Share",
                request_serializer=pb.ShareRequest.SerializeToString,
                response_deserializer=pb.ShareReply.FromString,
            )
            calls = [ask(pb.ShareRequest(receipt=b"{}")) for _ in range(WAITING_PER_CLIENT_MAX + 1)]
            (first, *_), _ = await asyncio.wait(
                [asyncio.ensure_future(call.code()) for call in calls], return_when=asyncio.FIRST_COMPLETED
            )
            assert first.result() is grpc.StatusCode.RESOURCE_EXHAUSTED
            hung_up = [call for call in calls if call.cancel()]
            assert len(hung_up) == WAITING_PER_CLIENT_MAX
            assert await ask(pb.ShareRequest()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            free.set()
            said = pb.ShareReply()
            while not said.share:
                with suppress(grpc.aio.AioRpcError):
                    said = await ask(pb.ShareRequest(receipt=receipt.to_json().encode()))

    run(scenario())


def test_members_are_no_clients(town: Town, receipt: Receipt, run: Run) -> None:
    async def scenario() -> None:
        async with town.client(GOOD) as client:
            client._channels = Channels(town.farm.members[3])
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.channel(client.config.members[0]).unary_unary("/alliance.v1.Signing/Share")(b"")
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    run(scenario())


def test_no_key_no_order(town: Town, run: Run) -> None:
    """Found out before anything is ordered: nobody is there to order it."""

    async def scenario() -> None:
        async with town.client() as client:
            for purpose in ("attestation", "agreement", "cellar"):
                with pytest.raises(ConfigError, match=purpose):
                    await client.sign(purpose, token())

    run(scenario())


def test_shares_of_another_epoch_are_asked_for_again_when_its_members_are_known(
    town: Town, receipt: Receipt, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be of another dealing, and do not combine with those of this one: nobody is to blame."""
    monkeypatch.setattr(client_module, "AGAIN_SECONDS", 0.01)
    town.config = replace(town.config, epoch=1)

    async def scenario() -> None:
        async with town.client(GOOD, GOOD) as client:
            signing = asyncio.create_task(client.collect(receipt))
            while not all(desk.asked > 1 for desk in town.served):
                await asyncio.wait([signing], timeout=0.01)
            assert not signing.done()
            client.consensus.directory.update(replace(client.config, epoch=1))
            signed = await signing
            assert (signed.members, signed.culprits) == (("member-1", "member-2"), ())

    run(scenario())


def test_a_desk_without_shares_is_asked_again(
    town: Town, receipt: Receipt, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "AGAIN_SECONDS", 0.01)

    async def scenario() -> None:
        async with town.client(GOOD, GOOD) as client:
            first, desk = town.served[0], town.served[0].desk
            first.desk = None
            signing = asyncio.create_task(client.collect(receipt))
            while first.asked < 2:
                await asyncio.wait([signing], timeout=0.01)
            first.desk = desk
            assert (await signing).members == ("member-1", "member-2")

    run(scenario())


def test_a_desk_that_does_not_know_the_key_of_the_receipt_yet_is_asked_again(
    town: Town, registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New keys have come, and the client has followed before the desks: their refusals are of the past."""
    monkeypatch.setattr(client_module, "AGAIN_SECONDS", 0.01)
    later = in_epoch_1(town.farm, town.config, stock=1)
    town.known, registry.chain.farm = later.config, later
    receipt = registry.receipt(to_command("tokens", token()))

    async def scenario() -> None:
        async with town.client(*[GOOD] * 6) as client:
            signing = asyncio.create_task(client.collect(receipt))
            while not (signing.done() or all(desk.asked > 1 for desk in town.served)):
                await asyncio.wait([signing], timeout=0.01)
            assert not signing.done()
            for desk, share in zip(town.served, signers(), strict=True):
                desk.desk = Desk(later.config, [Policy.from_toml(TOKENS, "policy")], {"tokens": share})
            signed = await signing
            assert len(signed.members) >= 2
            assert (signed.culprits, signed.refusals) == ((), ())

    run(scenario())
