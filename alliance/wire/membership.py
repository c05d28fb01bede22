"""Who takes part in an alliance from a slot on, with the one signature that proves it.

On the wire it is one message, and more of them if there are many clients. As bytes, in a member's folder and
canonical (``consensus.control.encoding``)::

    "alliance-membership/3" 00 | certificate blob | config blob | clients blob | keys list of blob
    | changes list of key change

``certificate`` is that of a MEMBERSHIP statement as ``quorum.certificate`` encodes it; ``config`` and
``clients`` are laid out by ``consensus.control.directory``; ``keys`` are the public keys of the dealing, the
agreement key first and then those of the purposes in the order of alliance.toml. Of dealing 0 there are none:
those are in every alliance.toml, and its alliance_id binds them. ``changes`` are those of the public keys up
to this membership (``alliance.config.key_changes``), oldest first; normally there is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass

from alliance.config.founding import KEYS_MAX
from alliance.config.key_changes import (
    CERTIFICATE_BYTES_MAX,
    CONFIG_BYTES_MAX,
    KEY_CHANGES_MAX,
    KEYS_BYTES_MAX,
    KeyChange,
    key_changed,
)
from alliance.pb import client_pb2 as pb
from alliance.wire.bounds import Malformed, at_most
from alliance.wire.certificates import decode_certificate, encode_certificate
from consensus.control.encoding import MalformedControl, Reader, blob, listed
from consensus.control.published import Published
from consensus.control.transcript import transcript_digest
from quorum import InvalidCertificate, MembershipStatement, QuorumCertificate
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaScheme, read_agreement_key

FILE = "membership"
"""In a member's folder: the newest that it can show."""
PART_BYTES = 1024 * 1024
"""Of clients, in one message."""
CLIENTS_BYTES_MAX = 64 * 1024 * 1024
"""Of all clients that an alliance ever has, each with a certificate of the usual length."""
CHANGES_BYTES_MAX = 32 * 1024 * 1024
"""Of all changes of keys that an alliance ever has."""
_MAGIC = b"alliance-membership/3\x00"


