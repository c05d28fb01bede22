"""A plan is a function of its seed, and never asks for more than an alliance of six promises to survive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alliance.config.control import founded
from tests.campaigns.epochs.plan import Blow, Harm, Kind, Moment, Step, plan
from tests.worlds.founding import found
from tests.worlds.processes import PASSPHRASE, founding

SEEDS = range(200)
LONG = {Harm.AWAY, Harm.PAUSE}


def test_a_plan_follows_from_its_seed_and_has_every_kind_of_change() -> None:
    assert [plan(seed) for seed in SEEDS] == [plan(seed) for seed in SEEDS]
    assert len({plan(seed) for seed in SEEDS}) == len(SEEDS)
    for seed in SEEDS:
        kinds = [step.kind for step in plan(seed)]
        assert sorted(kinds) == sorted(Kind)
        assert kinds.index(Kind.SUSPEND) < kinds.index(Kind.REINSTATE)
    blows = [blow for seed in SEEDS for step in plan(seed) for blow in step.blows]
    assert {blow.harm for blow in blows} == set(Harm)
    assert {blow.moment for blow in blows} == set(Moment)


def test_no_more_than_one_member_is_away_for_long() -> None:
    def away(step: Step) -> int:
        return step.gone + sum(blow.harm in LONG for blow in step.blows)

    steps = [step for seed in SEEDS for step in plan(seed)]
    assert {away(step) for step in steps} == {0, 1}
    assert all(blow.moment is not Moment.BEGUN for step in steps for blow in step.blows if blow.harm in LONG)


def test_a_blow_falls_at_its_moment_or_when_that_is_missed(tmp_path: Path) -> None:
    early = founded(found(founding(), tmp_path / "farm", PASSPHRASE.encode()))
    scheduled = replace(early, slot=10, end=138)
    ending, begun = replace(scheduled, slot=130), replace(early, epoch=1)
    due = {
        (Moment.APPROVED, 0): [True, True, True, True],
        (Moment.DEALT, 1): [False, True, True, True],
        (Moment.READY, 1): [False, True, True, True],
        (Moment.SCHEDULED, 0): [False, True, True, True],
        (Moment.ENDING, 8): [False, False, True, True],
        (Moment.BEGUN, 0): [False, False, False, True],
    }
    for (moment, count), expected in due.items():
        blow = Blow(Harm.KILL, "member-1", moment, count, 0.0)
        assert [blow.is_due(state, 0) for state in (early, scheduled, ending, begun)] == expected, moment
