"""What keeps d secret in a redistribution, as algebra: for every other d there is a world with the same view.

k - 1 old members and k' - 1 new ones, whichever, see their shares, all remainders, and the subshares to them.
In the world of another d~ the same view arises from other masks; their range is so long that the difference
does not show. Everything is computed with integers and fractions here, by the formulas, not by the package.
"""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb, factorial, prod

import pytest

from shoup_rsa.integer_form import IntegerForm, largest_coefficients
from shoup_rsa.redistribution import Order
from shoup_rsa.redistribution import deal as deal_share
from tests.shoup_rsa.board import hand_on, open_to_all, order_for, same_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_redistribution import secret_of

HIDING = Fraction(1, 2**128)


def vanishing(roots: list[int]) -> list[Fraction]:
    """The coefficients of prod (1 - X / i), from X^0 on."""
    found = [Fraction(1)]
    for root in roots:
        found = [a - b / root for a, b in zip([*found, Fraction(0)], [Fraction(0), *found], strict=True)]
    return found


def lagrange(d: int, chosen: list[int]) -> list[int]:
    return [int(d * prod((Fraction(i, i - j) for i in chosen if i != j), start=Fraction(1))) for j in chosen]


def worlds(power: int, dice: random.Random, m: int, k: int, delta: int) -> bool:
    """Whether with c = 2 D^power another secret leaves the remainders of all honest members alone."""
    d = factorial(m)
    c = 2 * d**power
    seen = dice.sample(range(1, m + 1), dice.randint(1, k - 1))
    moves = [Fraction(c * delta) * prod(Fraction(i - j, i) for i in seen) for j in range(1, m + 1)]
    return all(move.denominator == 1 and move % (2 * d**2) == 0 for move in moves)


def test_trap_02_with_less_than_the_cube_remainders_would_tell() -> None:
    """c = 2 D^3 is not caution: with 2 D^2, and with 2 D, most shifts change what is public."""
    dice = random.Random(2)
    trials = [dice.randrange(1, 1 << 200) for _ in range(200)]
    assert IntegerForm(6, 5, 512).content == 2 * 720**3
    assert all(worlds(3, dice, 6, 5, delta) for delta in trials)
    assert sum(worlds(2, dice, 6, 5, delta) for delta in trials) < 150
    assert sum(worlds(1, dice, 6, 5, delta) for delta in trials) < 10


class Sizes:
    """What `Order` asks of a key: sizes alone."""

    def __init__(self, parties: int, threshold: int) -> None:
        self.form = IntegerForm(parties, threshold, 2100)
        self.index_bound, self.threshold, self.secret_bits, self.key_size = parties, threshold, 2100, 2048
        self.epoch, self.parties = 0, parties
        self.share_bits_max = self.form.share_bits + 266


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((4, 3), (4, 3)),
        ((6, 5), (7, 6)),
        ((6, 5), (6, 2)),
        ((4, 3), (31, 21)),
        ((16, 11), (16, 11)),
        ((31, 21), (31, 4)),
        ((31, 21), (31, 21)),
    ],
    ids=str,
)
def test_trap_03_another_secret_gives_the_same_view(old: tuple[int, int], new: tuple[int, int]) -> None:
    """The numbers of all honest dealers, moved to another d~."""
    key = Sizes(*old)
    order = Order(key, *new, 0, max(old[0], new[0]), 0, b"")  # type: ignore[arg-type]
    d, d_new = factorial(key.index_bound), factorial(order.index_bound)
    c = 2 * d**3
    assert order.divisor == 2 * d**2
    dice = random.Random(3)
    for _ in range(4):
        delta = dice.randrange(1, 2 << key.secret_bits) * dice.choice((1, -1))
        seen_old = dice.sample(range(1, old[0] + 1), dice.choice((0, old[1] - 1)))
        seen_new = dice.sample(range(1, new[0] + 1), dice.choice((1, new[1] - 1)))
        dealers = dice.sample(range(1, old[0] + 1), old[1])
        total = 0
        for j, coefficient in zip(dealers, lagrange(d, dealers), strict=True):
            move = Fraction(c * delta) * prod((Fraction(i - j, i) for i in seen_old), start=Fraction(1))
            assert move.denominator == 1
            assert j not in seen_old or move == 0
            share = dice.randrange(1 << key.form.share_bits)
            before, after = (divmod(order.multiplier * s, order.divisor) for s in (share, share + int(move)))
            assert before[1] == after[1], "the public remainder"
            dealt = after[0] - before[0]
            shifts = [d_new * dealt * a for a in vanishing(seen_new)[1:]]
            assert all(shift.denominator == 1 for shift in shifts)
            # F_j and its counterpart agree at every new member that is seen ...
            for i in seen_new:
                assert 2 * d_new * dealt + sum(2 * int(a) * i**r for r, a in enumerate(shifts, start=1)) == 0
            # ... and the masks that make the difference are hidden by their range.
            assert sum(abs(shift) for shift in shifts) / order.form.mask_bound <= HIDING
            total += coefficient * dealt
        assert 2 * d_new * total == 2 * d_new**3 * delta, "the new polynomial is that of the other secret"