@dataclass(frozen=True)
class MembershipProof:
    """``certificate`` is a MEMBERSHIP's, on ``membership``; ``keys`` are those of its dealing, none of
    dealing 0. ``changes``: how the public keys came to be others than the founding's, this membership's own
    change included. Believe it only after ``verify``."""

    certificate: QuorumCertificate
    membership: Published
    keys: tuple[AgreementKey, ...] = ()
    changes: tuple[KeyChange, ...] = ()

    @classmethod
    def of(
        cls,
        certificate: QuorumCertificate,
        config: bytes,
        clients: bytes,
        keys: Iterable[bytes] = (),
        changes: Iterable[KeyChange] = (),
    ) -> MembershipProof:
        """Raises MalformedControl when they do not belong together."""
        membership = Published.read(config, clients)
        if certificate.statement != _statement(certificate, membership):
            raise MalformedControl("the certificate is not on this membership")
        try:
            return cls(certificate, membership, tuple(map(read_agreement_key, keys)), tuple(changes))
        except InvalidAgreementKey as error:
            raise MalformedControl(f"a key that is none: {error}") from None

    @property
    def counters(self) -> tuple[int, int]:
        """Its epoch, and the revision within it: what is higher is newer."""
        return self.membership.epoch, self.membership.revision

    def verify(self, scheme: ThresholdRsaScheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance says so, in whatever epoch.

        The alliance's modulus is the same in all of them, so one signature is all that is checked; and one
        more for each change of keys in epochs behind the scheme's own. Of that epoch and those before, the
        scheme knows the keys itself, whatever anybody says.
        """
        membership, epoch = self.membership, self.certificate.epoch
        if membership.alliance_id != scheme.context.alliance_id:
            raise InvalidCertificate("it is of another alliance")
        if epoch + (membership.revision == 0) != membership.epoch:
            raise InvalidCertificate(f"epoch {epoch} does not say who takes part in {membership.epoch}")
        keys = [key.to_bytes() for key in self.keys]
        if membership.transcript != (transcript_digest(keys) if membership.dealing else bytes(32)):
            raise InvalidCertificate(f"its keys are not those of dealing {membership.dealing}")
        if keys and not membership.dealing:
            raise InvalidCertificate("it has keys, and they are those of the founding")
        for change in self.changes:
            if change.epoch > membership.epoch:
                raise InvalidCertificate("it has a change of keys of a later epoch")
            if change.epoch > scheme.context.epoch:
                scheme = change.follow(scheme)
        if keys and key_changed(self.keys[:1], [scheme.in_epoch(membership.epoch).key]):
            raise InvalidCertificate("its keys are others than before, and it does not say how they changed")
        self.certificate.verify(scheme.in_epoch(epoch))

    def encode(self) -> bytes:
        parts = self.certificate.encode(), self.membership.config, self.membership.clients
        keys = listed(blob(key.to_bytes()) for key in self.keys)
        changes = listed(change.encode() for change in self.changes)
        return _MAGIC + b"".join(map(blob, parts)) + keys + changes

    @classmethod
    def decode(cls, encoded: bytes) -> MembershipProof:
        """Raises MalformedControl or InvalidStatement."""
        reader = Reader(encoded)
        if reader.fixed(len(_MAGIC)) != _MAGIC:
            raise MalformedControl("this is no membership, or one of another version")
        certificate = QuorumCertificate.decode(reader.blob(CERTIFICATE_BYTES_MAX))
        config, clients = reader.blob(CONFIG_BYTES_MAX), reader.blob(CLIENTS_BYTES_MAX)
        keys = reader.listed(lambda r: r.blob(KEYS_BYTES_MAX), KEYS_MAX)
        changes = reader.listed(KeyChange.read, KEY_CHANGES_MAX)
        reader.end()
        return cls.of(certificate, config, clients, keys, changes)


def _statement(certificate: QuorumCertificate, membership: Published) -> MembershipStatement | None:
    """What a certificate on this membership says, which adds the slot and what the log and its state are."""
    said = certificate.statement
    if not isinstance(said, MembershipStatement):
        return None
    log = said.slot, said.root, said.state_digest
    return MembershipStatement(membership.epoch, membership.revision, *log, membership.digest)


def encode_proof(proof: MembershipProof) -> Iterator[pb.MembershipPart]:
    """The first part has all but what the clients take beyond PART_BYTES."""
    clients = proof.membership.clients
    yield pb.MembershipPart(
        config=proof.membership.config,
        certificate=encode_certificate(proof.certificate),
        clients=clients[:PART_BYTES],
        clients_bytes=len(clients),
        keys=[key.to_bytes() for key in proof.keys],
    )
    for change in proof.changes:
        yield pb.MembershipPart(
            key_change=pb.KeyChange(
                config=change.config,
                certificate=encode_certificate(change.certificate),
                keys=[key.to_bytes() for key in change.keys],
            )
        )
    for at in range(PART_BYTES, len(clients), PART_BYTES):
        yield pb.MembershipPart(clients=clients[at : at + PART_BYTES])


async def read_proof(parts: AsyncIterable[pb.MembershipPart | None]) -> MembershipProof | None:
    """Not verified. None: there is nothing new. Raises Malformed, MalformedControl or InvalidStatement."""
    first: pb.MembershipPart | None = None
    clients, changes, size = bytearray(), list[KeyChange](), 0
    async for part in parts:
        if part is None:
            raise Malformed("not a message")
        if first is None:
            first = part
            if part.clients_bytes > CLIENTS_BYTES_MAX or len(part.config) > CONFIG_BYTES_MAX:
                raise Malformed("a membership that is longer than any")
            if sum(map(len, at_most("keys", part.keys, KEYS_MAX))) > KEYS_BYTES_MAX:
                raise Malformed("keys that are longer than any")
        if part.HasField("key_change"):
            size += part.key_change.ByteSize()
            if len(changes) == KEY_CHANGES_MAX or size > CHANGES_BYTES_MAX:
                raise Malformed("more changes of keys than there ever are")
            changes.append(_read_change(part.key_change))
        clients += part.clients
        if len(clients) > first.clients_bytes:
            raise Malformed("more clients than were announced")
    if first is None or not first.config:
        return None
    certificate = decode_certificate(first.certificate)
    return MembershipProof.of(certificate, first.config, bytes(clients), first.keys, changes)


def _read_change(change: pb.KeyChange) -> KeyChange:
    if sum(map(len, at_most("keys", change.keys, KEYS_MAX))) > KEYS_BYTES_MAX:
        raise Malformed("keys that are longer than any")
    return KeyChange.of(decode_certificate(change.certificate), change.config, change.keys)
