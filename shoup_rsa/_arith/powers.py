"""Exponentiation, by the one of two libraries that was chosen.

gmpy2 is always there. libcrypto is used where the machine has it: it is faster, constant in time as well, and
lets other threads run meanwhile. Both give the same numbers.
"""

from __future__ import annotations

import gmpy2

from shoup_rsa._arith import libcrypto
from shoup_rsa._arith.libcrypto import Libcrypto
from shoup_rsa._arith.numbers import inverse

# Below this many bits of the exponent, setting up libcrypto's numbers costs more than it saves.
_LIBCRYPTO_BITS_MIN = 384

_libcrypto: Libcrypto | None = libcrypto.load()


def use_backend(name: str) -> str:
    """Choose what computes exponentiations in this process from now on; returns `backend()`.

    name: "gmpy2"; "libcrypto"; or "auto", which is libcrypto if the machine has it, else gmpy2. Raises
    ValueError for another name, RuntimeError for libcrypto where it is missing.
    """
    global _libcrypto
    if name not in ("auto", "gmpy2", "libcrypto"):
        raise ValueError(f'the backends are "auto", "gmpy2" and "libcrypto", not {name!r}')
    found = None if name == "gmpy2" else libcrypto.load()
    if name == "libcrypto" and found is None:
        raise RuntimeError("no usable libcrypto (OpenSSL 3 or later) was found; gmpy2 always works")
    _libcrypto = found
    return backend()


def backend() -> str:
    """The library that computes exponentiations, and its version: "gmpy2 2.2.1 (GMP 6.3.0)"."""
    if _libcrypto is not None:
        return f"libcrypto ({_libcrypto.version})"
    return f"gmpy2 {gmpy2.version()} ({gmpy2.mp_version()})"


def power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus for a PUBLIC exponent, which may be negative.

    Raises ZeroDivisionError when the exponent is negative and the base has no inverse.
    """
    if exponent < 0:
        base, exponent = inverse(base, modulus), -exponent
    if _libcrypto is not None and exponent.bit_length() >= _LIBCRYPTO_BITS_MIN and modulus % 2:
        return _libcrypto.power(base % modulus, exponent, modulus)
    return int(gmpy2.powmod(base, exponent, modulus))


def double_power(first: tuple[int, int], second: tuple[int, int], modulus: int) -> int:
    """The product of two base^exponent mod modulus, given as (base, exponent), for PUBLIC exponents >= 0."""
    pairs = ((first[0] % modulus, first[1]), (second[0] % modulus, second[1]))
    # To libcrypto a product with a base of 0 is 0, even where the exponent is 0 as well.
    if _libcrypto is not None and modulus % 2 and pairs[0][0] and pairs[1][0]:
        return _libcrypto.double_power(pairs, modulus)
    return int(gmpy2.powmod(*first, modulus) * gmpy2.powmod(*second, modulus) % modulus)


def may_be_prime(candidate: int) -> bool:
    """Fermat's test to base 2 for an odd candidate above 2. False is certain; True asks for `is_prime`."""
    if _libcrypto is not None:
        return _libcrypto.power_of_two(candidate - 1, candidate) == 1
    return bool(gmpy2.powmod(2, candidate - 1, candidate) == 1)


def secret_power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus in constant time for operands of the given sizes, for SECRET exponents.

    The time depends on the exponent's length in machine words. Raises ValueError unless the modulus is odd
    and greater than 1 and the exponent positive; the message never shows the exponent.
    """
    if modulus < 3 or modulus % 2 == 0:
        raise ValueError("a secret exponent needs an odd modulus of at least 3")
    if exponent <= 0:
        raise ValueError("a secret exponent must be positive")
    if _libcrypto is not None:
        return _libcrypto.power(base % modulus, exponent, modulus)
    return int(gmpy2.powmod_sec(base % modulus, exponent, modulus))


def signed_secret_power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent for a SECRET exponent that may be negative: its sign is as secret as its digits.

    The power is always inverted, and one of the two taken. An inversion is not constant in time, so the base
    should be blinded, or known to everybody. Raises ValueError as `secret_power`, and ZeroDivisionError when
    the base has no inverse.
    """
    above = secret_power(base, abs(exponent), modulus)
    return (above, inverse(above, modulus))[exponent < 0]
