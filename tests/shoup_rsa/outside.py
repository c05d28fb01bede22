"""Programs and documents of the outside that several tests need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from shoup_rsa import Dealing, SignatureShare, SigningRequest
from shoup_rsa.private_key import Ask, ThresholdPrivateKey

NOW = datetime.now(UTC).replace(microsecond=0)
NEEDS_OPENSSL = pytest.mark.skipif(
    which("openssl") is None, reason="needs the openssl command (Debian: apt-get install openssl)"
)
NEEDS_SSH = pytest.mark.skipif(
    which("ssh-keygen") is None, reason="needs ssh-keygen (Debian: apt-get install openssh-client)"
)


def members(dealing: Dealing, *indices: int) -> Ask:
    """Asks these members one after the other, all of them by default."""

    def ask(request: SigningRequest) -> Iterator[SignatureShare]:
        for index in indices or range(1, dealing.public_key.parties + 1):
            yield request.sign_share(dealing.key_shares[index - 1])

    return ask


def signer(dealing: Dealing, *indices: int) -> ThresholdPrivateKey:
    return ThresholdPrivateKey(dealing.public_key, members(dealing, *indices))


def run(folder: Path, *command: str, input: bytes = b"") -> str:
    """What the program said on both its channels; it must end with 0."""
    done = subprocess.run(command, cwd=folder, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{' '.join(command)}: {said}"
    return said


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def root(public_key: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    """A certificate authority's own certificate, not yet signed."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder("root", "root", public_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def leaf(public_key: rsa.RSAPublicKey, authority: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    """A server's certificate by that authority, not yet signed."""
    names = x509.SubjectAlternativeName([x509.DNSName("server.example")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority)
    builder = _builder("server.example", "root", public_key)
    return builder.add_extension(names, critical=False).add_extension(issuer, critical=False)


def revocations(*serials: int) -> x509.CertificateRevocationListBuilder:
    """The authority's revocation list, not yet signed."""
    builder = x509.CertificateRevocationListBuilder(name("root"), NOW, NOW + timedelta(days=1))
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder(serial, NOW).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder


def _builder(subject: str, issuer: str, public_key: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        name(issuer),
        name(subject),
        public_key,
        x509.random_serial_number(),
        NOW - timedelta(hours=1),
        NOW + timedelta(days=1),
    )
