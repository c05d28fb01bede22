"""Keys at rest and certificates: what a member or client keeps in its folder, and who may read it.

A folder holds ``identity.pem`` (Ed25519) and ``tls.pem`` (P-256), a member's also ``share.pem``
and a ``share-PURPOSE.pem`` for each further key: PKCS#8,
encrypted with scrypt and AES-256-GCM, mode 0600. ``tls.crt`` is the public certificate. Certificates are
self-signed and pinned by every other party: there is no authority whose key could be stolen.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from Crypto.IO import PEM, PKCS8
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from alliance.config.file import AllianceConfig
from alliance.config.parties import Member, Party
from alliance.errors import ClockError, ConfigError, KeyFileError, require_passphrase
from alliance.keys import files
from alliance.keys.files import write_private
from quorum.threshold_rsa import (
    InvalidAgreementKey,
    InvalidKeyFile,
    ThresholdRsaEndorser,
    WrongPassphrase,
)

IDENTITY, TLS_KEY, TLS_CERTIFICATE, SHARE = "identity.pem", "tls.pem", "tls.crt", "share.pem"
KEY_FILE_BYTES_MAX = 1024 * 1024
SCRYPT_COST = 2**15


def share_file(purpose: str | None) -> str:
    """The file of a member's share: of the agreement key, or of the one for a purpose."""
    return SHARE if purpose is None else f"share-{purpose}.pem"


def public_file(purpose: str) -> str:
    """The public key for a purpose, in PEM."""
    return f"public-{purpose}.pem"


