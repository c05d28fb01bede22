"""Identities: an Ed25519 key that others pin, and the certificate authority that it is for its own channels.

TLS wants a certificate where the alliance means a key. So an identity has a self-signed certificate, which
allows it to certify keys for channels under its own name and nothing else; it never expires, for it says
nothing but what the key is. Everything in it but the signature follows from name and key. Peers trust it, and
with it whatever channel key it certifies: that one changes every few weeks, and nobody else has to know.
"""

from __future__ import annotations

import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from alliance.errors import ConfigError

BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""RFC 5280, 4.1.2.5: how a certificate says that it has no end."""
SERIAL_BITS = 159
"""RFC 5280, 4.1.2.2: at most 20 octets, and positive."""

_UNREADABLE = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What the parser of certificates raises besides ValueError."""


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    """RFC 5280, 4.2.1.3: what the key of a certificate may do, and nothing else."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def read_certificate(pem: bytes) -> x509.Certificate:
    """Raises ValueError unless it is a certificate whose names, key and extensions can be read."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        for part in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
            getattr(certificate, part)
        certificate.public_key()
    except UnsupportedAlgorithm:
        raise ValueError("a certificate for a key of an unknown kind") from None
    except (ValueError, TypeError, *_UNREADABLE):
        raise ValueError("no X.509 certificate in PEM") from None
    return certificate


def subject(name: str, identity: bytes) -> x509.Name:
    """How an identity's certificate is called: the party's name, and the key in hex as serial number.

    With the key in it no two identities have the same name, so that a chain leads to one of them only.
    """
    parts = ((NameOID.COMMON_NAME, name), (NameOID.SERIAL_NUMBER, identity.hex()))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def certify_itself(name: str, key: Ed25519PrivateKey) -> x509.Certificate:
    """The identity's certificate, the same each time: Ed25519 signs without chance."""
    public = key.public_key()
    identity = public.public_bytes_raw()
    own = subject(name, identity)
    return (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(public)
        .serial_number(serial(identity))
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # It certifies channel keys and opens no channel itself.
        .add_extension(key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(name)], None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, None)
    )


def check(name: str, identity: bytes, certificate: x509.Certificate, where: str) -> None:
    """Raises ConfigError unless it is the certificate with which this identity certifies itself."""
    own = subject(name, identity)
    try:
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey) or key.public_bytes_raw() != identity:
            raise ConfigError(f"{where}: the certificate of '{name}' is not for its identity key")
        if (certificate.subject, certificate.issuer) != (own, own):
            raise ConfigError(f"{where}: the certificate of '{name}' bears another name")
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError):
        raise ConfigError(f"{where}: the certificate of '{name}' was altered") from None


def serial(content: bytes) -> int:
    """A serial number that only who knows the content can foretell."""
    return int.from_bytes(sha256(content).digest()) >> (256 - SERIAL_BITS) or 1
