"""Channel certificates: P-256 keys for TLS that an identity certifies, anew every few weeks.

Whoever holds the identity key makes one and asks nobody: peers accept whatever the identity has certified and
is valid at the time. So each process that has the key goes on with a new certificate, in good time before the
old one expires, for the connections that begin from then on.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from alliance.config.identity import key_usage
from alliance.config.parties import Member, Party
from alliance.errors import ClockError

LIFETIME = datetime.timedelta(days=90)
BACKDATED = datetime.timedelta(days=1)
"""By how much the clock of who checks may be slow."""

log = logging.getLogger("alliance.keys")
Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """A key for TLS and its certificate."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """In the clear, for gRPC."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def expires(self) -> datetime.datetime:
        return self.certificate.not_valid_after_utc

    def is_due(self, now: datetime.datetime) -> bool:
        """Whether a third of its life or less remains."""
        life = self.expires - self.certificate.not_valid_before_utc
        return self.expires - now <= life / 3


def certify(
    party: Party, identity: Ed25519PrivateKey, now: datetime.datetime, lifetime: datetime.timedelta = LIFETIME
) -> ChannelKey:
    """A new channel key of this party. A client's opens connections, a member's also answers them."""
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if isinstance(party, Member):
        usages.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(identity.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party.name)]))
        .issuer_name(party.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # A channel's key is for handshakes: it must not certify others.
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(party.name)]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(identity, None)
    )
    return ChannelKey(key, certificate)


def is_certified_by(party: Party, certificate: x509.Certificate) -> bool:
    """Whether the party's identity signed the certificate, for the party's own name.

    Validity in time is the handshake's to check: a connection may outlive it.
    """
    try:
        certificate.verify_directly_issued_by(party.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return certificate.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party.name)])


def check_clock(party: Party, channel: ChannelKey, now: datetime.datetime) -> None:
    """Raises ClockError when the certificate is of a time that this machine's clock has not reached."""
    begin = channel.certificate.not_valid_before_utc
    if now < begin:
        raise ClockError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, but the TLS certificate of '{party.name}'"
            f" is valid only from {begin:%Y-%m-%d %H:%M}: set the clock; if it is right, 'alliance renew DIR'"
        )


class Credentials:
    """What proves who one is: the identity key, and a channel key that it renews by itself."""

    def __init__(
        self,
        party: Party,
        signing_key: Ed25519PrivateKey,
        channel: ChannelKey,
        *,
        file: Path | None = None,
        now: Clock = utc_now,
    ) -> None:
        """``file``: where the channel key came from; when another is put there, this one is replaced, too.

        (By one of its own: the passphrase for that file is no longer at hand.)
        """
        self.party = party
        self.signing_key = signing_key
        self._channel = channel
        self._file = file
        self._now = now
        self._stamp = self._stamped()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Credentials({self.party.name})"

    def channel(self) -> ChannelKey:
        """The one for connections that begin now. Any thread may ask; gRPC's do."""
        with self._lock:
            stamp, now = self._stamped(), self._now()
            if stamp != self._stamp or self._channel.is_due(now):
                self._stamp = stamp
                self._channel = certify(self.party, self.signing_key, now)
                log.info("made a new TLS certificate, valid until %s", f"{self._channel.expires:%Y-%m-%d}")
            return self._channel

    def _stamped(self) -> tuple[int, int] | None:
        """Which file that is, as far as one sees without reading it."""
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
