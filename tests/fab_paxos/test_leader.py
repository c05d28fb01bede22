"""The leader: pipeline, window, batches (docs/concepts/protocol.md, section 5, step 2); other sizes of
alliances."""

from __future__ import annotations

from fab_paxos.events import Event
from fab_paxos.limits import PIPELINE_SLOTS, PROPOSE_AHEAD_SLOTS
from fab_paxos.messages import Forward, Propose
from quorum import QuorumSystem
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script, said
from verifiable_log.limits import COMMAND_BYTES_MAX


def test_a_leader_without_certificates_stops_and_goes_on_when_they_come() -> None:
    """docs/development/testing.md, scenario 21: the leader stays near its certificate, so all memory is
    bounded."""
    cluster = Cluster()
    answers: list[list[Event]] = [[] for _ in cluster.members]
    for seq in range(PROPOSE_AHEAD_SLOTS + 30):
        cluster.submit(0, submission(seq % 5, seq))
        while cluster.step():
            for member in cluster.members:
                answers[member.me] += member.jobs
                member.jobs.clear()
    status = cluster.members[0].engine.status
    assert (status.certified, status.accepted) == (0, PROPOSE_AHEAD_SLOTS)
    for member in cluster.members:  # the signers answer at last
        member.jobs += answers[member.me]
    cluster.settle()
    check_all(cluster)


def _fill_the_pipeline(bench: Bench, script: Script) -> list[Propose]:
    """Submissions that are each time as many as those under way; what the leader makes of them."""
    proposals: list[Propose] = []
    first = 0
    for count in (1, 1, 2, 4, 8, 16)[: PIPELINE_SLOTS + 2]:
        bench.submit(*(submission(1, first + number) for number in range(count)))
        proposals += said(bench.drain(), Propose)
        first += count
    for propose in proposals:
        script.add(*propose.batch.submissions)
    return proposals


def test_the_leader_pipelines_without_waiting_for_decisions() -> None:
    """ "without waiting for earlier slots (pipelining)", up to PIPELINE_SLOTS of them."""
    proposals = _fill_the_pipeline(Bench(me=0), Script())
    assert [propose.slot for propose in proposals] == list(range(1, PIPELINE_SLOTS + 1))
    assert [len(propose.batch.submissions) for propose in proposals] == [1, 1, 2, 4]


def test_batches_grow_with_the_load() -> None:
    """What came while the pipeline was full leaves as one batch."""
    bench, script = Bench(me=0), Script()
    _fill_the_pipeline(bench, script)
    for member in (1, 2, 3, 4):
        bench.hear(member, script.accepted(1))
    (propose,) = said(bench.drain(), Propose)
    assert propose.slot == PIPELINE_SLOTS + 1
    assert len(propose.batch.submissions) == 8 + 16


def test_less_than_what_is_under_way_waits_for_a_decision() -> None:
    """A slot costs the same whatever is in it; when nothing is under way, a single submission gets one."""
    bench, script = Bench(me=0), Script()
    bench.submit(*(submission(1, seq) for seq in range(3)))
    (propose,) = said(bench.drain(), Propose)
    script.add(*propose.batch.submissions)
    for seq in (3, 4):
        bench.submit(submission(1, seq))
        assert said(bench.drain(), Propose) == []
    for member in (1, 2, 3, 4):
        bench.hear(member, script.accepted(1))
    (propose,) = said(bench.drain(), Propose)
    assert [one.client_seq for one in propose.batch.submissions] == [3, 4]


def test_a_full_batch_waits_for_nothing() -> None:
    """Pipelining carries bulk over long links: what fills a batch leaves, whatever is under way."""
    bench = Bench(me=0)
    large = b"x" * (COMMAND_BYTES_MAX // 2)
    bench.submit(*(submission(client, 0) for client in range(40)))
    assert [propose.slot for propose in said(bench.drain(), Propose)] == [1]
    bench.submit(*(submission(client, 1, large) for client in range(8)))
    assert [propose.slot for propose in said(bench.drain(), Propose)] == [2]


def test_a_leader_never_proposes_what_its_acceptors_would_refuse() -> None:
    """A number far ahead makes an older one of the same client expire, even within one batch."""
    leader = Bench(me=0)
    leader.hear(1, Forward((submission(1, 5000), submission(2, 0), submission(1, 0))))
    (propose,) = said(leader.drain(), Propose)
    assert [one.client_seq for one in propose.batch.submissions] == [5000, 0]
    acceptor = Bench(me=4)
    acceptor.hear(0, propose)
    assert acceptor.blames == []
    assert acceptor.replica.status.accepted == 1


def test_a_single_member_decides_alone_and_again_after_a_restart() -> None:
    """n = 1: nobody else's word ever comes, also not after a crash with a full pipeline."""
    cluster = Cluster(QuorumSystem(1, 0))
    for seq in range(9):
        cluster.submit(0, submission(1, seq))
        cluster.turn(0)
        cluster.members[0].jobs.clear()  # no certificate: nothing is proven
    assert len(cluster.members[0].decisions()) >= 4
    cluster.crash(0)
    cluster.restart(0)
    cluster.turn(0)
    assert len(cluster.members[0].runs[-1]) == 9
    cluster.submit_again(0)
    cluster.settle()
    check_all(cluster)


def test_other_sizes_agree_too() -> None:
    for size in ((2, 0), (4, 0), (7, 1), (11, 2)):
        cluster = Cluster(QuorumSystem(*size), seed=3)
        for seq in range(10):
            cluster.submit(seq % size[0], submission(seq % 3, seq))
            cluster.run(seq * 7)
        cluster.settle()
        check_all(cluster)
