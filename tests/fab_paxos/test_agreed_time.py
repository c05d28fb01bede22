"""Agreed time: leaders stamp their batches, members compare the stamps to their own clocks."""

from __future__ import annotations

import pytest

from fab_paxos.effects import Blame
from fab_paxos.events import Clock
from fab_paxos.messages import Propose
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench
from verifiable_log import Batch
from verifiable_log.batch import NOOP
from verifiable_log.limits import TIME_MS_MAX
from verifiable_log.merkle import EMPTY, slot_leaf
from verifiable_log.submission import InvalidSubmission

DRIFT_MS = 10_000
NOON = 1_800_000_000_000


def stamped(time_ms: int) -> Propose:
    batch = Batch.of([submission(1, 1)], time_ms)
    return Propose(0, 1, batch, EMPTY.append(slot_leaf(1, batch.digest)).root, b"by the leader")


def stamps(cluster: Cluster, me: int) -> list[int]:
    return [entry.batch.time_ms for _, entry in sorted(cluster.members[me].decisions().items())]


def settle(cluster: Cluster, rounds: int = 40) -> None:
    for _ in range(rounds):
        cluster.settle_views(1)


def test_the_stamp_is_part_of_what_is_decided() -> None:
    batches = [Batch.of([submission(1, 1)], time_ms) for time_ms in (0, 1, NOON, TIME_MS_MAX)]
    assert len({batch.digest for batch in batches}) == 4
    assert NOOP.time_ms == 0
    for wrong in (-1, TIME_MS_MAX + 1):
        with pytest.raises(InvalidSubmission, match="time stamp"):
            Batch.of([], wrong)


@pytest.mark.parametrize("ahead", [-DRIFT_MS, -1, 0, 1, DRIFT_MS])
def test_a_stamp_within_the_drift_is_accepted(ahead: int) -> None:
    bench = Bench()
    bench.step(Clock(NOON))
    bench.hear(0, stamped(NOON + ahead))
    assert bench.replica.status.accepted == 1


@pytest.mark.parametrize("ahead", [-NOON, -DRIFT_MS - 1, DRIFT_MS + 1, TIME_MS_MAX - NOON])
def test_a_stamp_beyond_the_drift_is_as_if_it_never_came(ahead: int) -> None:
    bench = Bench()
    bench.step(Clock(NOON))
    effects = bench.hear(0, stamped(NOON + ahead))
    assert bench.replica.status.accepted == 0
    (blame,) = [effect for effect in effects if isinstance(effect, Blame)]
    assert (blame.member, blame.evidence) == (0, None)
    assert "time stamp of slot 1" in blame.reason
    bench.hear(0, stamped(NOON))
    assert bench.replica.status.accepted == 1


def test_a_leader_whose_clock_is_wrong_is_replaced() -> None:
    for skew in (60_000, -60_000):
        cluster = Cluster(seed=1)
        cluster.now_ms = NOON
        cluster.skew_ms[0] = skew
        cluster.submit(2, submission(1, 1))
        cluster.run()
        assert cluster.members[2].decisions() == {}
        settle(cluster)
        for member in cluster.members:
            assert member.engine.status.view >= 1
            assert stamps(cluster, member.me)
        (time_ms,) = [stamp for stamp in stamps(cluster, 3) if stamp]
        assert abs(time_ms - NOON) < DRIFT_MS * 4


def test_members_with_wrong_clocks_follow_all_the_same() -> None:
    """Whoever refuses a proposal hears of the decision by its certificate, which needs no clock."""
    cluster = Cluster(seed=2)
    cluster.now_ms = NOON
    cluster.skew_ms[4] = 3_600_000
    for number in range(1, 6):
        cluster.submit(1, submission(1, number))
        cluster.settle(2)
    settle(cluster, 5)
    assert cluster.members[4].engine.status.decided == cluster.members[1].engine.status.decided >= 5
    assert stamps(cluster, 4) == stamps(cluster, 1)


def test_old_batches_are_no_obstacle_to_one_who_was_away() -> None:
    cluster = Cluster(seed=3)
    cluster.crash(5)
    cluster.submit(1, *(submission(1, number) for number in range(1, 20)))
    cluster.settle(4)
    cluster.now_ms += 24 * 3_600_000
    cluster.restart(5)
    cluster.settle(4)
    assert cluster.members[5].engine.status.decided == cluster.members[1].engine.status.decided > 0


def test_what_stood_still_for_long_is_decided_after_a_change_of_view() -> None:
    """Proposals that wait undecided while their stamps age are carried over by the next NewView."""
    cluster = Cluster(seed=4)
    cluster.now_ms = NOON
    cluster.cut = {(a, b) for a in range(6) for b in range(6) if a // 3 != b // 3}
    cluster.submit(0, submission(1, 1))
    cluster.run()
    assert not any(member.decisions() for member in cluster.members)
    cluster.now_ms += 3_600_000
    cluster.cut = set()
    settle(cluster, 10)
    for member in cluster.members:
        assert any(entry.batch.submissions for entry in member.decisions().values())
