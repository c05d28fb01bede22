"""Number theory, typed: the only module that knows the big-number library.

Everything goes in and comes out as Python `int`. Two kinds of exponentiation exist on purpose: `power` for
public exponents, and `secret_power`, whose running time and memory accesses depend on the sizes of its
operands only. A faster backend can later take the place of `secret_power` without any other module noticing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd

import gmpy2

__all__ = [
    "bezout",
    "gcd",
    "inverse",
    "is_perfect_power",
    "is_prime",
    "jacobi",
    "may_be_prime",
    "power",
    "power_product",
    "secret_power",
    "small_primes",
]


def power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus for a PUBLIC exponent, which may be negative.

    Raises ZeroDivisionError when the exponent is negative and the base has no inverse.
    """
    if exponent < 0:
        return int(gmpy2.powmod(inverse(base, modulus), -exponent, modulus))
    return int(gmpy2.powmod(base, exponent, modulus))


def secret_power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus in constant time for operands of the given sizes, for SECRET exponents.

    The time depends on the exponent's length in machine words. Raises ValueError unless the modulus is odd
    and greater than 1 and the exponent positive; the message never shows the exponent.
    """
    if modulus < 3 or modulus % 2 == 0:
        raise ValueError("a secret exponent needs an odd modulus of at least 3")
    if exponent <= 0:
        raise ValueError("a secret exponent must be positive")
    return int(gmpy2.powmod_sec(base % modulus, exponent, modulus))


def power_product(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> tuple[int, int]:
    """(numerator, denominator) of the product of bases[j]^exponents[j] mod modulus, for PUBLIC exponents.

    Factors with a negative exponent are gathered in the denominator, so that the caller needs one inversion
    in all and can choose which side to invert.
    """
    wide_modulus = gmpy2.mpz(modulus)
    numerator = denominator = gmpy2.mpz(1)
    for base, exponent in zip(bases, exponents, strict=True):
        if exponent >= 0:
            numerator = numerator * gmpy2.powmod(base, exponent, wide_modulus) % wide_modulus
        else:
            denominator = denominator * gmpy2.powmod(base, -exponent, wide_modulus) % wide_modulus
    return int(numerator), int(denominator)


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


def may_be_prime(candidate: int) -> bool:
    """Fermat's test to base 2: one exponentiation. False is certain; True asks for `is_prime`."""
    return bool(gmpy2.powmod(2, candidate - 1, candidate) == 1)


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
