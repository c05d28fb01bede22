"""Interpolation at 0 in integers: from the members' indices to the exponents of their shares."""

from __future__ import annotations

from functools import lru_cache
from math import gcd, lcm, prod

# What may be remembered of one quorum: at 256 parties it takes at most 100 KB.
_REMEMBERED_INDEX_MAX = 256


def lagrange_at_zero(indices: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(L, (L lambda_j for j in S)) with lambda_j = prod_{i in S, i != j} i / (i - j) and S = `indices`.

    L is the least number that makes all of them integers. It divides Delta, and is much smaller than Delta
    for most S. Exact: whole numbers all the way. Raises ValueError for an index that occurs twice, or is
    below 1.
    """
    if len(set(indices)) != len(indices) or min(indices) < 1:
        raise ValueError("Lagrange interpolation needs distinct indices of 1 and above")
    return _remembered(indices) if max(indices) <= _REMEMBERED_INDEX_MAX else _compute(indices)


def _compute(indices: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    whole = prod(indices)
    numerators, denominators = [], []
    for index in indices:
        numerator = whole // index
        denominator = prod(other - index for other in indices if other != index)
        common = gcd(numerator, denominator) * (-1 if denominator < 0 else 1)
        numerators.append(numerator // common)
        denominators.append(denominator // common)
    least = lcm(*denominators)
    pairs = zip(numerators, denominators, strict=True)
    return least, tuple(numerator * (least // denominator) for numerator, denominator in pairs)


# The same few quorums come back again and again.
_remembered = lru_cache(maxsize=64)(_compute)
