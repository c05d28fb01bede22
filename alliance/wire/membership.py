"""Who takes part in an alliance from a slot on, with the one signature that proves it.

On the wire it is one message, and more of them if there are many clients. As bytes, in a member's folder and
canonical (``consensus.control.encoding``)::

    "alliance-membership/1" 00 | certificate blob | config blob | clients blob

``certificate`` is that of a MEMBERSHIP statement as ``quorum.certificate`` encodes it; ``config`` and
``clients`` are laid out by ``consensus.control.directory``.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass

from alliance.pb import client_pb2 as pb
from alliance.wire.bounds import Malformed
from alliance.wire.certificates import decode_certificate, encode_certificate
from consensus.control.encoding import MalformedControl, Reader, blob
from consensus.control.published import Published
from quorum import InvalidCertificate, MembershipStatement, QuorumCertificate, Scheme

PART_BYTES = 1024 * 1024
"""Of clients, in one message."""
CONFIG_BYTES_MAX = 4 * 1024 * 1024
CLIENTS_BYTES_MAX = 64 * 1024 * 1024
"""Of all clients that an alliance ever has, each with a certificate of the usual length."""
_CERTIFICATE_BYTES_MAX = 8 * 1024
_MAGIC = b"alliance-membership/1\x00"


@dataclass(frozen=True)
class MembershipProof:
    """``certificate`` is a MEMBERSHIP's, on ``membership``. Believe it only after ``verify``."""

    certificate: QuorumCertificate
    membership: Published

    @classmethod
    def of(cls, certificate: QuorumCertificate, config: bytes, clients: bytes) -> MembershipProof:
        """Raises MalformedControl when they do not belong together."""
        membership = Published.read(config, clients)
        if certificate.statement != _statement(certificate, membership):
            raise MalformedControl("the certificate is not on this membership")
        return cls(certificate, membership)

    @property
    def counters(self) -> tuple[int, int]:
        """Its epoch, and the revision within it: what is higher is newer."""
        return self.membership.epoch, self.membership.revision

    def verify(self, scheme: Scheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance and epoch says so."""
        if self.membership.alliance_id != scheme.context.alliance_id:
            raise InvalidCertificate("it is of another alliance")
        self.certificate.verify(scheme)

    def encode(self) -> bytes:
        parts = self.certificate.encode(), self.membership.config, self.membership.clients
        return _MAGIC + b"".join(map(blob, parts))

    @classmethod
    def decode(cls, encoded: bytes) -> MembershipProof:
        """Raises MalformedControl or InvalidStatement."""
        reader = Reader(encoded)
        if reader.fixed(len(_MAGIC)) != _MAGIC:
            raise MalformedControl("this is no membership")
        certificate = QuorumCertificate.decode(reader.blob(_CERTIFICATE_BYTES_MAX))
        config, clients = reader.blob(CONFIG_BYTES_MAX), reader.blob(CLIENTS_BYTES_MAX)
        reader.end()
        return cls.of(certificate, config, clients)


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
    )
    for at in range(PART_BYTES, len(clients), PART_BYTES):
        yield pb.MembershipPart(clients=clients[at : at + PART_BYTES])


async def read_proof(parts: AsyncIterable[pb.MembershipPart | None]) -> MembershipProof | None:
    """Not verified. None: there is nothing new. Raises Malformed, MalformedControl or InvalidStatement."""
    first: pb.MembershipPart | None = None
    clients = bytearray()
    async for part in parts:
        if part is None:
            raise Malformed("not a message")
        if first is None:
            first = part
            if part.clients_bytes > CLIENTS_BYTES_MAX or len(part.config) > CONFIG_BYTES_MAX:
                raise Malformed("a membership that is longer than any")
        clients += part.clients
        if len(clients) > first.clients_bytes:
            raise Malformed("more clients than were announced")
    if first is None or not first.config:
        return None
    return MembershipProof.of(decode_certificate(first.certificate), first.config, bytes(clients))
