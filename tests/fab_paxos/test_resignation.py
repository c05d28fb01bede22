"""docs/concepts/protocol.md, section 9.3: who is to be stopped hands over before anybody waits."""

from __future__ import annotations

import pytest

from fab_paxos.effects import Endorse, SetTimer, Timer
from fab_paxos.events import StepDown
from fab_paxos.messages import Certified, Endorsed, Propose
from quorum import Endorsement, QuorumSystem, SuspectStatement
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, only, said
from tests.worlds.world import World


def suspect(member: int, view: int) -> Endorsed:
    return Endorsed(Endorsement(SuspectStatement(view), member, b"a share"))


def views(cluster: Cluster) -> set[tuple[int, bool]]:
    return {(member.engine.status.view, member.engine.status.active) for member in cluster.live()}


@pytest.mark.parametrize("seed", range(40))
def test_the_next_leader_begins_though_no_timer_fires_and_nothing_is_lost(seed: int) -> None:
    cluster = Cluster(seed=seed)
    for seq in range(1, 8):
        cluster.submit(seq % 6, submission(seq % 3, seq))
    cluster.run(10 * seed)  # idle, in the middle of it, and when all is done
    cluster.members[0].post(StepDown())
    for seq in range(8, 12):
        cluster.submit(seq % 6, submission(seq % 3, seq))
    cluster.run()
    assert views(cluster) == {(1, True)}
    assert not any(member.blames for member in cluster.members)
    cluster.settle(3)
    check_all(cluster)


def test_a_rolling_restart_never_waits_for_a_timer_and_makes_nobody_more_patient() -> None:
    cluster = Cluster(seed=1)
    cluster.run()
    for view in range(6):
        cluster.members[view].post(StepDown())
        cluster.run()
        assert views(cluster) == {(view + 1, True)}
        cluster.crash(view)
        cluster.submit((view + 2) % 6, submission(1, view))
        cluster.run()
        assert {member.engine.status.decided for member in cluster.live()} == {view + 1}
        cluster.restart(view)
        cluster.settle(3)
    check_all(cluster)
    idle = Cluster(seed=2)
    for view in range(6):
        idle.members[view].post(StepDown())
        idle.run()
    bench = idle.members[0].engine
    out = [*bench.step(StepDown())]
    bench.rooms.view_timer.watch(True, "something", 0, out)
    assert [effect.seconds for effect in only(out, SetTimer) if effect.name is Timer.VIEW] == [0.5]


def test_who_has_resigned_proposes_no_more() -> None:
    bench = Bench(me=0)
    assert only(bench.step(StepDown()), Endorse) == [Endorse(SuspectStatement(0))]
    bench.submit(submission(1, 1))
    assert not said(bench.drain(), Propose)
    assert not bench.step(StepDown()), "it has said so"


@pytest.mark.parametrize(("me", "system"), [(1, QuorumSystem(6, 1)), (0, QuorumSystem(1, 0))])
def test_who_does_not_lead_or_leads_alone_has_nothing_to_hand_over(me: int, system: QuorumSystem) -> None:
    bench = Bench(me, system)
    bench.drain()
    assert not only(bench.step(StepDown()), Endorse)


def test_a_leaders_own_suspicion_is_joined_at_once_and_only_that_of_its_own_view() -> None:
    bench = Bench(me=5)
    bench.hear(0, suspect(0, 6))  # in its next view, not in this one
    bench.hear(1, suspect(1, 1))  # the leader of the next view, of that one
    assert not only(bench.drain(), Endorse)
    bench.hear(2, Certified(World().election_proof(1)))
    assert only(bench.drain(), Endorse) == [Endorse(SuspectStatement(1))]
    assert not only(bench.drain(), Endorse), "it has said so"


def test_a_leader_that_tells_only_one_member_moves_nobody() -> None:
    cluster = Cluster(seed=3)
    cluster.inject(0, 3, suspect(0, 0))
    cluster.submit(2, submission(1, 1))
    cluster.run()
    assert views(cluster) == {(0, True)}
    cluster.settle(3)
    check_all(cluster)
