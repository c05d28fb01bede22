"""The right outcome to the right session, once; and nothing is kept for who has left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alliance.pb import client_pb2 as pb
from alliance.proofs.receipt import require_placed
from alliance.server import sessions
from alliance.server.sessions import Session, Sessions, refusal
from alliance.wire.bounds import ENVELOPE_BYTES_MAX
from alliance.wire.certificates import decode_certificate
from quorum import DecisionCertificate
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm, Told
from verifiable_log import Submission
from verifiable_log.placement import Placement


class Desk:
    """Sessions over a history that is told by hand."""

    def __init__(self, farm: Farm, told: Told) -> None:
        self.farm = farm
        self.told = told
        self.sessions = Sessions(told.history)

    def open(self, *submissions: Submission) -> Session:
        session = Session(self.farm.client_id())
        for submission in submissions:
            self.sessions.expect(session, submission)
        return session

    def decide(self, *submissions: Submission, fresh: list[bool] | None = None) -> int:
        entry = self.told.decide(self.told.chain.add(*submissions, fresh=fresh))
        self.sessions.decided(entry)
        return entry.slot

    def certify(self, slot: int) -> None:
        self.told.certify(slot)
        self.sessions.certified()

    def receipts(self, session: Session, submission: Submission) -> list[Placement]:
        """The placements that came for this submission, each verified against its certificate."""
        found = []
        for outcomes in session._outcomes:
            for outcome in outcomes.outcomes:
                if outcome.client_seq == submission.client_seq and outcome.HasField("placement"):
                    place = outcome.placement
                    placement = Placement(
                        place.slot,
                        place.index,
                        place.batch_size,
                        place.time_ms,
                        tuple(place.batch_path),
                        tuple(place.log_path),
                    )
                    certificate = DecisionCertificate.of(decode_certificate(outcomes.certificate))
                    require_placed(submission.header(), placement, certificate)
                    found.append(placement)
        return found


@pytest.fixture
def desk(farm: Farm, told: Told) -> Desk:
    return Desk(farm, told)


def refused(session: Session) -> list[tuple[int, Any]]:
    outcomes = [outcome for message in session._outcomes for outcome in message.outcomes]
    return [(o.client_seq, o.refusal.reason) for o in outcomes if o.HasField("refusal")]


def empty(session: Session) -> bool:
    return not session._outcomes


# -- the way of a submission -------------------------------------------------------------------------


def test_an_outcome_comes_with_the_certificate_and_not_before(farm: Farm, desk: Desk) -> None:
    one, two = farm.submission(1), farm.submission(2)
    session = desk.open(one, two)
    desk.decide(one)
    desk.decide(farm.submission(9, client=1), two)
    assert empty(session)
    desk.certify(1)
    assert desk.receipts(session, one)
    assert not desk.receipts(session, two)
    desk.certify(2)
    assert [(p.slot, p.index) for p in desk.receipts(session, two)] == [(2, 1)]
    assert len(session._outcomes) == 2


def test_each_session_hears_of_its_own_only(farm: Farm, desk: Desk) -> None:
    mine, yours = farm.submission(1), farm.submission(1, client=1)
    me, you = desk.open(mine), desk.open(yours)
    desk.decide(yours, mine)
    desk.certify(1)
    assert [p.index for p in desk.receipts(me, mine)] == [1]
    assert [p.index for p in desk.receipts(you, yours)] == [0]
    assert len(me._outcomes) == len(you._outcomes) == 1


def test_two_sessions_may_wait_for_one_submission(farm: Farm, desk: Desk) -> None:
    submission = farm.submission(1)
    first, second = desk.open(submission), desk.open(submission)
    desk.sessions.expect(first, submission)  # asked twice, answered once
    desk.decide(submission)
    desk.certify(1)
    assert len(desk.receipts(first, submission)) == len(desk.receipts(second, submission)) == 1


def test_the_loser_of_a_number_is_refused_and_the_winner_placed(farm: Farm, desk: Desk) -> None:
    won, lost = farm.submission(1, b"won"), farm.submission(1, b"lost")
    winner, loser = desk.open(won), desk.open(lost)
    both = desk.open(lost, won)
    desk.decide(won)
    desk.certify(1)
    assert desk.receipts(winner, won)
    assert refused(winner) == []
    assert refused(loser) == [(1, pb.Refusal.CONFLICT)]
    assert desk.receipts(both, won)
    assert refused(both) == [(1, pb.Refusal.CONFLICT)]


def test_a_repetition_in_the_log_places_nobody(farm: Farm, desk: Desk) -> None:
    submission = farm.submission(1)
    session = desk.open(submission)
    desk.decide(submission, fresh=[False])
    desk.certify(1)
    assert empty(session)


def test_a_late_question_is_answered_from_the_log(farm: Farm, desk: Desk) -> None:
    submission = farm.submission(1)
    slot = desk.decide(submission)
    late = desk.open(submission)
    desk.sessions.located(submission, slot)
    assert empty(late)  # decided, not certified
    desk.certify(slot)
    assert len(desk.receipts(late, submission)) == 1
    later = desk.open(submission)
    desk.sessions.located(submission, slot)
    assert len(desk.receipts(later, submission)) == 1
    assert len(late._outcomes) == 1


def test_a_located_place_is_not_told_to_who_submitted_something_else(farm: Farm, desk: Desk) -> None:
    """It would look like a lie to that client: its own commands are not at that place."""
    held, other = farm.submission(1, b"held"), farm.submission(1, b"other")
    slot = desk.decide(held)
    desk.certify(slot)
    asks, differs = desk.open(held), desk.open(other)
    desk.sessions.located(held, slot)
    assert desk.receipts(asks, held)
    assert empty(differs)
    desk.sessions.refused(other, "conflict")
    assert refused(differs) == [(1, pb.Refusal.CONFLICT)]


def test_an_old_number_with_another_content_is_refused_by_what_its_slot_holds(farm: Farm, desk: Desk) -> None:
    """Of old numbers the engine knows where they were used, and no longer for what."""
    held, other = farm.submission(1, b"held"), farm.submission(1, b"other")
    slot = desk.decide(held)
    desk.certify(slot)
    differs = desk.open(other)
    desk.sessions.located(other, slot)
    assert refused(differs) == [(1, pb.Refusal.CONFLICT)]


def test_a_number_whose_place_is_forgotten_counts_as_expired(farm: Farm, desk: Desk) -> None:
    """For this submission or for another: a client that sends it for the first time takes a new number."""
    session = desk.open(farm.submission(1))
    desk.sessions.located(farm.submission(1), 0)
    assert refused(session) == [(1, pb.Refusal.EXPIRED)]


def test_a_refusal_reaches_only_who_submitted_that_content(farm: Farm, desk: Desk) -> None:
    this, that = farm.submission(1, b"this"), farm.submission(1, b"that")
    one, two = desk.open(this), desk.open(that)
    desk.sessions.refused(that, "busy")
    assert empty(one)
    assert refused(two) == [(1, pb.Refusal.BUSY)]
    desk.sessions.refused(that, "busy")
    assert len(two._outcomes) == 1
    desk.decide(this)
    desk.certify(1)
    assert desk.receipts(one, this)


def test_every_reason_of_the_engine_has_its_words() -> None:
    from fab_paxos.effects import RefusalReason

    for reason in RefusalReason:
        outcome = refusal(7, reason.value).outcomes[0]
        assert outcome.client_seq == 7
        assert outcome.refusal.detail
        assert outcome.refusal.reason != pb.Refusal.UNSPECIFIED


# -- bounds ------------------------------------------------------------------------------------------


def test_a_session_that_does_not_read_is_overrun(
    farm: Farm, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "OUTCOMES_MAX", 5)
    session = desk.open()
    for seq in range(5):
        session.put(refusal(seq, "busy"))
    assert not session.overrun.is_set()
    for seq in range(20):
        session.put(refusal(seq, "busy"))
    assert session.overrun.is_set()
    assert [len(outcomes.outcomes) for outcomes in session._outcomes] == [5]


def test_many_outcomes_at_once_come_in_several_messages(
    farm: Farm, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that waited for one certificate in one message would exceed what gRPC takes."""
    monkeypatch.setattr(sessions, "OUTCOMES_PER_FRAME_MAX", 4)
    submissions = [farm.submission(seq) for seq in range(10)]
    session = desk.open(*submissions)
    desk.decide(*submissions)
    desk.certify(1)
    assert [len(outcomes.outcomes) for outcomes in session._outcomes] == [4, 4, 2]
    assert all(len(desk.receipts(session, submission)) == 1 for submission in submissions)


