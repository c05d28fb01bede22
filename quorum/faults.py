"""Which members may be faulty together: fault structures, where counting members is not enough.

Organisations that run several members fail as a whole: whoever is in their machine room, has their
administrator's password or their power supply has all of it. A fault structure is the family of all sets that
may be faulty at the same time (Hirt & Maurer, "Player Simulation and General Adversary Structures in Perfect
Multiparty Computation", J. Cryptology 2000): with a set, every part of it. It is given by its largest sets.

Sets of members are bit masks here: bit ``i`` stands for member ``i``, from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from quorum.system import MEMBER_COUNT_MAX, UnsatisfiableSizes

LARGEST_SETS_MAX = 1024
"""Largest sets of a structure: judging it takes time that grows with the third power, in the worst case."""


def mask_of(members: Iterable[int]) -> int:
    """The set of these members."""
    mask = 0
    for member in members:
        mask |= 1 << member
    return mask


def members_of(mask: int) -> tuple[int, ...]:
    """The members of a set, ascending."""
    return tuple(member for member in range(mask.bit_length()) if mask >> member & 1)


def weight_of(mask: int, weights: Sequence[int]) -> int:
    """What the members of a set weigh together."""
    return sum(weights[member] for member in members_of(mask))


@dataclass(frozen=True, slots=True)
class FaultStructure:
    """All sets of members that may be faulty together, by ``largest``: those that are no part of another.

    ``member_count`` (n) is 1..255, ``largest`` bit masks, ascending. The empty set alone: nobody may fail.
    Make it by ``of`` or the other class methods. Raises UnsatisfiableSizes for what is no structure: a set
    that names a member beyond n, one that is part of another, none at all, or more than LARGEST_SETS_MAX.
    """

    member_count: int
    largest: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.member_count <= MEMBER_COUNT_MAX:
            raise UnsatisfiableSizes(
                f"an alliance has 1 to {MEMBER_COUNT_MAX} members, not {self.member_count}"
            )
        _require_few(len(self.largest))
        if any(not 0 <= one < 1 << self.member_count for one in self.largest):
            raise UnsatisfiableSizes(f"a set names members that are not among the {self.member_count}")
        if not self.largest or self.largest != _largest(self.largest):
            raise UnsatisfiableSizes(
                "a structure is given by its largest sets, in ascending order, each once"
            )

    @classmethod
    def of(cls, member_count: int, sets: Iterable[Iterable[int]]) -> FaultStructure:
        """All parts of these sets of members, each 0..n-1."""
        masks = {mask_of(one) for one in sets}
        return cls(member_count, _largest(masks))

    @classmethod
    def threshold(cls, member_count: int, faulty_max: int) -> FaultStructure:
        """Any ``faulty_max`` members: what ``QuorumSystem`` counts."""
        _require_few(comb(member_count, faulty_max))
        return cls.of(member_count, combinations(range(member_count), faulty_max))

    @classmethod
    def organisations(cls, groups: Sequence[Sequence[int]], further: int = 0) -> FaultStructure:
        """Any one organisation with all its members, and so many ``further`` members, wherever they are.

        ``groups``: the members of each organisation. Each member belongs to one.
        """
        members = sorted(member for group in groups for member in group)
        if members != list(range(len(members))) or not all(groups):
            raise UnsatisfiableSizes(
                "each member belongs to one organisation, and each of these has one or more"
            )
        _require_few(sum(comb(len(members) - len(group), further) for group in groups))
        return cls.of(len(members), _with_further(groups, members, further))

    def contains(self, mask: int) -> bool:
        """Whether all of these may be faulty together. A set in which one is correct is not contained."""
        return any(mask & ~one == 0 for one in self.largest)

    def heaviest(self, weights: Sequence[int]) -> int:
        """The most that a set weighs."""
        return max(weight_of(one, weights) for one in self.largest)

    def heaviest_three(self, weights: Sequence[int], *, sharing: bool = False) -> tuple[int, tuple[int, ...]]:
        """The most that three sets weigh together, and such three; a set may be there twice.

        ``sharing``: of those three alone that have a member in common; (0, ()) if there is none.
        """
        if not sharing:
            return _heaviest_three(self.largest, weights)
        best: tuple[int, tuple[int, ...]] = 0, ()
        for member in range(self.member_count):
            bit = 1 << member
            rest = [one & ~bit for one in self.largest if one & bit]
            if rest:
                three, which = _heaviest_three(rest, weights)
                best = max(best, (three + weights[member], tuple(one | bit for one in which)))
        return best


def _require_few(sets: int) -> None:
    if sets > LARGEST_SETS_MAX:
        raise UnsatisfiableSizes(
            f"{sets:,} sets of members may fail together: a structure has {LARGEST_SETS_MAX:,} largest ones"
            " at most; name fewer further members, or count members (n and f)"
        )


def _largest(masks: Iterable[int]) -> tuple[int, ...]:
    """Without those that are part of another."""
    kept: list[int] = []
    for mask in sorted(set(masks), key=lambda one: (-one.bit_count(), one)):
        if not any(mask & ~one == 0 for one in kept):
            kept.append(mask)
    return tuple(sorted(kept))


def _with_further(
    groups: Sequence[Sequence[int]], members: Sequence[int], further: int
) -> Iterator[tuple[int, ...]]:
    for group in groups:
        others = [member for member in members if member not in group]
        for more in combinations(others, min(further, len(others))):
            yield (*group, *more)


def _heaviest_three(sets: Sequence[int], weights: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Heavy sets first, and no triple is looked at that cannot weigh more than the best one so far."""
    ranked = sorted(((weight_of(one, weights), one) for one in sets), reverse=True)
    best, which = ranked[0][0], (ranked[0][1],) * 3
    for at, (first, a) in enumerate(ranked):
        if 3 * first <= best:
            break
        for then, (second, b) in enumerate(ranked[at:], at):
            if first + 2 * second <= best:
                break
            both = a | b
            weight = weight_of(both, weights)
            for third, c in ranked[then:]:
                if weight + third <= best:
                    break
                total = weight_of(both | c, weights)
                if total > best:
                    best, which = total, (a, b, c)
    return best, which
