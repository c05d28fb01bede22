"""Who gets through the door, and what each may do inside: by certificate and nothing else."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ssl
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.keys.channel import LIFETIME, Credentials, certify, utc_now
from alliance.net import channels
from alliance.net.channels import Channels, Identities, established, hang_up, open_channel
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, attempt, door, forged, reaching, stranger, usual, vouched
from tests.alliance.farm import Farm
from tests.alliance.links import Side
from tests.alliance.network import Office, Villain, at, ends_unread, serving, written_until_it_fails

DENIED = {grpc.StatusCode.PERMISSION_DENIED}
AT_THE_HANDSHAKE = {grpc.StatusCode.UNAVAILABLE}


ALL = {"Exchange", "Submit", "Listen", "Status"}
WHO: dict[str, tuple[Any, set[str], set[grpc.StatusCode]]] = {
    "nobody": (lambda farm: (None, None), set(), AT_THE_HANDSHAKE),
    "a stranger": (lambda farm: stranger("member-5"), set(), AT_THE_HANDSHAKE),
    "a party of another alliance": (lambda farm: stranger("client-1"), set(), AT_THE_HANDSHAKE),
    "an expired stranger": (lambda farm: stranger("member-5", days=-100), set(), AT_THE_HANDSHAKE),
    "an expired member": (lambda farm: aged(farm.members[4], -100), set(), AT_THE_HANDSHAKE),
    "a member of the future": (lambda farm: aged(farm.members[4], 100), set(), AT_THE_HANDSHAKE),
    "an expired client": (lambda farm: aged(farm.clients[0], -100), set(), AT_THE_HANDSHAKE),
    "a client as a member": (lambda farm: forged(farm.clients[0], "member-5"), set(), AT_THE_HANDSHAKE),
    "a member as another": (lambda farm: forged(farm.members[5], "member-5"), set(), AT_THE_HANDSHAKE),
    "whom a client's channel vouches for": (
        lambda farm: vouched(farm.clients[0], "member-5"),
        set(),
        AT_THE_HANDSHAKE,
    ),
    "whom a member's channel vouches for": (
        lambda farm: vouched(farm.members[4], "member-5"),
        set(),
        AT_THE_HANDSHAKE,
    ),
    "a client": (lambda farm: usual(farm.clients[0].channel()), {"Submit", "Listen", "Status"}, DENIED),
    "a member with a lower index": (
        lambda farm: usual(farm.members[1].channel()),
        {"Listen", "Status"},
        DENIED,
    ),
    "the member itself": (lambda farm: usual(farm.members[ME].channel()), {"Listen", "Status"}, DENIED),
    "a member with a higher index": (
        lambda farm: usual(farm.members[4].channel()),
        {"Exchange", "Listen", "Status"},
        DENIED,
    ),
}


def aged(who: Credentials, days: int) -> tuple[bytes, bytes]:
    """A certificate of the party's own, of another time."""
    return usual(certify(who.party, who.signing_key, utc_now() + datetime.timedelta(days=days)))


