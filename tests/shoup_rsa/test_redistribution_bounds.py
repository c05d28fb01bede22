"""Every size and every bound of a redistribution at its edge: what is just allowed, and what is just not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from math import factorial, prod

import pytest
from sympy import jacobi_symbol, nextprime, prevprime

from shoup_rsa import InvalidKey, KeyShare, WrongEpoch
from shoup_rsa.integer_form import IntegerForm
from shoup_rsa.redistribution import (
    InvalidDealing,
    InvalidReceiver,
    Order,
    ReceiverKey,
    Redistribution,
    ShareDealing,
    dealing_length,
    generate_receiver,
    paillier,
)
from shoup_rsa.redistribution import deal as deal_share
from shoup_rsa.redistribution.message import check_form
from shoup_rsa.sizes import EPOCH_MAX
from tests.shoup_rsa.board import open_to_all, order_for, same_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_receiver_lengths import Sizes


@pytest.fixture(scope="module")
def four(deal: Deal) -> tuple[KeyShare, ...]:
    return deal(4, 3, 1, protocol=3).key_shares


@pytest.fixture(scope="module")
def arena(four: tuple[KeyShare, ...]) -> Redistribution:
    return open_to_all(same_sizes(four[0].public_key))


@pytest.fixture(scope="module")
def honest(arena: Redistribution, four: tuple[KeyShare, ...]) -> ShareDealing:
    return deal_share(arena, four[1])


@pytest.mark.parametrize("m", range(1, 8))
def test_the_sizes_of_a_form_are_its_formulas(m: int) -> None:
    """Each to the last bit; k = 1 has no masks at all."""
    d = factorial(m)
    widest = max(
        len(chosen) * d * prod(i for i in chosen if i != j) // abs(prod(i - j for i in chosen if i != j))
        for size in range(1, m + 1)
        for chosen in combinations(range(1, m + 1), size)
        for j in chosen
    )
    for k in range(1, m + 1):
        form = IntegerForm(m, k, 600)
        mask = 2**128 * max(1, k * (k - 1)) * (2 * d) * (2 * d**2 * 2**600)
        masks = sum(2 * mask * m**power for power in range(1, k))
        honest = 2 * d**3 * 2**600 + widest * masks
        offset = 2 ** honest.bit_length() if k > 1 else 0
        assert (form.delta, form.content, form.divisor) == (d, 2 * d**3, 2 * d**2)
        assert (form.mask_bound, form.mask_sum, form.offset) == (mask, masks, offset)
        assert form.share_bits == (honest + offset * m).bit_length()


def test_the_bound_of_a_constant_is_that_of_the_most_negative_share(deal: Deal) -> None:
    """F_j(0) = 2 D' q, where q is divided down; for every way to hand on, and not by one too much."""
    integer, before = deal(4, 3, 1, protocol=3).public_key, deal(4, 3, 1).public_key
    for order, spares in (
        (same_sizes(integer), 0),
        (same_sizes(deal(2, 2, 0, protocol=3).public_key), 1),  # where both terms of the sum count
        (same_sizes(integer, index_bound=6), 1),
        (same_sizes(integer, restart=True), None),
        (same_sizes(before), None),
    ):
        longest = (1 << order.key.share_bits_max) - 1
        quotient = abs(order.multiplier * -longest // order.divisor)
        spare = order._constant_bound // (2 * order.form.delta) - quotient
        assert order._constant_bound % (2 * order.form.delta) == 0
        assert spare == (order.multiplier + 1 if spares is None else spares)
        assert order.subshare_bits == (order._constant_bound + order.form.mask_sum).bit_length()
        assert order.receiver_bits >= (order._constant_bound + (order.form.mask_sum << 265)).bit_length() + 2


def test_the_last_epoch(four: tuple[KeyShare, ...]) -> None:
    key = four[0].public_key
    assert same_sizes(replace(key, epoch=EPOCH_MAX - 1)).attempt == 0
    with pytest.raises(InvalidKey, match="last epoch"):
        same_sizes(replace(key, epoch=EPOCH_MAX))


def test_what_an_order_says_at_its_edges(four: tuple[KeyShare, ...]) -> None:
    key = four[0].public_key
    assert same_sizes(key, attempt=2**64 - 1, context=bytes(1024), index_bound=64).index_bound == 64
    for wrong in ({"attempt": 2**64}, {"attempt": -1}, {"context": bytes(1025)}, {"index_bound": 65}):
        with pytest.raises(InvalidKey, match=next(iter(wrong))):
            same_sizes(key, **wrong)
    for sizes, reason in (
        ((4, 1, 1), "corrupt members"),
        ((4, 4, 1), "honest members"),
        ((5, 4, 1), "bound"),
    ):
        with pytest.raises(InvalidKey, match=reason):
            order_for(key, *sizes, index_bound=4)


def test_a_key_with_too_many_members_is_refused_before_its_sizes_are_computed() -> None:
    """Those of so many would take days."""
    with pytest.raises(InvalidKey, match="index_bound = 60000"):
        Order(Sizes(2, 2048, 60000, 40001), 4, 3, 1, 60000, 0, b"")  # type: ignore[arg-type]


def test_restarts_end_where_the_format_does() -> None:
    """Each makes the secret longer; 8192 bits more than the modulus are the most that a key can say."""

    def restarted(bits: int) -> int:
        key = Sizes(3, 2048, 6, 5, bits)
        return Order(key, 6, 5, 1, 6, 0, b"", restart=True).form.secret_bits  # type: ignore[arg-type]

    lengths = [2048]
    for _ in range(16):
        lengths.append(restarted(lengths[-1]))
        assert lengths[-2] + 400 < lengths[-1]
    assert lengths[-1] <= 10240 < lengths[-1] + 500
    with pytest.raises(InvalidKey, match=r"secret_bits = 10\d\d\d: must be in 2048\.\.10240"):
        restarted(lengths[-1])


def test_the_nonresidue_after_protocol_1_is_the_least_there_is(deal: Deal) -> None:
    """2 for N = 5 modulo 8; 3 never is one, since N = 1 modulo 12."""
    found = set()
    for seed in range(1, 7):
        key = deal(3, 2, 1, protocol=1, seed=seed).public_key
        least = same_sizes(key).nonresidue
        assert [jacobi_symbol(u, key.modulus) for u in range(1, least + 1)].index(-1) == least - 1
        assert (least == 2) == (key.modulus % 8 == 5)
        found.add(least)
    assert 2 in found
    assert len(found) > 1


def test_only_shares_of_the_key_that_is_handed_on_are_dealt(
    arena: Redistribution, four: tuple[KeyShare, ...], deal: Deal
) -> None:
    other = deal(4, 3, 1, protocol=3, seed=2).key_shares[0]
    smaller = KeyShare(replace(four[0].public_key, corruptions=0), 1, four[0]._secret)
    for share in (other, smaller):
        with pytest.raises(InvalidKey, match="of another key"):
            deal_share(arena, share)
    later = KeyShare(replace(four[0].public_key, epoch=7), 1, four[0]._secret)
    with pytest.raises(WrongEpoch) as error:
        deal_share(arena, later)
    assert (error.value.found, error.value.expected) == (7, 0)


def test_all_lengths_where_there_are_no_remainders(deal: Deal) -> None:
    """A conversion and a restart divide by 1: the remainder takes no byte."""
    for key, restart in (
        (deal(4, 3, 1).public_key, False),
        (deal(4, 3, 1, protocol=3).public_key, True),
    ):
        redistribution = open_to_all(same_sizes(key, restart=restart))
        order = redistribution.order

        def octets(bits: int) -> int:
            return -(-bits // 8)

        n, bits = octets(key.key_size), order.receiver_bits
        sealed = octets(2 * bits) + 16 + octets(order.subshare_bits + 265) + octets(bits // 2 + 265)
        masks = octets(order.form.mask_bound.bit_length() + 265)
        assert order.divisor == 1
        assert dealing_length(redistribution) == 24 + 35 + n * (1 + 2 + 1) + masks + 4 * sealed


def edges(dealing: ShareDealing, redistribution: Redistribution) -> Iterator[tuple[ShareDealing, bool, str]]:
    """(a dealing with one number at its edge, whether it may be, how the number is called)."""
    order = redistribution.order
    n, target = order.key.modulus, redistribution.receivers[1].modulus
    for name, bound, called in (
        ("remainder", order.divisor, "the remainder"),
        ("response", order.form.mask_bound << 265, "the response"),
    ):
        for value, fits in ((-1, False), (0, True), (bound - 1, True), (bound, False)):
            yield replace(dealing, **{name: value}), fits, called
    for value, fits in ((-1, False), (0, False), (1, True), (n - 1, True), (n, False), (n + 1, False)):
        for name in ("image", "mask_commitment"):
            yield replace(dealing, **{name: value}), fits, "a commitment"
        for at in range(len(dealing.commitments)):
            changed = list(dealing.commitments)
            changed[at] = value
            yield replace(dealing, commitments=tuple(changed)), fits, "a commitment"
    square, size = target**2, redistribution.receivers[1].bits
    for name, edge, called in (
        (
            "ciphertext",
            ((0, False), (1, True), (square - 1, True), (square, False)),
            "the ciphertext for receiver 2",
        ),
        ("challenge", ((-1, False), (0, True), (2**128 - 1, True), (2**128, False)), "the challenge 2"),
        ("response", ((-1, False), (0, True), (1 << order.subshare_bits + 265, False)), "the response 2"),
        ("randomizer_response", ((0, True), (1 << size // 2 + 265, False)), "the randomizer's response 2"),
        (
            "randomizer_response",
            ((-1, False), ((1 << size // 2 + 265) - 1, True)),
            "the randomizer's response 2",
        ),
    ):
        for value, fits in edge:
            subshares = list(dealing.subshares)
            subshares[1] = replace(subshares[1], **{name: value})
            yield replace(dealing, subshares=tuple(subshares)), fits, called


def test_every_number_of_a_dealing_at_its_edge(arena: Redistribution, honest: ShareDealing) -> None:
    for changed, fits, called in edges(honest, arena):
        if fits:
            check_form(arena, changed)
            assert ShareDealing.from_bytes(arena, 2, changed.to_bytes(arena)) == changed
        else:
            with pytest.raises(InvalidDealing) as error:
                check_form(arena, changed)
            assert error.value.reason == f"{called} is out of range"
    for dealer, fits in ((0, False), (1, True), (4, True), (5, False)):
        if fits:
            check_form(arena, replace(honest, dealer=dealer))
        else:
            with pytest.raises(InvalidDealing, match=r"present members 1\.\.4"):
                check_form(arena, replace(honest, dealer=dealer))


def test_which_attempts_were_spent_is_no_part_of_what_is_agreed_on(arena: Redistribution) -> None:
    again = Redistribution(arena.order, arena.receivers, frozenset({b"1"}))
    assert again == arena
    assert again.digest == arena.digest


class TestReceiverKeys:
    def test_the_smallest_factor(self) -> None:
        """Of 2^17 and above one may be: finding them is work that nobody need do."""
        below, above = int(prevprime(1 << 17)), int(nextprime(1 << 17))
        for factor, fits in ((2, False), (3, False), (below, False), (above, True)):
            other = int(nextprime((1 << 512) // factor - (1 << 400)))
            modulus = factor * other
            assert modulus.bit_length() == 512
            if fits:
                assert ReceiverKey(modulus, 4).bits == 512
            else:
                with pytest.raises(InvalidReceiver, match="factor below"):
                    ReceiverKey(modulus, 4)

    def test_the_longest_modulus(self) -> None:
        """Refused for what it is made of, not for its length."""
        with pytest.raises(InvalidReceiver, match="factor below"):
            ReceiverKey((1 << 32768) - 1, 4)
        with pytest.raises(InvalidReceiver, match="more than 32768 bits"):
            ReceiverKey((1 << 33024) - 1, 4)

    def test_an_encoding_whose_numbers_are_shorter_than_it_says(self) -> None:
        key = generate_receiver(512).key
        head = key.to_bytes()[:-192]
        padded = head[:-2] + (768).to_bytes(2, "big")
        padded += key.modulus.to_bytes(96, "big") + key.generator.to_bytes(192, "big")
        with pytest.raises(InvalidReceiver, match="exactly 768 bits"):
            ReceiverKey.from_bytes(padded)
        for bits, reason in ((0, "length"), (32768, "factor below"), (33024, "length")):
            data = head[:-2] + bits.to_bytes(2, "big") + b"\xff" * (3 * bits // 8)
            with pytest.raises(InvalidReceiver, match=reason):
                ReceiverKey.from_bytes(data)

    def test_the_smallest_and_largest_generators(self) -> None:
        n = generate_receiver(512).key.modulus
        for generator in (2, n * n - 1):
            assert ReceiverKey(n, generator).generator == generator
        for generator in (-1, 0, 1, n * n, n * n + 1):
            with pytest.raises(InvalidReceiver, match="between 1 and n"):
                ReceiverKey(n, generator)

    def test_which_lengths_are_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Asked(Exception):
            pass

        def asked(bits: int, _: object) -> None:
            raise Asked(bits)

        monkeypatch.setattr(paillier, "draw_primes", asked)
        for bits in (512, 32768):
            with pytest.raises(Asked, match=str(bits)):
                generate_receiver(bits)
        for bits in (256, 511, 513, 32768 + 256):
            with pytest.raises(ValueError, match="multiple of 256"):
                generate_receiver(bits)

    def test_primes_are_far_apart_and_their_orders_share_no_factor(self) -> None:
        """The second one is drawn again until it is so: close primes would be found by Fermat's method."""
        dice = random.Random(4)
        place = dice.randrange(1 << 250)
        draws = 0

        def near(bound: int) -> int:
            """Candidates one after the other, for a hundred draws; then anywhere."""
            nonlocal draws
            if bound != 1 << 252:  # a base of Miller and Rabin's test
                return dice.randrange(bound)
            draws += 1
            return place + draws if draws < 2000 else dice.randrange(bound)

        first, second = paillier.draw_primes(512, near)
        assert draws > 2000, "there were primes nearby"
        assert abs(first - second) >> 156
        for prime in (first, second):
            assert prime % 4 == 3
            assert prime >> 254 == 3
            assert prime == nextprime(prime - 1)

    def test_a_generator_is_made_of_a_unit(self) -> None:
        secret = generate_receiver(512)
        p, q, n = secret._first, secret._second, secret.key.modulus
        drawn = iter((0, p, 5 * q, 3))
        assert paillier.draw_generator(p, q, lambda _: next(drawn)) == pow(-9, n, n * n)
        assert next(drawn, None) is None
