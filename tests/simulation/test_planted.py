"""Every planted bug is found, by the scenario made for it or by one of a few dozen random seeds."""

from __future__ import annotations

import pytest

from tests.simulation.finder import found_by
from tests.simulation.planted import PLANTED

HARMLESS = {
    # A gap lies below a forced slot only when nothing from the gap on was decided: any value is safe there.
    "gaps of the vector are closed",
}

SCENARIO = {
    "forcing - 1": "test_01_a_second_value_with_one_report_too_few",
    "exact (view, digest) pairs are counted": "test_03_votes_for_one_digest_split_over_views",
    "the vector is not recomputed": "test_07_a_new_view_that_ignores_a_forced_digest",
    "one Suspect is joined": "test_17_suspect_spam_for_far_future_views",
    "exchanged slots are spoken of again": "test_a_leader_whose_log_was_exchanged_proposes_no_more",
    "the silence is not journalled": "test_a_leader_whose_log_was_exchanged_proposes_no_more",
    "duplicate Reports are counted": "test_05_lying_oversized_and_duplicate_reports",
}


@pytest.mark.parametrize("name", [name for name in PLANTED if name not in HARMLESS])
def test_a_planted_bug_is_found(name: str) -> None:
    assert found_by(name, seeds=80, sooner=SCENARIO.get(name)) is not None