def test_the_largest_message_of_outcomes_fits() -> None:
    path = [b"d" * 32]
    placement = pb.Placement(
        slot=2**62, index=4095, batch_size=4096, batch_path=path * 12, log_path=path * 62
    )
    outcomes = [pb.Outcome(client_seq=2**64 - 1, placement=placement)] * sessions.OUTCOMES_PER_FRAME_MAX
    assert pb.Outcomes(outcomes=outcomes).ByteSize() < ENVELOPE_BYTES_MAX // 2


def test_leaving_frees_everything(farm: Farm, desk: Desk) -> None:
    waits, decided = farm.submission(1), farm.submission(2)
    leaves, stays = desk.open(waits, decided), desk.open(waits, decided)
    desk.decide(decided)
    desk.sessions.leave(leaves)
    held = [s for waiting in desk.sessions._waiting.values() for s, _ in waiting]
    held += [s for *_, placed in desk.sessions._placed for s in placed]
    assert leaves not in held
    assert held == [stays, stays]
    desk.decide(waits)
    desk.certify(2)
    assert empty(leaves)
    assert desk.receipts(stays, waits)
    desk.sessions.leave(stays)
    assert not desk.sessions._waiting
    assert not desk.sessions._placed


def test_nothing_is_kept_of_what_nobody_awaits(farm: Farm, chain: Chain, desk: Desk) -> None:
    session = desk.open(farm.submission(1))
    desk.sessions.leave(session)
    for seq in range(5):
        desk.decide(farm.submission(seq))
    desk.open(farm.submission(7))
    desk.decide(farm.submission(6))
    assert not desk.sessions._placed


def test_refusals_share_frames_and_hold_their_reader_back(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(sessions, "OUTCOMES_PER_FRAME_MAX", 4)

    async def scenario() -> None:
        session = Session(b"c")
        for seq in range(4):
            session.put(refusal(seq, "invalid", "why"))
        await session.room()
        for seq in range(4, 10):
            session.put(refusal(seq, "invalid", "why"))
        waiting = asyncio.create_task(session.room())
        frames = await session.take()
        assert [[each.client_seq for each in frame.outcomes] for frame in frames] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9],
        ]
        session.written(frames[0])
        await asyncio.sleep(0)
        assert not waiting.done()
        session.written(frames[1])
        await waiting

    run(scenario())


def test_taking_waits_and_takes_all(run: Run) -> None:
    async def scenario() -> None:
        session = Session(b"c")
        taking = asyncio.create_task(session.take())
        session.put(refusal(1, "busy"))
        session.put(refusal(2, "busy"))
        assert [[each.client_seq for each in o.outcomes] for o in await taking] == [[1, 2]]
        taking = asyncio.create_task(session.take())
        session.put(refusal(3, "busy"))
        assert [o.outcomes[0].client_seq for o in await taking] == [3]

    run(scenario())
