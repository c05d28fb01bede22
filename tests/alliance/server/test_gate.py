"""The gate: who may say what, and that nothing unproven gets in. The villain holds one member's keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliance.server import gate
from alliance.server.gate import Cause, Gate, Rejected, Seal
from alliance.wire import peer_messages
from fab_paxos.events import Received
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    Forward,
    Message,
    NewView,
    Progress,
    Propose,
    ProveShare,
    Report,
    Status,
)
from quorum import AcceptedStatement, Context, QuorumCertificate
from tests.alliance import strategies
from tests.alliance.farm import Chain, Farm
from tests.alliance.newcomers import newcomer
from verifiable_log import Batch, InvalidSubmission, Submission, UnsignedSubmission
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame

VILLAIN = 4
NO_SIGNATURE = bytes(64)


@pytest.fixture
def door(farm: Farm) -> Gate:
    return Gate(farm.config)


def admitted(door: Gate, sender: int, message: Message) -> bool:
    result = door.admit(sender, peer_messages.encode(message))
    if isinstance(result, Received):
        assert result == Received(sender, message)
        return True
    assert result.sender == sender
    assert result.reason
    assert "\n" not in result.reason
    return False


def test_every_kind_of_true_message_gets_in(farm: Farm, door: Gate, long_chain: Chain) -> None:
    entry = long_chain.entries[0]
    statement = AcceptedStatement(0, 1, entry.root)
    for message in (
        farm.propose(entry),
        farm.accepted(0, 1, entry.root, VILLAIN),
        CertifyRequest(0, 1),
        Endorsed(farm.endorse(VILLAIN, statement)),
        Certified(long_chain.certificate(20)),
        ProveShare(statement),
        Status(0, 3, 2, 1),
        Fetch(1),
        long_chain.frame(1, 3, 20),
        Forward((farm.submission(1), farm.submission(1, client=1))),
    ):
        assert admitted(door, VILLAIN, message), message


# -- Propose: the leader's word, whoever brings it ---------------------------------------------------


def test_a_proposal_may_be_relayed_by_any_member(farm: Farm, door: Gate, long_chain: Chain) -> None:
    propose = farm.propose(long_chain.entries[0])
    assert all(admitted(door, sender, propose) for sender in range(6))


def test_only_the_leader_of_the_view_proposes(farm: Farm, door: Gate, long_chain: Chain) -> None:
    entry = long_chain.entries[0]
    for signer in range(1, 6):
        assert not admitted(door, signer, farm.propose(entry, signer))
    in_view_seven = replace(entry, view=7)
    assert admitted(door, 1, farm.propose(in_view_seven, signer=1))
    assert not admitted(door, 0, farm.propose(in_view_seven, signer=0))


def test_an_altered_proposal_is_refused(farm: Farm, door: Gate, long_chain: Chain) -> None:
    propose = farm.propose(long_chain.entries[0])
    other = long_chain.entries[1]
    for altered in (
        replace(propose, view=6),  # led by the same member
        replace(propose, slot=2),
        replace(propose, root=other.root),
        replace(propose, batch=other.batch),
        replace(propose, batch=Batch.of([*propose.batch.submissions, *other.batch.submissions])),
        replace(propose, signature=NO_SIGNATURE),
    ):
        assert not admitted(door, 0, altered), altered


def test_not_even_the_leader_can_make_up_a_clients_submission(farm: Farm, door: Gate, chain: Chain) -> None:
    forged = UnsignedSubmission(farm.client_id(), 1, [b"open the gate"]).sign(NO_SIGNATURE)
    stranger = UnsignedSubmission(b"?" * 32, 1, [b"open the gate"]).sign(NO_SIGNATURE)
    elsewhere = farm.submission(1, context=Context(b"o" * 32, 0))
    for submission in (forged, stranger, elsewhere):
        entry = Chain(farm).add(farm.submission(2), submission)
        assert not admitted(door, 0, farm.propose(entry))
        assert not admitted(door, VILLAIN, Forward((farm.submission(2), submission)))
    assert admitted(door, 0, farm.propose(chain.add(farm.submission(2))))


def test_what_a_client_signs_is_good_from_its_admission_on_and_for_ever(farm: Farm) -> None:
    """Whether it is admitted in a slot is the engine's to judge: what it signed may be in the log."""
    door, new = Gate(farm.config), newcomer()
    unsigned = UnsignedSubmission(new.party.client_id, 1, [b"open the gate"])
    signed = unsigned.sign(new.signing_key.sign(unsigned.message(farm.config.context)))
    forged = unsigned.sign(NO_SIGNATURE)

    def verdict(submission: Submission) -> Cause | None:
        result = door.admit(VILLAIN, peer_messages.encode(Forward((submission,))))
        return result.cause if isinstance(result, Rejected) else None

    assert verdict(signed) is Cause.STRANGER
    door.learn({new.party.client_id: new.party.identity})
    assert verdict(signed) is None
    assert verdict(forged) is Cause.CLIENT
    assert verdict(farm.submission(1)) is None


