"""The certificates that the journal keeps: their bytes, and what else is not taken for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alliance.storage import journal_records as records
from alliance.storage.journal_records import decision, election, pack_certificate
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    DecisionCertificate,
    JointStatement,
    QuorumCertificate,
    SuspectStatement,
)
from verifiable_log.merkle import EMPTY
from verifiable_log.ordering_state import Checkpoint, Snapshot

A, B = b"\xaa" * 32, b"\xbb" * 32
ACCEPTED, SUSPECT, CHECKPOINT = AcceptedStatement(1, 2, A), SuspectStatement(6), CheckpointStatement(2, A, B)


def certificate(statement: JointStatement) -> QuorumCertificate:
    return QuorumCertificate(5, statement, b"joint")


def test_kept_certificates_are_frozen() -> None:
    """``tag u8 | epoch u64 | fields | signature``"""
    made = certificate(ACCEPTED)
    packed = pack_certificate(made)
    assert packed.hex() == ("01000000000000000500000000000000010000000000000002" + "aa" * 32 + b"joint".hex())
    assert decision(packed) == DecisionCertificate.of(made)
    assert election(pack_certificate(certificate(SUSPECT))) == certificate(SUSPECT)
    assert decision(b"") is election(b"") is None


def test_a_kept_checkpoint_is_frozen() -> None:
    """``length u32 | frontier | certificate``"""
    snapshot = Snapshot(EMPTY, ())
    statement = snapshot.statement
    kept = Checkpoint(snapshot, certificate(statement))
    packed = records.pack_checkpoint(kept)
    assert packed.hex() == (
        "00000008"
        + "0000000000000000"
        + "06"
        + "0000000000000005"
        + "0000000000000000"
        + statement.root.hex()
        + statement.state_digest.hex()
        + b"joint".hex()
    )
    assert records.unpack_checkpoint(packed) == (snapshot.frontier, kept.certificate)


@pytest.mark.parametrize(
    ("read", "right"),
    [
        (decision, ACCEPTED),
        (election, SUSPECT),
        (lambda p: records._certificate(p, CheckpointStatement), CHECKPOINT),
    ],
)
def test_what_was_kept_as_something_else_is_damage(
    read: Callable[[bytes], object], right: JointStatement
) -> None:
    for statement in (ACCEPTED, SUSPECT, CHECKPOINT):
        packed = pack_certificate(certificate(statement))
        if statement is right:
            assert read(packed) is not None
        else:
            with pytest.raises(records.DAMAGE, match="was kept"):
                read(packed)
    for end in range(1, 17):
        with pytest.raises(records.DAMAGE):
            read(pack_certificate(certificate(right))[:end])
