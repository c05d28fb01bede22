"""Certificates: told apart by what they certify and by their epoch; their encoding is frozen."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Context,
    DecisionCertificate,
    Endorsement,
    EpochReadyStatement,
    InvalidCertificate,
    InvalidStatement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    QuorumCertificate,
    ReplyStatement,
    SnapshotStatement,
    SuspectStatement,
    combine,
)
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme

DIGEST = sha256(b"digest").digest()
A, B = b"\xaa" * 32, b"\xbb" * 32
EPOCH = 0x0102030405060708
FROZEN = [
    (AcceptedStatement(6, 7, A), "01", "00000000000000060000000000000007" + "aa" * 32),
    (SuspectStatement(6), "04", "0000000000000006"),
    (ProgressStatement(6, A), "05", "0000000000000006" + "aa" * 32),
    (CheckpointStatement(7, A, B), "06", "0000000000000007" + "aa" * 32 + "bb" * 32),
    (ReplyStatement(6, 7, B), "07", "00000000000000060000000000000007" + "bb" * 32),
    (
        MembershipStatement(5, 6, 7, A, B, B),
        "08",
        "000000000000000500000000000000060000000000000007" + "aa" * 32 + "bb" * 64,
    ),
    (EpochReadyStatement(A, 6, B), "0a", "aa" * 32 + "0000000000000006" + "bb" * 32),
    (
        SnapshotStatement(6, 7, A, B, A),
        "09",
        "00000000000000060000000000000007" + "aa" * 32 + "bb" * 32 + "aa" * 32,
    ),
]


@pytest.mark.parametrize(("statement", "tag", "fields"), FROZEN)
def test_the_encoding_of_a_certificate_is_frozen(statement: JointStatement, tag: str, fields: str) -> None:
    """tag u8 | epoch u64 | fields | signature"""
    certificate = QuorumCertificate(EPOCH, statement, b"signed")
    assert certificate.encode().hex() == tag + "0102030405060708" + fields + b"signed".hex()
    assert QuorumCertificate.decode(certificate.encode()) == certificate


@pytest.mark.parametrize("length", range(9 + 48))
def test_what_ends_within_its_statement_is_no_certificate(length: int) -> None:
    encoded = QuorumCertificate(EPOCH, FROZEN[0][0], b"").encode()
    with pytest.raises(InvalidStatement):
        QuorumCertificate.decode(encoded[:length])


@pytest.mark.parametrize("tag", [0, 2, 0x0B, 0x10, 0x40, 0x41, 255])
def test_a_certificate_has_the_tag_of_what_a_quorum_signs(tag: int) -> None:
    with pytest.raises(InvalidStatement, match="no quorum signs"):
        QuorumCertificate.decode(bytes([tag]) + bytes(200))


def test_a_certificate_of_another_epoch_is_told_from_a_forged_one() -> None:
    """The signature is on the epoch as well, so no other number makes it valid."""
    statement, home = AcceptedStatement(0, 1, A), StandInScheme(5)
    shares = [StandInEndorser(member).endorse(statement.encode(CONTEXT), proven=False) for member in range(5)]
    made = combine(home, [Endorsement(statement, member, share) for member, share in enumerate(shares)])
    assert made.epoch == CONTEXT.epoch == 3
    later, elsewhere = StandInScheme(5, Context(CONTEXT.alliance_id, 4)), StandInScheme(5, Context(A, 3))
    decision = DecisionCertificate.of(made)
    for certificate in (made, decision):
        with pytest.raises(InvalidCertificate, match="it is of epoch 3, not of epoch 4"):
            certificate.verify(later)
        with pytest.raises(InvalidCertificate, match="not the quorum's word"):
            replace(certificate, epoch=4).verify(later)
        with pytest.raises(InvalidCertificate, match="not the quorum's word"):
            certificate.verify(elsewhere)
        certificate.verify(home)


def test_a_decision_certificate_says_what_its_statement_says() -> None:
    certificate = QuorumCertificate(2, AcceptedStatement(view=3, slot=7, root=DIGEST), b"signature")
    decision = DecisionCertificate.of(certificate)
    assert (decision.epoch, decision.view, decision.slot, decision.root) == (2, 3, 7, DIGEST)
    assert decision.certificate == certificate


@pytest.mark.parametrize(
    "statement",
    [
        SuspectStatement(3),
        ProgressStatement(3, DIGEST),
        CheckpointStatement(7, DIGEST, DIGEST),
        ReplyStatement(7, 1, DIGEST),
        MembershipStatement(1, 0, 7, DIGEST, DIGEST, DIGEST),
        EpochReadyStatement(DIGEST, 0, DIGEST),
        SnapshotStatement(7, 1, DIGEST, DIGEST, DIGEST),
    ],
    ids=lambda statement: type(statement).__name__,
)
def test_a_certificate_of_another_purpose_is_no_decision(statement: JointStatement) -> None:
    with pytest.raises(InvalidCertificate, match=f"it certifies a {type(statement).__name__}"):
        DecisionCertificate.of(QuorumCertificate(0, statement, b"signature"))
