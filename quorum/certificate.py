"""Certificates: a statement and the proof that a quorum made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorum.endorsement import Endorsement
from quorum.scheme import InvalidCertificate, Scheme
from quorum.statement import AcceptedStatement, JointStatement


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """A statement with one signature of the quorum. Believe it only after ``verify``."""

    statement: JointStatement
    signature: bytes

    def verify(self, scheme: Scheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance made the statement."""
        scheme.verify(self.statement.encode(scheme.context), self.signature)


@dataclass(frozen=True, slots=True)
class DecisionCertificate:
    """The log of ``slot`` slots with this ``root`` is decided. Believe it only after ``verify``.

    Made by ``of`` where a certificate comes in, so that nobody asks again what it certifies.
    """

    statement: AcceptedStatement
    signature: bytes

    @classmethod
    def of(cls, certificate: QuorumCertificate) -> DecisionCertificate:
        """Raises InvalidCertificate when the certificate is of another purpose."""
        statement = certificate.statement
        if not isinstance(statement, AcceptedStatement):
            raise InvalidCertificate(f"not a decision certificate: it certifies a {type(statement).__name__}")
        return cls(statement, certificate.signature)

    @property
    def certificate(self) -> QuorumCertificate:
        """The same among certificates of every purpose: as the engine and the wire take it."""
        return QuorumCertificate(self.statement, self.signature)

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
        """Raises InvalidCertificate unless a quorum of the scheme's alliance decided it."""
        self.certificate.verify(scheme)


def combine(scheme: Scheme, endorsements: Sequence[Endorsement]) -> QuorumCertificate:
    """The certificate that these endorsements make together; checked, so it verifies.

    Raises CombineFailed with the members that are proven to have spoilt it, and ValueError when the
    endorsements are too few or not on one statement.
    """
    signature = scheme.combine(endorsements)
    return QuorumCertificate(endorsements[0].statement, signature)
