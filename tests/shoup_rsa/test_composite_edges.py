"""Composite keys at the edges of what they take: types, lengths, and what one bad part means."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise
from unittest.mock import patch

import pytest

from shoup_rsa import (
    CompositePublicKey,
    CompositeSignatureShare,
    InvalidKey,
    InvalidShare,
    InvalidShares,
    Scheme,
    SigningSession,
    _arith,
    dealer,
    generate_threshold_key,
)
from shoup_rsa.composite import redistribution as handing_on
from shoup_rsa.composite.key import MAGIC
from shoup_rsa.redistribution import InvalidDealing
from shoup_rsa.sizes import FACTORS_MAX
from shoup_rsa.trials import check_trials, combine_trials, sign_trials
from tests.shoup_rsa.composites import (
    CompositeDealing,
    compose,
    composite,
    deals,
    factor,
    open_to_all,
    order_for,
)

MESSAGE = b"what a quorum signs"
SMALL_AND_LARGE = (
    2027,
    0x20062D42CE0EB8538B6E78934E15CCBD81D2A30DA460DFE35074B5EB60D46205F06AF553A20F4516005EA7114A2A4800CE78CB398FA0DB716EB4FE1F1BA06F,
)
"""Safe primes both; their product has 512 bits."""


@pytest.fixture(scope="module")
def three() -> CompositeDealing:
    return composite(4, 3, 1, factors=3)


def test_keys_are_equal_if_their_factors_are(three: CompositeDealing) -> None:
    key = three.public_key
    again = CompositePublicKey.from_bytes(key.to_bytes())
    assert again == key
    assert hash(again) == hash(key)
    assert again != composite(4, 3, 1, factors=2).public_key


def test_encodings_of_no_key(three: CompositeDealing) -> None:
    data = three.public_key.to_bytes()
    for wrong in (data.hex(), None, bytearray(data), list(data)):
        with pytest.raises(TypeError, match="must be bytes"):
            CompositePublicKey.from_bytes(wrong)  # type: ignore[arg-type]
    start = len(MAGIC) + 2
    for wrong, reason in (
        (data[: start - 1], "not an encoded composite"),
        (data[:start], "factors"),
        (data[start:], "not an encoded composite"),
        (data[: start - 2] + b"\2" + data[start - 1 :], "version 2"),
        (data[: start - 1] + b"\1" + data[start:], "factors"),
        (data[: start - 1] + b"\x08" + data[start:], "factors"),
        (data + b"\0", "same length"),
        (data[:-3], "factor 1"),
    ):
        with pytest.raises(InvalidKey, match=reason):
            CompositePublicKey.from_bytes(wrong)


def test_a_share_is_decoded_part_by_part(three: CompositeDealing) -> None:
    """Every bit of every part belongs to it: nothing of one is read as another's."""
    key = three.public_key
    for form in ("none", "compact", "batchable"):
        share = three.key_shares[1].sign_share(MESSAGE, proof=form)  # type: ignore[arg-type]
        data = share.to_bytes(key)
        assert len(data) == key.share_length(form)  # type: ignore[arg-type]
        assert key.share_from_bytes(data) == share
        assert share.index == 2
        parts = [share.parts[place].value for place in range(3)]
        assert len(set(parts)) == 3
        for wrong in (data[:-1], data + b"\0", b"", data[:4]):
            with pytest.raises(InvalidShare):
                key.share_from_bytes(wrong)
    for form in ("short", "", None):
        with pytest.raises(ValueError, match="forms of a proof"):
            three.key_shares[1].sign_share(MESSAGE, proof=form)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="forms of a proof"):
            key.share_length(form)  # type: ignore[arg-type]


def test_a_malformed_share_is_named_and_the_others_are_judged(three: CompositeDealing) -> None:
    key = three.public_key
    shares = [share.sign_share(MESSAGE, proof="compact") for share in three.key_shares]
    assert shares[0].proof is not None
    modulus = key.factors[2].modulus
    for value, proof in (
        (shares[0].value[:2], shares[0].proof),
        ((*shares[0].value[:2], modulus - shares[0].value[2]), shares[0].proof),
        (shares[0].value, shares[0].proof[:2]),
        (shares[0].value, shares[0].proof[:2] * 2),
    ):
        bad = CompositeSignatureShare(1, value, proof)
        with pytest.raises(InvalidShares) as error:
            key.verify_shares(MESSAGE, [bad, *shares[1:]])
        assert [culprit.index for culprit in error.value.culprits] == [1]
        assert error.value.unproven == ()
        with pytest.raises(InvalidShare):
            SigningSession(key, MESSAGE).add(bad)
        key.verify(MESSAGE, key.combine(MESSAGE, [bad, *shares[1:]]))


