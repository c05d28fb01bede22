"""The sizes of a key in the integer form (Protocol 3), each a function of M, k and the bound of the secret.

A key whose dealer is gone is handed on by members who do not know m, so its shares are integers and stand on
a polynomial over the integers. With D = M!, where M is an upper bound of every index ever used:

    c = 2 D^3,   G(0) = c d~,   sigma_i = G(i) = c d~ + sum_(r=1)^(k-1) 2 a_r i^r + O i,

where d~ is an integer, unchanged for ever, with d~ = d (mod m) and |d~| < B = 2^secret_bits. The a_r are
masks below R, or sums of such masks times Lagrange coefficients; O makes the shares of honest dealers
positive and does not move G(0).

Why c = 2 D^3. To hide d~ means that some other d~ + delta fits everything that k - 1 members saw. The shares
of the others then move by H(X) = c delta prod (1 - X / i), which is 0 at the indices i of those members.
Dividing takes one D; so H is a polynomial over the integers, all of whose values are multiples of 2 D^2: what
a redistribution makes public, the shares modulo 2 D^2, is the same in both worlds. With 2 D^2 in place of
2 D^3 it would not be.

Why shares do not grow. Only the difference between the worlds has to be hidden, and its bound depends on B,
not on the shares: |H(j)| < c B 2^M. What a member deals is its share times (D' / D)^2 / 2 D^2, where D' = M'!
belongs to the new index bound M' >= M; it moves by less than D'^2 B 2^M / D, which is at most 2 D'^2 B. On a
polynomial that is 0 at the indices of k' - 1 new members, the coefficients move by 2 D' k' times as much in
all. So masks of R = 2^128 k' (k' - 1) 2 D' 2 D'^2 B hide a dealing but for 2^-128, whatever M and k were.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import factorial

HIDING_BITS = 128
"""The statistical distance of every mask here is 2^-128 at most."""

SLACK_BITS = 266
"""By how many bits a corrupt dealer can lengthen the shares of an epoch: its proof of range is that loose."""

INDEX_BOUND_MAX = 64
"""The largest M. At 64 the constants have a thousand bits, and a redistribution takes minutes."""


@dataclass(frozen=True)
class IntegerForm:
    """The sizes that belong to index bound M, threshold k and |d~| < 2^secret_bits. All of them public."""

    index_bound: int
    threshold: int
    secret_bits: int

    @property
    def delta(self) -> int:
        """D = M!"""
        return factorial(self.index_bound)

    @property
    def content(self) -> int:
        """c = 2 D^3, so that the polynomial's value at 0 is c d~."""
        return 2 * self.delta**3

    @property
    def divisor(self) -> int:
        """2 D^2, by which a share is divided before it is dealt on; the remainder is public."""
        return 2 * self.delta**2

    @property
    def mask_bound(self) -> int:
        """R: the coefficients of a dealing are twice a uniform number of [0, R)."""
        pairs = max(1, self.threshold * (self.threshold - 1))
        return pairs * 2 * self.delta * self.divisor << self.secret_bits + HIDING_BITS

    @property
    def mask_sum(self) -> int:
        """The bound of |2 a_1 i + 2 a_2 i^2 + ...| of one honest dealing, for every index i."""
        powers: list[int] = [self.index_bound**power for power in range(1, self.threshold)]
        return 2 * self.mask_bound * sum(powers)

    @property
    def offset(self) -> int:
        """O: a power of two above all that can make an honest share negative. O i is added to share i.

        With k = 1 it is 0: all members have the same share, c d~ itself.
        """
        return 1 << self._honest_sum.bit_length() if self.threshold > 1 else 0

    @property
    def share_bits(self) -> int:
        """An honest dealer's shares are in 1..2^share_bits - 1; with a corrupt one, see SLACK_BITS."""
        return _share_bits(self)

    @property
    def _honest_sum(self) -> int:
        # Whatever the threshold and the index bound were before, the coefficients were no larger.
        largest = enumerate(largest_coefficients(self.index_bound), start=1)
        before = max(threshold * coefficient for threshold, coefficient in largest)
        return (self.content << self.secret_bits) + before * self.mask_sum


@lru_cache(maxsize=64)
def _share_bits(form: IntegerForm) -> int:
    return (form._honest_sum + form.offset * form.index_bound).bit_length()


@lru_cache(maxsize=64)
def largest_coefficients(index_bound: int) -> tuple[int, ...]:
    """For k = 1..M the largest |M! prod i / (i - j)| over all sets of k indices of 1..M, and all j in them.

    The factors are independent of each other, so the k - 1 largest ones make the largest product.
    """
    largest = [Fraction(0)] * index_bound
    for index in range(1, index_bound + 1):
        others = (
            Fraction(other, abs(other - index)) for other in range(1, index_bound + 1) if other != index
        )
        product = Fraction(factorial(index_bound))
        for count, factor in enumerate((Fraction(1), *sorted(others, reverse=True))):
            product *= factor
            largest[count] = max(largest[count], product)
    return tuple(int(number) for number in largest)
