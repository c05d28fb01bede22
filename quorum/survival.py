"""Which failures a quorum system survives: worked out from its sets, not tried.

A failure is a set of members that lie, which may do and send anything, and a set that is down, cut off or too
slow. The system stays *safe* while those that lie may be faulty together; it *decides* under a leader that is
up while the others are a quorum; it is *live*, whoever leads, while the others can also open a new view.
Sets of members are bit masks, from member 0 (``quorum.faults``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from quorum.quorums import Quorums

TRIES_MAX = 40_000
"""Combinations that are looked at before the search for a smaller one ends."""


@dataclass(frozen=True, slots=True)
class Survival:
    """What is left in a failure.

    ``safe``: no two correct members decide differently. ``decides``: commands are ordered while the leader is
    up. ``live``: they are whoever leads, so that a leader that fails is replaced. A system that is not safe
    is neither of the others for certain.
    """

    safe: bool
    decides: bool
    live: bool


def survival(quorums: Quorums, lying: int, down: int = 0) -> Survival:
    """What is left when these members lie and those are down; who lies may be silent as well."""
    rest = (1 << quorums.member_count) - 1 & ~(lying | down)
    safe = not quorums.has_correct(lying)
    decides = safe and quorums.decides(rest)
    return Survival(safe, decides, decides and quorums.reports(rest))


@dataclass(frozen=True, slots=True)
class Breaking:
    """Some of the smallest failures that are not survived, each as indices into the blocks asked of.

    ``unsafe``: these lie. ``stuck``: these are down, and no leader can be replaced. ``halted``: these are
    down, and nothing is decided. None: all of them together do not do it.
    """

    unsafe: tuple[int, ...] | None
    stuck: tuple[int, ...] | None
    halted: tuple[int, ...] | None


def breaking(quorums: Quorums, blocks: Sequence[int]) -> Breaking:
    """The smallest failures, counted in ``blocks``: sets of members that fail as a whole.

    No smaller one is overlooked where fewer than TRIES_MAX combinations are smaller; beyond that, it is the
    smallest of those that take the largest blocks first, which is the smallest where members are counted.
    """
    everybody = (1 << quorums.member_count) - 1

    def down(enough: Callable[[int], bool]) -> Callable[[int], bool]:
        return lambda mask: not enough(everybody & ~mask)

    halts, stops = down(quorums.decides), down(quorums.reports)
    return Breaking(
        _smallest(blocks, quorums.has_correct),
        _smallest(blocks, lambda mask: stops(mask) or halts(mask)),
        _smallest(blocks, halts),
    )


def _smallest(blocks: Sequence[int], breaks: Callable[[int], bool]) -> tuple[int, ...] | None:
    """``breaks`` is monotone: with a set, it is true of every larger one."""
    order = sorted(range(len(blocks)), key=lambda at: -blocks[at].bit_count())
    taken: list[int] = []
    for at in order:
        if breaks(_union(blocks, taken)):
            break
        taken.append(at)
    if not breaks(_union(blocks, taken)):
        return None
    found = tuple(sorted(taken))
    for tries, smaller in enumerate(_smaller(order, len(found))):
        if tries == TRIES_MAX:
            break
        if breaks(_union(blocks, smaller)):
            return tuple(sorted(smaller))
    return found


def _smaller(order: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for fewer in range(size):
        yield from combinations(order, fewer)


def _union(blocks: Sequence[int], which: Sequence[int]) -> int:
    mask = 0
    for at in which:
        mask |= blocks[at]
    return mask
