"""Which failures are survived: against the definition, over all sets of members."""

from __future__ import annotations

from itertools import combinations

import pytest

from quorum import QuorumSystem
from quorum.faults import FaultStructure, mask_of
from quorum.survival import Quorums, Survival, breaking, survival
from quorum.system import CLASSIC, LEAN
from quorum.weighted import WeightedQuorums

SIX = QuorumSystem(6, 1)
EIGHT = QuorumSystem(8, 1)
PAIRS = [3 << 2 * at for at in range(8)]
BY_PAIRS = WeightedQuorums(
    FaultStructure.organisations([[2 * at, 2 * at + 1] for at in range(6)]), (1,) * 12, CLASSIC
)
AND_ONE_MORE = WeightedQuorums(
    FaultStructure.organisations([[2 * at, 2 * at + 1] for at in range(8)], 1), (1,) * 16, CLASSIC
)


@pytest.mark.parametrize(
    ("quorums", "lying", "down", "left"),
    [
        (SIX, [], [], Survival(True, True, True)),
        (SIX, [3], [], Survival(True, True, True)),
        (SIX, [], [3], Survival(True, True, True)),
        (SIX, [3], [3], Survival(True, True, True)),
        (SIX, [3], [4], Survival(True, False, False)),
        (SIX, [], [3, 4], Survival(True, False, False)),
        (SIX, [3, 4], [], Survival(False, False, False)),
        (EIGHT, [], [3, 4], Survival(True, True, False)),
        (EIGHT, [2], [3], Survival(True, True, False)),
        (EIGHT, [], [3, 4, 5], Survival(True, False, False)),
        (BY_PAIRS, [4, 5], [], Survival(True, True, True)),
        (BY_PAIRS, [4], [5], Survival(True, True, True)),
        (BY_PAIRS, [4], [6], Survival(True, True, False)),
        (BY_PAIRS, [4, 6], [], Survival(False, False, False)),
        (BY_PAIRS, [], [4, 5, 6], Survival(True, False, False)),
    ],
)
def test_what_is_left_in_a_failure(
    quorums: Quorums, lying: list[int], down: list[int], left: Survival
) -> None:
    assert survival(quorums, mask_of(lying), mask_of(down)) == left


@pytest.mark.parametrize("quorums", [SIX, EIGHT, QuorumSystem(9, 2, LEAN), BY_PAIRS])
def test_no_smaller_failure_breaks_it(quorums: Quorums) -> None:
    """Of single members, each failure as small as its kind can be."""
    blocks = [1 << at for at in range(quorums.member_count)]
    found = breaking(quorums, blocks)

    def breaks(what: str, members: tuple[int, ...]) -> bool:
        mask = mask_of(members)
        left = survival(quorums, mask) if what == "unsafe" else survival(quorums, 0, mask)
        return not {"unsafe": left.safe, "stuck": left.live, "halted": left.decides}[what]

    for what in ("unsafe", "stuck", "halted"):
        members = getattr(found, what)
        assert breaks(what, members)
        every = combinations(range(quorums.member_count), len(members) - 1)
        assert not any(breaks(what, smaller) for smaller in every)


def test_organisations_fail_as_a_whole() -> None:
    assert breaking(BY_PAIRS, PAIRS[:6]).unsafe == (0, 1)
    assert breaking(BY_PAIRS, PAIRS[:6]).halted == (0, 1)
    assert breaking(AND_ONE_MORE, PAIRS).unsafe == (0, 1)
    single = breaking(AND_ONE_MORE, [1 << at for at in range(16)])
    assert single.unsafe is not None
    assert len(single.unsafe) == 3  # of three organisations: one of them and one more are two


def test_an_organisation_that_runs_too_many_members_breaks_it_alone() -> None:
    blocks = [0b11, 0b100, 0b1000, 0b10000, 0b100000]
    assert breaking(SIX, blocks).unsafe == breaking(SIX, blocks).halted == (0,)
    assert breaking(SIX, blocks[1:]).unsafe == (0, 1)


def test_a_large_alliance_is_answered_at_once() -> None:
    found = breaking(QuorumSystem(255, 50), [1 << at for at in range(255)])
    assert [len(one or ()) for one in (found.unsafe, found.stuck)] == [51, 51]


def test_members_that_do_not_break_it_together() -> None:
    assert breaking(SIX, [1]).unsafe is None
    assert breaking(SIX, []).halted is None
