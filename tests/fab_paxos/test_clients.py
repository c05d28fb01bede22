"""What clients see: answers, refusals, fairness (docs/concepts/protocol.md, section 12)."""

from __future__ import annotations

import pytest

from fab_paxos.effects import AlreadyOrdered, BlameClient, RefusalReason, Refuse, Send, Timer
from fab_paxos.events import PeerConnected, TimerFired
from fab_paxos.evidence import TwoSubmissions
from fab_paxos.messages import Forward, Propose
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, client_id, submission
from tests.worlds.single import Bench, Script, only, said
from verifiable_log import Batch, InvalidSubmission, Submission, UnsignedSubmission
from verifiable_log.client_pool import Pool
from verifiable_log.limits import (
    BATCH_BYTES_MAX,
    BATCH_SUBMISSIONS_MAX,
    CLIENT_WINDOW,
    COMMAND_BYTES_MAX,
    POOL_BYTES_MAX,
    POOL_SUBMISSIONS_MAX,
    SUBMISSION_BYTES_MAX,
    SUBMISSION_COMMANDS_MAX,
)
from verifiable_log.submission import submission_bytes

BEAT = TimerFired(Timer.HEARTBEAT)


def decide(bench: Bench, script: Script, slot: int) -> None:
    bench.hear(0, script.propose(slot))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(slot))


def test_one_number_with_two_contents_the_first_decided_wins_everywhere() -> None:
    """docs/development/testing.md, scenario 19: the same sequence number with other content: the first
    decided wins."""
    for seed in range(8):
        cluster = Cluster(seed=seed)
        cluster.submit(1, submission(1, 0, b"to Alice"))
        cluster.submit(2, submission(1, 0, b"to Bob"))
        cluster.settle()
        check_all(cluster)
        delivered = [one for e in cluster.members[3].decisions().values() for one in e.batch.submissions]
        assert len(delivered) == 1
        loser = next(one for one in cluster.submitted if one != delivered[0])
        cluster.members[4].inbox.clear()
        cluster.submit(4, loser)
        cluster.run()
        assert [refusal.reason for refusal in cluster.members[4].refusals] == [RefusalReason.CONFLICT]


def test_a_repetition_is_located_when_it_is_decided_and_not_before() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    assert bench.submit(submission(1, 0)) == []  # accepted, not decided: no answer is true yet
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(1))
    assert bench.submit(submission(1, 0)) == [AlreadyOrdered(submission(1, 0), 1)]
    other = submission(1, 0, b"another content")
    proof = BlameClient(TwoSubmissions(submission(1, 0), other))
    assert bench.submit(other) == [Refuse(other, RefusalReason.CONFLICT), proof]


def test_two_contents_at_one_member_before_any_decision() -> None:
    bench = Bench()
    bench.submit(submission(1, 0, b"a"))
    assert bench.submit(submission(1, 0, b"a")) == []
    first, second = submission(1, 0, b"a"), submission(1, 0, b"b")
    proof = BlameClient(TwoSubmissions(first, second))
    assert bench.submit(second) == [Refuse(second, RefusalReason.CONFLICT), proof]


def test_a_client_that_floods_its_member_is_told_that_it_is_busy_and_others_are_not() -> None:
    bench = Bench()
    flood = [submission(1, seq) for seq in range(POOL_SUBMISSIONS_MAX + 2)]
    refusals = only(bench.submit(*flood), Refuse)
    assert [refusal.submission.client_seq for refusal in refusals] == [256, 257]
    assert {refusal.reason for refusal in refusals} == {RefusalReason.BUSY}
    assert bench.submit(submission(2, 0)) == []


def test_a_client_that_floods_with_bytes_is_told_that_it_is_busy() -> None:
    bench, large = Bench(), b"x" * COMMAND_BYTES_MAX
    fits = POOL_BYTES_MAX // submission_bytes([large])
    refusals = only(bench.submit(*(submission(1, seq, large) for seq in range(fits + 1))), Refuse)
    assert [refusal.submission.client_seq for refusal in refusals] == [fits]


def test_old_numbers_are_refused_as_expired() -> None:
    script, bench = Script(), Bench()
    script.add(submission(1, CLIENT_WINDOW))
    decide(bench, script, 1)
    assert bench.submit(submission(1, 0)) == [Refuse(submission(1, 0), RefusalReason.EXPIRED)]


def test_what_waits_and_is_overtaken_by_its_clients_later_numbers_is_refused() -> None:
    """ "it hears of every outcome but waiting": what can never be decided is not kept forever."""
    script, bench = Script(), Bench()
    bench.submit(submission(1, 0))
    bench.drain()
    script.add(submission(1, 5000))
    decide(bench, script, 1)
    assert only(bench.step(BEAT), Refuse) == [Refuse(submission(1, 0), RefusalReason.EXPIRED)]
    assert only(bench.step(BEAT), Refuse) == []


def test_clients_are_served_round_robin() -> None:
    """ "per-client queues served round robin at the leader": a flood does not delay another's first word."""
    pool = Pool()
    for seq in range(200):
        pool.add(submission(1, seq))
    pool.add(submission(2, 0))
    pool.add(submission(3, 0))
    taken = [(one.client_id[-1], one.client_seq) for one in pool.take()]
    assert taken[:5] == [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]
    assert len(taken) == 202
    assert len(pool) == 0


