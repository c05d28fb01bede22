"""The explorer finds nothing in the engine, and what is planted in it; what it relies on is true."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.campaigns.explorer.clone import clone
from tests.campaigns.explorer.engine import Engine
from tests.campaigns.explorer.finder import explore
from tests.campaigns.explorer.freeze import freeze
from tests.campaigns.explorer.instance import Instance
from tests.campaigns.explorer.run import FOUR, instances, main
from tests.campaigns.explorer.schedule import read, replay, tell
from tests.campaigns.explorer.search import Found, Search
from tests.campaigns.explorer.steps import take
from tests.campaigns.explorer.uncollected import uncollected
from tests.campaigns.planted.bugs import planted
from tests.worlds.cluster import SIX

LEADS_BOTH = Instance(3, (3, 9), news=1)
LEADS_SECOND = Instance(1, (0, 1), news=1)
AND_A_CRASH = Instance(3, (3, 9), restarts=1, news=1)
SECOND_AND_A_CRASH = Instance(1, (0, 1), restarts=1, news=1)
LEAN_INSTANCES = [*instances(views=2, slots=1, values="AB", restarts=0, news=0, system=FOUR)]
STATES = 10_000


def search(instance: Instance, states: int) -> Found:
    with uncollected():
        return Search(instance).run(states)


@pytest.mark.parametrize("instance", [*instances(views=2, slots=1, values="AB", restarts=0, news=0)], ids=str)
def test_two_views_are_exhausted(instance: Instance) -> None:
    """``make explore`` does it with more news."""
    found = search(instance, 1_000_000)
    assert found.violation is None
    assert found.exhausted
    assert found.decided == ("A", "B")


@pytest.mark.parametrize("instance", LEAN_INSTANCES, ids=str)
def test_two_views_of_four_lean_members_are_exhausted(instance: Instance) -> None:
    found = search(instance, 1_000_000)
    assert found.violation is None
    assert found.exhausted
    assert found.decided == ("A", "B")


@pytest.mark.parametrize(
    "bug",
    [
        "decision - 1",
        "forcing + 1",
        "forcing - 1",
        "Reports - 1",
        "the rule of classic",
        "the Report of an equivocator counts",
        "one Report of a value is not enough",
    ],
)
def test_a_planted_bug_of_lean_is_found(bug: str) -> None:
    with planted(f"lean: {bug}"):
        violations = (search(instance, 2_000).violation for instance in LEAN_INSTANCES)
        assert any(violation is not None for violation in violations)


@pytest.mark.parametrize("instance", [*instances(views=1, slots=1, values="AB", restarts=2)], ids=str)
def test_one_view_is_exhausted(instance: Instance) -> None:
    """With two crashes anywhere, and whatever may be heard."""
    found = search(instance, STATES)
    assert found.violation is None
    assert found.exhausted


@pytest.mark.parametrize(
    "instance", [Instance(0, (0,), slots=2), SECOND_AND_A_CRASH, Instance(2, (0, 1, 2), news=0)], ids=str
)
def test_other_bounds_hold(instance: Instance) -> None:
    found = search(instance, 5_000)
    assert found.violation is None
    assert found.states >= 5_000


@pytest.mark.parametrize(
    ("bug", "instance"),
    [
        ("forcing + 1", LEADS_BOTH),
        ("forcing - 1", LEADS_BOTH),
        ("decision - 1", LEADS_BOTH),
        ("the fence is not journalled", SECOND_AND_A_CRASH),
        ("the NewView's digest is not journalled", AND_A_CRASH),
        ("what a NewView gave is not journalled", LEADS_BOTH),
        ("proposals are accepted before the NewView", LEADS_BOTH),
        ("a second NewView replaces the first", LEADS_SECOND),
        ("votes for another log count", LEADS_BOTH),
        ("support of an earlier view counts", LEADS_SECOND),
    ],
)
def test_a_planted_bug_is_found_and_its_schedule_replays(bug: str, instance: Instance) -> None:
    """On fresh engines, from the text, with the bug and not without it."""
    with planted(bug):
        found = search(instance, STATES)
        assert found.violation is not None
        again, schedule = read(tell(instance, found.schedule))
        assert (again, schedule) == (instance, found.schedule)
        assert replay(again, schedule) is not None
    assert replay(again, schedule) is None


def test_the_command_tells_the_bound_and_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--views", "1", "--states", "15"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("n=6 f=1 slots=1 values=AB views=0 liar=5 leads=- restarts=0 news=2: states=1")
    assert last.startswith("explore: ok instances=2 exhausted=0 ")
    assert main(["--views", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("explore: ok instances=2 exhausted=2 ")
    assert main(["--views", "2", "--plant", "forcing + 1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("explore: FAILED instances=1")
    assert any("hears the leader of view 0 propose A" in line for line in lines)


def test_whoever_plants_bugs_is_told_what_is_broken() -> None:
    assert explore(500) is None
    with planted("forcing + 1"):
        assert "may be decided in view 3" in (explore(2_000) or "")


def test_a_clone_lives_its_own_life() -> None:
    engine = Engine.new(SIX, 5, liar=0)
    before = freeze(deepcopy(engine.replica), {})
    fork = clone(engine)
    for step in (("propose", 0, "A"), ("enter", 1), ("restart",)):
        take(step, fork)
    assert freeze(fork.replica, {}) != before
    assert freeze(engine.replica, {}) == before == freeze(clone(engine).replica, {})
    assert not engine.disk.entries
