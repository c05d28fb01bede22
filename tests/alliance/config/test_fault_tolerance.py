"""What is told of the failures that an alliance survives."""

from __future__ import annotations

import pytest

from alliance.config.fault_tolerance import FaultTolerance, differences
from quorum import QuorumSystem
from quorum.survival import Survival
from quorum.system import LEAN


def tolerance(system: QuorumSystem, *organisations: str) -> FaultTolerance:
    """Members m1, m2, ... of these organisations; of one each, if none are named."""
    names = organisations or tuple(f"o{number}" for number in range(1, system.member_count + 1))
    members = tuple((f"m{number}", name) for number, name in enumerate(names, 1))
    assert len(members) == system.member_count
    return FaultTolerance(system, members)


SIX = tolerance(QuorumSystem(6, 1))
NORTH = tolerance(QuorumSystem(6, 1), "north", "north", "south", "east", "west", "mid")


def test_every_organisation_counts_as_a_whole() -> None:
    assert SIX.too_large == ()
    assert SIX.fewest_organisations() == (("o1", "o2"), ("o1", "o2"))
    assert NORTH.organisations["north"] == (0, 1)
    assert NORTH.too_large == ("north",)
    assert NORTH.fewest_organisations() == (("north",), ("north",))
    assert "beware: north runs 2 members, more than may be faulty" in "\n".join(NORTH.lines())
    assert NORTH.numbers(["north", "m4", "m1"]) == (0, 1, 3)
    with pytest.raises(KeyError):
        NORTH.numbers(["nord"])


def test_a_member_with_an_organisations_name_is_that_member() -> None:
    """As 'alliance init' names them: one member each; else the member alone is meant."""
    found = FaultTolerance(
        QuorumSystem(6, 1), tuple((f"m{at}", "m1" if at < 3 else f"m{at}") for at in range(1, 7))
    )
    assert found.numbers(["m1"]) == (0,)


@pytest.mark.parametrize(
    ("system", "told"),
    [
        (QuorumSystem(1, 0), "survives: nothing: every member must answer, and none may lie"),
        (QuorumSystem(6, 1), "survives: any 1 member that lies, is down or is cut off"),
        (QuorumSystem(11, 2), "survives: any 2 members that lie, are down or are cut off"),
        (QuorumSystem(6, 1), "not safe: 2 members that lie could have two orders signed"),
        (QuorumSystem(6, 1), "halted: with 2 members down, nothing is decided until one of them is back"),
        (QuorumSystem(8, 1), "not live: with 2 members down, a leader that fails cannot be replaced"),
        (QuorumSystem(8, 1), "halted: with 3 members down, nothing is decided until one of them is back"),
    ],
)
def test_what_is_told(system: QuorumSystem, told: str) -> None:
    assert told in tolerance(system).lines()


def test_what_is_left_in_a_failure() -> None:
    assert SIX.in_failure([], [3]) == Survival(True, True, True)
    assert NORTH.in_failure(NORTH.numbers(["north"]), []) == Survival(False, False, False)
    assert NORTH.in_failure([], NORTH.numbers(["north"])) == Survival(True, False, False)


def test_what_another_system_changes() -> None:
    assert differences(SIX, SIX) == []
    lean = tolerance(QuorumSystem(6, 1, LEAN))
    assert differences(SIX, lean) == [
        "members that are down halt it: 2 before, 3 then",
        "members decide: 5 before, 4 then",
        "profile: classic before, lean then",
    ]
    assert differences(SIX, NORTH) == ["north alone can break it then, with 2 members"]
    assert differences(NORTH, SIX) == ["north alone cannot break it any more"]
    assert "members may be faulty: 1 before, 2 then" in differences(SIX, tolerance(QuorumSystem(11, 2)))
