"""A share speaks about itself and never about its maker: why nothing may be held against a member for one.

Any k members together know everybody's share, exactly. What they then make in the name of another is what
that member would make, proof and all. And a share without a proof can be made in anybody's name by anybody,
wrong or right. So a share convicts a member only where the member signed for it with a key of its own, and
even then only by a proof that does not hold; who sent a share is for the caller's channel to say.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd, prod

import pytest
from sympy import nextprime

from shoup_rsa import (
    CombineFailed,
    Evidence,
    InvalidShare,
    InvalidShares,
    KeyShare,
    Proof,
    SignatureShare,
    SigningSession,
    combine_trials,
    open_key_share,
    seal_key_share,
    sign_trials,
)
from shoup_rsa.redistribution import ReceiverKey, paillier
from shoup_rsa.scheme import Scheme
from shoup_rsa.sizes import delta
from tests.shoup_rsa.board import hand_on, same_sizes
from tests.shoup_rsa.conftest import Deal

MESSAGE = b"what a member never signed"


def weights(chosen: Sequence[int], at: int) -> list[Fraction]:
    """Lagrange's coefficients: f(at) = sum of weight times f(j)."""
    return [prod((Fraction(at - i, j - i) for i in chosen if i != j), start=Fraction(1)) for j in chosen]


def factors(shares: Sequence[KeyShare]) -> tuple[int, int]:
    """p and q, by k shares of Protocol 1 or 2: e d - 1 is a multiple of m, and the rest is Miller's."""
    key = shares[0].public_key
    whole = delta(key.parties)
    total = sum(
        int(whole * weight) * share._secret
        for weight, share in zip(weights([s.index for s in shares], 0), shares, strict=True)
    )
    # n! d in Protocol 1, d in Protocol 2.
    multiple = abs(key.public_exponent * total - (whole if key.protocol == 1 else 1)) * 2
    odd = multiple // (multiple & -multiple)
    for base in (2, 3, 5, 7, 11):
        root = pow(base, odd, key.modulus)
        while root not in (1, key.modulus - 1):
            root, before = root * root % key.modulus, root
            if root == 1:
                found = gcd(before - 1, key.modulus)
                return found, key.modulus // found
    raise AssertionError("half of all bases find them")


