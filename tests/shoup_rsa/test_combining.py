"""Bad shares: the signature is made without them, or their makers are named, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import factorial, gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import CombineFailed, Dealing, InvalidShare, NotEnoughShares, SignatureShare
from shoup_rsa.lagrange import lagrange_at_zero
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.twin import lagrange

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=30)
MESSAGE = b"a decision"


def sign(dealing: Dealing, proof: bool) -> list[SignatureShare]:
    return [key_share.sign_share(MESSAGE, proof=proof) for key_share in dealing.key_shares]


def spoil(dealing: Dealing, share: SignatureShare, factor: int = 4) -> SignatureShare:
    """The share times a square: well-formed, wrong, and with a proof (if any) that no longer fits."""
    value = share.value * factor % dealing.public_key.modulus
    return replace(share, value=min(value, dealing.public_key.modulus - value))


def test_lagrange_coefficients_agree_with_fractions() -> None:
    for parties in range(1, 8):
        for count in range(1, parties + 1):
            for indices in combinations(range(1, parties + 1), count):
                least, coefficients = lagrange_at_zero(indices)
                expected = lagrange(parties, indices)
                assert [Fraction(c * factorial(parties), least) for c in coefficients] == expected
                assert gcd(least, *coefficients) == 1, "the least common denominator"


@given(data=st.data(), parties=st.integers(2, 60))
@STEADY
def test_lagrange_coefficients_interpolate_at_zero(data: st.DataObject, parties: int) -> None:
    indices = data.draw(st.lists(st.integers(1, parties), min_size=1, unique=True))
    polynomial = data.draw(st.lists(st.integers(), min_size=1, max_size=len(indices)))
    values = [sum(a * i**j for j, a in enumerate(polynomial)) for i in indices]
    least, coefficients = lagrange_at_zero(tuple(indices))
    assert sum(c * y for c, y in zip(coefficients, values, strict=True)) == least * polynomial[0]
    assert factorial(parties) % least == 0


@pytest.mark.parametrize("indices", [(0, 1), (1, 1), (-1, 2)])
def test_lagrange_refuses_bad_indices(indices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="distinct indices"):
        lagrange_at_zero(indices)


@pytest.mark.parametrize("bad", range(6))
def test_one_bad_share_among_six_with_proofs_is_left_out(six: Dealing, bad: int) -> None:
    shares = sign(six, proof="compact")
    expected = six.public_key.combine(MESSAGE, shares)
    shares[bad] = spoil(six, shares[bad])
    assert six.public_key.combine(MESSAGE, shares) == expected


@pytest.mark.parametrize("bad", range(5))
def test_one_bad_share_among_five_is_the_culprit(six: Dealing, bad: int) -> None:
    shares = sign(six, proof="compact")[:5]
    shares[bad] = spoil(six, shares[bad])
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, shares)
    assert (failure.value.culprits, failure.value.unproven) == ((bad + 1,), ())
    assert "culprits out" in str(failure.value)


def test_without_proofs_nobody_is_blamed(six: Dealing) -> None:
    shares = sign(six, proof="none")
    shares[2] = spoil(six, shares[2])
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, shares)
    assert (failure.value.culprits, failure.value.unproven) == ((), (1, 2, 3, 4, 5, 6))
    assert "proofs" in str(failure.value)


def test_proofs_decide_and_the_others_stay_undecided(six: Dealing) -> None:
    proven, bare = sign(six, proof="compact"), sign(six, proof="none")
    shares = [spoil(six, proven[0]), proven[1], spoil(six, bare[2]), bare[3], proven[4]]
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, shares)
    assert (failure.value.culprits, failure.value.unproven) == ((1,), (3, 4))


def test_undecided_shares_fill_up_a_quorum_once_the_culprit_is_out(six: Dealing) -> None:
    proven, bare = sign(six, proof="compact"), sign(six, proof="none")
    shares = [spoil(six, proven[0]), *bare[1:]]
    six.public_key.verify(MESSAGE, six.public_key.combine(MESSAGE, shares))


def test_the_proven_ones_are_preferred_to_the_undecided(six: Dealing) -> None:
    shares = sign(six, proof="compact")
    bare = spoil(six, replace(shares[0], proof=None))
    six.public_key.verify(MESSAGE, six.public_key.combine(MESSAGE, [bare, *shares[1:]]))


@pytest.mark.parametrize("value", ["zero", "negative", "modulus", "beyond", "not canonical", "text"])
def test_a_malformed_value_is_left_out_and_blamed(six: Dealing, value: str) -> None:
    shares = sign(six, proof="none")
    modulus = six.public_key.modulus
    values = {
        "zero": 0,
        "negative": -shares[0].value,
        "modulus": modulus,
        "beyond": modulus + shares[0].value,
        "not canonical": modulus - shares[0].value,
        "text": "1",
    }
    malformed = SignatureShare(1, values[value])  # type: ignore[arg-type]
    six.public_key.verify(MESSAGE, six.public_key.combine(MESSAGE, [malformed, *shares[1:]]))
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, [malformed, *shares[1:5]])
    assert (failure.value.culprits, failure.value.unproven) == ((1,), (2, 3, 4, 5))


def test_equal_copies_count_once(six: Dealing) -> None:
    shares = sign(six, proof="none")
    with pytest.raises(NotEnoughShares) as failure:
        six.public_key.combine(MESSAGE, [*shares[:4], *shares[:4]])
    assert (failure.value.needed, failure.value.given) == (5, 4)
    six.public_key.verify(MESSAGE, six.public_key.combine(MESSAGE, [*shares, *shares]))


def test_something_else_than_a_share_is_a_mistake(six: Dealing) -> None:
    with pytest.raises(TypeError, match="SignatureShare"):
        six.public_key.combine(MESSAGE, [b"share"])  # type: ignore[list-item]


def test_a_share_on_another_message_is_a_bad_share(six: Dealing) -> None:
    shares = sign(six, proof="compact")[:5]
    shares[3] = six.key_shares[3].sign_share(b"another decision", proof="compact")
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, shares)
    assert failure.value.culprits == (4,)


def test_a_broken_dealing_is_not_blamed_on_the_members(deal: Deal) -> None:
    """Keys of two dealings under one modulus: every proof holds, and yet nothing combines."""
    first = deal(3, 2, 1)
    key = first.public_key
    squared = pow(key.verification_base, 12345, key.modulus)
    broken = replace(key, verification_keys=(squared, *key.verification_keys[1:]))
    stranger = type(first.key_shares[0])(broken, 1, 12345)
    partner = type(first.key_shares[0])(broken, 2, first.key_shares[1]._secret)
    shares = [share.sign_share(MESSAGE, proof="compact") for share in (stranger, partner)]
    with pytest.raises(CombineFailed, match="check_dealing") as failure:
        broken.combine(MESSAGE, shares)
    assert (failure.value.culprits, failure.value.unproven) == ((), ())


@given(data=st.data())
@STEADY
def test_whatever_one_member_does_the_other_five_sign(six: Dealing, data: st.DataObject) -> None:
    shares = sign(six, proof="compact")
    index = data.draw(st.integers(1, 6))
    value = data.draw(st.integers(-5, six.public_key.modulus + 5))
    with_proof = data.draw(st.booleans())
    shares[index - 1] = SignatureShare(index, value, shares[index - 1].proof if with_proof else None)
    six.public_key.verify(MESSAGE, six.public_key.combine(MESSAGE, shares))


def test_thirty_one_members(deal: Deal) -> None:
    dealing = deal(31, 21, 10)
    shares = sign(dealing, proof="none")
    signature = dealing.public_key.combine(MESSAGE, shares[:21])
    assert dealing.public_key.combine(MESSAGE, shares[10:]) == signature
    assert dealing.public_key.combine(MESSAGE, shares[::2] + shares[1:11:2]) == signature


def test_verify_share_explains_what_is_wrong(six: Dealing) -> None:
    share = six.key_shares[0].sign_share(MESSAGE, proof="compact")
    six.public_key.verify_share(MESSAGE, share)
    with pytest.raises(InvalidShare, match="share 1: it carries no proof"):
        six.public_key.verify_share(MESSAGE, replace(share, proof=None))
    with pytest.raises(InvalidShare, match="does not hold") as failure:
        six.public_key.verify_share(MESSAGE, spoil(six, share))
    assert failure.value.index == 1
