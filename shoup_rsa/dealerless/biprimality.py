"""The biprimality test: whether N = p q is a product of two primes, when nobody knows p or q.

Boneh and Franklin, section 3.1. p = q = 3 modulo 4, and a base g has the Jacobi symbol (g | N) = 1. With the
parts p_i + q_i as exponents, every party gives

    v_i = g^((p_i + q_i - 6 [i = 1]) / 4),    and N passes if  prod v_i = +-g^((N - 5) / 4),

which says g^E = +-1 for E = (p - 1)(q - 1) / 4, an odd number. All commit to their v_i before anybody shows
one: otherwise the last party could make any N pass. A product of two primes passes always.

The error of one round is 1/4 at most for every other N that has no prime factor below 2^17, if N and
p + q - 1 have no common factor. (Boneh and Franklin prove 1/2; the better bound follows so.) Let A be the g
with g^E = 1. As E is odd, A has odd order, so it consists of squares; -1 has the symbol 1 and (-1)^E = -1. So
2 |A| numbers pass, of phi(N) / 2 if N is no square, else of phi(N). With N = prod r^a,

    2 |A| / (phi(N) / 2) = 4 prod gcd(E, phi(r^a)) / phi(r^a),

and each of the s factors is at most 2^-w where 2^w is the power of two in r - 1, so 1/2 at most.
* An a is above 1. Then r does not divide E: r divides p or q, and if it divided p - 1 or q - 1 as well, it
  would divide N and p + q - 1. So that factor is at most 1 / 2 r, and the whole 2 / r < 2^-16.
* All a are 1, and s = 2: p and q would be primes. s = 3: p, say, has two of the primes, and as p = 3 modulo
  4, one of these is 1 modulo 4, and its factor 1/4: 4 * 1/2 * 1/4 * 1/2 = 1/4. s >= 4: 4 * 2^-4 = 1/4.

A candidate has one round among all others, and the one that passes ROUNDS more, with bases that nobody knew
before: 2^-128.
"""

from __future__ import annotations

import hashlib

from shoup_rsa import _arith
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.encoding import byte_length

ROUNDS = 64
"""Of the one candidate that has passed the first."""

_DOMAIN = b"shoup-rsa/v1/dealerless/base\x00"


def base(settings: Settings, chain: bytes, modulus: int, number: int) -> int:
    """A base with Jacobi symbol 1, from all that was broadcast before; `number` tells rounds apart."""
    length = byte_length(settings.key_size) + 16
    for attempt in range(1 << 32):
        fields = number.to_bytes(4, "big") + attempt.to_bytes(4, "big")
        stream = hashlib.shake_256(_DOMAIN + settings.session + chain + fields)
        found = int.from_bytes(stream.digest(length), "big") % modulus
        if _arith.jacobi(found, modulus) == 1:
            return found
    raise AssertionError("half of all numbers have the symbol 1")


def exponent(index: int, part: int) -> int:
    """What a party raises a base to, where part = p_i + q_i."""
    return (part - 6 if index == 1 else part) // 4


def image(index: int, part: int, base: int, modulus: int) -> int:
    """v_i, by a party that keeps p_i + q_i secret."""
    return _arith.secret_power(base, exponent(index, part), modulus)


def product(values: list[int], modulus: int) -> int:
    """prod v_i."""
    result = 1
    for value in values:
        result = _arith.multiply(result, value, modulus)
    return result


def target(base: int, modulus: int) -> int:
    """g^((N - 5) / 4)."""
    return _arith.power(base, (modulus - 5) // 4, modulus)


def passes(values: list[int], base: int, modulus: int) -> bool:
    """Whether N passes one round."""
    return product(values, modulus) in (wanted := target(base, modulus), modulus - wanted)


def opened_passes(values: list[int], base: int, first: int, second: int) -> bool:
    """`passes`, of N = p q with known p and q: three times as fast where it fails, as it does modulo p."""
    modulus = first * second
    exponent, found = (modulus - 5) // 4, product(values, modulus)
    wanted = _arith.power(base % first, exponent, first)
    if found % first not in (wanted, first - wanted):
        return False
    wanted = by_factors(base, exponent, first, second)
    return found in (wanted, modulus - wanted)


def fits_opened(values: list[int], base: int, first: int, second: int) -> bool:
    """Whether prod v_i = g^((p + q - 6) / 4) for a candidate whose p and q are opened; modulo p alone.

    Who knew of another number that is equal to it modulo p would have had a factor of N before it was opened;
    so with a product of two primes nobody can, and other candidates fail in any case.
    """
    exponent = (first + second - 6) // 4
    return product(values, first * second) % first == _arith.power(base % first, exponent, first)


def by_factors(base: int, exponent: int, first: int, second: int) -> int:
    """base^exponent modulo p q, by the Chinese remainder theorem; for coprime p and q, else directly."""
    if _arith.gcd(first, second) != 1:
        return _arith.power(base, exponent, first * second)
    one = _arith.power(base % first, exponent, first)
    other = _arith.power(base % second, exponent, second)
    return other + second * ((one - other) * _arith.inverse(second, first) % first)
