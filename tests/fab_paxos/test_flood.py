"""A member that asks, claims and offers without end: what it gets, and what it keeps from others."""

from __future__ import annotations

from collections import Counter

import pytest

from fab_paxos.answers import FRAME_BYTES
from fab_paxos.effects import Effect, Send, SendLogFrame, Timer
from fab_paxos.events import TimerFired
from fab_paxos.limits import ANSWER_BYTES_PER_BEAT, FETCH_PROPOSALS_MAX
from fab_paxos.messages import (
    Batches,
    Certified,
    Fetch,
    FetchBatches,
    FetchState,
    LogFrame,
    Message,
    NewView,
    Propose,
    ProveShare,
    Status,
)
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script, only, said
from verifiable_log.checkpoint_offer import Offer, StatePart

BEAT = TimerFired(Timer.HEARTBEAT)
FLOODER, HONEST = 4, 3
SUPPLIES = (LogFrame, Propose, Offer, StatePart, Batches, NewView)


def bench_with(slots: int, *, size: int = 1) -> tuple[Bench, Script]:
    """A member that has accepted so many slots, of so many bytes each."""
    script, bench = Script(), Bench()
    for seq in range(slots):
        bench.hear(0, script.add(submission(seq, 1, b"x" * size)))
    return bench, script


def answers(effects: list[Effect], to: int) -> list[Effect]:
    return [e for e in effects if isinstance(e, Send | SendLogFrame) and e.to == to]


# -- what it gets ------------------------------------------------------------------------------------


def test_frames_are_given_by_bytes_and_the_newest_question_waits_for_the_heartbeat() -> None:
    bench, script = bench_with(20)
    bench.hear(1, Certified(script.certificate(20)))
    for number in range(1000):
        bench.hear(FLOODER, Fetch(1 + number % 20))
    most = ANSWER_BYTES_PER_BEAT // FRAME_BYTES
    assert len(answers(bench.log, FLOODER)) == most
    assert bench.hear(HONEST, Fetch(7)) == [SendLogFrame(HONEST, 7)], "each has its own"
    beat = bench.step(BEAT)
    assert only(beat, SendLogFrame) == [SendLogFrame(FLOODER, 20)]
    for _ in range(1000):
        bench.hear(FLOODER, Fetch(1))
    assert len(answers(bench.log, FLOODER)) == 2 * most


@pytest.mark.parametrize("size", [100, 200_000])
@pytest.mark.parametrize("kind", ["proposals", "batches"])
def test_proposals_and_batches_are_given_by_bytes(kind: str, size: int) -> None:
    bench, script = bench_with(FETCH_PROPOSALS_MAX, size=size)
    digests = tuple(batch.digest for batch in script.batches)
    for _ in range(1000):
        bench.hear(FLOODER, Fetch(1) if kind == "proposals" else FetchBatches(digests))
    given = said(bench.log, Propose if kind == "proposals" else Batches)
    batch_bytes = max(4096, size)
    assert 0.9 <= len(given) * batch_bytes / ANSWER_BYTES_PER_BEAT <= 1.5


@pytest.mark.parametrize(
    "question", [Fetch(2**60), FetchState(1, 0), FetchBatches((bytes(32),)), Status(0, 0, 0, 0)]
)
def test_questions_without_an_answer_are_counted_too(question: Message) -> None:
    bench, script = bench_with(5)
    bench.hear(1, Certified(script.certificate(3)))
    for _ in range(10_000):
        bench.hear(FLOODER, question)
    assert len(answers(bench.log, FLOODER)) <= 2 * ANSWER_BYTES_PER_BEAT // 4096
    assert not bench.replica.rooms.answers.may(FLOODER)
    assert bench.replica.rooms.answers.may(HONEST)


def test_a_proof_is_made_once_however_often_it_is_asked_for() -> None:
    bench, script = bench_with(3)
    before = len(bench.log)
    for _ in range(1000):
        bench.hear(FLOODER, ProveShare(script.statement(3)))
    assert len(bench.log) - before <= 1


# -- what it keeps from others -----------------------------------------------------------------------


def beats_to_catch_up(slots: int, liar: int | None, seed: int) -> int:
    """Heartbeats until a member that was away is level; the liar claims the most and supplies nothing."""
    cluster = Cluster(seed=seed, frame_slots=1)
    cluster.run()
    cluster.crash(5)
    for seq in range(slots):
        cluster.submit(0, submission(seq % 3, seq))
        cluster.run()

    def lie(sender: int, to: int, message: Message) -> list[Message]:
        if isinstance(message, Status):
            return [Status(message.view, 2**60, 2**60, 2**60)] * 3
        return [] if isinstance(message, SUPPLIES) and to == 5 else [message]

    if liar is not None:
        cluster.tampers[liar] = lie
    cluster.restart(5)
    top = cluster.members[0].engine.status.decided
    for beats in range(400):
        cluster.run()
        if cluster.members[5].engine.status.decided >= top:
            check_all(cluster)
            return beats
        cluster.beat()
    raise AssertionError("it never caught up")


def test_who_claims_and_does_not_supply_costs_a_few_heartbeats_in_all() -> None:
    """Two for each of its turns it would be 60: it is passed over."""
    quiet = beats_to_catch_up(120, None, seed=1)
    assert beats_to_catch_up(120, 3, seed=1) <= quiet + 10


def test_a_peer_that_fails_is_asked_ever_more_rarely_and_never_alone_forgotten() -> None:
    bench, asked = Bench(), Counter[int]()
    for peer in (1, 2):
        bench.hear(peer, Status(0, 9, 9, 9))
    for _ in range(100):
        effects = bench.step(BEAT)
        asked.update(send.to for send in only(effects, Send) if isinstance(send.message, Fetch))
    assert asked[1] > 10, "nobody else is there"
    assert asked[2] > 10
    bench.hear(3, Status(0, 9, 9, 9))
    (new,) = [send.to for send in only(bench.log[-1:], Send)]
    assert new == 3, "who has not failed yet takes the place of who has"


def test_a_request_is_given_up_although_other_things_move() -> None:
    """The tip grows with every proposal; that is no answer of the member that was asked."""
    script, bench = Script(), Bench()
    for seq in range(12):
        script.add(submission(1, seq))
    asked = said(bench.hear(FLOODER, Status(0, 2**60, 2**60, 2**60)), Fetch)
    assert len(asked) == 1
    bench.hear(HONEST, Status(0, 12, 12, 12))
    effects: list[Effect] = []
    for slot in range(1, 5):
        bench.hear(0, script.propose(slot))
        effects += bench.step(BEAT)
    assert HONEST in [send.to for send in only(effects, Send) if isinstance(send.message, Fetch)]
