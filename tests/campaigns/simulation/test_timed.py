"""What the simulated world must do itself, or its campaigns would prove less than they seem to."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from tests.campaigns.simulation.campaign import campaign
from tests.worlds.scripts import heal
from tests.worlds.timed import PRUNING, SECOND, TimedWorld


def test_a_member_that_comes_back_is_silent_until_a_quorum_has_its_greeting() -> None:
    world = TimedWorld(seed=1)
    world.submit(0, world.write(1, 1))
    world.advance(SECOND)
    world.crash(5)
    turns = world.members[5].turns
    world.isolate(5)
    world.restart(5)
    world.submit(5, world.write(1, 2))
    world.advance(3 * SECOND)
    assert world.members[5].turns == turns
    heal(world, 4)  # five of six hear it
    world.advance(6 * SECOND)
    assert world.members[5].engine.status.decided == 2


def test_liars_may_refuse_the_greeting() -> None:
    world = TimedWorld(seed=1)
    world.rude = {0, 1}
    world.crash(5)
    turns = world.members[5].turns
    world.restart(5)
    world.advance(3 * SECOND)
    assert world.members[5].turns == turns


def test_pruning_is_torn_too() -> None:
    """Power fails while the real journal forgets: it comes back with the pruned slots, or without them."""
    with closing(TimedWorld(seed=2, journals=True, checkpoint_slots=1, retain_slots=0)) as world:
        for number in range(12):
            world.doomed[number % 6] = (PRUNING, partial(world.restart, number % 6))
            world.submit((number + 1) % 6, world.write(1, number))
            world.advance(world.now + SECOND)
        world.check_all()
        assert world.faults["crashes while pruning"] == 12


def test_members_leap_and_are_judged_in_campaigns() -> None:
    """Checkpoints, pruning and state transfer are part of what seeds do."""
    worlds = [campaign(seed) for seed in range(60)]
    assert sum(len(member.leaps) for world in worlds for member in world.honest) > 0
    assert sum(len(member.pruned) for world in worlds for member in world.honest) > 100
    assert sum(len(world.court.convictions) for world in worlds) > 0
