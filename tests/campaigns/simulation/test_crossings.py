"""From one epoch to the next in the middle of trouble: safety always, and the next epoch goes on in time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from quorum import QuorumSystem
from quorum.system import LEAN
from tests.campaigns.simulation.crossing import cross, main
from tests.campaigns.simulation.crossing_plan import CrossingPlan
from tests.worlds.cluster import SIX
from tests.worlds.control import END, TinyControl
from tests.worlds.end_liars import END_KINDS, Overrunner
from tests.worlds.epochs import end_of
from tests.worlds.hardships import Slow
from tests.worlds.timed import SECOND, TimedWorld
from tests.worlds.windows import window_of
from tests.worlds.world import World

FOUR = QuorumSystem(4, 1, LEAN)
SEEDS = (0, 2, 5, 6, 7, 8, 51)
FOUND = (18387, 22886, 49942, 63397, 68436)
"""What the model of a disk, of operators or of clocks, or the checker of words, once held for impossible."""


def test_random_crossings() -> None:
    """Among them one with real journals and the real control state, and one with the real key handed on."""
    plans = [cross(seed).plan for seed in SEEDS]
    assert any(plan.governed and plan.real_journals for plan in plans)
    assert any(plan.handed_on for plan in plans)


def test_crossings_that_once_failed() -> None:
    for seed in FOUND:
        cross(seed)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [7, 8, 21], ids=["real keys", "by the log", "late"])
def test_crossings_to_other_keys(seed: int) -> None:
    """A liar has all shares of the key before, and nobody believes what it makes of them."""
    crossing = cross(seed, new_keys=True)
    assert crossing.changes["new keys"]
    assert "thief" in {kind for stage in crossing.stages for _, kind, _ in stage.plan.liars}
    assert (crossing.plan.governed, crossing.plan.handed_on) == (seed != 7, seed == 7)


def test_a_crossing_is_kept_and_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seed", "1", "--seeds", "1", "--figures", str(tmp_path / "figures")]
    assert main(words) == 0
    kept = (tmp_path / "figures").read_text()
    assert main(words) == 0
    assert (tmp_path / "figures").read_text() == kept
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("crossings: ok trace=")


def test_the_seeds_meet_what_is_promised() -> None:
    """Profiles both ways, two epochs and three, real control states, journals, gates and keys."""
    plans = [CrossingPlan(seed) for seed in range(256)]
    pairs = [pair for plan in plans for pair in pairwise(plan.systems)]
    assert len({(a.profile, b.profile) for a, b in pairs}) == 4
    back = [plan.systems for plan in plans if [one.lean for one in plan.systems] == [False, True, False]]
    assert back
    kinds = {kind for plan in plans for _, kind, _ in plan.stage(0, plan.systems[0]).liars}
    assert kinds >= set(END_KINDS)
    assert sum(plan.governed for plan in plans) == len(plans) / 4
    assert sum(plan.real_journals for plan in plans) == len(plans) / 16
    assert sum(plan.real_journals and plan.governed for plan in plans) == len(plans) / 64
    assert sum(plan.handed_on for plan in plans) == 1


@pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
@pytest.mark.parametrize("seed", range(4))
def test_epoch_liar_reports_beyond_end(seed: int, system: QuorumSystem) -> None:
    """It proposed slots behind the end, and says so when the next leader asks: that leads nobody there."""
    with window_of(8):
        world = World(system, seed, founded=TinyControl(alpha=8), checkpoint_slots=1000)
        liar = Overrunner(world, 0, Random(seed))
        world.corrupt(liar)
        world.submit(1, world.write(9, 0, END))
        while end_of(world) is None:
            assert world.step() or not world.beat()
        world.run(20 * seed)
        liar.act()
        world.run(10)
        for member in world.honest:
            assert member.engine.status.accepted <= (end_of(world) or 0)
        for _ in range(8):
            world.fire_view_timers()
            liar.act()
            world.settle(3)
        world.check()
        assert {m.engine.status.stable for m in world.honest} == {end_of(world)}
        assert liar.words


@pytest.mark.parametrize("seed", range(4))
def test_epoch_liar_opens_a_view_beyond_end(seed: int) -> None:
    """In profile lean one Report fixes a slot, if its leader has signed it, but none behind the end."""
    with window_of(8):
        world = World(FOUR, seed, founded=TinyControl(alpha=8), checkpoint_slots=1000)
        liar = Overrunner(world, 0, Random(seed))
        world.corrupt(liar)
        world.submit(1, world.write(9, 0, END))
        while (end_of(world) or 1000) >= liar.puppet.engine.status.certified + 8:
            assert world.step() or not world.beat()
        assert liar.fill()
        world.elect(1)
        world.run()
        world.settle_views(6)
        world.check()
        assert {m.engine.status.stable for m in world.honest} == {end_of(world)}
        assert min(m.engine.view for m in world.honest) > 0


def test_epoch_leader_drags_last_window() -> None:
    """One that keeps each slot until just before the others lose patience would take a minute for it."""
    world = TimedWorld(SIX, 3, founded=TinyControl(), checkpoint_slots=1000)
    world.corrupt(Slow(world, 0, Random(0)))
    world.submit(1, world.write(9, 0, END))
    world.advance(12 * SECOND)
    end = end_of(world)
    assert end is not None
    assert {m.engine.status.stable for m in world.honest} == {end}
    assert min(m.engine.view for m in world.honest) > 0
    world.check()
