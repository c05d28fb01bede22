"""Certificates: a statement and the proof that a quorum made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorum.endorsement import Endorsement
from quorum.scheme import Scheme
from quorum.statement import JointStatement


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """A statement with one signature of the quorum. Believe it only after ``verify``."""

    statement: JointStatement
    signature: bytes

    def verify(self, scheme: Scheme) -> None:
        """Raises InvalidCertificate unless a quorum of the scheme's alliance made the statement."""
        scheme.verify(self.statement.encode(scheme.context), self.signature)


def combine(scheme: Scheme, endorsements: Sequence[Endorsement]) -> QuorumCertificate:
    """The certificate that these endorsements make together; checked, so it verifies.

    Raises CombineFailed with the members that are proven to have spoilt it, and ValueError when the
    endorsements are too few or not on one statement.
    """
    signature = scheme.combine(endorsements)
    return QuorumCertificate(endorsements[0].statement, signature)
