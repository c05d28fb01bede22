"""The sizes against the table of the protocol, against fractions, and against enumerated sets of members."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import ceil, factorial

import pytest

from quorum.system import (
    LEAN,
    MEMBER_COUNT_MAX,
    QuorumSystem,
    UnsatisfiableSizes,
    default_profile,
    largest_faulty_max,
)

# n  f  decision  report  forcing  one_correct
TABLE = """
 1  0   1   1  1  1
 2  0   2   2  2  1
 3  0   2   3  2  1
 4  0   3   4  3  1
 5  0   3   5  3  1
 6  0   4   6  4  1
 6  1   5   5  3  2
 7  1   6   6  4  2
 8  1   6   7  4  2
 9  1   7   8  5  2
10  1   7   9  5  2
11  0   6  11  6  1
11  1   8  10  6  2
11  2   9   9  5  3
12  2  10  10  6  3
13  2  10  11  6  3
16  3  13  13  7  4
21  4  17  17  9  5
"""

MEMBERS = range(1, 61)


@pytest.mark.parametrize("row", TABLE.strip().splitlines())
def test_the_table(row: str) -> None:
    n, f, *expected = map(int, row.split())
    system = QuorumSystem(n, f)
    assert [system.decision, system.report, system.forcing, system.one_correct] == expected


@pytest.mark.parametrize("n", MEMBERS)
def test_the_formulas_of_the_protocol_in_fractions(n: int) -> None:
    for f in range((n - 1) // 5 + 1):
        system = QuorumSystem(n, f)
        assert system.decision == ceil(Fraction(n + 3 * f + 1, 2))
        assert system.report == n - f
        assert system.forcing == system.decision - 2 * f == ceil(Fraction(n - f + 1, 2))
        assert system.one_correct == f + 1
        sizes = (system.decision, system.report, system.forcing, system.one_correct)
        assert all(type(size) is int for size in sizes)


@pytest.mark.parametrize("n", MEMBERS)
def test_the_four_facts_in_numbers(n: int) -> None:
    for f in range((n - 1) // 5 + 1):
        s = QuorumSystem(n, f)
        assert 2 * s.decision - n >= 3 * f + 1  # same view
        assert s.decision + s.report - n - f >= s.forcing  # visibility
        assert 2 * s.forcing > s.report  # uniqueness
        assert s.decision <= n - f  # progress; and the election proof needs no more than n - f shares
        assert s.forcing - f >= 1  # a forced digest has a correct holder


def holds(n: int, f: int, decision: int, report: int, forcing: int) -> bool:
    """Visibility, uniqueness and progress, for sizes that need not be those of the system."""
    visible = decision + report - n - f >= forcing
    unique = 2 * forcing > report
    return visible and unique and max(decision, report) <= n - f


@pytest.mark.parametrize("n", MEMBERS)
def test_no_size_can_be_changed_by_one(n: int) -> None:
    for f in range((n - 1) // 5 + 1):
        s = QuorumSystem(n, f)
        assert holds(n, f, s.decision, s.report, s.forcing)
        assert not holds(n, f, s.decision, s.report, s.forcing + 1)
        assert not holds(n, f, s.decision, s.report, s.forcing - 1)
        assert not any(holds(n, f, s.decision - 1, s.report, forcing) for forcing in range(n + 1))
        assert not holds(n, f, s.decision, s.report + 1, s.forcing)  # waits for who may never come


# --- the dumb twin: sets of members, enumerated -----------------------------------------------------------

ENUMERATED = [(n, f) for n in range(1, 10) for f in range((n - 1) // 5 + 1)] + [(11, 2)]


def subsets(members: frozenset[int], size: int) -> list[frozenset[int]]:
    return [frozenset(chosen) for chosen in combinations(sorted(members), size)]


def least_intersection(n: int, size: int) -> int:
    quorums = subsets(frozenset(range(n)), size)
    return min(len(quorums[0] & other) for other in quorums)  # by symmetry the first stands for all


def least_visible(n: int, f: int, decision: int, report: int) -> int:
    """Over all sets of liars and of reporters: the fewest correct supporters of a decision that report it."""
    members = frozenset(range(n))
    quorum = frozenset(range(decision))
    return min(
        len((quorum - liars) & reporters)
        for liars in subsets(members, f)
        for reporters in subsets(members, report)
    )


@pytest.mark.parametrize(("n", "f"), ENUMERATED)
def test_two_decision_quorums_share_a_correct_member(n: int, f: int) -> None:
    shared = least_intersection(n, QuorumSystem(n, f).decision)
    assert shared >= 3 * f + 1 > f


@pytest.mark.parametrize(("n", "f"), ENUMERATED)
def test_a_decided_value_is_forced_by_every_set_of_reports(n: int, f: int) -> None:
    s = QuorumSystem(n, f)
    assert least_visible(n, f, s.decision, s.report) == s.forcing  # reached, so one more would miss it
    if s.decision > 2 * f + 1:
        assert least_visible(n, f, s.decision - 1, s.report) < s.forcing


@pytest.mark.parametrize(("n", "f"), ENUMERATED)
def test_one_digest_at_most_is_forced_and_one_vote_fewer_could_force_two(n: int, f: int) -> None:
    s = QuorumSystem(n, f)

    def forced_at_once(forcing: int) -> int:
        """The most digests that `report` Reports can force, over all ways to split them in two."""
        return max((a >= forcing) + (s.report - a >= forcing) for a in range(s.report + 1))

    assert forced_at_once(s.forcing) == 1
    assert forced_at_once(s.forcing - 1) == 2


@pytest.mark.parametrize(("n", "f"), ENUMERATED)
def test_most_of_mostly_correct_members_are_correct_and_the_correct_ones_are_enough(n: int, f: int) -> None:
    members = frozenset(range(n))
    s = QuorumSystem(n, f)
    for liars in subsets(members, f):
        assert all(len(chosen - liars) > f for chosen in subsets(members, s.mostly_correct))
    assert s.one_correct <= s.mostly_correct <= s.report


@pytest.mark.parametrize(("n", "f"), ENUMERATED)
def test_one_correct_is_the_least_set_with_a_correct_member(n: int, f: int) -> None:
    members = frozenset(range(n))
    s = QuorumSystem(n, f)
    for liars in subsets(members, f):
        assert all(chosen - liars for chosen in subsets(members, s.one_correct))
        assert not all(chosen - liars for chosen in subsets(members, s.one_correct - 1))


@pytest.mark.parametrize("n", MEMBERS)
def test_the_bound_is_where_no_decision_size_is_both_safe_and_live(n: int) -> None:
    def some_size_works(f: int) -> bool:
        # Live: d <= n - f. Safe: more than half of any n - f Reports are for the decided value.
        return any(2 * (d - 2 * f) > n - f for d in range(n - f + 1))

    for f in range(n + 1):
        if some_size_works(f):
            assert QuorumSystem(n, f).faulty_max == f
        else:
            with pytest.raises(UnsatisfiableSizes):
                QuorumSystem(n, f)
    assert largest_faulty_max(n) == max(f for f in range(n + 1) if some_size_works(f))


# --- profile lean -----------------------------------------------------------------------------------------

# n  f  decision  report  forcing
LEAN_TABLE = """
 4  1   3   3  2
 5  1   4   4  3
 6  1   4   5  3
 7  1   5   6  4
 9  2   7   7  4