def longest_shift(order: Order) -> Fraction:
    """Of one dealing's masks together, over their range: for the worst sets, and secrets at both ends."""
    key, form = order.key, order.form
    ends = 2 << key.secret_bits
    m = key.index_bound
    # The largest |prod (1 - j / i)|: over all i below j / 2.
    spread = max(comb(j - 1, (j - 1) // 2) for j in range(1, m + 1))
    dealt = Fraction(order.multiplier * 2 * factorial(m) ** 3 * ends * spread, order.divisor)
    # The coefficients of prod (1 - X / i) without the first add up to prod (1 + 1 / i) - 1 = k' - 1 at most.
    coefficients = order.threshold - 1
    return factorial(order.index_bound) * dealt * coefficients / form.mask_bound


def test_masks_hide_whatever_the_sizes_were_before() -> None:
    """All (k, M) to all (k', M') with M' <= 31, k' < k included: the sizes alone, without numbers."""
    for old in range(1, 32):
        for new in range(old, 32):
            for k_new in range(1, new + 1):
                order = Order(Sizes(old, 1), new, k_new, 0, new, 0, b"")  # type: ignore[arg-type]
                assert 0 <= longest_shift(order) <= HIDING, (old, new, k_new)
        # The old k changes nothing: `longest_shift` takes the worst set of seen members, of any size.
        orders = [Order(Sizes(old, k), old, 1, 0, 31, 0, b"") for k in (1, old)]  # type: ignore[arg-type]
        assert orders[0].form == orders[1].form


def test_every_random_number_of_a_dealing_is_as_long_as_what_it_hides_asks(deal: Deal) -> None:
    """By the bounds that the generator is asked for: masks, and what covers them in proofs, 128 bits more."""
    shares = deal(4, 3, 1, protocol=3).key_shares
    redistribution = open_to_all(same_sizes(shares[0].public_key))
    order = redistribution.order
    asked: list[int] = []

    def draw(bound: int) -> int:
        asked.append(bound)
        return bound // 3

    deal_share(redistribution, shares[0], random_below=draw)
    mask, randomizer = order.form.mask_bound, 1 << order.receiver_bits // 2
    challenge = hiding = 1 << 128
    assert asked[:2] == [mask - 1] * 2
    assert asked[2] >= 2 * mask * challenge * hiding
    assert len(asked) == 3 + 3 * 4
    for alpha, cover, alpha_cover in zip(asked[3::3], asked[4::3], asked[5::3], strict=True):
        assert alpha == randomizer - 1
        assert cover >= challenge * hiding << order.subshare_bits
        assert alpha_cover >= randomizer * challenge * hiding
    # What it may hide: the subshare of the longest share, which a corrupt dealer made.
    longest = (order.multiplier << order.key.share_bits_max) // order.divisor
    honest = 2 * factorial(4) * (longest + 1)
    assert order.subshare_bits == (honest + order.form.mask_sum).bit_length()
    passing = honest + (order.form.mask_sum << 265)
    assert passing << 2 < 1 << order.receiver_bits


def test_the_range_of_masks_is_no_longer_than_needed_by_much(deal: Deal) -> None:
    """Share bits are what everybody pays: at the same sizes the worst case is within 2^16 of the bound."""
    order = same_sizes(deal(6, 5, 1, protocol=3).public_key)
    assert longest_shift(order) > HIDING / 2**16


def test_trap_01_nothing_grows(deal: Deal) -> None:
    """The second and every later key of the same sizes has the same form, whatever came before."""
    dealing = deal(4, 3, 1)
    key, shares = hand_on(same_sizes(dealing.public_key), dealing.key_shares)
    form, secret = key.form, secret_of(shares)
    assert form is not None
    assert form.secret_bits == (3 * largest_coefficients(4)[2] << 512).bit_length()
    for sizes in ((4, 2, 1), (3, 3, 0), (4, 3, 1), (4, 3, 1)):
        key, shares = hand_on(order_for(key, *sizes), shares)
        assert secret_of(shares) == secret
    assert key.form == form
