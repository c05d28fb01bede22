"""The tree over a submission's commands: against a dumb twin, against forgers, and frozen."""

from __future__ import annotations

import itertools
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiable_log import Batch, InvalidSubmission, Submission, UnsignedSubmission
from verifiable_log.batch import batch_digest
from verifiable_log.command_tree import GROUP, CommandProof, command_proofs
from verifiable_log.limits import SUBMISSION_COMMANDS_MAX
from verifiable_log.merkle import tree_head
from verifiable_log.merkle_tree import ProofError
from verifiable_log.submission import SubmissionHeader

OWNER = bytes(range(32))
SIGNATURE = bytes(range(64))
FULL = SUBMISSION_COMMANDS_MAX
COUNTS = (*range(1, 35), 63, 64, 65, 100)


def signed(*commands: bytes, seq: int = 7) -> Submission:
    return UnsignedSubmission(OWNER, seq, commands).sign(SIGNATURE)


def numbered(count: int) -> list[bytes]:
    return [b"command %d" % number for number in range(count)]


def twin(commands: list[bytes]) -> bytes:
    """The definition in ``command_tree``, word by word, and the recursion of RFC 6962, section 2.1."""

    def head(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return sha256(b"\x00" + leaves[0]).digest()
        k = 1
        while 2 * k < len(leaves):
            k *= 2
        return sha256(b"\x01" + head(leaves[:k]) + head(leaves[k:])).digest()

    groups: list[bytes] = []
    for number, command in enumerate(commands):
        if number % 8 == 0:
            groups.append(b"")
        groups[-1] += sha256(command).digest()
    return sha256(b"\x05" + len(commands).to_bytes(8, "big") + head(groups)).digest()


# -- what is hashed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", COUNTS)
def test_it_is_the_digest_of_the_definition(count: int) -> None:
    assert signed(*numbered(count)).body_digest == twin(numbered(count))


FROZEN = {
    1: "5be676e498be0c37f8f35991a21c99e5753a86dc7f3fb1032d87dfbe2abb5137",
    7: "87dcea66104e8bdbe6242eb3378af9adb43f4fa46889d2dff38ce2bf146e1197",
    8: "dfcb9d04537e8b142019b2cc55392bec660b005b93b7568272e8dba6d3d63906",
    9: "0da23fee5a9f4ef6fa0dca64d70a1f8f1cb02364afa7ebfb03825160cbaaa54e",
    FULL: "454d2322960a81744c8523c916dbfec9661972d2f7a25188d69fa91483b16af6",
}


@pytest.mark.parametrize("count", FROZEN)
def test_digests_are_frozen(count: int) -> None:
    """Every signature of a client that was ever made is on one of these."""
    assert signed(*numbered(count)).body_digest.hex() == FROZEN[count]


def test_a_header_and_a_batch_are_frozen() -> None:
    submission = signed(b"open", b"", b"close")
    assert submission.header().encode().hex() == (
        OWNER.hex() + "0000000000000007" + submission.body_digest.hex() + SIGNATURE.hex()
    )
    assert submission.body_digest.hex() == "c38e07d1f9a9405edaeb402328582a4757de9c1cbe687b1ebcd4fea2467364f5"
    assert (
        Batch.of([submission, signed(b"x", seq=8)], 5).digest.hex()
        == "e381b6577db136956b7fc778164e98d62a100a29e9a18848c256f892b6268ebd"
    )


# -- what is bound -----------------------------------------------------------------------------------


def divisions(data: bytes, count: int) -> list[list[bytes]]:
    """Every way to divide the bytes into so many commands, empty ones among them."""
    bounds = itertools.combinations_with_replacement(range(len(data) + 1), count - 1)
    return [[data[a:b] for a, b in itertools.pairwise((0, *cuts, len(data)))] for cuts in bounds]


def test_no_boundary_moves_unseen() -> None:
    """The same bytes in other commands, of all counts around one group and two."""
    lists = [commands for count in range(1, 7) for commands in divisions(b"abcde", count)]
    for count in (7, 8, 9, 15, 16, 17):
        lists += divisions(b"ab", count)
    digests = {signed(*commands).body_digest for commands in lists}
    assert len(digests) == len(lists) > 900


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(commands=st.lists(st.binary(max_size=3), min_size=1, max_size=20), data=st.data())
def test_no_two_lists_of_commands_share_a_digest(commands: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(commands) - 1))
    digest = sha256(commands[at]).digest()
    joined = b"".join(commands)
    for other in (
        [*commands, b""],
        [b"", *commands],
        [*commands[:at], b"", *commands[at:]],
        commands[:at] + commands[at + 1 :],
        [*commands[:at], commands[at] + b"\x00", *commands[at + 1 :]],
        [*commands[:at], digest, *commands[at + 1 :]],
        commands[::-1],
        commands[at:] + commands[:at],
        commands + commands,
        [joined],
        [b"".join(sha256(command).digest() for command in commands)],
        [sha256(command).digest() for command in commands],
    ):
        same = other == commands
        assert not other or (signed(*other).body_digest == signed(*commands).body_digest) is same


