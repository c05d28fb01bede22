"""The product: p and q as integers of which every party has a part, and N = p q opened to all.

Boneh and Franklin, section 4.3, with the multiplication of Ben-Or, Goldwasser and Wigderson:

    parts     p_i = the part modulo the sieve's modulus S, plus S u_i with u_i uniform
    shares    each party shares p_i and q_i (degree t) and a zero (degree 2 t) modulo a prime P > N
    opening   y_j = S_j T_j + H_j, on a polynomial of degree 2 t with N at 0

n >= 3 t + 1 values of degree 2 t are redundant: up to t wrong ones are noticed. They are not named by that,
but by opening the candidate's seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoup_rsa import _arith
from shoup_rsa.dealerless.numbers import check_length, pack, unpack
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sharing import evaluate, expand_wide, interpolation
from shoup_rsa.errors import InvalidKey
from shoup_rsa.sizes import check_modulus

TRIAL_BOUND = 1 << 17
"""N has no prime factor below it; the bound of the biprimality test's error rests on that."""


@dataclass(frozen=True)
class Randomness:
    """What follows from a party's seed of a candidate: u of p and q, and all coefficients but the secrets."""

    widths: Sequence[int]
    first: Sequence[int]
    second: Sequence[int]
    zero: Sequence[int]


def randomness(settings: Settings, seed: bytes) -> Randomness:
    """See there. The coefficients are not reduced."""
    t = settings.corruptions
    layout = ((2, settings.width), (4 * t, settings.product_modulus))
    numbers = expand_wide(seed, b"product", layout)
    widths = [number % settings.width for number in numbers[:2]]
    return Randomness(widths, numbers[2 : 2 + t], numbers[2 + t : 2 + 2 * t], numbers[2 + 2 * t :])


def parts(settings: Settings, index: int, residues: Sequence[int], widths: Sequence[int]) -> tuple[int, int]:
    """(p_i, q_i), integers, from its parts modulo the free primes."""
    added = settings.first_constant if index == 1 else 0
    whole = settings.sieve_modulus
    first, second = (
        residue * settings.lift % whole + whole * width + added
        for residue, width in zip(residues, widths, strict=True)
    )
    return first, second


def shares_at(
    settings: Settings, own: tuple[int, int], random: Randomness, receiver: int
) -> tuple[int, int, int]:
    """A party's three numbers for a receiver."""
    modulus = settings.product_modulus
    return (
        evaluate((own[0], *random.first), receiver, modulus),
        evaluate((own[1], *random.second), receiver, modulus),
        receiver * evaluate(random.zero, receiver, modulus) % modulus,
    )


def opening_value(shares: Sequence[int], modulus: int) -> int:
    """y = S T + H, what a party opens."""
    first, second, zero = shares
    return (_arith.multiply(first, second, modulus) + zero) % modulus


def encode(settings: Settings, numbers: Sequence[int]) -> bytes:
    """Numbers modulo P."""
    return pack(numbers, settings.product_bytes)


def decode(settings: Settings, body: bytes, count: int) -> list[int]:
    """So many numbers modulo P. Raises Malformed."""
    check_length(body, count * settings.product_bytes)
    return unpack(body, settings.product_bytes, settings.product_modulus)


def modulus_of(settings: Settings, values: Sequence[int]) -> int | None:
    """N from all parties' y; None if they do not fit, or if N is not to be tested: see `TRIAL_BOUND`."""
    fit = interpolation(settings.parties, 2 * settings.corruptions)
    modulus = fit.zero(values, settings.product_modulus)
    if modulus is None or modulus.bit_length() != settings.key_size or modulus % 12 != 1:
        return None
    return None if _arith.has_factor_below(modulus, TRIAL_BOUND) else modulus


def is_fit_for_a_key(modulus: int) -> bool:
    """Whether a threshold key may have this modulus; it is asked of the one that passed a first test."""
    try:
        check_modulus(modulus)
    except InvalidKey:
        return False
    return True
