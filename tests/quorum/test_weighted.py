"""Quorums by weight against their definition: sets are tried one by one, without any formula."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations_with_replacement, product
from random import Random
from time import process_time

import pytest

from quorum import QuorumSystem
from quorum.faults import FaultStructure, mask_of, weight_of
from quorum.system import CLASSIC, LEAN, PROFILES, UnsatisfiableSizes
from quorum.weighted import WeightedQuorums, decision_weight, equal_weights


def subsets(mask: int) -> set[int]:
    return {one for one in range(mask + 1) if one & ~mask == 0}


def is_sound(faults: FaultStructure, weights: tuple[int, ...], decision: int, profile: str) -> bool:
    """By definition: safe and live when whoever weighs so much decides."""
    everybody = (1 << faults.member_count) - 1
    deciding = [one for one in range(everybody + 1) if weight_of(one, weights) >= decision]
    if any(everybody & ~one not in deciding for one in faults.largest):
        return False
    pairs = {a & b for a in deciding for b in deciding}
    lean = profile == LEAN
    for out, one, two in product(faults.largest, repeat=3):
        if (not lean or out & one & two) and any(pair & ~(out | one | two) == 0 for pair in pairs):
            return False
    if not lean:
        return True
    visible = all(d & ~(out | b) for d in deciding for out in faults.largest for b in faults.largest)
    return visible and all(pair & ~b for pair in pairs for b in faults.largest)


def groups_of(*sizes: int) -> list[list[int]]:
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    return [list(range(start, start + size)) for start, size in zip(starts, sizes, strict=True)]


def random_structure(rng: Random) -> tuple[FaultStructure, tuple[int, ...]]:
    members = rng.randint(4, 6)
    sets = [rng.sample(range(members), rng.choice([1, 1, 1, 2])) for _ in range(rng.randint(1, members + 2))]
    faults = FaultStructure.of(members, [*sets, *([one] for one in range(members))])
    return faults, tuple(rng.randint(1, 4) for _ in range(members))


def test_the_weight_that_decides_is_right_by_definition() -> None:
    """And rarely more than that: one less is wrong in most cases."""
    rng, admitted, tight = Random(1), 0, 0
    for _ in range(60):
        faults, weights = random_structure(rng)
        for profile in PROFILES:
            try:
                decision = decision_weight(faults, weights, profile)
            except UnsatisfiableSizes:
                continue
            assert is_sound(faults, weights, decision, profile), (faults, weights, profile)
            admitted += 1
            tight += not is_sound(faults, weights, decision - 1, profile)
    assert admitted >= 15
    assert tight >= admitted * 2 // 3


@pytest.mark.parametrize("profile", PROFILES)
def test_with_all_weights_one_it_is_the_system_that_counts(profile: str) -> None:
    for members in range(4, 12):
        for faulty in (1, 2):
            faults, weights = FaultStructure.threshold(members, faulty), (1,) * members
            try:
                system = QuorumSystem(members, faulty, profile)
            except UnsatisfiableSizes:
                with pytest.raises(UnsatisfiableSizes):
                    decision_weight(faults, weights, profile)
                continue
            quorums = WeightedQuorums(faults, weights, profile)
            assert quorums.decision == system.decision
            for count in range(members + 1):
                mask = (1 << count) - 1
                assert quorums.decides(mask) == system.decides(mask) == (count >= system.decision)
                assert quorums.reports(mask) == system.reports(mask) == (count >= system.report)
                assert quorums.has_correct(mask) == system.has_correct(mask) == (count > faulty)
            reported = (1 << system.report) - 1
            liar = members - 1 if profile == LEAN else None
            for count in range(system.report + 1):
                named = (1 << count) - 1
                forced = quorums.forces(named, reported, liar)
                assert forced == system.forces(named, reported, liar) == (count >= system.forcing)


@pytest.mark.parametrize(
    ("sizes", "further", "classic", "lean"),
    [
        ((1,) * 6, 0, 5, 4),
        ((2,) * 6, 0, 10, 8),
        ((3,) * 6, 0, 14, 11),
        ((2,) * 4, 0, None, 6),
        ((2,) * 8, 1, 13, 12),
        ((3,) * 7, 1, 17, 16),
        ((2,) * 7, 1, None, 11),
        ((2,) * 6, 1, None, None),
        ((3,) * 5, 1, None, None),
        ((3, 2, 2, 1, 1, 1), 0, None, 7),
    ],
)
def test_what_organisations_of_many_sizes_need(
    sizes: tuple[int, ...], further: int, classic: int | None, lean: int | None
) -> None:
    """The table of docs/concepts/quorums.md."""
    faults = FaultStructure.organisations(groups_of(*sizes), further)
    for profile, decision in ((CLASSIC, classic), (LEAN, lean)):
        if decision is None:
            with pytest.raises(UnsatisfiableSizes, match="must leave somebody out"):
                decision_weight(faults, (1,) * sum(sizes), profile)
        else:
            assert decision_weight(faults, (1,) * sum(sizes), profile) == decision


def test_organisations_of_unequal_size_weigh_the_same() -> None:
    groups = groups_of(3, 2, 2, 1, 1, 1)
    weights = equal_weights(groups)
    assert weights == (2, 2, 2, 3, 3, 3, 3, 6, 6, 6)
    faults = FaultStructure.organisations(groups)
    assert decision_weight(faults, weights, CLASSIC) == 28
    assert decision_weight(faults, weights, LEAN) == 22
    with pytest.raises(UnsatisfiableSizes, match="together more than 255"):
        equal_weights(groups_of(5, 7, 11, 13, 2))


def test_two_members_of_one_organisation_are_no_second_opinion() -> None:
    """Nor do they force what one alone would not."""
    groups = groups_of(2, 2, 2, 2, 2, 2)
    quorums = WeightedQuorums(FaultStructure.organisations(groups), (1,) * 12, CLASSIC)
    assert not quorums.has_correct(mask_of([0, 1]))
    assert quorums.has_correct(mask_of([1, 2]))
    assert quorums.reports(quorums.everybody & ~mask_of([4, 5]))
    assert not quorums.reports(quorums.everybody & ~mask_of([4, 6]))


def test_what_was_decided_is_forced_and_nothing_beside_it() -> None:
    """Whoever lies, and whoever is left out of the Reports."""
    rng = Random(7)
    for _ in range(400):
        faults, weights = random_structure(rng)
        try:
            quorums = WeightedQuorums(faults, weights, CLASSIC)
        except UnsatisfiableSizes:
            continue
        liars, left_out = rng.choice(faults.largest), rng.choice(faults.largest)
        deciding = mask_of([one for one in range(quorums.member_count) if rng.random() < 0.8])
        if not quorums.decides(deciding):
            continue
        reported = quorums.everybody & ~left_out
        told = deciding & reported & ~liars
        assert quorums.forces(told, reported)
        assert not quorums.forces(reported & ~told, reported)


@pytest.mark.parametrize(("sizes", "further"), [((3,) * 9 + (4,), 1), ((2,) * 15 + (1,), 1), ((1,) * 31, 1)])
def test_a_structure_of_31_units_is_judged_at_once(sizes: tuple[int, ...], further: int) -> None:
    """Ten times the bar, since machines are shared; the benchmark has the figure."""
    begin = process_time()
    faults = FaultStructure.organisations(groups_of(*sizes), further)
    for profile in PROFILES:
        with suppress(UnsatisfiableSizes):
            decision_weight(faults, (1,) * 31, profile)
    assert process_time() - begin < 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FaultStructure(0, (0,)), "1 to 255 members"),
        (lambda: FaultStructure(256, (0,)), "1 to 255 members"),
        (lambda: FaultStructure(4, ()), "its largest sets"),
        (lambda: FaultStructure(4, (1, 3)), "its largest sets"),
        (lambda: FaultStructure(4, (2, 1)), "its largest sets"),
        (lambda: FaultStructure(4, (16,)), "not among the 4"),
        (lambda: FaultStructure(4, (-1,)), "not among the 4"),
        (lambda: FaultStructure.of(4, [[4]]), "not among the 4"),
        (lambda: FaultStructure.threshold(31, 6), "736,281 sets"),
        (lambda: FaultStructure.organisations([[0, 1], [1, 2]]), "belongs to one organisation"),
        (lambda: FaultStructure.organisations([[0], []]), "belongs to one organisation"),
        (lambda: FaultStructure.organisations([[0], [2]]), "belongs to one organisation"),
        (lambda: WeightedQuorums(FaultStructure.threshold(6, 1), (1,) * 5, CLASSIC), "5 weights of 6"),
        (lambda: WeightedQuorums(FaultStructure.threshold(6, 1), (1,) * 5 + (0,), CLASSIC), "1 or more"),
        (lambda: WeightedQuorums(FaultStructure.threshold(6, 1), (50,) * 6, CLASSIC), "255 at most"),
        (lambda: WeightedQuorums(FaultStructure.threshold(6, 1), (1,) * 6, "fast"), "the profile is one of"),
        (lambda: WeightedQuorums(FaultStructure.threshold(6, 1), (1,) * 6, CLASSIC, 4), "5 decides"),
    ],
)
def test_what_is_no_structure_is_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(UnsatisfiableSizes, match=says):
        make()


def test_three_sets_that_share_a_member() -> None:
    faults = FaultStructure.of(7, [[0, 1], [1, 2], [1, 3], [4, 5], [6]])
    for sharing, heaviest in ((False, 5), (True, 4)):
        three, which = faults.heaviest_three((1,) * 7, sharing=sharing)
        assert three == heaviest
        assert weight_of(which[0] | which[1] | which[2], (1,) * 7) == heaviest
    every = combinations_with_replacement(faults.largest, 3)
    assert max((a | b | c).bit_count() for a, b, c in every) == 5
