"""The signed bytes, frozen: a change here breaks every signature ever made (docs/concepts/protocol.md,
section 3)."""

from __future__ import annotations

import pytest

from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Context,
    ControlStatement,
    EpochReadyStatement,
    GreetingStatement,
    IndividualStatement,
    InvalidStatement,
    JointStatement,
    MembershipStatement,
    NewViewStatement,
    ProgressStatement,
    ProposeStatement,
    ReplyStatement,
    ReportStatement,
    SnapshotStatement,
    SubmissionStatement,
    SuspectStatement,
    VoteStatement,
    decode_individual,
    decode_joint,
)

CONTEXT = Context(bytes(range(32)), 0x0102030405060708)
HEAD = b"alliance/v1\x00".hex() + "%02x" + bytes(range(32)).hex() + "0102030405060708"
HEAD_OF_ANY_EPOCH = HEAD[:-16] + "0" * 16
A, B, C = b"\xaa" * 32, b"\xbb" * 32, b"\xcc" * 32
FIVE, SIX, SEVEN = "0000000000000005", "0000000000000006", "0000000000000007"

FROZEN = [
    (AcceptedStatement(6, 7, A), 0x01, SIX + SEVEN + "aa" * 32),
    (SuspectStatement(6), 0x04, SIX),
    (ProgressStatement(6, A), 0x05, SIX + "aa" * 32),
    (CheckpointStatement(7, A, B), 0x06, SEVEN + "aa" * 32 + "bb" * 32),
    (ReplyStatement(6, 7, B), 0x07, SIX + SEVEN + "bb" * 32),
    (
        MembershipStatement(5, 6, 7, A, B, C),
        0x08,
        FIVE + SIX + SEVEN + "aa" * 32 + "bb" * 32 + "cc" * 32,
    ),
    (EpochReadyStatement(A, 6, B), 0x0A, "aa" * 32 + SIX + "bb" * 32),
    (SnapshotStatement(6, 7, A, B, A), 0x09, SIX + SEVEN + "aa" * 32 + "bb" * 32 + "aa" * 32),
    (ProposeStatement(6, 7, A, B), 0x40, SIX + SEVEN + "aa" * 32 + "bb" * 32),
    (VoteStatement(6, 7, A), 0x41, SIX + SEVEN + "aa" * 32),
    (ReportStatement(6, A), 0x42, SIX + "aa" * 32),
    (NewViewStatement(6, A), 0x43, SIX + "aa" * 32),
    (SubmissionStatement(A, 6, B), 0x44, "aa" * 32 + SIX + "bb" * 32),
    (GreetingStatement(5, 6, 7, A), 0x45, FIVE + SIX + SEVEN + "aa" * 32),
    (ControlStatement(A), 0x46, "aa" * 32),
]
JOINT = [(statement, tag, fields) for statement, tag, fields in FROZEN if tag < 0x40]
OF_ANY_EPOCH = (SubmissionStatement, ControlStatement)
INDIVIDUAL = [entry for entry in FROZEN if entry[1] >= 0x40 and not isinstance(entry[0], OF_ANY_EPOCH)]


@pytest.mark.parametrize(("statement", "tag", "fields"), FROZEN)
def test_the_encoding_is_frozen(statement: JointStatement, tag: int, fields: str) -> None:
    """ "alliance/v1" 0x00 | tag u8 | alliance_id[32] | epoch u64 | fields, big-endian, fixed width."""
    head = HEAD_OF_ANY_EPOCH if isinstance(statement, OF_ANY_EPOCH) else HEAD
    assert statement.encode(CONTEXT).hex() == head % tag + fields
    assert statement.fields().hex() == fields


def test_one_encoding_in_full() -> None:
    context = Context(b"\x11" * 32, 2)
    assert AcceptedStatement(1, 3, b"\x22" * 32).encode(context).hex() == (
        "616c6c69616e63652f76310001"
        "1111111111111111111111111111111111111111111111111111111111111111"
        "000000000000000200000000000000010000000000000003"
        "2222222222222222222222222222222222222222222222222222222222222222"
    )


