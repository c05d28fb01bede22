"""Certificates: a statement and the proof that a quorum made it.

A certificate names the epoch whose keys signed it, so that one of another epoch is told from a forged one. As
bytes it is ``tag u8 | epoch u64 | fields | signature``, big-endian: in journals, and in what members sign.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from quorum.endorsement import Endorsement
from quorum.scheme import InvalidCertificate, Scheme
from quorum.statement import AcceptedStatement, InvalidStatement, JointStatement, decode_joint, joint_kind

_HEAD = struct.Struct(">BQ")


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """A statement with one signature of the quorum of ``epoch``. Believe it only after ``verify``."""

    epoch: int
    statement: JointStatement
    signature: bytes

    def verify(self, scheme: Scheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance and epoch made the statement."""
        context = scheme.context
        if self.epoch != context.epoch:
            raise InvalidCertificate(f"it is of epoch {self.epoch}, not of epoch {context.epoch}")
        last, slot = scheme.last_slot, getattr(self.statement, "slot", 0)
        if last is not None and slot > last:
            raise InvalidCertificate(
                f"it is on slot {slot}, and the key of epoch {self.epoch} was in use up to slot {last}"
            )
        scheme.verify(self.statement.encode(context), self.signature)

    def encode(self) -> bytes:
        """The bytes of which ``decode`` makes an equal certificate."""
        statement = self.statement
        return _HEAD.pack(statement.TAG, self.epoch) + statement.fields() + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> QuorumCertificate:
        """Not verified. Raises InvalidStatement."""
        if len(encoded) < _HEAD.size:
            raise InvalidStatement("a certificate that ends within its head")
        tag, epoch = _HEAD.unpack_from(encoded)
        end = _HEAD.size + joint_kind(tag).LAYOUT.size
        return cls(epoch, decode_joint(tag, encoded[_HEAD.size : end]), encoded[end:])


@dataclass(frozen=True, slots=True)
class DecisionCertificate:
    """The log of ``slot`` slots with this ``root`` is decided. Believe it only after ``verify``.

    Made by ``of`` where a certificate comes in, so that nobody asks again what it certifies.
    """

    epoch: int
    statement: AcceptedStatement
    signature: bytes

    @classmethod
    def of(cls, certificate: QuorumCertificate) -> DecisionCertificate:
        """Raises InvalidCertificate when the certificate is of another purpose."""
        statement = certificate.statement
        if not isinstance(statement, AcceptedStatement):
            raise InvalidCertificate(f"not a decision certificate: it certifies a {type(statement).__name__}")
        return cls(certificate.epoch, statement, certificate.signature)

    @property
    def certificate(self) -> QuorumCertificate:
        """The same among certificates of every purpose: as the engine and the wire take it."""
        return QuorumCertificate(self.epoch, self.statement, self.signature)

    @property
    def view(self) -> int:
        return self.statement.view

    @property
    def slot(self) -> int:
        """The last slot that is decided."""
        return self.statement.slot

    @property
    def root(self) -> bytes:
        """That of the Merkle log over the slots 1 to ``slot``."""
        return self.statement.root

    def verify(self, scheme: Scheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance and epoch decided it."""
        self.certificate.verify(scheme)


def combine(scheme: Scheme, endorsements: Sequence[Endorsement]) -> QuorumCertificate:
    """The certificate that these endorsements make together; checked, so it verifies.

    Raises CombineFailed with the members that are proven to have spoilt it, and ValueError when the
    endorsements are too few or not on one statement.
    """
    signature = scheme.combine(endorsements)
    return QuorumCertificate(scheme.context.epoch, endorsements[0].statement, signature)
