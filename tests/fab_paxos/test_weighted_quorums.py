"""The engine where members weigh differently and whole organisations fail: docs/concepts/quorums.md."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from fab_paxos.lean_selection import EquivocatorReports, select_lean
from fab_paxos.selection import InvalidSelection, ReportedEntry, select
from quorum.faults import FaultStructure, mask_of, members_of
from quorum.system import CLASSIC, LEAN, PROFILES, UnsatisfiableSizes
from quorum.weighted import WeightedQuorums, equal_weights
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.standin import WeighingScheme

A, B = b"a" * 32, b"b" * 32


def organisations(*sizes: int) -> tuple[tuple[int, ...], ...]:
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    return tuple(tuple(range(start, start + size)) for start, size in zip(starts, sizes, strict=True))


def quorums_of(profile: str, *sizes: int) -> WeightedQuorums:
    """Any one organisation with all its machines may be faulty, and each weighs the same."""
    groups = organisations(*sizes)
    return WeightedQuorums(FaultStructure.organisations(groups), equal_weights(groups), profile)


def drawn(dice: Random) -> WeightedQuorums | None:
    members = dice.randint(4, 9)
    sets = [dice.sample(range(members), dice.choice([1, 1, 2])) for _ in range(dice.randint(1, members))]
    faults = FaultStructure.of(members, [*sets, *([one] for one in range(members))])
    weights = tuple(dice.randint(1, 3) for _ in range(members))
    try:
        return WeightedQuorums(faults, weights, dice.choice(PROFILES))
    except UnsatisfiableSizes:
        return None


def deciding(quorums: WeightedQuorums, dice: Random) -> int:
    """Some members who decide, none of whom could be spared."""
    chosen = quorums.everybody
    for member in dice.sample(range(quorums.member_count), quorums.member_count):
        if quorums.decides(chosen & ~(1 << member)):
            chosen &= ~(1 << member)
    return chosen


def told(view: int, digest: bytes) -> tuple[ReportedEntry, ...]:
    return (ReportedEntry(1, view, digest),) if digest else ()


def selected(
    quorums: WeightedQuorums, reports: Sequence[tuple[int, Sequence[ReportedEntry]]]
) -> tuple[bytes, ...]:
    return (select_lean if quorums.lean else select)(quorums, reports, 0)


def outcome(
    quorums: WeightedQuorums, reports: Sequence[tuple[int, Sequence[ReportedEntry]]]
) -> tuple[bytes, ...] | int:
    """What is selected, or the leader whose Report does not count."""
    try:
        return selected(quorums, reports)
    except EquivocatorReports as proven:
        return proven.member


def test_what_may_have_been_decided_is_forced_whoever_lies_and_whoever_is_left_out() -> None:
    """A decision of any quorum, any set of liars who name another value, and any set without a Report."""
    dice, tried, leaders_out = Random(7), 0, 0
    while tried < 400:
        quorums = drawn(dice)
        if quorums is None:
            continue
        tried += 1
        liars, out = dice.choice(quorums.faults.largest), dice.choice(quorums.faults.largest)
        leader = dice.choice(members_of(liars))  # it proposed both values
        decided = deciding(quorums, dice)
        reports = []
        for member in members_of(quorums.everybody & ~out):
            bit = 1 << member
            said = B if liars & bit else A if decided & bit else dice.choice([A, B, b""])
            reports.append((member, told(leader, said)))
        if outcome(quorums, reports) == leader:  # its Report is left out, with a set that it is in
            assert not out >> leader & 1
            leaders_out += 1
        else:
            assert outcome(quorums, reports) == (A,), (quorums, bin(decided), bin(liars), bin(out))
    assert leaders_out > 20


def test_reports_of_members_whose_absence_is_no_fault_select_nothing() -> None:
    quorums = quorums_of(CLASSIC, 2, 2, 2, 2, 2, 2)
    there = [(member, told(0, A)) for member in range(2, 12)]
    assert selected(quorums, there) == (A,)
    assert selected(quorums, [*there, (0, ())]) == (A,)  # one more than needed does no harm
    with pytest.raises(
        InvalidSelection, match="Reports of 10 members"
    ):  # 0 and 3 belong to two organisations
        selected(quorums, [(1, ()), *(one for one in there if one[0] != 3)])
    with pytest.raises(InvalidSelection, match="a member reports twice"):
        selected(quorums, [*there, there[0]])


@pytest.mark.parametrize("profile", PROFILES)
def test_the_highest_decided_slot_is_that_of_the_definition(profile: str) -> None:
    quorums, dice = quorums_of(profile, 3, 2, 2, 1, 1, 1), Random(3)
    for _ in range(200):
        levels = [dice.randrange(6) for _ in range(quorums.member_count)]
        reached = [
            level
            for level in range(6)
            if quorums.decides(mask_of(member for member, at in enumerate(levels) if at >= level))
        ]
        assert quorums.decided(levels) == max(reached)


@pytest.mark.parametrize("profile", PROFILES)
def test_suspects_are_joined_where_two_sets_of_liars_are_not_all_of_them(profile: str) -> None:
    quorums, dice = quorums_of(profile, 3, 2, 2, 1, 1, 1), Random(4)
    assert not quorums.joins(mask_of([0, 1, 2, 3, 4]))  # two organisations
    assert quorums.joins(mask_of([0, 3, 5]))
    for _ in range(100):
        assert quorums.joins(deciding(quorums, dice))  # who decides has the others join


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("sizes", [(2,) * 6, (3, 2, 2, 1, 1, 1)], ids=["equal", "unequal"])
@pytest.mark.parametrize("organisation", [0, 2])
def test_a_whole_organisation_is_missed_by_nobody(
    profile: str, sizes: tuple[int, ...], organisation: int
) -> None:
    """Also that of the first leaders; one machine more, of another one, is too much."""
    quorums = quorums_of(profile, *sizes)
    cluster = Cluster(quorums, seed=organisation, loss=0.05, scheme=WeighingScheme(quorums))
    group = organisations(*sizes)[organisation]
    at = quorums.member_count - 1
    cluster.submit(at, submission(1, 0))
    cluster.run(100)
    for member in group:
        cluster.crash(member)
    for seq in range(1, 6):
        cluster.submit(at, submission(1, seq))
        cluster.run(100)
    cluster.settle_views()
    check_all(cluster)
    decided = cluster.members[at].engine.status.decided
    assert decided
    for member in group:
        cluster.restart(member)
    cluster.settle_views()
    check_all(cluster)


@pytest.mark.parametrize("profile", PROFILES)
def test_without_the_weight_that_decides_nothing_is(profile: str) -> None:
    quorums = quorums_of(profile, 3, 2, 2, 1, 1, 1)
    cluster = Cluster(quorums, seed=1, scheme=WeighingScheme(quorums))
    at, weight = quorums.member_count - 1, sum(quorums.weights)
    for member in range(quorums.member_count - 1):
        if weight < quorums.decision:
            break
        cluster.silent.add(member)
        weight -= quorums.weights[member]
    cluster.submit(at, submission(1, 0))
    cluster.settle(beats=5)
    check(cluster)
    assert cluster.members[at].engine.status.decided == 0
    cluster.silent.clear()
    cluster.submit_again(at)
    cluster.settle_views()
    check_all(cluster)
    assert cluster.members[at].engine.status.decided > 0


@pytest.mark.parametrize("profile", [CLASSIC, LEAN])
def test_storms_over_organisations_of_different_sizes(profile: str) -> None:
    for seed in range(6):
        quorums = quorums_of(profile, *((2,) * 6, (3, 2, 2, 1, 1, 1))[seed % 2])
        cluster = Cluster(
            quorums, seed=seed, loss=(0.0, 0.1, 0.3)[seed % 3], scheme=WeighingScheme(quorums), frame_slots=3
        )
        dice = cluster.random
        group = members_of(dice.choice(quorums.faults.largest))
        others = [member for member in range(quorums.member_count) if member not in group]
        for seq in range(10):
            cluster.submit(dice.choice(others), submission(dice.randrange(4), seq))
            cluster.run(dice.randrange(80))
            for member in group:
                if dice.random() < 0.3:
                    if cluster.members[member].replica is None:
                        cluster.restart(member)
                    else:
                        cluster.crash(member)
            if dice.random() < 0.2:
                cluster.beat()
        check(cluster)
        cluster.submit_again(others[0])
        cluster.settle_views()
        check_all(cluster)
