"""How an alliance came by other public keys than those of its founding: each change, by the key before.

An epoch that begins with new keys has a membership like any other, certified by the members of the epoch
before with the key that they had; and that membership names the digest of the new keys. So these certificates
lead from the keys of the founding, which the alliance_id binds, to those of now: normally there is none. As
bytes, in base64 in alliance.toml, canonical (``consensus.control.encoding``)::

    certificate blob | config blob | keys list of blob
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alliance.config.founding import KEYS_MAX
from consensus.control.directory import config_digest
from consensus.control.encoding import MalformedControl, Reader, blob, listed
from consensus.control.transcript import transcript_digest
from consensus.limits import KEY_CHANGES_MAX
from quorum import (
    Context,
    InvalidCertificate,
    InvalidStatement,
    MembershipStatement,
    QuorumCertificate,
)
from quorum.threshold_rsa import (
    AgreementKey,
    FormerKey,
    InvalidAgreementKey,
    ThresholdRsaScheme,
    read_agreement_key,
)

CERTIFICATE_BYTES_MAX = 8 * 1024
CONFIG_BYTES_MAX = 4 * 1024 * 1024
KEYS_BYTES_MAX = 2 * 1024 * 1024
"""Of all keys, each with the verification keys of at most 31 members, who have dealings of their own."""

__all__ = ["KEY_CHANGES_MAX", "KeyChange", "former_keys", "key_changed", "leads_to"]


@dataclass(frozen=True)
class KeyChange:
    """``config`` is the membership of the epoch that began so, ``keys`` are all of its public keys, in order.

    Raises MalformedControl when certificate, config and keys do not belong together. Believe it only after
    ``follow``.
    """

    certificate: QuorumCertificate
    config: bytes
    keys: tuple[AgreementKey, ...]

    def __post_init__(self) -> None:
        reader = Reader(self.config)
        reader.fixed(32)
        epoch, _, revision, start = (reader.number(8) for _ in range(4))
        transcript, said = reader.fixed(32), self.certificate.statement
        named = transcript_digest([key.to_bytes() for key in self.keys])
        if not isinstance(said, MembershipStatement) or (
            (said.next_epoch, said.revision, said.slot, said.config_digest)
            != (epoch, revision, start, config_digest(self.config))
            or (revision, self.certificate.epoch + 1) != (0, epoch)
        ):
            raise MalformedControl("a change of keys without the certificate of its epoch")
        if not self.keys or transcript != named:
            raise MalformedControl("a change of keys with other keys than its epoch has")

    @property
    def epoch(self) -> int:
        """The first one with these keys."""
        return self.certificate.epoch + 1

    @property
    def start(self) -> int:
        """The last slot under the keys before."""
        return int.from_bytes(self.config[56:64], "big")

    def follow(self, scheme: ThresholdRsaScheme) -> ThresholdRsaScheme:
        """The scheme as it goes on with these keys. Raises InvalidCertificate unless the key before, which is
        the scheme's newest, has certified them."""
        if self.config[:32] != scheme.context.alliance_id:
            raise InvalidCertificate("a change of keys of another alliance")
        if scheme.former and self.epoch - 1 <= scheme.former[-1].epoch:
            raise InvalidCertificate("changes of keys in another order than that of their epochs")
        self.certificate.verify(scheme.in_epoch(self.epoch - 1))
        return scheme.then(self.keys[0], self.epoch - 1, self.start)

    def encode(self) -> bytes:
        keys = listed(blob(key.to_bytes()) for key in self.keys)
        return blob(self.certificate.encode()) + blob(self.config) + keys

    @classmethod
    def read(cls, reader: Reader) -> KeyChange:
        """Raises MalformedControl."""
        certificate, config = reader.blob(CERTIFICATE_BYTES_MAX), reader.blob(CONFIG_BYTES_MAX)
        keys = reader.listed(lambda r: r.blob(KEYS_BYTES_MAX), KEYS_MAX)
        return cls.of(certificate, config, keys)

    @classmethod
    def of(cls, certificate: bytes | QuorumCertificate, config: bytes, keys: Sequence[bytes]) -> KeyChange:
        """Raises MalformedControl."""
        try:
            if isinstance(certificate, bytes):
                certificate = QuorumCertificate.decode(certificate)
            return cls(certificate, config, tuple(map(read_agreement_key, keys)))
        except (InvalidStatement, InvalidAgreementKey) as error:
            raise MalformedControl(f"a change of keys that is none: {error}") from None


def former_keys(
    founding: Sequence[AgreementKey], changes: Sequence[KeyChange], place: int
) -> list[FormerKey]:
    """The keys at a place of the order, 0 for the agreement key, before the one of now; oldest first."""
    before = [founding, *(one.keys for one in changes)]
    return [
        FormerKey(keys[place], one.epoch - 1, one.start) for keys, one in zip(before, changes, strict=False)
    ]


def key_changed(before: Sequence[AgreementKey], after: Sequence[AgreementKey]) -> bool:
    """Whether the public keys are others, and not the same with other shares."""
    parts = [[(one.modulus, one.public_exponent) for one in keys] for keys in (before, after)]
    return parts[0] != parts[1]


def leads_to(
    founding: Sequence[AgreementKey],
    changes: Sequence[KeyChange],
    keys: Sequence[AgreementKey],
    context: Context,
) -> bool:
    """Whether these changes, each by the key before, lead from the founding's keys to those of the epoch."""
    scheme = ThresholdRsaScheme(founding[0], Context(context.alliance_id, 0))
    before = founding
    for change in changes:
        if change.epoch > context.epoch or len(change.keys) != len(founding):
            return False
        try:
            scheme, before = change.follow(scheme), change.keys
        except InvalidCertificate:
            return False
    return not key_changed(before, keys)
