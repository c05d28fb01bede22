"""Receivers whose moduli are longer than the order asks: they posted them before there was an order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

import pytest

from shoup_rsa import InvalidKey, KeyShare
from shoup_rsa.integer_form import SLACK_BITS, IntegerForm
from shoup_rsa.redistribution import (
    InvalidDealing,
    InvalidReceiver,
    Order,
    ReceiverKey,
    Redistribution,
    SealedSubshare,
    ShareDealing,
    conclude,
    deal,
    dealing_length,
    judge,
    receive,
    receiver_bits_ahead,
    verify_dealing,
)
from shoup_rsa.redistribution.message import check_form
from shoup_rsa.redistribution.receivers import BITS_SPARE
from tests.shoup_rsa.board import Lie, culprit_of, deals, lying, order_for, receiver, same_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_redistribution import signature

LENGTHS = (1024, 1280, 1024, 2048)
"""The order asks for 1024: one member has a little more, and one as much as may be."""


@dataclass
class Sizes:
    """What `Order` asks of a key, without its numbers."""

    protocol: int
    key_size: int
    parties: int
    threshold: int
    secret_bits: int = 0
    epoch: int = 0
    public_exponent: int = 65537

    @property
    def form(self) -> IntegerForm | None:
        if self.protocol != 3:
            return None
        return IntegerForm(self.parties, self.threshold, self.secret_bits)

    @property
    def index_bound(self) -> int:
        return self.parties if self.protocol == 3 else 0

    @property
    def share_bits_max(self) -> int:
        return self.key_size if self.form is None else self.form.share_bits + SLACK_BITS


def orders(key_size: int, bounds: tuple[int, ...]) -> Iterator[Order]:
    """First conversions, and what may follow them, between alliances of all sizes."""
    for m in bounds:
        for k in sorted({1, m // 2 + 1, m}):
            first = [
                Order(Sizes(protocol, key_size, m, k), m, k, 0, m, 0, b"")  # type: ignore[arg-type]
                for protocol in (1, 2)
            ]
            yield from first
            key = Sizes(3, key_size, m, k, first[0].form.secret_bits)
            for m_new in bounds:
                for k_new in {1, m_new // 2 + 1, m_new}:
                    if m_new >= m:
                        yield Order(key, m_new, k_new, 0, m_new, 0, b"")  # type: ignore[arg-type]


@pytest.mark.parametrize("key_size", [512, 2048, 2176])
def test_a_key_made_ahead_fits_every_order_that_may_come(key_size: int) -> None:
    asked = {}
    for order in orders(key_size, (1, 2, 4, 6, 7, 10, 16, 31)):
        for bound in {order.index_bound, 31}:
            ahead = receiver_bits_ahead(key_size, bound)
            assert order.receiver_bits <= ahead <= order.receiver_bits + BITS_SPARE
        asked[order.index_bound] = max(asked.get(order.index_bound, 0), order.receiver_bits)
    assert asked == {bound: receiver_bits_ahead(key_size, bound) for bound in asked}, (
        "and no longer than needed"
    )


@pytest.mark.parametrize(("m", "k"), [(4, 3), (6, 5), (16, 11), (31, 21)])
def test_a_key_made_ahead_fits_also_after_a_restart(m: int, k: int) -> None:
    """What a restart lengthens stays so long: the present key says it, its size alone does not."""
    key = Sizes(3, 2048, m, k, 2048)
    for _ in range(3):
        restart = Order(key, m, k, 0, m, 0, b"", restart=True)  # type: ignore[arg-type]
        key = Sizes(3, 2048, m, k, restart.form.secret_bits)
        refresh = Order(key, m, k, 0, m, 0, b"")  # type: ignore[arg-type]
        assert receiver_bits_ahead(2048, m) < refresh.receiver_bits
        ahead = receiver_bits_ahead(2048, m, key.secret_bits)
        assert refresh.receiver_bits <= ahead <= refresh.receiver_bits + BITS_SPARE


def test_what_has_no_length_ahead() -> None:
    assert [receiver_bits_ahead(2048, bound) for bound in (1, 7, 8, 16, 31)] == [2560, 2560, 2816, 2816, 3328]
    for key_size, bound in product((2048, 2000, 0, None), (0, 65, 7.0, None)):
        with pytest.raises(InvalidKey):
            receiver_bits_ahead(key_size, bound)  # type: ignore[arg-type]
    for secret_bits in (-1, 2047, 2048 + 8193, None, "2048"):
        with pytest.raises(InvalidKey):
            receiver_bits_ahead(2048, 7, secret_bits)  # type: ignore[arg-type]
    for key_size in (2000, 256, 16384, None):
        with pytest.raises(InvalidKey):
            receiver_bits_ahead(key_size, 7)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def four(deal: Deal) -> tuple[KeyShare, ...]:
    return deal(4, 3, 1, protocol=3).key_shares


@pytest.fixture(scope="module")
def mixed(four: tuple[KeyShare, ...]) -> Redistribution:
    keys = tuple(receiver(bits, index).key for index, bits in enumerate(LENGTHS, start=1))
    return Redistribution(same_sizes(four[0].public_key), keys)


@pytest.fixture(scope="module")
def honest(mixed: Redistribution, four: tuple[KeyShare, ...]) -> ShareDealing:
    return deal(mixed, four[1])


def with_subshare(dealing: ShareDealing, index: int, subshare: SealedSubshare) -> ShareDealing:
    return replace(dealing, subshares=(*dealing.subshares[: index - 1], subshare, *dealing.subshares[index:]))


def test_all_receive_whatever_their_lengths(mixed: Redistribution, four: tuple[KeyShare, ...]) -> None:
    assert mixed.order.receiver_bits == LENGTHS[0]
    posted = deals(mixed, four[1:])
    assert {len(data) for _, data in posted} == {dealing_length(mixed)}
    found = conclude(mixed, judge(mixed, posted).valid)
    assert found is not None
    shares = [receive(found, i, receiver(bits, i)) for i, bits in enumerate(LENGTHS, start=1)]
    assert signature(shares) == signature(four)
    # The same liar's program as for moduli of one length, by `pow` alone, and one wrong subshare.
    for lie, right in ((Lie(), True), (Lie(shift={4: 1}), False)):
        error = culprit_of(mixed, 3, lying(mixed, four[2], lie).to_bytes(mixed))
        assert (error is None) == right


def test_every_length_has_its_own_width_and_the_set_one_length(mixed: Redistribution) -> None:
    even = Redistribution(mixed.order, tuple(receiver(1024, i).key for i in range(1, 5)))
    longer = [(bits - 1024) // 4 + (bits - 1024) // 16 for bits in LENGTHS]
    assert dealing_length(mixed) - dealing_length(even) == sum(longer)
    assert mixed.digest != even.digest


def test_numbers_of_a_longer_receiver_serve_no_shorter_one(
    mixed: Redistribution, honest: ShareDealing
) -> None:
    """Each bound is that of the receiver's own modulus."""
    for index, bits in enumerate(LENGTHS, start=1):
        subshare, modulus = honest.subshares[index - 1], mixed.receivers[index - 1].modulus
        bound = 1 << bits // 2 + 265
        check_form(mixed, with_subshare(honest, index, replace(subshare, randomizer_response=bound - 1)))
        largest = replace(subshare, ciphertext=modulus**2 - 1)
        check_form(mixed, with_subshare(honest, index, largest))
        for wrong in (
            replace(subshare, randomizer_response=bound),
            replace(subshare, ciphertext=modulus**2 + 1),
            replace(subshare, response=1 << mixed.order.subshare_bits + 265),
        ):
            with pytest.raises(InvalidDealing, match=f"{index} is out of range"):
                check_form(mixed, with_subshare(honest, index, wrong))
    for one, other in ((1, 2), (2, 4), (3, 4)):
        subshares = list(honest.subshares)
        subshares[one - 1], subshares[other - 1] = subshares[other - 1], subshares[one - 1]
        with pytest.raises(InvalidDealing):
            check_form(mixed, replace(honest, subshares=tuple(subshares)))


