"""A certificate authority whose key nobody has: any three of its five members sign, each in its own process.

authority.py FOLDER NAME    creates it if there is none, issues a certificate for NAME, lists revocations
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shoup_rsa import (
    InvalidShare,
    ShoupError,
    SignatureShare,
    SigningRequest,
    generate_threshold_key,
    read_public_key,
    seal_key_share,
    write_public_key,
)
from shoup_rsa.private_key import ThresholdPrivateKey

MEMBERS = range(1, 6)
MEMBER = Path(__file__).with_name("member.py")
ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of five")])
PEM = serialization.Encoding.PEM


def found(folder: Path) -> None:
    """Deal the key. Only here, for a second, does one process know it."""
    folder.mkdir(parents=True)
    dealing = generate_threshold_key(parties=5, threshold=3, corruptions=2)
    for index, key_share in zip(MEMBERS, dealing.key_shares, strict=True):
        place = folder / f"member-{index}"
        place.mkdir(mode=0o700)
        passphrase = secrets.token_hex(16).encode()
        write(place / "passphrase", passphrase)
        write(place / "share.key", seal_key_share(key_share, passphrase))
    (folder / "authority.key").write_bytes(write_public_key(dealing.public_key))


def open_authority(folder: Path) -> ThresholdPrivateKey:
    """What `cryptography` takes for a private key. It holds none: it asks the members."""
    public_key = read_public_key((folder / "authority.key").read_bytes())

    def ask(request: SigningRequest) -> Iterator[SignatureShare]:
        for index in MEMBERS:
            command = [sys.executable, str(MEMBER), str(folder / f"member-{index}")]
            done = subprocess.run(command, check=False, input=request.to_bytes(), stdout=subprocess.PIPE)
            try:
                if done.returncode == 0:
                    yield SignatureShare.from_bytes(public_key, done.stdout)
            except InvalidShare as error:
                sys.stderr.write(f"member {index} sent nonsense: {error}\n")

    return ThresholdPrivateKey(public_key, ask)


def certificate(subject: x509.Name, public_key: object, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(ISSUER).subject_name(subject)
    builder = builder.public_key(public_key).serial_number(x509.random_serial_number())  # type: ignore[arg-type]
    return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=days))


def root(key: ThresholdPrivateKey) -> x509.Certificate:
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    usage |= {"digital_signature": False, "encipher_only": False, "decipher_only": False}
    signs = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
    builder = certificate(ISSUER, key.public_key(), days=3650)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(signs, critical=True)
    name = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(name, critical=False).sign(key, hashes.SHA256())


def issue(key: ThresholdPrivateKey, name: str) -> tuple[bytes, bytes]:
    """A server's new private key and its certificate, both as PEM."""
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = certificate(subject, own.public_key(), days=90)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = builder.add_extension(issuer, critical=False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    return own.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain), made.public_bytes(PEM)


def revocations(key: ThresholdPrivateKey) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(ISSUER, now, now + timedelta(days=7))
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM)


def write(path: Path, secret: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)


def main(folder: Path, name: str) -> None:
    if not folder.exists():
        found(folder)
        key = open_authority(folder)
        (folder / "root.pem").write_bytes(root(key).public_bytes(PEM))
    key = open_authority(folder)
    private, public = issue(key, name)
    write(folder / f"{name}.key", private)
    (folder / f"{name}.pem").write_bytes(public)
    (folder / "revoked.pem").write_bytes(revocations(key))
    sys.stderr.write(f"issued: {folder / name}.pem\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except (OSError, ShoupError, ValueError) as error:
        sys.exit(f"authority.py: {error}")
