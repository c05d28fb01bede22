"""Requests that are in form, and policies that allow them."""

from __future__ import annotations

import functools
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from alliance.signing import CertificateRequest, SshRequest, TokenRequest

TOKENS = """
purpose = "tokens"
kind = "jwt"
clients = ["client-1"]
issuers = ["https://farm.example"]
subjects = ["deploy/*", "anna"]
audiences = ["gate"]
lifetime_seconds_max = 900
claims = { role = ["reader", "gate-*"] }
"""
WEB = """
purpose = "web"
kind = "x509"
clients = ["client-*"]
dns_names = ["gate.farm.example", "*.hosts.farm.example"]
usages = ["server"]
days_max = 90
"""
LOGINS = """
purpose = "logins"
kind = "ssh"
clients = ["client-1"]
types = ["user"]
principals = ["anna", "deploy-*"]
lifetime_seconds_max = 86400
extensions = ["permit-pty"]
"""
SSH_KEY = (
    ed25519.Ed25519PrivateKey.from_private_bytes(b"7" * 32)
    .public_key()
    .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    .decode()
)


@functools.cache
def holder() -> ec.EllipticCurvePrivateKey:
    """Whose key is certified."""
    return ec.derive_private_key(7, ec.SECP256R1())


def csr(*names: str, subject: str | None = None, key: Any = None, extensions: tuple[Any, ...] = ()) -> bytes:
    """A certificate request for these DNS names, in DER."""
    common = [] if subject is None else [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(common))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    holds = key or holder()
    algorithm = None if isinstance(holds, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(holds, algorithm).public_bytes(serialization.Encoding.DER)


def token(**changes: Any) -> TokenRequest:
    fields: dict[str, Any] = {
        "issuer": "https://farm.example",
        "subject": "deploy/gate",
        "audiences": ("gate",),
        "lifetime_seconds": 900,
        "claims": (("role", "reader"),),
    }
    return TokenRequest(**(fields | changes))


def certificate(*names: str, days: int = 90, usages: tuple[str, ...] = ("server",)) -> CertificateRequest:
    return CertificateRequest(csr(*(names or ("gate.farm.example",))), days, usages)


def login(**changes: Any) -> SshRequest:
    fields: dict[str, Any] = {
        "key": SSH_KEY,
        "type": "user",
        "principals": ("anna",),
        "lifetime_seconds": 86400,
        "extensions": ("permit-pty",),
    }
    return SshRequest(**(fields | changes))
