"""Certificates told apart by what they certify."""

from __future__ import annotations

from hashlib import sha256

import pytest

from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    DecisionCertificate,
    InvalidCertificate,
    JointStatement,
    ProgressStatement,
    QuorumCertificate,
    ReplyStatement,
    SuspectStatement,
)

DIGEST = sha256(b"digest").digest()


def test_a_decision_certificate_says_what_its_statement_says() -> None:
    certificate = QuorumCertificate(AcceptedStatement(view=3, slot=7, root=DIGEST), b"signature")
    decision = DecisionCertificate.of(certificate)
    assert (decision.view, decision.slot, decision.root) == (3, 7, DIGEST)
    assert decision.certificate == certificate


@pytest.mark.parametrize(
    "statement",
    [
        SuspectStatement(3),
        ProgressStatement(3, DIGEST),
        CheckpointStatement(7, DIGEST, DIGEST),
        ReplyStatement(7, 1, DIGEST),
    ],
    ids=lambda statement: type(statement).__name__,
)
def test_a_certificate_of_another_purpose_is_no_decision(statement: JointStatement) -> None:
    with pytest.raises(InvalidCertificate, match=f"it certifies a {type(statement).__name__}"):
        DecisionCertificate.of(QuorumCertificate(statement, b"signature"))
