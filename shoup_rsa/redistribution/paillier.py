"""Paillier's encryption as Damgard, Jurik and Nielsen have it: E(y; a) = (1 + n y) h^a mod n^2.

n = P Q, and h is an n-th power whose powers look like all n-th powers, so a of half n's length is enough. Any
integer can be encrypted; what comes out is the one of (-n/2, n/2) that is equal to it modulo n. Two messages
can be added under encryption, which is what a proof about the content of a ciphertext needs.
"""

from __future__ import annotations

from collections.abc import Callable

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow
from shoup_rsa.sizes import SMALL_PRIMES_PRODUCT

# After Baillie and PSW's test, for a candidate of one's own: the chance of a composite is below 2^-128.
_MILLER_RABIN_ROUNDS = 8

FACTOR_MIN = 1 << 17
"""No factor of a modulus is smaller. To find one takes a tenth of an exponentiation modulo a prime."""


def randomizer_bits(modulus_bits: int) -> int:
    """The length of a."""
    return modulus_bits // 2


def encrypt(modulus: int, generator: int, message: int, randomizer: int) -> int:
    """E(message; randomizer), both secret; the randomizer is positive. One exponentiation modulo n^2."""
    square = modulus * modulus
    hidden = _arith.secret_power(generator, randomizer, square)
    return _arith.multiply(1 + modulus * (message % modulus), hidden, square)


def commitment(
    modulus: int, generator: int, opening: tuple[int, int], ciphertext: int, challenge: int, bits: int
) -> int:
    """E(message; randomizer) / ciphertext^challenge with opening = (message, randomizer), all of it public.

    0 <= randomizer < 2^bits, and the ciphertext is a unit. A table of h is made once for all of a receiver's.
    """
    message, randomizer = opening
    square = modulus * modulus
    hidden = _arith.dealt_table(generator, square, bits).power(randomizer)
    removed = _arith.power(ciphertext, -challenge, square)
    return _arith.multiply(
        _arith.multiply(1 + modulus * (message % modulus), hidden, square), removed, square
    )


def decrypt(first: int, second: int, ciphertext: int) -> int:
    """The message, between -n/2 and n/2, by the primes P and Q; for a unit modulo n^2."""
    modulus = first * second
    parts = []
    for prime, other in ((first, second), (second, first)):
        # (1 + n y)^(P - 1) = 1 + n y (P - 1), and y (P - 1) n / P = -y Q modulo P.
        lifted = _arith.secret_power(ciphertext, prime - 1, prime * prime)
        parts.append((lifted - 1) // prime * -_arith.inverse(other, prime) % prime)
    # The y that is parts[0] modulo P and parts[1] modulo Q.
    message = parts[1] + second * ((parts[0] - parts[1]) * _arith.inverse(second, first) % first)
    return message if 2 * message < modulus else message - modulus


def draw_primes(modulus_bits: int, random_below: RandomBelow) -> tuple[int, int]:
    """P and Q, both 3 modulo 4, with gcd(P - 1, Q - 1) = 2, whose product has exactly that many bits.

    P is uniform, and Q among those that fit it, at least 2^(modulus_bits / 2 - 100) away. Whether a candidate
    fits is seen before it is tested: a third of all primes do not.
    """
    half = modulus_bits // 2
    first = _prime(half, random_below, lambda _: True)
    return first, _prime(half, random_below, lambda second: _fit(first, second, half))


def draw_generator(first: int, second: int, random_below: RandomBelow) -> int:
    """h = (-x^2)^n mod n^2 for a random unit x."""
    modulus = first * second
    while True:
        root = random_below(modulus)
        if _arith.gcd(root, modulus) == 1:
            return _arith.secret_power(-root * root % modulus, modulus, modulus * modulus)


def _fit(first: int, second: int, bits: int) -> bool:
    """Far enough apart against Fermat's method; and no odd prime divides both P - 1 and Q - 1."""
    return abs(first - second) >> (bits - 100) > 0 and _arith.gcd(first - 1, second - 1) == 2


def _prime(bits: int, random_below: RandomBelow, fits: Callable[[int], bool]) -> int:
    """A uniform prime, of those of that many bits that are 3 modulo 4 and fit, its two highest bits set.

    Every candidate is drawn anew, so no prime is preferred, as one after a gap would be in an interval.
    """
    while True:
        candidate = (3 << (bits - 2)) + 4 * random_below(1 << (bits - 4)) + 3
        # What costs least comes first: most candidates have a factor that is very small.
        if _arith.gcd(candidate, SMALL_PRIMES_PRODUCT) != 1 or not fits(candidate):
            continue
        if _arith.has_factor_below(candidate, FACTOR_MIN) or not _arith.may_be_prime(candidate):
            continue
        if _arith.is_prime(candidate, (2 + random_below(candidate - 3) for _ in range(_MILLER_RABIN_ROUNDS))):
            return candidate