def test_no_two_purposes_alliances_or_epochs_share_their_bytes() -> None:
    """docs/development/testing.md, scenario 23: replay across views, slots, epochs, alliances, purposes."""
    contexts = [Context(a, e) for a in (A, B) for e in (0, 1)]
    encodings = [s.encode(c) for s, _, _ in FROZEN if not isinstance(s, OF_ANY_EPOCH) for c in contexts]
    timeless = (SubmissionStatement(A, 6, B), ControlStatement(A))
    encodings += [s.encode(Context(a, 0)) for s in timeless for a in (A, B)]
    encodings += [
        AcceptedStatement(v, s, r).encode(contexts[0]) for v in (1, 2) for s in (1, 2) for r in (A, B)
    ]
    assert len(set(encodings)) == len(encodings)


@pytest.mark.parametrize("statement", [SubmissionStatement(A, 6, B), ControlStatement(A)])
def test_a_client_and_an_operator_sign_for_the_alliance_and_not_for_an_epoch(
    statement: SubmissionStatement | ControlStatement,
) -> None:
    """What waits for its order outlives a change of members: nobody has to sign it again."""
    assert len({statement.encode(Context(A, epoch)) for epoch in (0, 1, 2**64 - 1)}) == 1


@pytest.mark.parametrize(("statement", "tag", "fields"), JOINT)
def test_joint_statements_come_back_from_their_fields(
    statement: JointStatement, tag: int, fields: str
) -> None:
    assert decode_joint(tag, bytes.fromhex(fields)) == statement
    for wrong in (bytes.fromhex(fields)[:-1], bytes.fromhex(fields) + b"\x00", b""):
        with pytest.raises(InvalidStatement):
            decode_joint(tag, wrong)


@pytest.mark.parametrize(("statement", "tag", "fields"), INDIVIDUAL)
def test_a_members_own_statements_come_back_from_their_fields(
    statement: IndividualStatement, tag: int, fields: str
) -> None:
    assert decode_individual(tag, bytes.fromhex(fields)) == statement
    for wrong in (bytes.fromhex(fields)[:-1], bytes.fromhex(fields) + b"\x00", b""):
        with pytest.raises(InvalidStatement):
            decode_individual(tag, wrong)


@pytest.mark.parametrize("tag", [0, 1, 7, 0x3F, 0x44, 0x46, 255, 2**31])
def test_what_no_member_signs_alone_is_no_statement_of_one(tag: int) -> None:
    with pytest.raises(InvalidStatement):
        decode_individual(tag, bytes(56))


@pytest.mark.parametrize("tag", [0, 2, 3, 0x0B, 0x40, 0x41, 0x44, 255])
def test_what_a_quorum_never_signs_is_no_joint_statement(tag: int) -> None:
    with pytest.raises(InvalidStatement):
        decode_joint(tag, bytes(48))


@pytest.mark.parametrize("number", [-1, 2**64, True, 1.0, None, "1", A])
def test_numbers_out_of_range_make_no_statement(number: int) -> None:
    with pytest.raises(InvalidStatement):
        AcceptedStatement(number, 1, A)
    with pytest.raises(InvalidStatement):
        SuspectStatement(number)
    with pytest.raises(InvalidStatement):
        Context(A, number)


@pytest.mark.parametrize("digest", [b"", A[:-1], A + b"\x00", bytearray(A), 5, None, "a" * 32])
def test_digests_of_another_size_make_no_statement(digest: bytes) -> None:
    with pytest.raises(InvalidStatement):
        AcceptedStatement(1, 1, digest)
    with pytest.raises(InvalidStatement):
        Context(digest, 1)


def test_the_extremes_are_statements() -> None:
    statement = AcceptedStatement(2**64 - 1, 0, A)
    assert decode_joint(1, statement.fields()) == statement
