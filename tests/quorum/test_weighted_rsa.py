"""One RSA signature of members that hold several shares each."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from random import Random
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

import shoup_rsa
from quorum import AcceptedStatement, CombineFailed, Context, Endorsement, InvalidEndorsement
from quorum.faults import FaultStructure, members_of, weight_of
from quorum.system import CLASSIC, LEAN
from quorum.threshold_rsa import InvalidAgreementKey, ThresholdRsaEndorser, ThresholdRsaScheme
from quorum.weighted import WeightedQuorums, equal_weights
from quorum.weighted_rsa import Places, WeightedRsaEndorser, WeightedRsaScheme, deal_weighted_key
from shoup_rsa import dealer
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.primes import SAFE_PRIMES_1024

CONTEXT = Context(b"\x07" * 32, 3)
STATEMENT = AcceptedStatement(0, 9, b"\x01" * 32)
MESSAGE = STATEMENT.encode(CONTEXT)
GROUPS = ((0, 1), (2,), (3, 4), (5,))


def quorums_of(profile: str = LEAN) -> WeightedQuorums:
    """Any one of four organisations; who runs one machine weighs as much as two of another."""
    return WeightedQuorums(FaultStructure.organisations(GROUPS), equal_weights(GROUPS), profile)


QUORUMS = quorums_of()


@pytest.fixture(scope="module")
def endorsers() -> tuple[WeightedRsaEndorser, ...]:
    whole = sum(QUORUMS.weights)
    dealing = shoup_rsa.generate_threshold_key(
        whole, QUORUMS.decision, 2, 512, epoch=1, insecure_small_key=True
    )
    held = [ThresholdRsaEndorser(share) for share in dealing.key_shares]
    places = Places(QUORUMS.weights)
    return tuple(WeightedRsaEndorser(me, [held[place] for place in places.of(me)]) for me in range(6))


@pytest.fixture(scope="module")
def scheme(endorsers: tuple[WeightedRsaEndorser, ...]) -> WeightedRsaScheme:
    return WeightedRsaScheme(ThresholdRsaScheme(endorsers[0].key, CONTEXT), QUORUMS.weights)


@pytest.fixture(scope="module")
def made(endorsers: tuple[WeightedRsaEndorser, ...]) -> list[Endorsement]:
    return [
        Endorsement(STATEMENT, me, one.endorse(MESSAGE, proven=False)) for me, one in enumerate(endorsers)
    ]


@pytest.fixture(scope="module")
def proven(endorsers: tuple[WeightedRsaEndorser, ...]) -> list[Endorsement]:
    return [Endorsement(STATEMENT, me, e.endorse(MESSAGE, proven=True)) for me, e in enumerate(endorsers)]


def spoilt(endorsement: Endorsement, share: int, weight: int) -> Endorsement:
    """With another value in one of its shares, in its last byte before any proof; the form stays right."""
    length = len(endorsement.signature) // weight
    data = bytearray(endorsement.signature)
    data[share * length + 40] ^= 1
    return replace(endorsement, signature=bytes(data))


def just_without(member: int, all_of_them: list[Endorsement]) -> list[Endorsement]:
    """Others, who decide with this member and not without it."""
    for mask in range(64):
        if not mask >> member & 1 and not QUORUMS.decides(mask) and QUORUMS.decides(mask | 1 << member):
            return [all_of_them[one] for one in members_of(mask)]
    raise AssertionError("nobody is needed")


def test_the_members_of_each_place() -> None:
    dice = Random(1)
    for _ in range(20):
        weights = [dice.randint(1, 5) for _ in range(dice.randint(1, 9))]
        places = Places(weights)
        ends = list(accumulate(weights))
        assert places.count == ends[-1]
        taken = [place for member in range(len(weights)) for place in places.of(member)]
        assert taken == list(range(places.count))
        some = dice.sample(taken, dice.randint(1, len(taken)))
        assert places.owners(some) == tuple(
            sorted({next(member for member, end in enumerate(ends) if place < end) for place in some})
        )


def test_all_sets_that_decide_make_one_signature_and_no_others_do(
    scheme: WeightedRsaScheme, made: list[Endorsement]
) -> None:
    signatures = set()
    for mask in range(1, 64):
        chosen = [made[member] for member in members_of(mask)]
        if QUORUMS.decides(mask):
            signatures.add(scheme.combine(chosen))
        else:
            assert weight_of(mask, QUORUMS.weights) < scheme.threshold
            with pytest.raises(ValueError, match=r"\d members are needed"):
                scheme.combine(chosen)
    (signature,) = signatures
    public = load_pem_public_key(scheme.key.to_pem())
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, MESSAGE, padding.PKCS1v15(), SHA256())
    scheme.verify(MESSAGE, signature)


def test_one_bad_share_is_the_members(
    scheme: WeightedRsaScheme, made: list[Endorsement], proven: list[Endorsement]
) -> None:
    """Whichever it is: unproven it is asked for a proof, and then it is named; others do without it."""
    for member in (0, 2, 5):
        weight = QUORUMS.weights[member]
        for share in range(weight):
            bad = spoilt(made[member], share, weight)
            rest = just_without(member, made)
            with pytest.raises(CombineFailed) as caught:
                scheme.combine([bad, *rest])
            assert (caught.value.culprits, member in caught.value.unproven) == ((), True)
            lie = spoilt(proven[member], share, weight)
            with pytest.raises(CombineFailed) as caught:
                scheme.combine([lie, *(proven[one.member] for one in rest)])
            assert (caught.value.culprits, caught.value.unproven) == ((member,), ())
            with pytest.raises(InvalidEndorsement) as refused:
                scheme.verify_endorsement(lie)
            assert refused.value.member == member
            others = [one for one in proven if one.member != member]
            if QUORUMS.decides(63 & ~(1 << member)):
                scheme.verify(MESSAGE, scheme.combine([lie, *others]))
    for one in proven:
        assert scheme.verify_endorsement(one).endorsement == one
    with pytest.raises(InvalidEndorsement, match="no proof"):
        scheme.verify_endorsement(made[2])


def test_what_is_not_a_members_own_shares_is_refused(
    scheme: WeightedRsaScheme, proven: list[Endorsement]
) -> None:
    own, length = proven[2], len(proven[2].signature) // 2
    first, second = own.signature[:length], own.signature[length:]
    for signature in (
        b"",
        first,
        own.signature + first,
        own.signature[:-1],
        second + first,  # in another order
        first + first,  # one share twice
        first + proven[5].signature[length:],  # another member's
        proven[3].signature + proven[4].signature,
    ):
        wrong = replace(own, signature=signature)
        with pytest.raises(InvalidEndorsement) as refused:
            scheme.verify_endorsement(wrong)
        assert refused.value.member == 2
        with pytest.raises(CombineFailed) as caught:
            scheme.combine([wrong, *proven[3:]])
        assert caught.value.culprits == (2,)
    for member in (-1, 6):
        with pytest.raises(InvalidEndorsement, match="there is no such member"):
            scheme.verify_endorsement(replace(own, member=member))


def test_shares_that_do_not_belong_together_are_no_members(
    scheme: WeightedRsaScheme, endorsers: tuple[WeightedRsaEndorser, ...]
) -> None:
    one, other = endorsers[2]._shares
    for shares in ([], [other, one], [one, one], [one, endorsers[5]._shares[0]]):
        with pytest.raises(InvalidAgreementKey, match="one after the other"):
            WeightedRsaEndorser(2, shares)
    with pytest.raises(InvalidAgreementKey, match="has 8 shares, and the members weigh 6"):
        WeightedRsaScheme(ThresholdRsaScheme(scheme.key, CONTEXT), (1,) * 6)


@pytest.mark.parametrize("profile", [LEAN, CLASSIC])
def test_the_engine_certifies_with_shares_by_weight(profile: str) -> None:
    """Keys of real size: an organisation of two machines, or that of one with two shares, is missed."""
    groups = GROUPS if profile == LEAN else (*GROUPS, (6,), (7,))
    quorums = WeightedQuorums(FaultStructure.organisations(groups), equal_weights(groups), profile)
    with patch.object(dealer, "_two_safe_primes", lambda *_: SAFE_PRIMES_1024[:2]):
        key, shares = deal_weighted_key(quorums, 2048, 0)
    context = Context(b"\x07" * 32, 0)
    scheme = WeightedRsaScheme(ThresholdRsaScheme(key, context), quorums.weights)
    cluster = Cluster(quorums, seed=1, scheme=scheme, endorsers=list(shares))
    at = quorums.member_count - 1
    cluster.crash(2)
    cluster.submit(at, submission(1, 0))
    cluster.settle(beats=3)
    check_all(cluster)
    certificate = cluster.members[at].certificates[-1]
    load_pem_public_key(key.to_pem()).verify(  # type: ignore[union-attr, call-arg]
        certificate.signature, certificate.statement.encode(context), padding.PKCS1v15(), SHA256()
    )
