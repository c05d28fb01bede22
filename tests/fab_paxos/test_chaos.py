"""Random worlds, all checkers: loss, crashes, partitions: docs/development/testing.md, scenarios 14 and
15."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fab_paxos.test_recovery import no_equivocation
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, submission

SEEDS_A_BLOCK = 40
ROOT = Path(__file__).resolve().parents[2]


def storm(seed: int, *, traced: bool = False) -> Cluster:
    """Clients everywhere, and one member (never the leader) that crashes, is cut off or says nothing."""
    cluster = Cluster(seed=seed, loss=(0.0, 0.05, 0.3)[seed % 3], frame_slots=1 + seed % 9, traced=traced)
    cluster.keep_sent = True
    dice = cluster.random
    victim = dice.randrange(1, 6)
    trouble = ("crashes", "cut off", "silent", "none")[seed // 3 % 4]
    if trouble == "silent":
        cluster.silent.add(victim)
    for seq in range(dice.randrange(5, 25)):
        at = dice.choice([m.me for m in cluster.live() if m.me not in cluster.silent])
        cluster.submit(at, submission(dice.randrange(4), seq))
        cluster.run(dice.randrange(80))
        if trouble == "crashes" and dice.random() < 0.2:
            if cluster.members[victim].replica is None:
                cluster.restart(victim)
            else:
                cluster.crash(victim)
        if trouble == "cut off" and dice.random() < 0.3:
            both_ways = dice.random() < 0.5
            cluster.cut ^= {(a, victim) for a in range(6)} | {(victim, a) for a in range(6) if both_ways}
        if dice.random() < 0.2:
            cluster.beat()
    check(cluster)
    cluster.cut = set()
    if trouble == "crashes" and cluster.members[victim].replica is None and seed % 2:
        cluster.restart(victim)
    for live in cluster.correct():  # the clients of the crashed ask elsewhere
        cluster.submit_again(live.me)
        break
    cluster.settle(beats=10)
    return cluster


@pytest.mark.parametrize("block", range(4))
def test_random_worlds_end_with_all_checkers_green(block: int) -> None:
    """Safety always; once links are timely and at most f members are faulty, everything is decided."""
    for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK):
        cluster = storm(seed)
        check_all(cluster)
        no_equivocation(cluster)
        assert not any(m.blames for m in cluster.members), f"seed {seed}: a correct member was blamed"


def test_larger_alliances_bear_two_crashes() -> None:
    from quorum import QuorumSystem

    for seed in range(4):
        cluster = Cluster(QuorumSystem(11, 2), seed=seed, loss=0.1)
        for seq in range(15):
            cluster.submit(seq % 9, submission(seq % 4, seq))
            cluster.run(100)
            if seq == 5:
                cluster.crash(9)
                cluster.silent.add(10)
        cluster.settle(beats=10)
        check_all(cluster)


def test_the_checkers_see_a_disagreement() -> None:
    """docs/development/testing.md, scenario 24, more faults than f: what the engine cannot prevent must be
    detected."""
    ours, theirs = Cluster(seed=1), Cluster(seed=1)
    ours.submit(0, submission(1, 0, b"a"))
    theirs.submit(0, submission(1, 0, b"b"))
    ours.settle()
    theirs.settle()
    check_all(ours)
    ours.members[3] = theirs.members[3]
    with pytest.raises(AssertionError, match="seed 1: two decisions for slot 1"):
        check(ours)


def test_the_same_seed_gives_the_same_trace() -> None:
    assert storm(16, traced=True).trace() == storm(16, traced=True).trace() != storm(17, traced=True).trace()


def test_the_trace_does_not_depend_on_the_hash_seed() -> None:
    """ "It never iterates over a set; the same seed under two PYTHONHASHSEEDs gives one trace." """
    storms = "[storm(seed, traced=True).trace() for seed in (4, 19)]"
    code = f"from tests.fab_paxos.test_chaos import storm; print({storms})"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "4242")
    }
    assert traces == {f"{[storm(seed, traced=True).trace() for seed in (4, 19)]}\n"}
