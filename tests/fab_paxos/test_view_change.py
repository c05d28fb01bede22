"""Leaders fail, and the alliance goes on: suspicion, election, Reports, NewView."""

from __future__ import annotations

from random import Random

import pytest

from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, submission


def test_a_dead_leader_is_replaced_and_what_was_submitted_is_decided() -> None:
    cluster = Cluster(seed=1)
    cluster.submit(1, submission(1, 1))
    cluster.run()
    cluster.crash(0)
    cluster.submit(2, submission(1, 2))
    cluster.settle_views()
    assert {member.engine.view for member in cluster.live()} == {1}
    check_all(cluster)


def test_a_leader_that_dies_in_the_middle_loses_nothing_decided() -> None:
    for seed in range(60):
        cluster = Cluster(seed=seed)
        for seq in range(1, 8):
            cluster.submit(1 + seq % 5, submission(seq % 3, seq))
        cluster.run(20 + 7 * seed)
        cluster.crash(0)
        cluster.settle_views()
        check_all(cluster)


@pytest.mark.parametrize("seed", range(150))
def test_leaders_crash_and_return_under_loss(seed: int) -> None:
    choose = Random(seed)
    cluster = Cluster(seed=seed, loss=choose.choice((0.0, 0.05, 0.3)))
    down: int | None = None
    for round_ in range(14):
        for client in range(3):
            cluster.submit(
                choose.randrange(6) if down is None else (down + 1) % 6, submission(client, round_)
            )
        cluster.run(choose.randrange(150))
        match choose.randrange(5):
            case 0 if down is None:
                leader = max(member.engine.view for member in cluster.live()) % 6
                down = choose.choice((leader, choose.randrange(6)))
                cluster.crash(down)
            case 1 if down is not None:
                cluster.restart(down)
                down = None
            case 2:
                cluster.fire_view_timers()
            case 3:
                cluster.beat()
            case _:
                victim = choose.choice(cluster.live()).me
                cluster.crash(victim)
                cluster.restart(victim)
        check(cluster)
    if down is not None:
        cluster.restart(down)
    for member in cluster.live():
        cluster.submit_again(member.me)
    cluster.settle_views()
    check_all(cluster)
