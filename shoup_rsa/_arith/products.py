"""Products of many powers, and many powers of one base. For PUBLIC exponents only: the time tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import gmpy2


def product_of_powers(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """The product of bases[j]^exponents[j] mod modulus, for PUBLIC exponents, which may be negative.

    One inversion in all. Raises ZeroDivisionError when what must be inverted has no inverse.
    """
    wide_modulus = gmpy2.mpz(modulus)
    pairs = list(zip(bases, exponents, strict=True))
    product = _straus([pair for pair in pairs if pair[1] > 0], wide_modulus)
    below = [(base, -exponent) for base, exponent in pairs if exponent < 0]
    if below:
        product = product * gmpy2.invert(_straus(below, wide_modulus), wide_modulus)
    return int(product % wide_modulus)


def _straus(pairs: list[tuple[int, int]], wide_modulus: gmpy2.mpz) -> gmpy2.mpz:
    """The product of base^exponent over the pairs, whose exponents are positive.

    Straus 1964: the squarings are shared by all factors. Each exponent is cut into sliding windows of odd
    digits, whose powers stand in a small table. At the sizes met here nothing cleverer is faster.
    """
    factors: dict[int, list[gmpy2.mpz]] = defaultdict(list)  # by the position at which they come in
    for base, exponent in pairs:
        window = _window(exponent.bit_length())
        odd_powers = [gmpy2.mpz(base) % wide_modulus]
        if window > 1:
            square = odd_powers[0] * odd_powers[0] % wide_modulus
            for _ in range(1, 1 << (window - 1)):
                odd_powers.append(odd_powers[-1] * square % wide_modulus)
        mask, position = (1 << window) - 1, 0
        rest = exponent
        while rest:
            zeros = (rest & -rest).bit_length() - 1
            factors[position + zeros].append(odd_powers[(rest >> zeros & mask) >> 1])
            rest >>= zeros + window
            position += zeros + window
    product = gmpy2.mpz(1)
    for position in range(max(factors, default=-1), -1, -1):
        product = product * product % wide_modulus
        for factor in factors.get(position, ()):
            product = product * factor % wide_modulus
    return product


@lru_cache(maxsize=4096)
def _window(bits: int) -> int:
    """The width with the fewest multiplications: 2^(width - 1) for the table, then one a digit."""
    return min(range(1, 9), key=lambda width: (1 << (width - 1)) + bits / (width + 1))


class FixedBase:
    """Powers of one base, three to five times as fast as without its table (Lim and Lee, Crypto 1994).

    The exponent's bits are laid out in `rows` rows; each column of bits picks one entry of a table, and
    several tables, each for a section of the columns, share the squarings.
    """

    def __init__(self, base: int, modulus: int, bits: int, *, rows: int, tables: int) -> None:
        """For exponents below 2^bits, with at most 8 rows. Keeps tables * 2^rows numbers modulo `modulus`."""
        self._modulus = gmpy2.mpz(modulus)
        self._section = -(-bits // (rows * tables))
        self._columns = self._section * tables
        self._rows = rows
        self.bits = self._columns * rows
        power = gmpy2.mpz(base) % self._modulus
        self._tables = [[gmpy2.mpz(1)] for _ in range(tables)]
        for _ in range(rows):
            for table in self._tables:
                table += [entry * power % self._modulus for entry in table]
                for _ in range(self._section):
                    power = power * power % self._modulus

    def power(self, exponent: int) -> int:
        """base^exponent mod modulus. Raises ValueError unless 0 <= exponent < 2^bits."""
        if not 0 <= exponent < 1 << self.bits:
            raise ValueError(f"this table serves exponents of 0..2^{self.bits} - 1")
        digits = self._digits(exponent)
        starts = range(0, len(digits), self._section)
        sections = [digits[start : start + self._section] for start in starts]
        modulus, tables, product = self._modulus, self._tables, gmpy2.mpz(1)
        for column in zip(*sections, strict=True):
            product = product * product % modulus
            for table, digit in zip(tables, column, strict=True):
                product = product * table[digit] % modulus
        return int(product)

    def _digits(self, exponent: int) -> bytes:
        """One byte a column, section by section from the lowest, each from its highest column down."""
        ones = int.from_bytes(b"\x01" * self._columns, "big")
        text = format(exponent, f"0{self.bits}b").encode()
        columns = 0
        for row in range(self._rows):
            end = len(text) - row * self._columns
            columns += (int.from_bytes(text[end - self._columns : end], "big") & ones) << row
        highest_first = columns.to_bytes(self._columns, "big")
        starts = range(self._columns - self._section, -1, -self._section)
        return b"".join(highest_first[start : start + self._section] for start in starts)


# A forgotten table costs more than it saves. Each factor has one of v, and one of each v_i: kept are those of
# two keys of seven factors and 36 members, also while they are handed on.
@lru_cache(maxsize=32)
def long_table(base: int, modulus: int, bits: int) -> FixedBase:
    """For exponents longer than the modulus; remembered. A megabyte each at 2048 bits, made in 9 ms."""
    return FixedBase(base, modulus, bits, rows=8, tables=16)


@lru_cache(maxsize=1024)
def short_table(base: int, modulus: int, bits: int) -> FixedBase:
    """For short exponents; remembered. 16 KB each at 2048 bits, made in the time of two powers."""
    return FixedBase(base, modulus, bits, rows=4, tables=4)


@lru_cache(maxsize=72)
def dealt_table(base: int, modulus: int, bits: int) -> FixedBase:
    """For a receiver's base, to which each dealer has one power; remembered, for two changes of 36 members.

    Made in hardly more time than a `short_table`, and each power takes two thirds of the time. Larger ones
    cost more than they save until there are dozens of dealings. 208 KB modulo a square of 6656 bits.
    """
    return FixedBase(base, modulus, bits, rows=6, tables=4)


def quotients(values: Sequence[int], order: int, modulus: int) -> tuple[int, bool]:
    """(the value before the first one, whether all fit) for values[i] = g^(f(i + 1)), deg f < order.

    Repeated differences of the exponents: after `order` of them a polynomial of degree below `order` is zero
    everywhere, and the first of each give f(0) = sum (-1)^r (D^r f)(1) over r < order. No exponent is known,
    so the differences are quotients, kept as fractions; about order * len(values) * 2 multiplications.
    `values` are units modulo `modulus`, at least `order` of them, and order >= 1.
    """
    wide_modulus = gmpy2.mpz(modulus)
    above = [gmpy2.mpz(value) for value in values]
    below = [gmpy2.mpz(1)] * len(above)
    first_above = first_below = gmpy2.mpz(1)
    for difference in range(order):
        pair = (above[0], below[0]) if difference % 2 == 0 else (below[0], above[0])
        first_above = first_above * pair[0] % wide_modulus
        first_below = first_below * pair[1] % wide_modulus
        crossed = [
            (above[i + 1] * below[i] % wide_modulus, below[i + 1] * above[i] % wide_modulus)
            for i in range(len(above) - 1)
        ]
        above, below = [pair[0] for pair in crossed], [pair[1] for pair in crossed]
    before = first_above * gmpy2.invert(first_below, wide_modulus) % wide_modulus
    return int(before), above == below
