"""Shamir's secret sharing over Z_m, for moduli m without a prime factor of n or below.

A polynomial is the tuple of its coefficients, the secret first. Party i has its value at i, for i = 1..n. A
*zero sharing* is a polynomial with 0 at 0: added to a product of sharings it leaves the secret and hides all
else (M. Ben-Or, S. Goldwasser, A. Wigderson, STOC 1988). The differences of 1..n are units modulo m, so all
formulas hold in Z_m as in a field; interpolation therefore works with small integers and one final factor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

from shoup_rsa import _arith
from shoup_rsa.encoding import byte_length
from shoup_rsa.lagrange import lagrange_at_zero

HIDING_BYTES = 16
"""Random numbers are reduced from so many more bytes: uniform but for 2^-128."""

Layout = tuple[tuple[int, int], ...]
"""Of an expansion: how many numbers below which bound, one after the other."""


def expand(seed: bytes, label: bytes, layout: Layout) -> list[int]:
    """Numbers that follow from a seed of 32 bytes: SHAKE-256(domain, label, seed), cut up and reduced."""
    bounds = (bound for count, bound in layout for _ in range(count))
    return [number % bound for number, bound in zip(expand_wide(seed, label, layout), bounds, strict=True)]


def expand_wide(seed: bytes, label: bytes, layout: Layout) -> list[int]:
    """The same, not yet reduced: for adding up many."""
    widths = [(count, byte_length(bound.bit_length()) + HIDING_BYTES) for count, bound in layout]
    stream = hashlib.shake_256(b"shoup-rsa/v1/dealerless/" + label + b"\x00" + seed)
    data = stream.digest(sum(count * width for count, width in widths))
    numbers, position = [], 0
    for count, width in widths:
        end = position + count * width
        numbers += [int.from_bytes(data[at : at + width], "big") for at in range(position, end, width)]
        position = end
    return numbers


_LANE_BYTES = 19  # of which the first one is cleared: so many can be added up
_LANE_SUMMANDS_MAX = 256


def expand_small(seeds: Sequence[bytes], label: bytes, count: int, bound: int) -> list[int]:
    """Small numbers that follow from seeds: from each seed so many, and the sums over all seeds reduced.

    A seed's stream is SHAKE-256 as above, cut into numbers of 18 bytes with a byte between them: all seeds'
    streams are added as one number each. Raises ValueError for more than 256 seeds.
    """
    if len(seeds) > _LANE_SUMMANDS_MAX:
        raise ValueError("the sums have no more room")
    mask = _lanes(count)
    length = count * _LANE_BYTES
    head = b"shoup-rsa/v1/dealerless/" + label + b"\x00"
    total = 0
    for seed in seeds:
        total += int.from_bytes(hashlib.shake_256(head + seed).digest(length), "big") & mask
    data = total.to_bytes(length, "big")
    return [
        int.from_bytes(data[at : at + _LANE_BYTES], "big") % bound for at in range(0, length, _LANE_BYTES)
    ]


@lru_cache(maxsize=64)
def _lanes(count: int) -> int:
    return int.from_bytes((b"\x00" + b"\xff" * (_LANE_BYTES - 1)) * count, "big")


def evaluate(coefficients: Sequence[int], point: int, modulus: int) -> int:
    """The polynomial's value at a small point, reduced, by Horner's rule. The first coefficient is at 0."""
    value = 0
    for coefficient in reversed(coefficients):
        value = value * point + coefficient
    return value % modulus


@dataclass(frozen=True)
class Interpolation:
    """From the values at 1..n of a polynomial of degree at most d < n to its value at 0.

    scaled: L lambda_j for j = 1..d + 1, small integers. least: L. differences: the weights of a (d + 1)-th
    difference, which is 0 wherever d + 2 neighbouring values fit.
    """

    parties: int
    degree: int
    least: int
    scaled: tuple[int, ...]
    differences: tuple[int, ...]

    def scaled_zero(self, values: Sequence[int], modulus: int) -> int | None:
        """L f(0) modulo the modulus; None if the values lie on no polynomial of that degree.

        With n = d + 1 there is no redundancy, and all values fit.
        """
        order = self.degree + 1
        for start in range(self.parties - order):
            window = values[start : start + order + 1]
            if sum(a * b for a, b in zip(self.differences, window, strict=True)) % modulus:
                return None
        return sum(a * b for a, b in zip(self.scaled, values[:order], strict=True)) % modulus

    def zero(self, values: Sequence[int], modulus: int) -> int | None:
        """f(0) modulo the modulus; None if the values do not fit."""
        scaled = self.scaled_zero(values, modulus)
        return None if scaled is None else scaled * _inverse(self.least, modulus) % modulus


@lru_cache(maxsize=256)
def interpolation(parties: int, degree: int) -> Interpolation:
    """For so many parties and that degree, which must be below their number."""
    if not 0 <= degree < parties:
        raise ValueError("a polynomial's degree is below the number of its values")
    least, scaled = lagrange_at_zero(tuple(range(1, degree + 2)))
    differences = tuple((-1) ** place * comb(degree + 1, place) for place in range(degree + 2))
    return Interpolation(parties, degree, least, scaled, differences)


@lru_cache(maxsize=64)
def all_at_zero(parties: int, modulus: int) -> tuple[int, ...]:
    """lambda_1..lambda_n modulo the modulus: sum lambda_i f(i) = f(0) for every degree below n.

    lambda_i times its share is a party's part of an additive sharing.
    """
    least, scaled = lagrange_at_zero(tuple(range(1, parties + 1)))
    inverse = _inverse(least, modulus)
    return tuple(coefficient * inverse % modulus for coefficient in scaled)


@lru_cache(maxsize=1024)
def _inverse(value: int, modulus: int) -> int:
    return _arith.inverse(value, modulus)