@pytest.mark.parametrize("who", WHO)
def test_the_certificate_decides_what_one_may_do(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    make, allowed, refusal = WHO[who]
    monkeypatch.setattr(channels, "CONNECT_SECONDS", 10.0)

    async def scenario() -> None:
        peer = Side(farm, ME)
        async with (
            serving(farm, ME, office, peer) as port,
            reaching(farm, port, *make(farm)) as channel,
        ):
            answers = {what: await attempt(channel, what) for what in sorted(ALL)}
        served = {what for what, code in answers.items() if code is grpc.StatusCode.OK}
        assert served == allowed, answers
        assert {answers[what] for what in ALL - allowed} <= refusal
        assert "Exchange" in allowed or not peer.ear.connections

    run(scenario())


def test_a_key_that_is_not_the_certificates_opens_nothing(farm: Farm, office: Office, run: Run) -> None:
    """Certificates are public: without its key one is worth nothing."""

    async def scenario() -> None:
        key, _ = stranger("member-5")
        async with (
            serving(farm, ME, office) as port,
            reaching(farm, port, key, farm.members[4].channel().certificate_pem) as channel,
        ):
            assert await attempt(channel, "Status") is not grpc.StatusCode.OK

    run(scenario())


def test_a_server_that_is_not_who_it_says_is_not_believed(farm: Farm, office: Office, run: Run) -> None:
    async def scenario() -> None:
        client, me = farm.clients[0], farm.members[ME]
        as_me = replace(client.party, name=me.party.name)
        for impostor in (
            farm.members[ME + 1],
            client,
            Credentials(as_me, client.signing_key, certify(as_me, client.signing_key, utc_now())),
        ):
            async with (
                serving(farm, ME, office, mine=impostor) as port,
                open_channel(at(farm.config, ME, port), client) as channel,
            ):
                assert await attempt(channel, "Status") is grpc.StatusCode.UNAVAILABLE

    run(scenario())


class Caller:
    """A call from whoever holds these certificates, as gRPC would describe it."""

    def __init__(self, *certificates: bytes) -> None:
        self._certificates = certificates

    def auth_context(self) -> dict[str, Any]:
        return {"x509_pem_cert": self._certificates} if self._certificates else {}

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise grpc.aio.AbortError(code, details)


def test_whoever_got_through_the_handshake_is_still_nobody(farm: Farm, office: Office, run: Run) -> None:
    """A second line: were the handshake ever to let a stranger in, no method serves it."""

    async def scenario() -> None:
        for caller in (Caller(stranger("member-5")[1]), Caller()):
            context: Any = caller
            for call in (
                lambda c=context: office.service.Status(pb.StatusRequest(), c),
                lambda c=context: office.service.StepDown(pb.StepDownRequest(), c),
                lambda c=context: office.service.Alarms(pb.AlarmsRequest(), c),
                lambda c=context: office.service.Listen(pb.ListenRequest(first_slot=1), c),
                lambda c=context: office.service.Submit(None, c),
                lambda c=context: Side(farm, ME).service.exchange(None, c),
            ):
                with pytest.raises(grpc.aio.AbortError):
                    await call()

    run(scenario())


def test_who_certified_a_channel_is_checked_again_behind_the_handshake(farm: Farm) -> None:
    """gRPC says which certificate opened a connection, and not which root let it in."""
    identities = Identities(farm.config)
    client, member = farm.clients[0], farm.members[4]

    def known(pair: tuple[bytes, bytes]) -> str | None:
        party = identities.known(Caller(pair[1]))  # type: ignore[arg-type]
        return None if party is None else party.name

    assert known(usual(client.channel())) == "client-1"
    assert known(usual(member.channel())) == "member-5"
    for pair in (
        forged(client, "member-5"),
        forged(member, "member-4"),
        vouched(client, "client-1"),
        stranger("client-1"),
        (b"", client.party.certificate.public_bytes(Encoding.PEM)),  # the identity itself opens nothing
        (b"", b"no certificate"),
    ):
        assert known(pair) is None
    under_my_name = replace(client.party, certificate=member.party.certificate)
    assert known(usual(certify(under_my_name, client.signing_key, utc_now()))) is None


def test_a_renewed_certificate_is_served_without_a_restart(farm: Farm, office: Office, run: Run) -> None:
    """The server's, and the one with which a client's channels are opened."""
    made = utc_now() - LIFETIME * 0.7
    moment = [made]

    def aging(who: Credentials) -> Credentials:
        return Credentials(
            who.party, who.signing_key, certify(who.party, who.signing_key, made), now=lambda: moment[0]
        )

    async def scenario() -> None:
        server, client = aging(farm.members[ME]), aging(farm.clients[0])
        async with serving(farm, ME, office, mine=server) as port:
            there, channels = at(farm.config, ME, port), Channels(client)
            stream = door(channels.to(there), "Listen", "unary_stream")(pb.ListenRequest(first_slot=1))
            await established(stream)
            reading = asyncio.create_task(stream.read())
            moment[0] = made + LIFETIME * 0.6
            assert channels.to(there) is channels.to(there)
            assert len(channels) == 1
            assert (before := await served(port)) == server.channel().certificate
            moment[0] = utc_now()
            assert (after := await served(port)) == server.channel().certificate
            assert after.not_valid_after_utc > before.not_valid_after_utc
            assert after.public_key() != before.public_key()
            assert await attempt(channels.to(there), "Status") is grpc.StatusCode.OK
            gc.collect()
            assert not reading.done()  # what was begun goes on
            await channels.close()
            await asyncio.wait([reading])
            assert reading.cancelled() or reading.exception() is not None

    run(scenario())


async def served(port: int) -> x509.Certificate:
    """The certificate that a server shows, to whoever asks."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode())


def test_what_a_member_compresses_is_not_inflated(farm: Farm, run: Run) -> None:
    """It could send a thousand times more than it sends; nobody in an alliance compresses."""

    async def answer(request: bytes, context: Any) -> bytes:
        return bytes(1_000_000)

    async def scenario() -> None:
        server = grpc.aio.server(compression=grpc.Compression.Gzip)
        methods = {"Status": grpc.unary_unary_rpc_method_handler(answer)}
        handler: Any = grpc.method_handlers_generic_handler("alliance.v1.Client", methods)
        server.add_generic_rpc_handlers((handler,))
        credentials = channels.server_credentials(Identities(farm.config), farm.members[ME])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        async with open_channel(at(farm.config, ME, port), farm.clients[0]) as channel:
            ask: Any = channel.unary_unary("/alliance.v1.Client/Status")
            assert len(await ask(b"")) < 10_000
        await server.stop(None)

    run(scenario())


def test_of_a_stream_that_ended_while_it_was_written_to_nothing_is_left(farm: Farm, run: Run) -> None:
    """gRPC's own cancel does nothing then, and waits for the messages that nobody reads: ``run`` finds it."""

    async def scenario() -> None:
        async with (
            serving(farm, ME, Villain(ends_unread)) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            submit: Any = channel.stream_stream("/alliance.v1.Client/Submit")
            call = submit()
            await established(call)
            with pytest.raises(grpc.aio.AioRpcError):
                await written_until_it_fails(call.write, b"")
            assert not call.cancel()
            hang_up(call)
            hang_up(call)  # twice is once

    run(scenario())