def test_a_client_that_signs_for_other_commands_is_refused(farm: Farm, door: Gate, chain: Chain) -> None:
    """The digest is never on the wire: everybody computes it from the commands that are there.

    Else a client could sign for one list of commands, have another one ordered, and prove both.
    """
    signed, sent = farm.submission(1, b"pay", b"10"), farm.submission(1, b"pay1", b"0")
    forged = sent.encoded[:-64] + signed.signature
    with pytest.raises(InvalidSubmission, match="not signed by its client"):
        door.admit_submission(farm.client_id(), forged)
    submission = Submission.decode(forged)
    assert submission.body_digest == sent.body_digest
    assert not admitted(door, 2, Forward((submission,)))
    assert not admitted(door, 0, farm.propose(chain.add(submission)))
    assert admitted(door, 2, Forward((signed, sent)))


# -- Accepted: the sender's own word -----------------------------------------------------------------


def test_a_vote_counts_for_its_author_only(farm: Farm, door: Gate) -> None:
    vote = farm.accepted(0, 3, b"r" * 32, signer=2)
    assert admitted(door, 2, vote)
    for other in (0, 1, 3, 4, 5):
        assert not admitted(door, other, vote)


def test_an_altered_vote_is_refused(farm: Farm, door: Gate) -> None:
    vote = farm.accepted(1, 3, b"r" * 32, signer=2)
    for altered in (
        replace(vote, view=0),
        replace(vote, slot=4),
        replace(vote, root=b"R" * 32),
        replace(vote, signature=NO_SIGNATURE),
    ):
        assert not admitted(door, 2, altered), altered


@pytest.mark.parametrize("change", ["alliance", "epoch"])
def test_words_of_another_alliance_or_epoch_are_refused(
    farm: Farm, door: Gate, long_chain: Chain, change: str
) -> None:
    ours = farm.config.context
    other = Context(b"o" * 32, ours.epoch) if change == "alliance" else Context(ours.alliance_id, 1)
    entry = long_chain.entries[0]
    assert not admitted(door, 2, farm.accepted(0, 1, entry.root, 2, context=other))
    assert not admitted(door, 0, farm.propose(entry, context=other))
    # A client signs for the alliance, in whatever epoch it is: what waits outlives a change of members.
    assert admitted(door, 2, Forward((farm.submission(1, context=other),))) == (change == "epoch")
    if change == "alliance":
        foreign = farm.certify(AcceptedStatement(0, 1, entry.root), context=other)
        assert not admitted(door, 2, Certified(foreign))


def test_a_signature_for_one_purpose_serves_no_other(farm: Farm, door: Gate, long_chain: Chain) -> None:
    entry = long_chain.entries[0]
    propose, vote = farm.propose(entry), farm.accepted(0, 1, entry.root, 0)
    assert not admitted(door, 0, replace(propose, signature=vote.signature))
    assert not admitted(door, 0, replace(vote, signature=propose.signature))


# -- certificates ------------------------------------------------------------------------------------


def test_a_certificate_proves_its_own_statement_only(farm: Farm, door: Gate, long_chain: Chain) -> None:
    good = long_chain.certificate(20)
    frame = long_chain.frame(1, 2, 20)
    forgeries = [
        replace(good, statement=AcceptedStatement(1, 20, long_chain.root(20))),
        replace(good, statement=AcceptedStatement(0, 19, long_chain.root(20))),
        replace(good, statement=AcceptedStatement(0, 20, long_chain.root(19))),
        replace(good, signature=bytes(256)),
        replace(good, signature=good.signature[:-1]),
        replace(good, signature=good.signature + b"\x00"),
        replace(good, signature=b"\xff" * 256),
    ]
    # Before and after the true one is known: what is remembered must be all of it.
    for _ in range(2):
        for forged in forgeries:
            assert not admitted(door, VILLAIN, Certified(forged))
            assert not admitted(door, VILLAIN, replace(frame, certificate=forged))
        assert admitted(door, VILLAIN, Certified(good))


def test_a_certificate_of_another_epoch_is_refused_and_says_so(door: Gate, long_chain: Chain) -> None:
    """Also after the same one of this epoch is known: what is remembered must be all of it."""
    good = long_chain.certificate(20)
    assert admitted(door, VILLAIN, Certified(good))
    refused = door.admit(VILLAIN, peer_messages.encode(Certified(replace(good, epoch=1))))
    assert isinstance(refused, Rejected)
    assert refused.cause is Cause.CERTIFICATE
    assert refused.reason == "an invalid certificate: it is of epoch 1, not of epoch 0"


def test_fewer_members_than_a_quorum_make_no_certificate(farm: Farm, door: Gate) -> None:
    statement = AcceptedStatement(0, 1, b"r" * 32)
    share = farm.endorse(VILLAIN, statement).signature
    assert not admitted(door, VILLAIN, Certified(QuorumCertificate(0, statement, share)))


# -- clients' own ------------------------------------------------------------------------------------


