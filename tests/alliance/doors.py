"""Knocking at a server: strangers' certificates, raw calls, and what comes of them."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alliance.keys.folder import Credentials
from alliance.net.channels import CLIENT_OPTIONS, NotServed, established
from alliance.pb import client_pb2 as pb
from alliance.server.peers import EXCHANGE
from tests.alliance.farm import Farm

ME = 2


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def stranger(name: str, issuer: Credentials | None = None, *, days: int = 0) -> tuple[bytes, bytes]:
    """TLS key and certificate of somebody else: self-signed, or signed with a party's own TLS key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer: Any = key
    signed_by = subject
    if issuer is not None:
        signer = serialization.load_pem_private_key(issuer.tls_key, None)
        signed_by = issuer.party.certificate.subject
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return pem(key), certificate.public_bytes(serialization.Encoding.PEM)


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
    return open_call(f"/alliance.v1.Client/{method}", lambda m: m.SerializeToString(), parse)


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
    call = {
        "Exchange": exchange,
        "Submit": door(channel, "Submit"),
        "Listen": lambda: door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=1)),
    }[what]()
    try:
        await established(call)
    except NotServed:
        return await call.code()  # type: ignore[no-any-return]
    call.cancel()
    return grpc.StatusCode.OK
