"""OpenSSL's constant-time modular exponentiation, called in the libcrypto that the machine has, by ctypes.

`BN_mod_exp_mont_consttime` works on the exponent in windows of fixed width, gathers each table entry by
reading all of them, and depends on the operands' numbers of words only. For public exponents there is also
`BN_mod_exp2_mont`, the product of two powers for the price of one, and `BN_mod_exp_mont_word`, which takes a
quarter less where the base is one word. All of them run without Python's global lock. The
small calls around it keep the lock: giving it up for a microsecond may cost milliseconds to get it back.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

# By the name of the file that programs are linked against; the unversioned name may be of any age.
_FILES = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto-3-x64.dll")
_VERSION_STRING = 0  # OPENSSL_VERSION

_POINTER = ctypes.c_void_p


class Libcrypto:
    """The few functions of libcrypto that are needed, with their types.

    Raises OSError when the file cannot be loaded, AttributeError when a function is missing.
    """

    def __init__(self, file: str) -> None:
        with_lock, without_lock = ctypes.PyDLL(file), ctypes.CDLL(file)
        self._new = _declare(with_lock.BN_new, _POINTER)
        self._read = _declare(with_lock.BN_bin2bn, _POINTER, ctypes.c_char_p, ctypes.c_int, _POINTER)
        self._write = _declare(with_lock.BN_bn2binpad, ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_int)
        self._clear = _declare(with_lock.BN_clear_free, None, _POINTER)
        self._new_context = _declare(with_lock.BN_CTX_new, _POINTER)
        self._free_context = _declare(with_lock.BN_CTX_free, None, _POINTER)
        self._power = _declare(without_lock.BN_mod_exp_mont_consttime, ctypes.c_int, *[_POINTER] * 6)
        self._word_power = _declare(
            without_lock.BN_mod_exp_mont_word, ctypes.c_int, _POINTER, ctypes.c_size_t, *[_POINTER] * 4
        )
        self._double_power = _declare(without_lock.BN_mod_exp2_mont, ctypes.c_int, *[_POINTER] * 8)
        version = _declare(with_lock.OpenSSL_version, ctypes.c_char_p, ctypes.c_int)
        self.version: str = version(_VERSION_STRING).decode("ascii", "replace")

    def power(self, base: int, exponent: int, modulus: int) -> int:
        """base^exponent mod modulus in constant time.

        For 0 <= base < modulus, an exponent >= 0 and an odd modulus > 1. Raises MemoryError. The copies of
        the operands that libcrypto makes are wiped; Python's are not.
        """
        return self._compute(self._power, (base, exponent), modulus)

    def power_of_two(self, exponent: int, modulus: int) -> int:
        """2^exponent mod modulus, NOT in constant time. Else as `power`."""
        return self._compute(
            lambda result, *others: self._word_power(result, 2, *others), (exponent,), modulus
        )

    def double_power(self, pairs: tuple[tuple[int, int], tuple[int, int]], modulus: int) -> int:
        """The product of the two base^exponent mod modulus, for PUBLIC exponents. Else as `power`."""
        return self._compute(self._double_power, (*pairs[0], *pairs[1]), modulus)

    def _compute(self, function: Any, operands: tuple[int, ...], modulus: int) -> int:
        width = _bytes(modulus)
        output = ctypes.create_string_buffer(width)
        context = self._new_context()
        numbers: list[int | None] = [self._new()]
        try:
            for number in (*operands, modulus):
                encoded = number.to_bytes(_bytes(number), "big")
                numbers.append(self._read(encoded, len(encoded), None))
            if context is None or None in numbers:
                raise MemoryError("libcrypto found no memory for an exponentiation")
            if function(*numbers, context, None) != 1 or self._write(numbers[0], output, width) != width:
                raise MemoryError("libcrypto did not finish an exponentiation")
        finally:
            for pointer in numbers:
                self._clear(pointer)
            self._free_context(context)
        return int.from_bytes(output.raw, "big")


def _declare(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


def _bytes(number: int) -> int:
    return (number.bit_length() + 7) // 8


@lru_cache(maxsize=1)
def load() -> Libcrypto | None:
    """The machine's libcrypto if it is OpenSSL 3 or later and computes rightly, else None."""
    for file in _FILES:
        try:
            found = Libcrypto(file)
        except (OSError, AttributeError):
            continue
        modulus = (1 << 2203) - 1
        power = pow(3, 1 << 600, modulus)
        if (
            found.version.startswith("OpenSSL ")
            and found.power(3, 1 << 600, modulus) == power
            and found.power_of_two(1 << 600, modulus) == pow(2, 1 << 600, modulus)
            and found.double_power(((3, 1 << 600), (5, 7)), modulus) == power * 5**7 % modulus
        ):
            return found
    return None