_MARKER = "ALLIANCE ENCRYPTED PRIVATE KEY"
# Trust anchors are not asked whether they are authorities, so that without this extension a client's key
# could issue certificates that pass the servers' handshake.
_SIGNATURES_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_OIDS = {"identity": "1.3.101.112", "tls": "1.2.840.10045.2.1"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who one is: on the channel (TLS, in PEM) and in signed messages (Ed25519)."""

    party: Party
    tls_key: bytes = field(repr=False)
    tls_certificate: bytes = field(repr=False)
    signing_key: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class FreshKeys:
    """New keys of one party, before they are written."""

    identity: bytes
    certificate: x509.Certificate
    _signing_key: Ed25519PrivateKey = field(repr=False)
    _tls_key: ec.EllipticCurvePrivateKey = field(repr=False)

    def write(self, folder: Path, passphrase: bytes) -> None:
        write_private(folder / IDENTITY, _seal("identity", self._signing_key, passphrase))
        write_private(folder / TLS_KEY, _seal("tls", self._tls_key, passphrase))
        (folder / TLS_CERTIFICATE).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))


def generate_keys(name: str, now: datetime.datetime, years: int = 10) -> FreshKeys:
    """Fresh keys and a self-signed certificate for ``name``, valid from an hour before ``now``."""
    tls_key = ec.generate_private_key(ec.SECP256R1())
    signing_key = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(tls_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNATURES_ONLY, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(tls_key, hashes.SHA256())
    )
    identity = signing_key.public_key().public_bytes_raw()
    return FreshKeys(identity, certificate, signing_key, tls_key)


def load_credentials(folder: Path, party: Party, passphrase: bytes) -> Credentials:
    """The keys in a folder, checked against what the alliance knows of this party.

    Raises KeyFileError for missing, damaged or foreign keys and a wrong passphrase, ClockError when the
    certificate is not valid at this machine's time.
    """
    check_clock(party, datetime.datetime.now(datetime.UTC))
    files.settle(folder)
    signing_key = _open("identity", folder / IDENTITY, passphrase)
    tls_key = _open("tls", folder / TLS_KEY, passphrase)
    if not isinstance(signing_key, Ed25519PrivateKey) or not isinstance(tls_key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"the key files in {folder} hold keys of the wrong kind: restore them")
    foreign = signing_key.public_key().public_bytes_raw() != party.identity
    if foreign or tls_key.public_key() != party.certificate.public_key():
        raise KeyFileError(
            f"the keys in {folder} are not those of '{party.name}' in alliance.toml:"
            " restore the folder from one backup, or take the alliance.toml that belongs to the keys"
        )
    return Credentials(
        party,
        tls_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        party.certificate.public_bytes(serialization.Encoding.PEM),
        signing_key,
    )


def load_endorser(
    folder: Path, config: AllianceConfig, member: int, passphrase: bytes, purpose: str | None = None
) -> ThresholdRsaEndorser:
    """A member's share of the agreement key or of a purpose's, checked against the verification keys.

    Raises KeyFileError, and ConfigError when the alliance has no such key.
    """
    require_passphrase(passphrase)
    files.settle(folder)
    path = folder / share_file(purpose)
    key = config.key if purpose is None else config.purpose_key(purpose)
    try:
        endorser = ThresholdRsaEndorser.open(_read(path), passphrase, key)
    except WrongPassphrase:
        raise KeyFileError(_wrong_passphrase(path)) from None
    except (InvalidKeyFile, InvalidAgreementKey) as error:
        raise KeyFileError(f"{path}: {error}") from None
    if endorser.member != member:
        raise KeyFileError(f"{path} is the share of member {endorser.member + 1}, not of {member + 1}")
    return endorser


def reseal(folder: Path, config: AllianceConfig, old: bytes, new: bytes) -> int:
    """Encrypts the key files of a folder under a new passphrase; how many there were.

    All of them or none: whatever fails, and wherever this is killed, one of the two passphrases opens the
    folder and the other one does not. Raises KeyFileError, which says when it is the new one already.
    """
    require_passphrase(new)
    try:
        with files.locked(folder):
            sealed = _resealed(folder, config, old, new)
            files.replace_together(folder, sealed)
    except OSError as error:
        reason = f"{folder} cannot be written: {error.strerror}; check its owner and space"
        if files.is_committed(folder):
            reason += ". The new passphrase opens it from now on; use it once more to end the change"
        raise KeyFileError(reason) from None
    return len(sealed)


def _resealed(folder: Path, config: AllianceConfig, old: bytes, new: bytes) -> dict[str, bytes]:
    sealed = {
        name: _seal(kind, _open(kind, folder / name, old), new)
        for kind, name in (("identity", IDENTITY), ("tls", TLS_KEY))
    }
    if (folder / SHARE).exists():
        member = config.member_index(load_name(folder, "member"))
        for purpose in (None, *(name for name, _ in config.purpose_keys)):
            sealed[share_file(purpose)] = load_endorser(folder, config, member, old, purpose).seal(new)
    return sealed


def check_clock(party: Party, now: datetime.datetime) -> None:
    """Raises ClockError when this machine's time is outside the certificate's validity."""
    begin, end = party.certificate.not_valid_before_utc, party.certificate.not_valid_after_utc
    if now < begin:
        raise ClockError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, but the certificate of '{party.name}' is"
            f" valid only from {begin:%Y-%m-%d %H:%M}: set the clock"
        )
    if now > end:
        raise ClockError(
            f"the certificate of '{party.name}' expired on {end:%Y-%m-%d} (this machine's clock says"
            f" {now:%Y-%m-%d}): if the clock is right, the party needs a new certificate in alliance.toml"
        )


def load_name(folder: Path, *kinds: str) -> str:
    """Whose folder this is, a "member" or "client" as ``kinds`` allows: the name in its ``member.name`` or
    ``client.name``. Raises ConfigError."""
    for kind in kinds:
        try:
            return (folder / f"{kind}.name").read_text("utf-8")[:100].strip()
        except (OSError, UnicodeDecodeError):
            continue
    others = [
        kind for kind in ("member", "client") if (folder / f"{kind}.name").exists() and kind not in kinds
    ]
    whose = f"a {others[0]}'s" if others else "no " + " or ".join(f"{kind}'s" for kind in kinds)
    raise ConfigError(f"{folder} is {whose} folder: name {_example(folder, kinds[0])}")


def _example(folder: Path, kind: str) -> str:
    """A folder that might have been meant instead of this one."""
    for home in (folder, folder.parent.parent):
        found = sorted((home / f"{kind}s").glob(f"*/{kind}.name"))
        if found:
            return f"one such as {found[0].parent}"
    return f"one of those that 'alliance init' made, …/{kind}s/NAME"


def member_party(config: AllianceConfig, folder: Path) -> tuple[int, Member]:
    index = config.member_index(load_name(folder, "member"))
    return index, config.members[index]


def _seal(kind: str, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    wrapped = PKCS8.wrap(
        der, _OIDS[kind], passphrase, "scryptAndAES256-GCM", {"iteration_count": SCRYPT_COST}
    )
    return (PEM.encode(wrapped, _MARKER) + "\n").encode()


def _open(kind: str, path: Path, passphrase: bytes) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    try:
        wrapped, marker, _ = PEM.decode(_read(path).decode("ascii"))
    except ValueError:
        raise KeyFileError(f"{path} is damaged: restore it from a backup") from None
    if marker != _MARKER:
        raise KeyFileError(f"{path} is no key file of an alliance: restore it from a backup")
    try:
        oid, der, _ = PKCS8.unwrap(wrapped, passphrase)
    except (ValueError, IndexError, KeyError, TypeError):
        # The tag of AES-GCM does not tell a wrong passphrase from an altered byte, and on altered DER the
        # parser raises whatever it stumbles on.
        raise KeyFileError(_wrong_passphrase(path)) from None
    if oid != _OIDS[kind]:
        raise KeyFileError(f"{path} holds a key of another kind: restore it from a backup")
    try:
        key = serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path} is damaged: restore it from a backup") from None
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind: restore it from a backup")
    return key


def _read(path: Path) -> bytes:
    try:
        with files.current(path).open("rb") as file:
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: restore it from a backup") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}; check its owner and mode") from None
    if len(data) > KEY_FILE_BYTES_MAX:
        raise KeyFileError(f"{path} is larger than {KEY_FILE_BYTES_MAX} bytes: it is no key file")
    return data


def _wrong_passphrase(path: Path) -> str:
    return (
        f"{path} does not open: wrong passphrase (ALLIANCE_PASSPHRASE, --passphrase-file or the prompt),"
        " or a damaged file"
    )
