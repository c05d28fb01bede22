"""Knocking at a server: strangers' certificates, raw calls, and what comes of them."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from alliance.config.identity import certify_itself
from alliance.config.parties import Party
from alliance.keys.channel import ChannelKey, Credentials, certify, utc_now
from alliance.net.channels import CLIENT_OPTIONS, GREETING, NotServed, established
from alliance.pb import client_pb2 as pb
from alliance.server.peers import EXCHANGE
from tests.alliance.farm import Farm

ME = 2


def usual(channel: ChannelKey) -> tuple[bytes, bytes]:
    """Key and certificate as gRPC takes them."""
    return channel.key_pem, channel.certificate_pem


def stranger(name: str, *, days: int = 0) -> tuple[bytes, bytes]:
    """Channel key and certificate of somebody of this name whose identity nobody knows."""
    key = Ed25519PrivateKey.generate()
    party = Party(name, key.public_key().public_bytes_raw(), certify_itself(name, key))
    return usual(certify(party, key, utc_now() + datetime.timedelta(days=days)))


def forged(issuer: Credentials, name: str) -> tuple[bytes, bytes]:
    """What a party certifies with its identity though it is not its own: a channel under another's name."""
    member: Any = replace(issuer.party, name=name)
    return usual(certify(member, issuer.signing_key, utc_now()))


def vouched(issuer: Credentials, name: str) -> tuple[bytes, bytes]:
    """What a party certifies with the key of its channel, as if that were an authority."""
    channel = issuer.channel()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(channel.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(channel.certificate.not_valid_before_utc)
        .not_valid_after(channel.expires)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(channel.key, hashes.SHA256())
    )
    forged, chain = usual(ChannelKey(key, certificate))
    return forged, chain + channel.certificate_pem


@asynccontextmanager
async def reaching(farm: Farm, port: int, key: bytes | None, certificate: bytes | None) -> AsyncIterator[Any]:
    root = farm.config.members[ME].certificate.public_bytes(serialization.Encoding.PEM)
    credentials = grpc.ssl_channel_credentials(root, key, certificate)
    options = [*CLIENT_OPTIONS, ("grpc.ssl_target_name_override", farm.config.members[ME].name)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield channel


def door(channel: Any, method: str, kind: str = "stream_stream", reply: Any = None) -> Any:
    open_call = getattr(channel, kind)
    parse = reply.FromString if reply is not None else None
    call = open_call(f"/alliance.v1.Client/{method}", lambda m: m.SerializeToString(), parse)
    return partial(call, metadata=GREETING)


async def attempt(channel: Any, what: str) -> grpc.StatusCode:
    """The status with which one of the server's methods answers; OK stands for: it serves."""
    if what == "Status":
        call = door(channel, "Status", "unary_unary", pb.StatusReply)(pb.StatusRequest())
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK
    exchange: Any = channel.stream_stream(EXCHANGE)
    listen = door(channel, "Listen", "unary_stream")
    call = {
        "Exchange": partial(exchange, metadata=GREETING),
        "Submit": door(channel, "Submit"),
        "Listen": partial(listen, pb.ListenRequest(first_slot=1)),
    }[what]()
    try:
        await established(call)
    except NotServed:
        return await call.code()  # type: ignore[no-any-return]
    call.cancel()
    return grpc.StatusCode.OK
