"""The numbers that describe a key, and which of them the paper covers."""

from __future__ import annotations

from functools import lru_cache
from math import factorial, prod

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidKey
from shoup_rsa.integer_form import INDEX_BOUND_MAX

PUBLIC_EXPONENT = 65537
KEY_SIZES = range(512, 8192 + 1, 128)
SECURE_KEY_SIZE = 2048
FACTORS_MAX = 7
PARTIES_MAX = PUBLIC_EXPONENT - 1
EPOCH_MAX = 2**64 - 1
# A secret is this much longer than N at most: every restart of a redistribution adds some hundred bits.
_SECRET_BITS_SPARE = 8192

SMALL_PRIMES_PRODUCT = prod(_arith.small_primes(2000))


def check_sizes(protocol: int, parties: int, threshold: int, corruptions: int, epoch: int) -> None:
    """Raise InvalidKey unless parties < e and corruptions < threshold <= parties - corruptions.

    The first inequality about the threshold is secrecy (the corrupt members alone must not sign), the second
    is liveness (the honest members alone must be able to). Protocol 1 is proven for threshold = corruptions
    + 1 only; Protocol 3, the integer form of Protocol 2, is for INDEX_BOUND_MAX parties at most.
    """
    for name, number in (
        ("protocol", protocol),
        ("parties", parties),
        ("threshold", threshold),
        ("corruptions", corruptions),
        ("epoch", epoch),
    ):
        if type(number) is not int:
            raise InvalidKey(f"{name} must be an integer, not {type(number).__name__}")
    if protocol not in (1, 2, 3):
        raise InvalidKey(
            f"protocol = {protocol}: the paper has Protocol 1 and Protocol 2, and 3 is 2 over the integers"
        )
    if protocol == 3 and parties > INDEX_BOUND_MAX:
        raise InvalidKey(f"parties = {parties}: Protocol 3 is for {INDEX_BOUND_MAX} parties at most")
    if not 1 <= parties < PUBLIC_EXPONENT:
        raise InvalidKey(
            f"parties = {parties}: must be at least 1 and below the public exponent {PUBLIC_EXPONENT}"
        )
    if not 1 <= threshold <= parties:
        raise InvalidKey(f"threshold = {threshold}: must be in 1..{parties}, the number of parties")
    if corruptions < 0:
        raise InvalidKey(f"corruptions = {corruptions}: must not be negative")
    if corruptions >= threshold:
        raise InvalidKey(
            f"corruptions = {corruptions} of threshold {threshold}: corrupt members alone could sign"
        )
    if threshold > parties - corruptions:
        raise InvalidKey(
            f"threshold = {threshold} of {parties} parties with {corruptions} corruptions: "
            f"the honest members alone could not sign; at most {parties - corruptions} is possible"
        )
    if protocol == 1 and threshold != corruptions + 1:
        raise InvalidKey(
            f"threshold = {threshold} with {corruptions} corruptions: Protocol 1 is proven for threshold = "
            "corruptions + 1 only; use protocol=2"
        )
    if not 0 <= epoch <= EPOCH_MAX:
        raise InvalidKey(f"epoch = {epoch}: must be in 0..2^64 - 1")


def check_modulus(modulus: int) -> None:
    """Raise InvalidKey for a modulus that is evidently no product of two safe primes.

    Nobody can tell for certain without the factors; what is refused here are cheap mistakes and cheap traps.
    """
    if type(modulus) is not int or modulus < 0 or modulus.bit_length() not in KEY_SIZES:
        raise InvalidKey(
            f"the modulus must have {KEY_SIZES.start}..{KEY_SIZES.stop - 1} bits, "
            f"a multiple of {KEY_SIZES.step}"
        )
    # Safe primes above 7 are 11 modulo 12, so their product is 1: a quarter of the other moduli pass here.
    if modulus % 12 != 1 or _arith.gcd(modulus, SMALL_PRIMES_PRODUCT) != 1:
        raise InvalidKey("the modulus is not a product of two safe primes")
    if _arith.is_perfect_power(modulus) or _arith.may_be_prime(modulus):
        raise InvalidKey("the modulus is a prime or a perfect power, not a product of two primes")


def check_integer_form(
    protocol: int, parties: int, key_size: int, index_bound: int, secret_bits: int
) -> None:
    """Raise InvalidKey unless the sizes of the integer form suit the others; both are 0 without it."""
    if type(index_bound) is not int or type(secret_bits) is not int:
        raise InvalidKey("the index bound and the bits of the secret must be integers")
    if protocol != 3:
        if index_bound or secret_bits:
            raise InvalidKey(f"Protocol {protocol} has no index bound, and its secret no bits of its own")
        return
    if not parties <= index_bound <= INDEX_BOUND_MAX:
        raise InvalidKey(f"index_bound = {index_bound}: must be in {parties}..{INDEX_BOUND_MAX}")
    if not key_size <= secret_bits <= key_size + _SECRET_BITS_SPARE:
        raise InvalidKey(
            f"secret_bits = {secret_bits}: must be in {key_size}..{key_size + _SECRET_BITS_SPARE}"
        )


@lru_cache(maxsize=8)
def delta(parties: int) -> int:
    """Delta = parties!, which makes Lagrange's coefficients integers. 117 KB at most parties."""
    return factorial(parties)
