"""Random schedules with random liars: safety always, and after a quorum was healed, liveness in time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quorum.system import CLASSIC, LEAN
from tests.campaigns.simulation.campaign import KINDS_OF, PATIENCE_TIMEOUTS, campaign
from tests.campaigns.simulation.plan import make_plan
from tests.worlds.adversaries import KINDS
from tests.worlds.lean_liars import LEAN_KINDS

ROOT = Path(__file__).resolve().parents[3]
BLOCKS = {CLASSIC: 12, LEAN: 8}
SEEDS_A_BLOCK = 100
TWO_FACED = ("equivocator", "conflicting NewViews", "twin")


@pytest.mark.parametrize(
    ("profile", "block"), [(p, b) for p, blocks in BLOCKS.items() for b in range(blocks)]
)
def test_random_worlds_with_random_liars(profile: str, block: int) -> None:
    for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK):
        campaign(seed, profile=profile)


@pytest.mark.parametrize(
    ("profile", "kind"),
    [*((CLASSIC, kind) for kind in KINDS), *((LEAN, kind) for kind in (*LEAN_KINDS, *TWO_FACED))],
)
def test_each_kind_of_liar(profile: str, kind: str) -> None:
    """Each does its work, and all but a censor leave ten time-outs more than enough."""
    misdeeds = 0
    for seed in range(5000, 5008):
        world = campaign(seed, kind, profile=profile)
        misdeeds += sum(adversary.words for adversary in world.adversaries.values())
        assert world.recovery <= PATIENCE_TIMEOUTS or "censor" in world.kinds, (seed, world.recovery)
    assert misdeeds > 0


@pytest.mark.parametrize("profile", [CLASSIC, LEAN])
def test_the_seeds_meet_everything_that_is_promised(profile: str) -> None:
    """At least one in a hundred with the real scheme; every fault is among the steps of the others."""
    kinds, seeds = list(KINDS_OF[profile]), range(BLOCKS[profile] * SEEDS_A_BLOCK)
    plans = [make_plan(seed, None, kinds, profile) for seed in seeds]
    assert sum(plan.real_scheme for plan in plans) >= len(plans) / 100
    assert sum(plan.real_journals for plan in plans) >= len(plans) / 20
    assert {kind for plan in plans for _, kind, _ in plan.liars} == set(kinds)
    done = {step.what for plan in plans for step in plan.steps}
    faults = {"crash", "power fails", "impatience", "partition", "pause", "noise", "step down"}
    assert done == {"submit", "act", *faults}
    sizes = {plan.system.member_count for plan in plans}
    assert sizes == ({6, 11} if profile == CLASSIC else {4, 5, 6, 9})


def _last_line(hash_seed: str, *arguments: str, optimised: bool = False) -> str:
    python = [sys.executable, *(["-O"] if optimised else [])]
    lines = subprocess.run(
        [*python, "-m", "tests.campaigns.simulation.run", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return lines[-1].partition(" events_per_second=")[0]


def test_one_seed_is_one_run_whatever_the_hash_seed_the_workers_and_optimisation() -> None:
    """The trace and the counts, with real journals (seed 3), real signatures (7) and eleven members (11)."""
    lines = {
        _last_line("1", "--seeds", "24"),
        _last_line("4242", "--seeds", "24"),
        _last_line("0", "--seeds", "24", "--workers", "2"),
        _last_line("3", "--seeds", "24", optimised=True),  # all checks are made without ``assert``
    }
    assert len(lines) == 1
    line = lines.pop()
    assert line.startswith("sim: ok trace=")
    assert "seeds=24 failures=0" in line
    assert line != _last_line("1", "--seeds", "25")
