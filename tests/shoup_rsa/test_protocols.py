"""Protocol 1 beside Protocol 2: which sizes each takes, and that both keep the scheme's promises."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidShare,
    Scheme,
    SignatureShare,
    ThresholdPublicKey,
    generate_threshold_key,
    open_key_share,
    seal_key_share,
)
from shoup_rsa.encoding import represent
from shoup_rsa.sizes import PARTIES_MAX, check_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_combining import MESSAGE, sign, spoil
from tests.shoup_rsa.test_encodings import flips

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=300)


@pytest.fixture(scope="module")
def five(deal: Deal) -> Dealing:
    return deal(5, 3, 2, protocol=1)


@given(protocol=st.integers(0, 4), n=st.integers(-2, 9), k=st.integers(-2, 10), t=st.integers(-2, 10))
@STEADY
def test_exactly_the_sizes_of_the_paper_are_accepted(protocol: int, n: int, k: int, t: int) -> None:
    possible = protocol in (1, 2, 3) and n >= 1 and 0 <= t < k <= n - t and (protocol != 1 or k == t + 1)
    if possible:
        check_sizes(protocol, n, k, t, 0)
    else:
        with pytest.raises(InvalidKey):
            check_sizes(protocol, n, k, t, 0)


def test_a_byzantine_quorum_needs_protocol_2() -> None:
    with pytest.raises(InvalidKey, match="use protocol=2"):
        generate_threshold_key(6, 5, 1, 512, protocol=1, insecure_small_key=True)
    for protocol in (0, 4, "1", None, 1.0):
        with pytest.raises(InvalidKey, match="protocol"):
            generate_threshold_key(5, 3, 2, 512, protocol=protocol, insecure_small_key=True)  # type: ignore[arg-type]


def test_the_limit_is_the_public_exponent() -> None:
    assert PARTIES_MAX == 65536
    for protocol in (1, 2):
        check_sizes(protocol, PARTIES_MAX, 3, 2, 0)
        with pytest.raises(InvalidKey, match="below the public exponent 65537"):
            check_sizes(protocol, PARTIES_MAX + 1, 3, 2, 0)


def test_u_belongs_to_protocol_2(five: Dealing, six: Dealing) -> None:
    assert five.public_key.nonresidue is None
    assert six.public_key.nonresidue is not None
    with pytest.raises(InvalidKey, match="no nonresidue"):
        replace(five.public_key, nonresidue=six.public_key.nonresidue)
    with pytest.raises(InvalidKey, match="nonresidue is not in"):
        replace(six.public_key, nonresidue=None)
    with pytest.raises(InvalidKey, match="Protocol 1 is proven"):
        replace(six.public_key, nonresidue=None, protocol=1)


@pytest.mark.parametrize(("parties", "threshold"), [(1, 1), (2, 1), (3, 2), (5, 2), (5, 3), (7, 4)], ids=str)
def test_all_subsets_of_k_members_give_the_same_bytes(deal: Deal, parties: int, threshold: int) -> None:
    dealing = deal(parties, threshold, threshold - 1, protocol=1)
    key = dealing.public_key
    for message in (b"one", b"two", b"three"):
        shares = [share.sign_share(message, proof="compact") for share in dealing.key_shares]
        results = {key.combine(message, subset) for subset in combinations(shares, threshold)}
        assert len(results) == 1
        key.verify(message, results.pop())
        key.verify_shares(message, shares)


def test_protocol_1_leaves_the_message_as_it_is(five: Dealing) -> None:
    key = five.public_key
    for number in range(8):
        x = represent(key, b"%d" % number, Scheme.PKCS1V15_SHA256)
        assert x.value == x.encoded
        assert not x.adjusted
        assert x.base == pow(x.value, 2 * factorial(5), key.modulus)
        assert x.proof_base == pow(x.value, 4 * factorial(5), key.modulus)


def test_culprits_are_named_in_protocol_1_as_well(five: Dealing) -> None:
    for form in ("compact", "batchable"):
        shares = [share.sign_share(MESSAGE, proof=form) for share in five.key_shares]  # type: ignore[arg-type]
        shares[1] = spoil(five, shares[1])
        five.public_key.verify(MESSAGE, five.public_key.combine(MESSAGE, shares))
        with pytest.raises(CombineFailed) as failure:
            five.public_key.combine(MESSAGE, shares[:3])
        assert (failure.value.culprits, failure.value.unproven) == ((2,), ())


def test_the_dealing_of_protocol_1_is_checked(five: Dealing) -> None:
    key = five.public_key
    key.check_dealing()
    for share in five.key_shares:
        share.check()
    for position in range(5):
        keys = list(key.verification_keys)
        keys[position] = keys[position] * 4 % key.modulus
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(key, verification_keys=tuple(keys)).check_dealing()
    # All keys moved alike still lie on one polynomial, but not over the right secret.
    moved = tuple(v * 4 % key.modulus for v in key.verification_keys)
    with pytest.raises(InvalidKey, match="not a dealing"):
        replace(key, verification_keys=moved).check_dealing()


def test_the_same_dealing_is_none_of_the_other_protocol(deal: Deal) -> None:
    one = deal(3, 2, 1, protocol=1).public_key
    two = replace(one, protocol=2, nonresidue=deal(3, 2, 1).public_key.nonresidue)
    assert one.modulus == deal(3, 2, 1).public_key.modulus, "the same seed"
    assert one.key_id != two.key_id
    with pytest.raises(InvalidKey, match="not a dealing"):
        two.check_dealing()


class TestVersion2:
    """The encodings of Protocol 1, and of more than 256 parties."""

    def test_round_trip(self, five: Dealing) -> None:
        key = five.public_key
        assert key.encoding_version == 2
        assert ThresholdPublicKey.from_bytes(key.to_bytes()) == key
        for form in ("none", "compact", "batchable"):
            share = five.key_shares[0].sign_share(MESSAGE, proof=form)  # type: ignore[arg-type]
            data = share.to_bytes(key)
            assert data[0] == 2
            assert len(data) == key.share_length(form)  # type: ignore[arg-type]
            assert SignatureShare.from_bytes(key, data) == share

    def test_every_flipped_bit_of_a_key_is_refused_or_is_visibly_another_key(self, deal: Deal) -> None:
        key = deal(2, 1, 0, protocol=1).public_key
        renamed = 0
        for data in flips(key.to_bytes()):
            try:
                decoded = ThresholdPublicKey.from_bytes(data)
                assert replace(decoded, epoch=key.epoch) == key or decoded.check_dealing() is not None
                assert decoded.key_id != key.key_id
                renamed += 1
            except InvalidKey:
                pass
        assert renamed == 64, "the epoch's bits"

    def test_every_flipped_bit_of_a_proven_share_is_refused(self, five: Dealing) -> None:
        data = five.key_shares[3].sign_share(MESSAGE, proof="compact").to_bytes(five.public_key)
        for wrong in flips(data):
            with pytest.raises(InvalidShare):
                five.public_key.verify_share(MESSAGE, SignatureShare.from_bytes(five.public_key, wrong))

    def test_a_share_of_the_other_version_is_refused(self, five: Dealing, six: Dealing) -> None:
        with pytest.raises(InvalidShare, match="bytes"):
            SignatureShare.from_bytes(five.public_key, sign(six, "none")[0].to_bytes(six.public_key))

    def test_a_sealed_key_share(self, five: Dealing) -> None:
        pem = seal_key_share(five.key_shares[4], b"p", scrypt_cost=2**10)
        opened = open_key_share(pem, b"p")
        assert (opened.index, opened.public_key) == (5, five.public_key)