def stolen(shares: Sequence[KeyShare], index: int) -> KeyShare:
    """The share of another member, by k colluders and arithmetic."""
    key = shares[0].public_key
    here = weights([share.index for share in shares], index)
    if key.form is not None:
        secret = sum(weight * share._secret for weight, share in zip(here, shares, strict=True))
        assert secret.denominator == 1
        return KeyShare(key, index, int(secret))
    p, q = factors(shares)
    order = (p // 2) * (q // 2)
    terms = (
        weight.numerator * pow(weight.denominator, -1, order) * share._secret
        for weight, share in zip(here, shares, strict=True)
    )
    return KeyShare(key, index, sum(terms) % order)


@pytest.mark.parametrize("protocol", [1, 2, 3])
def test_k_colluders_have_everybodys_share_to_the_last_bit(protocol: int, deal: Deal) -> None:
    dealing = deal(5, 3, 2, protocol=protocol)
    key = dealing.public_key
    for colluders, victim in (((1, 2, 3), 5), ((2, 4, 5), 1), ((1, 3, 5), 4)):
        share = stolen([dealing.key_shares[index - 1] for index in colluders], victim)
        assert share._secret == dealing.key_shares[victim - 1]._secret
        share.check()
        for form in ("none", "compact", "batchable"):
            framed = share.sign_share(MESSAGE, proof=form)  # type: ignore[arg-type]
            own = dealing.key_shares[victim - 1].sign_share(MESSAGE)
            assert (framed.index, framed.value) == (victim, own.value)
            if form != "none":
                key.verify_share(MESSAGE, framed)
        assert open_key_share(seal_key_share(share, b"p", scrypt_cost=2**10), b"p", key).index == victim


def test_fewer_than_k_have_not(deal: Deal) -> None:
    """By the same arithmetic: two points say nothing about a polynomial of degree 2."""
    dealing = deal(5, 3, 2, protocol=3)
    two = dealing.key_shares[:2]
    guess = sum(w * share._secret for w, share in zip(weights([1, 2], 5), two, strict=True))
    assert guess != dealing.key_shares[4]._secret


def test_after_a_redistribution_it_is_the_same(deal: Deal) -> None:
    """Nor do new shares protect from k colluders; but old ones do not help with new ones."""
    dealing = deal(4, 3, 1, protocol=3)
    _, shares = hand_on(same_sizes(dealing.public_key), dealing.key_shares[:3])
    assert stolen(shares[1:], 1)._secret == shares[0]._secret
    mixed = (*shares[:2], dealing.key_shares[2])
    guess = sum(w * share._secret for w, share in zip(weights([1, 2, 3], 4), mixed, strict=True))
    assert guess != shares[3]._secret


def test_anybody_makes_a_bare_share_in_anybodys_name(deal: Deal) -> None:
    """Without any secret; it cannot be told from the victim's own."""
    dealing = deal(5, 3, 2)
    key = dealing.public_key
    framed = SignatureShare(4, 12345)
    with pytest.raises(InvalidShare, match="no proof, so nothing can be said"):
        key.verify_share(MESSAGE, framed)
    for share in (framed, dealing.key_shares[3].sign_share(MESSAGE)):
        evidence = Evidence(
            4, MESSAGE, Scheme.PKCS1V15_SHA256, share, "the proof of correctness does not hold"
        )
        with pytest.raises(ValueError, match="not proven bad"):
            evidence.check(key)


def test_and_a_false_proof_too(deal: Deal) -> None:
    """It convicts the share by its own bytes. Whoever made it needed no secret."""
    key = deal(5, 3, 2).public_key
    framed = SignatureShare(4, 12345, Proof(1, 2))
    Evidence(4, MESSAGE, Scheme.PKCS1V15_SHA256, framed, "").check(key)


def test_nor_can_a_receiver_show_what_a_dealer_sent_it() -> None:
    """Why an over-long subshare is no evidence, though its receiver sees it.

    An opening (y, r) of a ciphertext, ct = (1 + n y) r^n, looks binding. It is not where the receiver made
    n = p^2 q, which nobody can tell from a right modulus: it opens an honest ciphertext to other numbers.
    """
    p, q = int(nextprime(7 << 253)), int(nextprime(3 << 254))
    n = p * p * q
    root = n - 9  # -x^2
    key = ReceiverKey(n, pow(root, n, n * n))
    honest, randomizer = 12345, 67890
    ciphertext = paillier.encrypt(n, key.generator, honest, randomizer)

    def opens(number: int, opening: int) -> bool:
        return (1 + n * number) * pow(opening, n, n * n) % (n * n) == ciphertext

    assert opens(honest, pow(root, randomizer, n * n))
    for k in (1, 77):
        # w^n = 1 + n (k p q), by w = 1 + k p q modulo p^4 and w = 1 modulo q^2.
        w = 1 + q * q * (k * p * q * pow(q, -2, p**4) % p**4)
        huge = honest + k * p * q
        assert huge >> 500
        assert opens(huge, pow(root, randomizer, n * n) * pow(w, -1, n * n))


@pytest.mark.parametrize("seed", range(40))
def test_no_function_names_a_maker_for_a_share_without_proof(seed: int, deal: Deal) -> None:
    """Right and wrong shares, with and without proofs: only what carries a wrong proof is ever a culprit."""
    dice = random.Random(seed)
    dealing = deal(7, 5, 2, protocol=dice.choice((2, 3)))
    key = dealing.public_key
    shares, guilty, bare, wrong = [], set(), set(), set()
    for key_share in dealing.key_shares:
        form = dice.choice(("none", "compact", "batchable"))
        share = key_share.sign_share(MESSAGE, proof=form)  # type: ignore[arg-type]
        if form == "none":
            bare.add(share.index)
        if dice.random() < 0.4:
            share = replace(share, value=share.value // 3 + 1)
            wrong.add(share.index)
            if form != "none":
                guilty.add(share.index)
        shares.append(share)
    with pytest.raises(InvalidShares) as judged:
        key.verify_shares(MESSAGE, shares)
    assert {culprit.index for culprit in judged.value.culprits} == guilty
    assert set(judged.value.unproven) == bare
    try:
        key.combine(MESSAGE, shares)
    except CombineFailed as error:
        assert (set(error.culprits), set(error.unproven)) == (guilty, bare)  # noqa: PT017
    session = SigningSession(key, MESSAGE)
    for share in dice.sample(shares, len(shares)):
        session.add(share)
        assert set(session.culprits) <= guilty
        assert {evidence.index for evidence in session.evidence} == set(session.culprits)
        assert set(session.unproven) <= bare


def test_nor_do_trials(deal: Deal) -> None:
    dealing = deal(4, 3, 1)
    made = [sign_trials(share) for share in dealing.key_shares]
    made[1] = tuple(replace(share, value=share.value // 2, proof=None) for share in made[1])
    with pytest.raises(CombineFailed) as error:
        combine_trials(dealing.public_key, made[:3])
    assert (error.value.culprits, error.value.unproven) == ((), (2,))
