"""Primes, inverses, symbols: everything that is not an exponentiation, by gmpy2."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import gcd as _gcd

import gmpy2


def gcd(first: int, second: int) -> int:
    """The greatest common divisor, not negative."""
    return _gcd(first, second) if min(first, second) < 1 << 64 else int(gmpy2.gcd(first, second))


def multiply(first: int, second: int, modulus: int) -> int:
    """first * second mod modulus, in half of Python's time."""
    return int(gmpy2.mpz(first) * second % modulus)


def inverse(value: int, modulus: int) -> int:
    """The inverse of value modulo modulus. Raises ZeroDivisionError when there is none."""
    return int(gmpy2.invert(value, modulus))


def bezout(first: int, second: int) -> tuple[int, int, int]:
    """(g, a, b) with g = gcd(first, second) = a * first + b * second, a and b small."""
    divisor, first_factor, second_factor = gmpy2.gcdext(first, second)
    return int(divisor), int(first_factor), int(second_factor)


def jacobi(value: int, modulus: int) -> int:
    """The Jacobi symbol (value | modulus) for an odd positive modulus: -1, 1, or 0 for a common factor."""
    return int(gmpy2.jacobi(value, modulus))


def is_prime(candidate: int, bases: Iterable[int]) -> bool:
    """Baillie-PSW, then a Miller-Rabin round for each base of [2, candidate - 2].

    With random bases every round lets a composite pass with probability at most 1/4, whoever chose it.
    """
    if candidate < 4:
        return candidate in (2, 3)
    if candidate % 2 == 0 or not gmpy2.is_strong_bpsw_prp(candidate):
        return False
    return all(gmpy2.is_strong_prp(candidate, base) for base in bases)


def is_perfect_power(value: int) -> bool:
    """True when value = a^b for some b > 1."""
    return bool(gmpy2.is_power(value))


def small_primes(bound: int) -> list[int]:
    """All primes below bound, ascending, by the sieve of Eratosthenes."""
    survivors = bytearray([1]) * max(bound, 2)
    survivors[0:2] = b"\0\0"
    for number in range(2, int(gmpy2.isqrt(len(survivors))) + 1):
        if survivors[number]:
            survivors[number * number :: number] = bytes(len(range(number * number, len(survivors), number)))
    return [number for number, survives in enumerate(survivors[:bound]) if survives]


def has_factor_below(number: int, bound: int) -> bool:
    """Whether a number above 1 has a prime factor below bound. One division, after the first for a bound."""
    wide = gmpy2.mpz(number)
    return bool(gmpy2.gcd(_primorial(bound) % wide, wide) != 1)


@lru_cache(maxsize=4)
def _primorial(bound: int) -> gmpy2.mpz:
    return gmpy2.primorial(bound - 1)
