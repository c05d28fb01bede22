"""Agreed time: leaders stamp their batches, members compare the stamps to their own clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos.effects import Blame
from fab_paxos.events import Clock, Received
from fab_paxos.messages import Accepted, Certified, Propose
from quorum import Endorsement, SuspectStatement, combine
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script, said
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme
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


def vote(propose: Propose) -> Accepted:
    return Accepted(propose.view, propose.slot, propose.root, b"by an acceptor")


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


@pytest.mark.parametrize("ahead", [DRIFT_MS + 1, TIME_MS_MAX - NOON])
def test_a_stamp_ahead_is_as_if_it_never_came(ahead: int) -> None:
    """What is once agreed cannot be taken back: each member asks its own clock alone."""
    bench = Bench()
    bench.step(Clock(NOON))
    effects = bench.hear(0, stamped(NOON + ahead))
    for member in (1, 2, 3):
        bench.hear(member, vote(stamped(NOON + ahead)))
    bench.drain()
    assert bench.replica.status.accepted == 0
    (blame,) = [effect for effect in effects if isinstance(effect, Blame)]
    assert (blame.member, blame.evidence, blame.offence.certain) == (0, None, False)
    assert "time stamp of slot 1" in blame.reason
    bench.hear(0, stamped(NOON))
    assert bench.replica.status.accepted == 1


@pytest.mark.parametrize("behind", [DRIFT_MS + 1, NOON])
def test_a_stamp_behind_is_no_blame_and_waits_for_somebody_to_vouch_for_it(behind: int) -> None:
    """f + 1 have accepted it, the leader among them: one of them is correct, and it came there in time."""
    bench, late = Bench(), stamped(NOON - behind)
    bench.step(Clock(NOON))
    bench.hear(0, late, late)
    bench.drain()
    assert bench.replica.status.accepted == 0
    bench.hear(0, vote(late))  # it is the leader's own already
    bench.hear(3, replace(vote(late), root=bytes(32)))
    bench.drain()
    assert bench.replica.status.accepted == 0
    bench.hear(4, vote(late))
    assert said(bench.drain(), Accepted) == [Accepted(0, 1, late.root)]
    assert [blame.member for blame in bench.blames] == [3]


def test_votes_for_a_later_slot_vouch_for_all_before_it() -> None:
    """A member says one vote for many slots: that for its last one, which the one before leads to."""
    bench, script = Bench(), Script()
    proposals = [script.add(submission(1, seq)) for seq in range(4)]
    bench.step(Clock(NOON))
    bench.hear(0, *proposals[:2], proposals[3])
    bench.hear(3, script.accepted(4))
    bench.drain()
    assert bench.replica.status.accepted == 0, "what lies between is not here"
    bench.hear(0, proposals[2])
    bench.drain()
    assert bench.replica.status.accepted == 4
    assert bench.blames == []


def test_late_proposals_are_void_with_their_view() -> None:
    bench, script = Bench(), Script()
    bench.step(Clock(NOON))
    bench.hear(0, script.add(submission(1, 1)))
    bench.hear(3, script.accepted(1))
    suspect = SuspectStatement(0)
    text = suspect.encode(CONTEXT)
    shares = [Endorsement(suspect, m, StandInEndorser(m).endorse(text, proven=False)) for m in range(5)]
    bench.hear(3, Certified(combine(StandInScheme(5), shares)))
    bench.drain()
    assert (bench.replica.view, bench.replica.status.accepted) == (1, 0)


@pytest.mark.parametrize("waited_ms", [0, DRIFT_MS + 1, 3_600_000])
def test_the_time_of_arrival_counts_however_long_a_message_waits(waited_ms: int) -> None:
    """Also for one that is ahead: it does not get better by waiting here."""
    for stamp, accepted in ((NOON - DRIFT_MS, 1), (NOON + DRIFT_MS, 1), (NOON + DRIFT_MS + 1, 0)):
        bench = Bench()
        bench.step(Clock(NOON + waited_ms), Received(0, stamped(stamp), arrived_ms=NOON))
        assert bench.replica.status.accepted == accepted


@pytest.mark.parametrize("skew", [60_000, -60_000])
def test_a_leader_whose_clock_is_wrong_is_replaced(skew: int) -> None:
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
        assert not any(blame.offence.certain for blame in member.blames)
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


def test_what_stood_still_for_long_is_decided_and_its_leader_stays() -> None:
    """Proposals whose stamps age while they wait: an honest leader is neither blamed nor replaced."""
    cluster = Cluster(seed=4)
    cluster.now_ms = NOON
    cluster.cut = {(a, b) for a in range(6) for b in range(6) if a // 3 != b // 3}
    cluster.submit(0, submission(1, 1))
    cluster.run()
    assert not any(member.decisions() for member in cluster.members)
    cluster.now_ms += 3_600_000
    cluster.cut = set()
    cluster.settle(4)
    for member in cluster.members:
        assert any(entry.batch.submissions for entry in member.decisions().values())
        assert (member.engine.view, member.blames) == (0, [])


def test_what_only_its_leader_knew_of_is_decided_under_another_stamp() -> None:
    """Nobody can vouch for it: the next leader stamps it anew, and nobody is blamed."""
    cluster = Cluster(seed=5)
    cluster.now_ms = NOON
    cluster.cut = {(0, b) for b in range(6)} | {(a, 0) for a in range(6)}
    cluster.submit(0, submission(1, 1))
    cluster.run()
    cluster.now_ms += 3_600_000
    cluster.cut = set()
    settle(cluster, 10)
    for member in cluster.members:
        (time_ms,) = [stamp for stamp in stamps(cluster, member.me) if stamp]
        assert time_ms >= NOON + 3_600_000
        assert member.blames == []