def test_one_wrong_part_makes_a_culprit_once(three: CompositeDealing) -> None:
    key = three.public_key
    shares = [share.sign_share(MESSAGE, proof="batchable") for share in three.key_shares]
    for places in ((0,), (2,), (0, 1, 2)):
        value = tuple(v // 2 if place in places else v for place, v in enumerate(shares[3].value))
        with pytest.raises(InvalidShares) as error:
            key.verify_shares(MESSAGE, [*shares[:3], replace(shares[3], value=value)])
        (culprit,) = error.value.culprits
        assert culprit.index == 4
        assert f"factor {places[0] + 1}: the proof of correctness does not hold" in culprit.reason


def test_orders_and_dealings_at_their_edges(three: CompositeDealing) -> None:
    key = three.public_key
    orders = [
        order_for(key, 4, 3, 1, context=context) for context in (b"", bytes(1), bytes(1023), bytes(1024))
    ]
    assert len({order.digest for order in orders}) == 4
    assert all(one != other for one, other in pairwise(orders))
    assert orders[0] == order_for(key, 4, 3, 1, context=b"")
    for context in (bytes(1025), "text", None):
        with pytest.raises(InvalidKey, match="context"):
            order_for(key, 4, 3, 1, context=context)
    redistribution = open_to_all(orders[0])
    again = handing_on.CompositeRedistribution(orders[0], redistribution.receivers, frozenset({b"1"}))
    assert (again, again.digest) == (redistribution, redistribution.digest)
    ((_, data),) = deals(redistribution, three.key_shares[:1])
    assert len(data) == handing_on.dealing_length(redistribution)
    for wrong in (data.hex(), None, bytearray(data)):
        with pytest.raises(TypeError, match="must be bytes"):
            handing_on.verify_dealing(redistribution, 1, wrong)  # type: ignore[arg-type]
    for wrong in (data[:-1], data + b"\0", b"", b"\0" + data[1:]):
        with pytest.raises(InvalidDealing, match="the dealing of member 1"):
            handing_on.verify_dealing(redistribution, 1, wrong)


def test_a_modulus_with_a_small_prime_names_its_dealer_once_it_is_met() -> None:
    """It passes all checks, and of one message in 2027 nobody can make a share, nor check one."""
    with patch.object(dealer, "_two_safe_primes", lambda *_: SMALL_AND_LARGE):
        cheating = generate_threshold_key(4, 3, 1, 512, factors=2, insecure_small_key=True)
    dealing = compose([factor(4, 3, 1, 1), cheating])
    key = dealing.public_key
    key.check_dealing()
    check_trials(key, combine_trials(key, map(sign_trials, dealing.key_shares[:3])))
    scheme = Scheme.PKCS1V15_SHA256
    numbers = ((b"%d" % i, scheme.encode(b"%d" % i, key.modulus)) for i in count())
    message = next(m for m, encoded in numbers if int.from_bytes(encoded, "big") % SMALL_AND_LARGE[0] == 0)
    share = dealing.key_shares[0].sign_share(MESSAGE, proof="compact")
    for attempt in (
        lambda: dealing.key_shares[0].sign_share(message),
        lambda: key.verify_share(message, share),
        lambda: key.combine(message, [share]),
        lambda: SigningSession(key, message),
    ):
        with pytest.raises(ValueError, match=r"factor 2: .* its dealer has cheated"):
            attempt()


def test_no_table_is_made_anew_while_two_of_the_largest_keys_are_used_in_turn() -> None:
    """An agreement key and an attestation key of seven dealers; thrown out in turn, tables cost most."""
    modulus, factors, members = (1 << 61) - 1, 2 * FACTORS_MAX, 36
    for table, tables in ((_arith.long_table, 2 * factors), (_arith.short_table, factors * members)):
        for _ in range(2):
            before = table.cache_info().misses
            for base in range(2, 2 + tables):
                table(base, modulus, 8)
        assert table.cache_info().misses == before
