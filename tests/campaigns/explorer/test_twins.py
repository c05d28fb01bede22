"""Twins: no scenario ends in a disagreement, and where quorums are too small some do."""

from __future__ import annotations

from math import gcd

import pytest

from quorum import QuorumSystem
from tests.campaigns.explorer.finder import run_twins
from tests.campaigns.explorer.run_twins import main
from tests.campaigns.explorer.twins import FOUR, STRETCH, STRIDE, Twins, scenario, scenarios
from tests.campaigns.explorer.uncollected import uncollected
from tests.campaigns.planted.bugs import planted
from tests.worlds.cluster import SIX

# Ten thousand scenarios: four blocks of six members, and those of four.
BLOCKS, A_BLOCK, OF_FOUR = 4, 2125, 1500


@pytest.mark.parametrize("block", range(BLOCKS))
def test_scenarios_of_six_members(block: int) -> None:
    decided = 0
    with uncollected():
        twins = Twins()
        for number in range(block * A_BLOCK, (block + 1) * A_BLOCK):
            decided += any(twins.run(scenario(number)))
    assert decided > A_BLOCK / 5, "somebody decides in many of them"


def test_scenarios_of_four_lean_members() -> None:
    """A sample; ``make twins LEAN=1`` runs all."""
    decided = 0
    with uncollected():
        twins = Twins(FOUR)
        for number in range(OF_FOUR):
            decided += any(twins.run(scenario(number, FOUR)))
    assert decided > 200, "somebody decides in many of them"


@pytest.mark.parametrize("system", [SIX, FOUR])
def test_the_numbers_name_every_scenario_once(system: QuorumSystem) -> None:
    total = scenarios(system)
    assert gcd(STRIDE, total // STRETCH) == 1
    assert len({scenario(number, system) for number in range(0, total, 97)}) == -(-total // 97)
    assert scenario(total, system) == scenario(0, system)


@pytest.mark.parametrize(
    "bug",
    [
        "forcing + 1",
        "what a NewView gave is not journalled",
        "support of an earlier view counts",
    ],
)
def test_a_planted_bug_is_found(bug: str) -> None:
    with planted(bug):
        assert (run_twins(1000) or "").startswith("twins, scenario ")


def test_a_planted_bug_of_lean_is_found() -> None:
    with planted("lean: Reports - 1"), uncollected():
        twins = Twins(FOUR)
        with pytest.raises(AssertionError, match="are final"):
            list(map(twins.run, (scenario(number, FOUR) for number in range(500))))


def test_the_command_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenarios", "20"]) == 0
    assert capsys.readouterr().out.startswith("twins: ok scenarios=20 ")
    with planted("forcing + 1"):
        assert main(["--scenarios", "100"]) == 1
    assert "make twins SCENARIOS=1 FIRST=48" in capsys.readouterr().out
