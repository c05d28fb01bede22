"""A key in additive pieces, of which everybody deals its own, becomes an ordinary threshold key."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest

from shoup_rsa import Dealing, InvalidKey, ThresholdPublicKey, _arith, dealer, public_key_from_bytes
from shoup_rsa.redistribution import Redistribution, conclude, judge, receive
from shoup_rsa.redistribution.additive import AdditiveKey, AdditiveOrder, additive_receiver_bits
from shoup_rsa.redistribution.deal import deal_secret
from tests.shoup_rsa import board

N, K, T = 4, 3, 1


@cache
def pieces() -> tuple[AdditiveOrder, tuple[int, ...]]:
    """Pieces of a d that a dealer made, who here stands for the protocol that makes them without one."""
    source = random.Random("additive")
    modulus, order = dealer._modulus(512, 1, source.randrange, lambda stage, tried: None)
    base = dealer._generator_of_squares(modulus, source.randrange)
    secret = _arith.inverse(65537, order)
    parts = [source.randrange(1, modulus >> 20) for _ in range(N - 1)]
    rho = 3
    parts.append(secret - sum(parts) - rho)
    images = tuple(_arith.signed_secret_power(base, part, modulus) for part in parts)
    return AdditiveOrder(AdditiveKey(modulus, base, images), K, T, rho, b"test"), tuple(parts)


@cache
def outcome() -> tuple[Redistribution, Dealing]:
    order, parts = pieces()
    redistribution = Redistribution(
        order, tuple(board.receiver(order.receiver_bits, index).key for index in range(1, N + 1))
    )
    posted = [
        (index, deal_secret(redistribution, index, part).to_bytes(redistribution))
        for index, part in enumerate(parts, start=1)
    ]
    judgement = judge(redistribution, posted)
    assert not judgement.culprits
    assert conclude(redistribution, judgement.valid[:-1]) is None, "all must deal"
    found = conclude(redistribution, judgement.valid)
    assert found is not None
    shares = tuple(
        receive(found, index, board.receiver(order.receiver_bits, index)) for index in range(1, N + 1)
    )
    return redistribution, Dealing(found.public_key, shares)


def test_the_outcome_is_an_ordinary_key_that_states_its_origin() -> None:
    _, dealing = outcome()
    key = dealing.public_key
    assert (key.protocol, key.epoch, key.index_bound, key.origin) == (3, 0, N, "distributed")
    key.check_dealing()
    shares = [share.sign_share(b"message", proof="compact") for share in dealing.key_shares]
    for quorum in (shares[:K], shares[-K:]):
        key.verify(b"message", key.combine(b"message", quorum))


def test_a_refresh_keeps_the_origin_and_the_signatures() -> None:
    _, dealing = outcome()
    key, shares = board.hand_on(board.same_sizes(dealing.public_key), dealing.key_shares)
    assert (key.origin, key.epoch) == ("distributed", 1)
    before = dealing.public_key.combine(b"m", [share.sign_share(b"m") for share in dealing.key_shares[:K]])
    assert key.combine(b"m", [share.sign_share(b"m") for share in shares[-K:]]) == before


def test_the_origin_is_in_the_keys_bytes_and_in_its_name() -> None:
    key = outcome()[1].public_key
    assert public_key_from_bytes(key.to_bytes()) == key
    other = replace(key, origin="dealer")
    assert other.key_id != key.key_id
    assert other.to_bytes()[21] == 3
    assert key.to_bytes()[21] == 5
    assert public_key_from_bytes(other.to_bytes()) == other


@pytest.mark.parametrize(
    "changes", [{"origin": "nobody"}, {"protocol": 2, "index_bound": 0, "secret_bits": 0}]
)
def test_other_origins_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidKey, match="origin"):
        replace(outcome()[1].public_key, **changes)  # type: ignore[arg-type]


def test_version_5_is_for_protocol_3_alone() -> None:
    data = bytearray(outcome()[1].public_key.to_bytes())
    data[22] = 2
    with pytest.raises(InvalidKey):
        ThresholdPublicKey.from_bytes(bytes(data))


def test_a_dealing_of_another_piece_is_invalid() -> None:
    redistribution, _ = outcome()
    _, parts = pieces()
    data = deal_secret(redistribution, 2, parts[1] + 2).to_bytes(redistribution)
    (culprit,) = judge(redistribution, [(2, data)]).culprits
    assert culprit.dealer == 2


def test_the_receivers_length_is_known_before_there_is_a_key() -> None:
    order, _ = pieces()
    assert additive_receiver_bits(N, K, 512) == order.receiver_bits


@pytest.mark.parametrize("number", [0, 1 << 512])
def test_a_power_of_v_is_a_unit(number: int) -> None:
    order, _ = pieces()
    with pytest.raises(InvalidKey):
        AdditiveKey(order.key.modulus, order.key.verification_base, (number, 1))


def test_the_digest_names_everything() -> None:
    order, _ = pieces()
    key = order.key
    others = [
        replace(order, context=b"other"),
        replace(order, constant_piece=4),
        replace(order, threshold=2),
        replace(order, key=replace(key, verification_base=key.verification_keys[0])),
        replace(order, key=replace(key, verification_keys=key.verification_keys[::-1])),
    ]
    assert len({one.digest for one in (order, *others)}) == 6
