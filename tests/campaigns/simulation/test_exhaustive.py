"""The exhaustive search of one slot: no disagreement, and each wrong size has one."""

from __future__ import annotations

import pytest

from quorum import QuorumSystem
from tests.campaigns.planted.bugs import planted
from tests.campaigns.simulation.exhaustive import explore


@pytest.mark.parametrize("count", [6, 7])
def test_one_slot_over_any_number_of_views_has_one_decision(count: int) -> None:
    states, disagreement = explore(QuorumSystem(count, 1))
    assert disagreement is None
    assert states > 50


@pytest.mark.parametrize("bug", ["forcing + 1", "forcing - 1", "decision - 1"])
def test_sizes_off_by_one_disagree(bug: str) -> None:
    """n-f is odd at six members: there the sizes are as small as they can be."""
    with planted(bug):
        assert explore(QuorumSystem(6, 1))[1] is not None