def test_round_robin_goes_on_in_the_next_batch() -> None:
    pool, large = Pool(), b"x" * (COMMAND_BYTES_MAX - 200)
    for seq in range(8):
        pool.add(submission(1, seq, large))
    pool.add(submission(2, 0, large))
    batches = []
    while taken := pool.take():
        assert Batch.of(taken)
        batches.append([(one.client_id[-1], one.client_seq) for one in taken])
    assert batches == [[(1, 0), (2, 0), (1, 1), (1, 2)], [(1, s) for s in range(3, 7)], [(1, 7)]]


def test_one_flooding_client_does_not_delay_the_others_by_more_than_a_few_slots() -> None:
    cluster = Cluster(seed=9)
    cluster.run()
    for seq in range(250):
        cluster.submit(1, submission(1, seq, b"x" * 100_000))
    cluster.run(400)
    cluster.submit(2, submission(2, 0))
    before = max(member.engine.status.accepted for member in cluster.live())
    cluster.settle()
    check_all(cluster)
    decided = cluster.members[0].decisions().values()
    slot = next(e.slot for e in decided for one in e.batch.submissions if one.client_id == client_id(2))
    assert slot <= before + 4


def test_submissions_go_to_the_leader_in_messages_of_a_batchs_size() -> None:
    bench, large = Bench(), b"x" * COMMAND_BYTES_MAX
    bench.submit(*(submission(client, seq, large) for client in range(2) for seq in range(10)))
    bench.submit(*(submission(3 + seq // 200, seq) for seq in range(BATCH_SUBMISSIONS_MAX + 5)))
    forwards = said(bench.drain(), Forward)
    assert sum(len(forward.submissions) for forward in forwards) == 20 + BATCH_SUBMISSIONS_MAX + 5
    for forward in forwards:
        assert 0 < sum(len(one.encoded) for one in forward.submissions) <= BATCH_BYTES_MAX
        assert len(forward.submissions) <= BATCH_SUBMISSIONS_MAX


def test_what_the_leader_lost_is_handed_over_again() -> None:
    bench = Bench()
    bench.submit(submission(1, 0))
    assert len(said(bench.drain(), Forward)) == 1
    assert said(bench.step(PeerConnected(3)) + bench.drain(), Forward) == []
    assert only(bench.step(PeerConnected(0)) + bench.drain(), Send)[-1] == Send(
        0, Forward((submission(1, 0),))
    )
    beats = [len(said(bench.step(BEAT) + bench.drain(), Forward)) for _ in range(9)]
    assert beats == [0, 1, 0, 1, 0, 0, 0, 1, 0]  # after 2, 4, 8, … heartbeats


def test_forwarded_by_everybody_proposed_once() -> None:
    leader = Bench(me=0)
    for member in range(1, 6):
        leader.hear(member, Forward((submission(1, 0), submission(1, 0))))
    (propose,) = said(leader.drain(), Propose)
    assert propose.batch.submissions == (submission(1, 0),)
    leader.hear(1, Forward((submission(1, 0),)))
    assert said(leader.drain(), Propose) == []


def test_submissions_survive_a_link_that_loses_half() -> None:
    cluster = Cluster(seed=5, loss=0.5)
    for seq in range(10):
        cluster.submit(seq % 6, submission(seq % 3, seq))
        cluster.run(50)
    check(cluster)
    cluster.settle()
    check_all(cluster)


def test_submissions_come_back_from_their_bytes() -> None:
    for commands in ([b""], [b"a", b"", b"bc"], [b"x"] * SUBMISSION_COMMANDS_MAX):
        signed = UnsignedSubmission(client_id(7), 2**64 - 1, commands).sign(b"s" * 64)
        assert Submission.decode(signed.encoded) == signed
        assert signed.commands() == tuple(commands)
        assert signed.signature == b"s" * 64
        assert len(signed.encoded) == submission_bytes(commands)


@pytest.mark.parametrize(
    ("owner", "seq", "commands"),
    [
        (b"short", 0, [b"a"]),
        (bytes(33), 0, [b"a"]),
        (bytes(32), -1, [b"a"]),
        (bytes(32), 2**64, [b"a"]),
        (bytes(32), 0, []),
        (bytes(32), 0, [b"a"] * (SUBMISSION_COMMANDS_MAX + 1)),
        (bytes(32), 0, [bytes(COMMAND_BYTES_MAX + 1)]),
        (bytes(32), 0, [bytes(COMMAND_BYTES_MAX)] * 2),
    ],
)
def test_submissions_beyond_a_limit_are_not_made(owner: bytes, seq: int, commands: list[bytes]) -> None:
    with pytest.raises(InvalidSubmission):
        UnsignedSubmission(owner, seq, commands)


def test_bytes_that_are_no_submission_are_refused() -> None:
    good = submission(1, 1).encoded
    with pytest.raises(InvalidSubmission):
        Submission.decode(bytes(SUBMISSION_BYTES_MAX + 1))
    for cut in range(len(good)):
        with pytest.raises(InvalidSubmission):
            Submission.decode(good[:cut])
    with pytest.raises(InvalidSubmission):
        Submission.decode(good + b"x")
    for place in range(40, 48):  # the count and the length
        with pytest.raises(InvalidSubmission):
            Submission.decode(good[:place] + b"\xff" + good[place + 1 :])


def test_a_batch_beyond_a_limit_is_not_made() -> None:
    with pytest.raises(InvalidSubmission):
        Batch.of(submission(1, 0) for _ in range(BATCH_SUBMISSIONS_MAX + 1))
    with pytest.raises(InvalidSubmission):
        Batch.of(submission(1, seq, bytes(COMMAND_BYTES_MAX)) for seq in range(4))