def test_a_batchs_digest_is_no_submissions() -> None:
    """0x05 and 0x02 keep them apart; what follows may be alike."""
    head = tree_head([sha256(b"x").digest()])
    assert batch_digest(1, 0, head) != signed(b"x").body_digest


def test_every_part_of_a_submission_is_in_its_batch() -> None:
    """The leaf is 136 bytes, and yet nothing of the submission can change without the batch's digest."""
    submissions = [
        signed(b"open", b"close"),
        signed(b"open", b"close", seq=8),
        signed(b"openc", b"lose"),
        signed(b"open", b"close", b""),
        UnsignedSubmission(bytes(32), 7, [b"open", b"close"]).sign(SIGNATURE),
        UnsignedSubmission(OWNER, 7, [b"open", b"close"]).sign(bytes(64)),
    ]
    assert len({Batch.of([one]).digest for one in submissions}) == len(submissions)
    for one in submissions:
        assert SubmissionHeader.decode(one.header().encode()) == one.header()
        assert len(one.header().encode()) == 136


@pytest.mark.parametrize(
    "fields",
    [
        (OWNER[:-1], 7, bytes(32), SIGNATURE),
        (OWNER, -1, bytes(32), SIGNATURE),
        (OWNER, 2**64, bytes(32), SIGNATURE),
        (OWNER, 7, bytes(31), SIGNATURE),
        (OWNER, 7, bytes(32), SIGNATURE + b"\x00"),
    ],
)
def test_a_header_of_other_sizes_is_none(fields: tuple[bytes, int, bytes, bytes]) -> None:
    with pytest.raises(InvalidSubmission):
        SubmissionHeader(*fields)


@pytest.mark.parametrize("size", [0, 135, 137])
def test_bytes_of_another_size_are_no_header(size: int) -> None:
    with pytest.raises(InvalidSubmission):
        SubmissionHeader.decode(bytes(size))


# -- proofs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", COUNTS)
def test_every_command_has_its_proof_and_no_other(count: int) -> None:
    commands = numbered(count)
    true = signed(*commands).body_digest
    proofs = command_proofs(commands)
    for index, (command, proof) in enumerate(zip(commands, proofs, strict=True)):
        assert (proof.command_count, proof.command_index) == (count, index)
        assert proof.body_digest(command) == true
        assert proof.body_digest(command + b"\x00") != true
        assert proofs[index - 1].body_digest(command) != true or count == 1


def body_of(proof: CommandProof, command: bytes) -> bytes | None:
    try:
        return proof.body_digest(command)
    except ProofError:
        return None


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 17, 24, 33])
def test_a_proof_fits_one_place_among_one_count(count: int) -> None:
    commands = numbered(count)
    true = signed(*commands).body_digest
    for index, proof in enumerate(command_proofs(commands)):
        fitting = [
            (other_count, other)
            for other_count in range(41)
            for other in range(-1, 41)
            if body_of(proof._replace(command_count=other_count, command_index=other), commands[index])
            == true
        ]
        assert fitting == [(count, index)]


def test_a_proof_has_at_most_sixteen_hashes() -> None:
    commands = numbered(FULL)
    for proof in command_proofs(commands)[:: FULL // 16]:
        assert (len(proof.group), len(proof.path)) == (GROUP - 1, 9)
        assert proof.body_digest(commands[proof.command_index]) == signed(*commands).body_digest


SPOILT = {
    "no place": lambda proof: proof._replace(command_index=20),
    "before the first": lambda proof: proof._replace(command_index=-1),
    "none at all": lambda proof: proof._replace(command_count=0, command_index=0),
    "more than a submission has": lambda proof: proof._replace(command_count=FULL + 1),
    "a group too short": lambda proof: proof._replace(group=proof.group[1:]),
    "a group too long": lambda proof: proof._replace(group=(*proof.group, bytes(32))),
    "a path too short": lambda proof: proof._replace(path=proof.path[1:]),
    "a path too long": lambda proof: proof._replace(path=(*proof.path, bytes(32))),
    "bytes moved between hashes": lambda proof: proof._replace(
        group=(proof.group[0] + proof.group[1][:1], proof.group[1][1:], *proof.group[2:])
    ),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_proof_of_another_form_is_refused(spoil: object) -> None:
    proof = command_proofs(numbered(20))[3]
    with pytest.raises(ProofError):
        spoil(proof).body_digest(b"command 3")  # type: ignore[operator]
