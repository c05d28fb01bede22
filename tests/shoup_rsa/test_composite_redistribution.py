"""Composite keys are handed on as a whole: all factors in one message, one verdict, one share, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from shoup_rsa import (
    AnyKeyShare,
    CombineFailed,
    CompositeKeyShare,
    CompositePublicKey,
    InvalidKey,
    InvalidShare,
    PublicKey,
    WrongEpoch,
    open_key_share,
    seal_key_share,
)
from shoup_rsa import redistribution as single
from shoup_rsa.composite import redistribution as handing_on
from shoup_rsa.redistribution import InvalidDealing, InvalidReceiver, NoNewShare
from tests.shoup_rsa import board
from tests.shoup_rsa.board import Lie, lying, receiver
from tests.shoup_rsa.composites import (
    CompositeDealing,
    compose,
    composite,
    deals,
    factor,
    hand_on,
    open_to_all,
    order_for,
    take_all,
)
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.key_life import live, of_several
from tests.shoup_rsa.outside import NEEDS_OPENSSL
from tests.shoup_rsa.test_redistribution_attacks import TestWhoKnowsTheFactors as Factors

MESSAGE = b"the same bytes for ever"


@pytest.fixture(scope="module")
def four() -> CompositeDealing:
    """In the integer form, of two factors."""
    return composite(4, 3, 1, protocol=3)


@pytest.fixture(scope="module")
def arena(four: CompositeDealing) -> handing_on.CompositeRedistribution:
    """A refresh among the same members."""
    return open_to_all(order_for(four.public_key, 4, 3, 1))


@pytest.fixture(scope="module")
def posted(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> tuple[tuple[int, bytes], ...]:
    return tuple(deals(arena, four.key_shares))


def signature(key: PublicKey, shares: list[AnyKeyShare] | tuple[AnyKeyShare, ...]) -> bytes:
    return key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in shares])


def reason(redistribution: handing_on.CompositeRedistribution, dealer: int, data: bytes) -> str:
    (culprit,) = handing_on.judge(redistribution, [(dealer, data)]).culprits
    assert culprit.dealer == dealer
    return culprit.reason


@NEEDS_OPENSSL
def test_the_life_of_a_composite_key(tmp_path: Path) -> None:
    """As of a key of one dealer; in full by `python -m tests.shoup_rsa.key_life --composite`."""
    life = live(composite(6, 5, 1), tmp_path, of_several, refreshes=(1, 2))
    assert isinstance(life.key, CompositePublicKey)


@pytest.mark.parametrize(("factors", "protocol", "new"), [(2, 2, (5, 4, 1)), (3, 3, (6, 3, 2))])
def test_all_factors_move_and_the_key_stays(factors: int, protocol: int, new: tuple[int, int, int]) -> None:
    dealing = composite(4, 3, 1, factors=factors, protocol=protocol)
    old = dealing.public_key
    expected = signature(old, dealing.key_shares)
    key, shares = hand_on(order_for(old, *new), dealing.key_shares[1:])
    assert (key.parties, key.threshold, key.corruptions, key.epoch) == (*new, 1)
    assert (key.to_der(), key.protocol) == (old.to_der(), 3)
    assert key.key_id != old.key_id
    key.check_dealing()
    for share in shares:
        share.check()
    assert signature(key, shares[: new[1]]) == signature(key, shares[-new[1] :]) == expected
    ready = shares[0].sign_share(b"ready", proof="compact")
    key.verify_share(b"ready", ready)
    late = dealing.key_shares[0].sign_share(b"ready", proof="compact")
    with pytest.raises(InvalidShare):
        key.verify_share(b"ready", late)


def test_a_key_of_one_dealer_is_handed_on_by_the_same_functions(deal: Deal) -> None:
    dealing = deal(4, 3, 1)
    key, shares = hand_on(order_for(dealing.public_key, 5, 4, 1), dealing.key_shares)
    assert type(key) is type(dealing.public_key)
    assert signature(key, shares) == signature(dealing.public_key, dealing.key_shares)


def test_old_and_new_shares_never_combine(four: CompositeDealing) -> None:
    """Not even of one factor: a member that keeps an old factor beside a new one has nothing."""
    order = order_for(four.public_key, 4, 3, 1)
    key, new = hand_on(order, four.key_shares[:3])
    mixed = [four.key_shares[0], *new[1:3]]
    with pytest.raises(CombineFailed):
        signature(key, mixed)
    values = four.key_shares[0].sign_share(MESSAGE).value
    half = new[0].sign_share(MESSAGE)
    for value in ((values[0], half.value[1]), (half.value[0], values[1])):
        with pytest.raises(CombineFailed):
            key.combine(MESSAGE, [replace(half, value=value), *(s.sign_share(MESSAGE) for s in new[1:3])])
    old_parts, new_parts = four.key_shares[0].factor_shares, new[0].factor_shares
    with pytest.raises(InvalidKey, match="factor 1: the key share is of another key"):
        CompositeKeyShare(key, (old_parts[0], new_parts[1]))
    with pytest.raises(InvalidKey, match="factor 2 has epoch = 0, factor 1 has 1"):
        CompositePublicKey((key.factors[0], four.public_key.factors[1]), insecure_small_key=True)
    again = open_to_all(order_for(key, 4, 3, 1))
    with pytest.raises(WrongEpoch, match="of epoch 0, the key of epoch 1"):
        handing_on.deal(again, four.key_shares[0])
    sealed = seal_key_share(four.key_shares[0], b"p", scrypt_cost=2**10)
    with pytest.raises(WrongEpoch):
        open_key_share(sealed, b"p", key)
    three = composite(4, 3, 1, factors=3)
    for other, share in (
        (again, three.key_shares[0]),
        (open_to_all(order_for(three.public_key, 4, 3, 1)), compose(three.factors[:2]).key_shares[0]),
    ):
        with pytest.raises(InvalidKey, match="another key than the one"):
            handing_on.deal(other, share)


def test_a_dealing_is_one_message_of_known_length(
    four: CompositeDealing,
    arena: handing_on.CompositeRedistribution,
    posted: tuple[tuple[int, bytes], ...],
) -> None:
    dealer, data = posted[0]
    assert len(data) == handing_on.dealing_length(arena)
    assert handing_on.judge(arena, posted).culprits == ()
    head = len(b"shoup-rsa/composite-dealing\0")
    for bad, why in (
        (data[:-1], "bytes, not"),
        (data + b"\0", "bytes, not"),
        (b"", "bytes, not"),
        (b"X" + data[1:], "no dealing of 2 factors"),
        (data[:head] + b"\2" + data[head + 1 :], "no dealing of 2 factors"),
        (data[: head + 1] + b"\3" + data[head + 2 :], "no dealing of 2 factors"),
    ):
        assert why in reason(arena, dealer, bad)
    assert "states that it is the dealing of member 1" in reason(arena, 2, data)
    with pytest.raises(TypeError, match="bytes"):
        handing_on.judge(arena, [(1, bytearray(data))])  # type: ignore[list-item]
    made = handing_on.deal(arena, four.key_shares[0])
    parts = b"".join(p.to_bytes(f) for p, f in zip(made.parts, arena.factors, strict=True))
    assert made.to_bytes(arena) == b"shoup-rsa/composite-dealing\0\1\2" + parts
    with pytest.raises(InvalidDealing, match="a part for every factor"):
        replace(made, parts=made.parts[:1]).to_bytes(arena)


def test_one_wrong_part_spoils_the_dealing_and_names_the_factor(
    four: CompositeDealing,
    arena: handing_on.CompositeRedistribution,
    posted: tuple[tuple[int, bytes], ...],
) -> None:
    """Neither part of it counts, and the dealer has no second try."""
    made = handing_on.deal(arena, four.key_shares[0])
    for place in (1, 2):
        part, own = arena.factors[place - 1], four.key_shares[0].factor_shares[place - 1]
        parts = list(made.parts)
        parts[place - 1] = lying(part, own, Lie(shift={3: 1}))
        bad = replace(made, parts=tuple(parts)).to_bytes(arena)
        assert (
            reason(arena, 1, bad) == f"factor {place}: the proof of the subshare for receiver 3 does not hold"
        )
        judgement = handing_on.judge(arena, [(1, bad), posted[0], *posted[1:3]])
        assert [verified.dealer for verified in judgement.valid] == [2, 3]
        assert handing_on.conclude(arena, judgement.valid) is None


def test_a_factors_dealing_is_good_for_nothing_else(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> None:
    """Alone, at another place, in another composite key, for another attempt, context or set of receivers."""
    share = four.key_shares[0]
    made = handing_on.deal(arena, share)
    own = made.parts[0].to_bytes(arena.factors[0])
    key, third = four.public_key, factor(4, 3, 1, 3, protocol=3)
    alone = board.open_to_all(board.order_for(key.factors[0], 4, 3, 1))
    sibling_key = CompositePublicKey((key.factors[0], third.public_key), insecure_small_key=True)
    turned_key = CompositePublicKey((key.factors[1], key.factors[0]), insecure_small_key=True)
    others = [
        open_to_all(order_for(sibling_key, 4, 3, 1)).factors[0],
        open_to_all(order_for(turned_key, 4, 3, 1)).factors[1],
        open_to_all(order_for(key, 4, 3, 1, attempt=1)).factors[0],
        open_to_all(order_for(key, 4, 3, 1, context=b"another alliance")).factors[0],
        handing_on.CompositeRedistribution(
            arena.order,
            (*arena.receivers[:3], receiver(arena.order.receiver_bits, 9).key),
        ).factors[0],
    ]
    digests = {arena.factors[0].digest, alone.digest, *(other.digest for other in others)}
    assert len(digests) == 7
    for other in (alone, *others):
        assert other.order.key == key.factors[0]
        with pytest.raises(InvalidDealing, match="of another redistribution"):
            single.verify_dealing(other, 1, own)
        # With the other's digest in front, the proofs speak of it.
        start = len(b"shoup-rsa/share-dealing\0") + 1
        with pytest.raises(InvalidDealing, match="proof of its coefficients"):
            single.verify_dealing(other, 1, own[:start] + other.digest + own[start + 32 :])
    swapped = replace(made, parts=(made.parts[1], made.parts[0]))
    with pytest.raises(InvalidDealing):
        handing_on.verify_dealing(arena, 1, swapped.to_bytes(arena))


def test_what_the_messages_are_bound_to_is_frozen(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> None:
    name = b"shoup-rsa/v1/composite/redistribution/"
    for place, order in enumerate(arena.order.factors, start=1):
        bound = name + b"context\0" + four.public_key.key_id + bytes((place, 2)) + board.CONTEXT
        assert order.context == sha256(bound).digest()
    digests = b"".join(order.digest for order in arena.order.factors)
    assert arena.order.digest == sha256(name + b"order\0" + digests).digest()
    digests = b"".join(part.digest for part in arena.factors)
    assert arena.digest == sha256(name + b"set\0" + digests).digest()


def test_verdicts_are_of_one_redistribution(
    four: CompositeDealing,
    arena: handing_on.CompositeRedistribution,
    posted: tuple[tuple[int, bytes], ...],
) -> None:
    valid = handing_on.judge(arena, posted).valid
    other = open_to_all(order_for(four.public_key, 4, 3, 1, attempt=1))
    with pytest.raises(ValueError, match="another redistribution"):
        handing_on.conclude(other, valid)
    names = {arena.digest, other.digest, arena.order.digest, other.order.digest}
    assert len(names | {part.digest for part in (*arena.factors, *other.factors)}) == 8


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda keys: keys[:3],
        lambda keys: (*keys[:3], receiver(512, 1).key),
    ],
)
def test_receivers_are_checked_for_every_factor(
    arena: handing_on.CompositeRedistribution, spoilt: Callable[[tuple], tuple]
) -> None:
    with pytest.raises(InvalidReceiver):
        handing_on.CompositeRedistribution(arena.order, spoilt(arena.receivers))
    spent = frozenset({arena.receivers[1].secret_id})
    with pytest.raises(InvalidReceiver, match="served a redistribution before"):
        handing_on.CompositeRedistribution(arena.order, arena.receivers, spent)


def test_an_absent_receiver_is_absent_for_every_factor(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> None:
    absent = frozenset({2})
    keys = (arena.receivers[0], *arena.receivers[2:])
    without = handing_on.CompositeRedistribution(arena.order, keys, absent=absent)
    assert [factor.absent for factor in without.factors] == [absent, absent]
    data = handing_on.deal(without, four.key_shares[0]).to_bytes(without)
    assert handing_on.verify_dealing(without, 1, data).dealer == 1


def test_orders_are_checked(four: CompositeDealing) -> None:
    for sizes, changes in (
        ((4, 1, 1), {}),
        ((4, 4, 1), {}),
        ((4, 3, 1), {"index_bound": 3}),
        ((4, 3, 1), {"attempt": -1}),
        ((4, 3, 1), {"context": bytes(1025)}),
        ((4, 3, 1), {"context": "text"}),
    ):
        with pytest.raises(InvalidKey):
            order_for(four.public_key, *sizes, **changes)


def test_the_functions_for_one_dealer_say_which_take_a_composite_key(four: CompositeDealing) -> None:
    with pytest.raises(InvalidKey, match=r"shoup_rsa\.composite\.redistribution hands such a key on"):
        single.Order(four.public_key, 4, 3, 1, 4, 0, b"")  # type: ignore[arg-type]


def test_what_is_printed_of_a_judgement_fits_on_a_screen(
    arena: handing_on.CompositeRedistribution, posted: tuple[tuple[int, bytes], ...]
) -> None:
    """Its numbers have thousands of digits, of which a log would be full."""
    shown = repr(handing_on.judge(arena, posted))
    assert "dealer=1" in shown
    assert len(shown) < 4000


# -- a dealer that kept the primes of its factor -------------------------------------------------------------


def multiple_of_order(four: CompositeDealing, place: int) -> int:
    """Of m of that factor, prime to n!: the same key in Protocol 2 has the same primes."""
    twin = factor(4, 3, 1, place)
    assert twin.public_key.modulus == four.public_key.factors[place - 1].modulus
    return Factors().multiple_of_order(twin)


def test_who_knows_one_factor_halts_nothing(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> None:
    """With its remainder no set holds for factor 2; for factor 1 it does. All wait, and then all move."""
    multiple = multiple_of_order(four, 2)
    part, own = arena.factors[1], four.key_shares[0].factor_shares[1]
    dealt = (part.order.multiplier * own._secret - 1) * pow(part.order.divisor, -1, multiple) % multiple
    made = handing_on.deal(arena, four.key_shares[0])
    bad = replace(made, parts=(made.parts[0], lying(part, own, Lie(dealt=(dealt, 1))))).to_bytes(arena)
    judgement = handing_on.judge(arena, [(1, bad), *deals(arena, four.key_shares[1:])])
    assert not judgement.culprits, "nothing shows that it lies"
    assert handing_on.conclude(arena, judgement.valid[:3]) is None
    found = handing_on.conclude(arena, judgement.valid)
    assert found is not None
    assert [part.dealers for part in found.factors] == [(1, 2, 3), (2, 3, 4)]
    expected = signature(four.public_key, four.key_shares)
    assert signature(found.public_key, take_all(found)) == expected


def test_without_one_factor_there_is_no_share(
    four: CompositeDealing, arena: handing_on.CompositeRedistribution
) -> None:
    """A subshare of factor 1 that its owner cannot use: no share of factor 2 either; the liar is named."""
    multiple = multiple_of_order(four, 1)
    part, own = arena.factors[0], four.key_shares[2].factor_shares[0]
    huge = multiple << (arena.order.receiver_bits - multiple.bit_length() + 8)
    made = handing_on.deal(arena, four.key_shares[2])
    bad = replace(made, parts=(lying(part, own, Lie(shift={2: huge})), made.parts[1])).to_bytes(arena)
    judgement = handing_on.judge(arena, [*deals(arena, four.key_shares[:2]), (3, bad)])
    found = handing_on.conclude(arena, judgement.valid)
    assert found is not None
    with pytest.raises(NoNewShare) as failure:
        handing_on.receive(found, 2, receiver(arena.order.receiver_bits, 2))
    assert (failure.value.index, failure.value.culprits) == (2, (3,))
    others = [handing_on.receive(found, i, receiver(arena.order.receiver_bits, i)) for i in (1, 3, 4)]
    assert signature(found.public_key, others) == signature(four.public_key, four.key_shares)
    with pytest.raises(InvalidKey, match="does not belong"):
        handing_on.receive(found, 1, receiver(arena.order.receiver_bits, 3))
