"""Who gets through the door, and what each may do inside: by certificate and nothing else."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

from alliance.keys import folder as keys
from alliance.net import channels
from alliance.net.channels import open_channel
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, attempt, reaching, stranger
from tests.alliance.farm import Chain, Farm
from tests.alliance.links import Side
from tests.alliance.network import Office, at, serving

DENIED = {grpc.StatusCode.PERMISSION_DENIED}
AT_THE_HANDSHAKE = {grpc.StatusCode.UNAVAILABLE}


@pytest.fixture
def office(tmp_path: Path, chain: Chain) -> Any:
    office = Office(tmp_path / "journal.sqlite", chain, ME)
    yield office
    office.journal.close()


ALL = {"Exchange", "Submit", "Listen", "Status"}
WHO: dict[str, tuple[Any, set[str], set[grpc.StatusCode]]] = {
    "nobody": (lambda farm: (None, None), set(), AT_THE_HANDSHAKE),
    "a stranger": (lambda farm: stranger("member-5"), set(), AT_THE_HANDSHAKE),
    "a party of another alliance": (lambda farm: stranger("client-1"), set(), AT_THE_HANDSHAKE),
    "an expired stranger": (lambda farm: stranger("member-5", days=-10), set(), AT_THE_HANDSHAKE),
    "whom a client vouches for": (
        lambda farm: stranger("member-5", farm.clients[0]),
        set(),
        AT_THE_HANDSHAKE,
    ),
    "whom a member vouches for": (
        lambda farm: stranger("member-5", farm.members[5]),
        set(),
        AT_THE_HANDSHAKE,
    ),
    "a client": (
        lambda farm: (farm.clients[0].tls_key, farm.clients[0].tls_certificate),
        {"Submit", "Listen", "Status"},
        DENIED,
    ),
    "a member with a lower index": (
        lambda farm: (farm.members[1].tls_key, farm.members[1].tls_certificate),
        {"Listen", "Status"},
        DENIED,
    ),
    "the member itself": (
        lambda farm: (farm.members[ME].tls_key, farm.members[ME].tls_certificate),
        {"Listen", "Status"},
        DENIED,
    ),
    "a member with a higher index": (
        lambda farm: (farm.members[4].tls_key, farm.members[4].tls_certificate),
        {"Exchange", "Listen", "Status"},
        DENIED,
    ),
}


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
            reaching(farm, port, key, farm.members[4].tls_certificate) as channel,
        ):
            assert await attempt(channel, "Status") is not grpc.StatusCode.OK

    run(scenario())


def test_a_server_with_another_members_certificate_is_not_believed(
    farm: Farm, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        for impostor in (farm.members[ME + 1], farm.clients[0]):
            async with (
                serving(farm, ME, office, mine=impostor) as port,
                open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
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
                lambda c=context: office.service.Listen(pb.ListenRequest(first_slot=1), c),
                lambda c=context: office.service.Submit(None, c),
                lambda c=context: Side(farm, ME).service.exchange(None, c),
            ):
                with pytest.raises(grpc.aio.AbortError):
                    await call()

    run(scenario())


def test_the_certificates_of_the_alliance_are_pinned_not_trusted_to_sign(farm: Farm) -> None:
    for party in (*farm.config.members, *farm.config.clients):
        basic = party.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert basic.critical
        assert not basic.value.ca
    fresh = keys.generate_keys("x", datetime.datetime.now(datetime.UTC))
    assert fresh.certificate.issuer == fresh.certificate.subject