10  2   8   8  5
14  3  11  11  6
"""
LEAN_SIZES = [(n, f) for n in range(1, 15) for f in range(1, largest_faulty_max(n, LEAN) + 1)]


@pytest.mark.parametrize("row", LEAN_TABLE.strip().splitlines())
def test_the_table_of_lean(row: str) -> None:
    n, f, *expected = map(int, row.split())
    system = QuorumSystem(n, f, LEAN)
    assert [system.decision, system.report, system.forcing] == expected


@pytest.mark.parametrize(("n", "f"), LEAN_SIZES)
def test_the_facts_of_lean_over_all_overlaps_of_sets(n: int, f: int) -> None:
    """The decision quorum, the liars and the reporters, by how many members they have in common.

    Members are alike but for the three sets they are in, so their counts stand for all the sets there are.
    The one who leads the view and proposes two values is a liar.
    """
    s = QuorumSystem(n, f, LEAN)
    assert s.one_correct <= s.mostly_correct <= s.report  # the attestation key's threshold can be reached
    assert s.decision <= n - f
    assert 2 * s.forcing > s.report
    assert 2 * s.decision - n >= 3 * f - 1 >= f + 1
    told, told_without_leader = [], []
    for liars_in in range(f + 1):  # liars in the decision quorum
        if f - liars_in > n - s.decision:
            continue
        truthful = s.decision - liars_in
        others = n - s.decision - (f - liars_in)  # correct members outside the quorum
        for liars_reporting in range(f + 1):
            for supporters_reporting in range(truthful + 1):
                outside_reporting = s.report - liars_reporting - supporters_reporting
                if not 0 <= outside_reporting <= others:
                    continue
                told.append(supporters_reporting)
                if liars_reporting < f:  # the leader is the liar whose Report is left out
                    told_without_leader.append(supporters_reporting)
    assert min(told) == s.decision - 2 * f >= 1
    assert min(told_without_leader) == s.forcing


def holds_in_lean(n: int, f: int, decision: int, report: int, forcing: int) -> bool:
    single = decision - f - (n - report) >= 1  # a decided value is named in any Reports
    shared = 2 * decision - n > f
    visible = decision - f - (n - report - 1) >= forcing  # with the leader, a liar, among those left out
    return single and shared and visible and 2 * forcing > report and max(decision, report) <= n - f


@pytest.mark.parametrize("n", MEMBERS)
def test_no_size_of_lean_can_be_changed_by_one(n: int) -> None:
    for f in range(1, largest_faulty_max(n, LEAN) + 1):
        s = QuorumSystem(n, f, LEAN)
        assert holds_in_lean(n, f, s.decision, s.report, s.forcing)
        assert not holds_in_lean(n, f, s.decision, s.report, s.forcing + 1)
        assert not holds_in_lean(n, f, s.decision, s.report, s.forcing - 1)
        assert not any(holds_in_lean(n, f, s.decision - 1, s.report, forcing) for forcing in range(n + 1))
        assert not holds_in_lean(n, f, s.decision, s.report + 1, s.forcing)


@pytest.mark.parametrize("n", MEMBERS)
def test_the_bound_of_lean_is_where_no_sizes_hold(n: int) -> None:
    for f in range(1, n):
        sizes = ((d, forcing) for d in range(n - f + 1) for forcing in range(n + 1))
        assert any(holds_in_lean(n, f, d, n - f, forcing) for d, forcing in sizes) == (n >= 5 * f - 1)


@pytest.mark.parametrize(("n", "f"), [(n, f) for n, f in LEAN_SIZES if n <= 9])
def test_the_facts_of_lean_in_sets_of_members(n: int, f: int) -> None:
    s = QuorumSystem(n, f, LEAN)
    quorum = frozenset(range(s.decision))
    assert least_intersection(n, s.decision) == 2 * s.decision - n > f
    assert least_visible(n, f, s.decision, s.report) == s.decision - 2 * f
    led = [
        len((quorum - liars) & reporters)
        for liars in subsets(frozenset(range(n)), f)
        for leader in liars
        for reporters in subsets(frozenset(range(n)) - {leader}, s.report)
    ]
    assert min(led) == s.forcing


# --- refusals ---------------------------------------------------------------------------------------------


def needed(f: int) -> str:
    faults = "1 fault" if f == 1 else f"{f} faults"
    return (
        f"n >= 5f+1 = {5 * f + 1} members are needed for {faults} in profile classic, "
        f"n >= 5f-1 = {5 * f - 1} in profile lean"
    )


@pytest.mark.parametrize(
    ("n", "f", "sentence"),
    [
        (
            6,
            2,
            f"6 members tolerate 1 fault, not 2: {needed(2)}",
        ),
        (
            5,
            1,
            f"5 members tolerate 0 faults, not 1: {needed(1)}",
        ),
        (
            1,
            1,
            f"1 member tolerates 0 faults, not 1: {needed(1)}",
        ),
        (6, -1, "the number of tolerated faults is 0 or more, not -1"),
        (0, 0, "an alliance has 1 to 255 members, not 0"),
        (-6, 0, "an alliance has 1 to 255 members, not -6"),
        (256, 1, "an alliance has 1 to 255 members, not 256"),
    ],
)
def test_unsatisfiable_sizes_are_refused_with_what_would_do(n: int, f: int, sentence: str) -> None:
    with pytest.raises(UnsatisfiableSizes) as caught:
        QuorumSystem(n, f)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("n", "f", "sentence"),
    [
        (3, 1, "3 members tolerate 0 faults, not 1: n >= 5f-1 = 4 members are needed for 1 fault"),
        (8, 2, "8 members tolerate 1 fault, not 2: n >= 5f-1 = 9 members are needed for 2 faults"),
        (4, 0, "the number of tolerated faults is 1 or more in profile lean, not 0"),
        (4, -1, "the number of tolerated faults is 1 or more in profile lean, not -1"),
        (0, 1, "an alliance has 1 to 255 members, not 0"),
    ],
)
def test_sizes_that_lean_does_not_admit_are_refused_with_what_would_do(n: int, f: int, sentence: str) -> None:
    with pytest.raises(UnsatisfiableSizes) as caught:
        QuorumSystem(n, f, LEAN)
    assert str(caught.value) == sentence


def test_another_profile_is_refused() -> None:
    for profile in ("Lean", "", "classic ", 1, None):
        with pytest.raises(UnsatisfiableSizes, match="the profile is 'classic' or 'lean', not "):
            QuorumSystem(6, 1, profile)  # type: ignore[arg-type]


def test_without_a_wish_the_profile_is_classic_where_that_is_possible() -> None:
    for n in range(1, 256):
        for f in range(1, n + 1):
            profile = default_profile(n, f)
            if n >= 5 * f - 1:  # some profile admits these sizes: then the default one does
                assert QuorumSystem(n, f, profile).profile == profile
                assert (profile == LEAN) == (n <= 5 * f)
            else:
                with pytest.raises(UnsatisfiableSizes, match=f"n >= 5f-1 = {5 * f - 1}"):
                    QuorumSystem(n, f, profile)


def test_only_integers_are_sizes() -> None:
    for n, f in ((6.0, 1), (6, 1.0), ("6", 1), (6, None)):
        with pytest.raises(TypeError):
            QuorumSystem(n, f)  # type: ignore[arg-type]


def test_the_largest_faulty_max() -> None:
    expected = {1: 0, 5: 0, 6: 1, 10: 1, 11: 2, 15: 2, 16: 3, 31: 6, 255: 50}
    assert {n: largest_faulty_max(n) for n in expected} == expected
    expected = {3: 0, 4: 1, 8: 1, 9: 2, 13: 2, 14: 3, 254: 51, 255: 51}
    assert {n: largest_faulty_max(n, LEAN) for n in expected} == expected
    for n in (0, -1, 256):
        with pytest.raises(UnsatisfiableSizes):
            largest_faulty_max(n)


def test_the_bound_on_members_has_the_reason_it_gives() -> None:
    assert factorial(MEMBER_COUNT_MAX).bit_length() == 1676
    assert MEMBER_COUNT_MAX < 2**8
    largest = QuorumSystem(MEMBER_COUNT_MAX, largest_faulty_max(MEMBER_COUNT_MAX))
    assert (largest.decision, largest.report, largest.forcing) == (203, 205, 103)


# --- the rest ---------------------------------------------------------------------------------------------


def test_leaders_take_turns() -> None:
    system = QuorumSystem(6, 1)
    assert [system.leader(view) for view in range(8)] == [0, 1, 2, 3, 4, 5, 0, 1]
    assert system.leader(2**64 - 1) == (2**64 - 1) % 6
    with pytest.raises(ValueError, match="views start at 0, not -1"):
        system.leader(-1)


def test_of_some_leaders_all_take_turns() -> None:
    """As many as n - f of them: at most f are left out, and those who do not lead may be correct."""
    system = QuorumSystem(6, 1, leaders=(0, 1, 3, 4, 5))
    assert [system.leader(view) for view in range(7)] == [0, 1, 3, 4, 5, 0, 1]
    assert (system.decision, system.report) == (QuorumSystem(6, 1).decision, 5)
    assert system != QuorumSystem(6, 1)
    with pytest.raises(ValueError, match="views start at 0"):
        system.leader(-1)
    with pytest.raises(TypeError):
        QuorumSystem(6, 1, leaders=("0", 1, 2, 3, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "leaders", [(0, 1, 2, 3), (1, 0, 2, 3, 4), (0, 1, 1, 2, 3, 4), (0, 1, 2, 3, 6), (-1, 0, 1, 2, 3)]
)
def test_leaders_that_cannot_be_are_refused(leaders: tuple[int, ...]) -> None:
    with pytest.raises(UnsatisfiableSizes, match="5 members or more lead"):
        QuorumSystem(6, 1, leaders=leaders)


def test_a_system_is_a_frozen_value() -> None:
    system = QuorumSystem(6, 1)
    assert system == QuorumSystem(member_count=6, faulty_max=1)
    assert hash(system) == hash(QuorumSystem(6, 1))
    assert system != QuorumSystem(6, 0)
    assert system.profile == "classic"
    assert system != QuorumSystem(6, 1, LEAN)
    with pytest.raises(AttributeError):
        system.faulty_max = 2  # type: ignore[misc]