@pytest.mark.parametrize("index", [2, 4])
def test_ciphertexts_that_are_no_units_or_missing(
    mixed: Redistribution, honest: ShareDealing, index: int
) -> None:
    target = receiver(LENGTHS[index - 1], index)
    prime, n = target._first, target.key.modulus
    for ciphertext in (0, prime, 3 * prime, prime * prime, n, n * n):
        subshare = replace(honest.subshares[index - 1], ciphertext=ciphertext)
        with pytest.raises(InvalidDealing, match=f"ciphertext for receiver {index}"):
            check_form(mixed, with_subshare(honest, index, subshare))
    missing = replace(honest, subshares=honest.subshares[: index - 1] + honest.subshares[index:])
    with pytest.raises(InvalidDealing, match="4 subshares"):
        check_form(mixed, missing)
    # In the bytes: cut out, emptied, or as long as if all moduli were of the least length.
    data = honest.to_bytes(mixed)
    flipped = data[:-1] + bytes((data[-1] ^ 1,))
    for wrong in (data[: -LENGTHS[3] // 4], data[: dealing_length(mixed) - 320], flipped):
        assert culprit_of(mixed, 2, wrong) is not None
    for field in fields(SealedSubshare):
        number = getattr(honest.subshares[index - 1], field.name)
        changed = replace(honest.subshares[index - 1], **{field.name: number ^ 1})
        with pytest.raises(InvalidDealing, match=f"receiver {index} does not hold"):
            verify_dealing(mixed, 2, with_subshare(honest, index, changed).to_bytes(mixed))


@pytest.mark.parametrize("bits", LENGTHS[1::2])
def test_generators_that_hide_nothing(bits: int, mixed: Redistribution, four: tuple[KeyShare, ...]) -> None:
    """0, 1, a factor and n are refused; what cannot be seen harms its owner only."""
    target = receiver(bits, LENGTHS.index(bits) + 1)
    n = target.key.modulus
    for generator in (0, 1, target._first, n, n * n - n, n * n):
        with pytest.raises(InvalidReceiver):
            ReceiverKey(n, generator)
    for generator in (n * n - 1, n + 1):
        keys = list(mixed.receivers)
        keys[keys.index(target.key)] = ReceiverKey(n, generator)
        redistribution = Redistribution(mixed.order, tuple(keys))
        assert not judge(redistribution, deals(redistribution, four[:1])).culprits


def test_a_key_that_is_long_enough_now_may_be_too_short_for_the_next_order(deal: Deal) -> None:
    """It says whose, and what to do."""
    key = deal(4, 3, 1).public_key
    bits = order_for(key, 4, 3, 1).receiver_bits
    keys = tuple(receiver(bits, index).key for index in range(1, 17))
    Redistribution(order_for(key, 4, 3, 1), keys[:4])
    with pytest.raises(InvalidReceiver, match=r"receiver key 1: .* its owner must post another one"):
        Redistribution(order_for(key, 16, 11, 5), keys)


@pytest.mark.parametrize("absent", [1, 3, 4])
def test_nothing_is_dealt_to_who_is_absent_and_all_others_sign_without(
    four: tuple[KeyShare, ...], mixed: Redistribution, absent: int
) -> None:
    kept = [index for index in range(1, 5) if index != absent]
    keys = tuple(mixed.receivers[index - 1] for index in kept)
    without = Redistribution(mixed.order, keys, absent=frozenset({absent}))
    assert len({without.digest, mixed.digest}) == 2
    posted = deals(without, four[:3])
    assert {len(data) for _, data in posted} == {dealing_length(without)}
    found = conclude(without, judge(without, posted).valid)
    assert found is not None
    shares = [receive(found, i, receiver(LENGTHS[i - 1], i)) for i in kept]
    assert signature(shares) == signature(four)
    with pytest.raises(InvalidKey, match=f"nothing was dealt to member {absent}"):
        receive(found, absent, receiver(LENGTHS[absent - 1], absent))
    assert culprit_of(mixed, *posted[0]) is not None


def test_as_many_may_be_absent_as_lie_and_no_one_else(mixed: Redistribution) -> None:
    for absent, count in ((frozenset({1, 2}), 2), (frozenset({5}), 4), (frozenset({0}), 4)):
        with pytest.raises(InvalidReceiver, match="1 at most may be absent"):
            Redistribution(mixed.order, mixed.receivers[:count], absent=absent)
    with pytest.raises(InvalidReceiver, match="a tuple of 3"):
        Redistribution(mixed.order, mixed.receivers, absent=frozenset({2}))


@pytest.mark.parametrize("squared", [False, True])
def test_who_takes_anothers_receiver_key_harms_nobody_else(
    four: tuple[KeyShare, ...], mixed: Redistribution, squared: bool
) -> None:
    """All others receive, also the one whose key it is, with the same generator and with another one."""
    copied = mixed.receivers[2]
    if squared:
        copied = replace(copied, generator=copied.generator**2 % copied.modulus**2)
    twice = Redistribution(mixed.order, (copied, *mixed.receivers[1:]))
    found = conclude(twice, judge(twice, deals(twice, four[1:])).valid)
    assert found is not None
    shares = [receive(found, i, receiver(LENGTHS[i - 1], i)) for i in (2, 3, 4)]
    assert signature(shares) == signature(four)
    with pytest.raises(InvalidKey, match="does not belong"):
        receive(found, 1, receiver(LENGTHS[0], 1))