def test_a_client_submits_under_its_own_name_only(farm: Farm, door: Gate) -> None:
    mine = farm.submission(1)
    assert door.admit_submission(farm.client_id(), mine.encoded) == mine
    with pytest.raises(InvalidSubmission, match="another client"):
        door.admit_submission(farm.client_id(1), mine.encoded)
    for bad in (mine.encoded[:-64] + NO_SIGNATURE, mine.encoded[:-1], b""):
        with pytest.raises(InvalidSubmission):
            door.admit_submission(farm.client_id(), bad)


def test_a_known_submission_with_another_signature_is_not_the_known_one(farm: Farm, door: Gate) -> None:
    mine = farm.submission(1)
    door.admit_submission(farm.client_id(), mine.encoded)
    altered = mine.encoded[:-1] + bytes([mine.encoded[-1] ^ 1])
    with pytest.raises(InvalidSubmission, match="not signed"):
        door.admit_submission(farm.client_id(), altered)


def test_the_memory_of_known_submissions_is_bounded(
    farm: Farm, door: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "KNOWN_SUBMISSIONS_MAX", 8)
    for seq in range(40):
        assert admitted(door, 0, Forward((farm.submission(seq),)))
    assert len(door._known) == 8
    for seq in range(40):
        bad = farm.submission(seq).encoded[:-64] + NO_SIGNATURE
        assert isinstance(
            door.admit(0, peer_messages.encode(Forward((gate.Submission.decode(bad),)))), Rejected
        )
    assert len(door._known) == 8


# -- fuzz --------------------------------------------------------------------------------------------


def corpus(farm: Farm, long_chain: Chain) -> list[Callable[[], Message]]:
    entry = long_chain.entries[0]
    return [
        lambda: farm.propose(entry),
        lambda: farm.accepted(0, 1, entry.root, VILLAIN),
        lambda: Certified(long_chain.certificate(20)),
        lambda: long_chain.frame(1, 3, 20),
        lambda: Forward((farm.submission(1), farm.submission(1, client=1))),
        lambda: Endorsed(farm.endorse(VILLAIN, AcceptedStatement(0, 1, entry.root))),
    ]


SIGNED = (Offer, Progress, Propose, Accepted, Certified, LogFrame, Forward, Report, NewView)


@settings(
    max_examples=2500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), which=st.integers(0, 5), sender=st.integers(0, 5))
def test_admit_never_raises_and_lets_no_alteration_through(
    farm: Farm,
    long_chain: Chain,
    fuzzed: tuple[Gate, list[bytes]],
    data: st.DataObject,
    which: int,
    sender: int,
) -> None:
    door, originals = fuzzed
    original = originals[which]
    altered = data.draw(strategies.mutations(original))
    result = door.admit(sender, altered)
    if isinstance(result, Received) and isinstance(result.message, SIGNED):
        # What got in says what the original said: only its serialisation may differ, and the parts of a
        # frame that are checked against its certificate by the engine, or the list of what is forwarded.
        truth = peer_messages.decode(sender, original)
        match result.message:
            case LogFrame(certificate=certificate):
                assert certificate == long_chain.certificate(20)
            case Forward(submissions):
                assert isinstance(truth, Forward)
                assert set(submissions) <= set(truth.submissions)
            case message:
                assert message == truth


@pytest.fixture(scope="module")
def fuzzed(farm: Farm, long_chain: Chain) -> tuple[Gate, list[bytes]]:
    return Gate(farm.config), [peer_messages.encode(make()) for make in corpus(farm, long_chain)]


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(strategies.messages, st.integers(0, 5))
def test_admit_never_raises_on_what_nobody_signed(farm: Farm, message: Message, sender: int) -> None:
    result = Gate(farm.config).admit(sender, peer_messages.encode(message))
    signed = isinstance(message, SIGNED)
    if isinstance(message, Batches):  # it holds what clients have signed, or nothing
        signed = any(batch.submissions for batch in message.batches)
    assert isinstance(result, Rejected) == signed


# -- Seal --------------------------------------------------------------------------------------------


def test_the_seal_signs_what_its_member_says(farm: Farm, door: Gate, long_chain: Chain) -> None:
    entry = long_chain.entries[0]
    for member in range(6):
        seal = Seal(farm.config, member, farm.members[member].signing_key)
        vote = Accepted(0, 1, entry.root)
        assert door.admit(member, seal.close(vote)) == Received(
            member, farm.accepted(0, 1, entry.root, member)
        )
    seal = Seal(farm.config, 0, farm.members[0].signing_key)
    unsigned = Propose(0, 1, entry.batch, entry.root)
    assert door.admit(3, seal.close(unsigned)) == Received(3, farm.propose(entry))


def test_the_seal_does_not_sign_for_others(farm: Farm, door: Gate, long_chain: Chain) -> None:
    entry = long_chain.entries[0]
    seal = Seal(farm.config, 2, farm.members[2].signing_key)
    relayed = farm.propose(entry)
    assert peer_messages.decode(2, seal.close(relayed)) == relayed
    unsigned = Propose(0, 1, entry.batch, entry.root)
    assert seal.close(unsigned) == peer_messages.encode(unsigned)
    assert isinstance(door.admit(2, seal.close(unsigned)), Rejected)
    of_another = farm.accepted(0, 1, entry.root, 1)
    assert peer_messages.decode(2, seal.close(of_another)) == of_another
