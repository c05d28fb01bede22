"""The first signatures under a key: a modulus under which e has no inverse makes none."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from math import factorial, gcd

import pytest
from sympy import isprime

import shoup_rsa
from quorum import statement
from shoup_rsa import (
    BadFactor,
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidShare,
    InvalidSignature,
    KeyShare,
    NotEnoughShares,
    Scheme,
    SignatureShare,
    ThresholdPublicKey,
)
from shoup_rsa.redistribution import Order
from shoup_rsa.trials import (
    TRIAL_PREFIX,
    TRIALS,
    check_trials,
    combine_trials,
    sign_trials,
    trial_messages,
    trial_scheme,
)
from tests.shoup_rsa.board import hand_on
from tests.shoup_rsa.composites import compose, factor
from tests.shoup_rsa.conftest import Deal

E = 65537


@pytest.fixture(scope="module")
def six(deal: Deal) -> Dealing:
    """Long enough for PSS."""
    return deal(6, 5, 1, key_size=640)


@pytest.fixture(scope="module")
def made(six: Dealing) -> list[tuple[SignatureShare, ...]]:
    return [sign_trials(share) for share in six.key_shares]


@cache
def spoilt_primes(bits: int) -> tuple[int, int]:
    """p = 2 p' + 1 with p' = e r for a prime r, and a safe prime q: p q passes for a modulus."""
    dice = random.Random(8)

    def odd(length: int) -> int:
        return dice.getrandbits(length - 4) | 15 << length - 4 | 1

    while True:
        r = odd(bits // 2 - 17)
        p = 2 * E * r + 1
        if p % 12 == 11 and isprime(r) and isprime(p):
            break
    while True:
        half = odd(bits // 2 - 1)
        if half % 6 == 5 and isprime(half) and isprime(2 * half + 1):
            return p, 2 * half + 1


@cache
def spoilt_dealing(parties: int, threshold: int, bits: int = 640) -> Dealing:
    """By a dealer that wants to get through: v is an e-th power, and d inverts e where that can be done."""
    dice = random.Random(9)
    p, q = spoilt_primes(bits)
    n, m = p * q, (p // 2) * (q // 2)
    d = pow(E, -1, m // E)
    coefficients = [d, *(dice.randrange(m) for _ in range(threshold - 1))]
    scale = pow(factorial(parties), -1, m)
    secrets = [scale * sum(a * i**r for r, a in enumerate(coefficients)) % m for i in range(1, parties + 1)]
    v = pow(dice.randrange(n), 2 * E, n)
    u = next(number for number in range(2, 100) if _symbol(number, p, q) < 0)
    key = ThresholdPublicKey(
        n, E, parties, threshold, 1, 0, v, tuple(pow(v, secret, n) for secret in secrets), u
    )
    shares = tuple(KeyShare(key, index, secret) for index, secret in enumerate(secrets, start=1))
    return Dealing(key, shares)


def _symbol(u: int, p: int, q: int) -> int:
    return (1 if pow(u, p // 2, p) == 1 else -1) * (1 if pow(u, q // 2, q) == 1 else -1)


def test_a_modulus_with_e_in_p_minus_1_is_refused() -> None:
    """Everything else holds: sizes, check_dealing, each share's check, every proof."""
    dealing = spoilt_dealing(4, 3)
    key, shares = dealing.public_key, dealing.key_shares
    key.check_dealing()
    for share in shares:
        share.check()
    made = [sign_trials(share) for share in shares]
    for message, *row in zip(trial_messages(key), *made, strict=True):
        key.verify_shares(message, row, trial_scheme(key))
    with pytest.raises(InvalidKey, match="whoever made it must make another one"):
        combine_trials(key, made)
    with pytest.raises(InvalidKey, match="whoever made it"):
        check_trials(key, [bytes(key.signature_length - 1) + b"\1"] * TRIALS)


def test_handed_on_it_is_refused_still() -> None:
    dealing = spoilt_dealing(4, 3)
    key, shares = dealing.public_key, dealing.key_shares
    later, new_shares = hand_on(Order(key, 4, 3, 1, 4, 0, b""), shares[:3])
    with pytest.raises(InvalidKey, match="whoever made it"):
        combine_trials(later, [sign_trials(share) for share in new_shares[:3]])


def test_a_spoilt_factor_of_a_composite_key_is_named() -> None:
    """One trial for all factors together. The shares of the good one are right, too."""
    honest = factor(4, 3, 1, 2, key_size=640)
    dealing = compose([honest, spoilt_dealing(4, 3)])
    key = dealing.public_key
    key.check_dealing()
    made = [sign_trials(share) for share in dealing.key_shares]
    with pytest.raises(BadFactor, match=r"modulo factor \[2\]") as error:
        combine_trials(key, made)
    assert (error.value.factors, error.value.culprits, error.value.unproven) == ((2,), (), ())
    with pytest.raises(InvalidKey, match="whoever made it"):
        check_trials(key, [bytes(key.signature_length - 1) + b"\1"] * TRIALS)
    good = compose([factor(4, 3, 1, place, key_size=640) for place in (1, 2)])
    signatures = combine_trials(good.public_key, map(sign_trials, good.key_shares[1:]))
    check_trials(good.public_key, signatures)


def test_such_a_modulus_has_roots_of_one_number_in_e() -> None:
    """Why each trial counts: the signatures that there are, there are e times."""
    key = spoilt_dealing(4, 3).public_key
    root = 12345
    encoded = pow(root, E, key.modulus)
    p, _ = spoilt_primes(640)
    q = key.modulus // p
    unity = next(z for g in range(2, 9) if (z := pow(g, (p - 1) // E, p)) != 1)
    other = root * (1 + q * (pow(q, -1, p) * (unity - 1) % p)) % key.modulus
    assert other != root
    assert pow(other, E, key.modulus) == encoded
    assert gcd(E, p - 1) == E


def test_an_honest_key_passes_whoever_signs(six: Dealing, made: list[tuple[SignatureShare, ...]]) -> None:
    key = six.public_key
    signatures = combine_trials(key, made[:5])
    assert signatures == combine_trials(key, made[:0:-1])
    check_trials(key, signatures)
    for message, signature in zip(trial_messages(key), signatures, strict=True):
        key.verify(message, signature, Scheme.PSS_SHA256)


@pytest.mark.parametrize("protocol", [1, 2, 3])
def test_every_form_of_key_passes(protocol: int, deal: Deal) -> None:
    """At 512 bits too, by another scheme, for there is no room for PSS."""
    for bits, scheme in ((512, Scheme.PKCS1V15_SHA256), (640, Scheme.PSS_SHA256)):
        dealing = deal(4, 2, 1, protocol=protocol, key_size=bits)
        key = dealing.public_key
        assert trial_scheme(key) is scheme
        check_trials(key, combine_trials(key, map(sign_trials, dealing.key_shares[2:])))


def test_whose_shares_are_wrong(six: Dealing, made: list[tuple[SignatureShare, ...]]) -> None:
    """A liar is named, and leaving it out is enough: a key is not refused because of one."""
    key = six.public_key
    bare = tuple(replace(share, value=share.value // 2, proof=None) for share in made[1])
    for at in (0, 7):
        wrong = list(made[2])
        wrong[at] = replace(wrong[at], value=wrong[at].value // 2)
        with pytest.raises(CombineFailed) as error:
            combine_trials(key, [wrong, *made[3:], made[0]])
        assert (error.value.culprits, error.value.unproven) == ((3,), ())
    with pytest.raises(CombineFailed) as error:
        combine_trials(key, [*made[2:], bare])
    assert (error.value.culprits, error.value.unproven) == ((), (2,))
    check_trials(key, combine_trials(key, [wrong, *made[:2], *made[3:]]))


def test_what_are_no_trial_shares(six: Dealing, made: list[tuple[SignatureShare, ...]]) -> None:
    key = six.public_key
    with pytest.raises(NotEnoughShares):
        combine_trials(key, made[:4])
    with pytest.raises(NotEnoughShares):
        combine_trials(key, [])
    mixed = (*made[0][:7], made[1][7])
    for row, index in (
        (made[0][:7], 1),
        (made[0] * 2, 1),
        ((), None),
        (mixed, 1),
        ((made[1][0], *made[0][1:]), 2),
    ):
        with pytest.raises(InvalidShare, match="8 trial shares, all of its own index") as error:
            combine_trials(key, [row, *made[1:]])
        assert error.value.index == index
    with pytest.raises(InvalidShare, match="two different shares"):
        combine_trials(key, [*made, made[0][::-1]])
    # In another order they are shares of other messages.
    with pytest.raises(CombineFailed) as failed:
        combine_trials(key, [made[0][::-1], *made[1:5]])
    assert failed.value.culprits == (1,)


def test_what_are_no_trial_signatures(
    six: Dealing, made: list[tuple[SignatureShare, ...]], deal: Deal
) -> None:
    key = six.public_key
    signatures = combine_trials(key, made)
    for wrong in (
        signatures[:7],
        (*signatures, signatures[0]),
        (),
        signatures[::-1],
        (*signatures[:7], signatures[0]),
        (*signatures[:7], b""),
        (*signatures[:7], bytes(key.signature_length)),
    ):
        with pytest.raises(InvalidKey):
            check_trials(key, wrong)
    with pytest.raises(InvalidKey):
        check_trials(deal(6, 5, 1, seed=2, key_size=640).public_key, signatures)
    with pytest.raises(TypeError):
        check_trials(key, ["8"] * TRIALS)  # type: ignore[list-item]


def test_the_messages_follow_from_all_of_the_key(six: Dealing) -> None:
    """Another v, v_i, epoch or size: other messages. Else a maker could choose what it is tried with."""
    key = six.public_key
    squares = [pow(number, 2, key.modulus) for number in key.verification_keys]
    others = (
        replace(key, verification_base=pow(key.verification_base, 2, key.modulus)),
        replace(key, verification_keys=(*key.verification_keys[:5], squares[5])),
        replace(key, epoch=1),
        replace(key, threshold=4),
    )
    sets = [frozenset(trial_messages(k)) for k in (key, *others)]
    assert all(len(messages) == TRIALS == 8 for messages in sets)
    assert len(frozenset().union(*sets)) == 8 * 5
    assert trial_messages(key)[7] == b"shoup-rsa/v1/trial\x00" + key.key_id + b"\x08"


def test_nothing_else_that_is_signed_looks_like_a_trial() -> None:
    """No statement's prefix is a beginning of a trial's, or the other way round; tokens have no 00."""
    assert not TRIAL_PREFIX.startswith(statement.PREFIX)
    assert not statement.PREFIX.startswith(TRIAL_PREFIX)
    assert b"\0" in TRIAL_PREFIX
    assert TRIAL_PREFIX[0] not in (0x30, 0)  # the DER of a certificate, and the length in front of an SSH one


def test_a_trial_signature_is_none_of_the_usual_scheme(
    six: Dealing, made: list[tuple[SignatureShare, ...]]
) -> None:
    key = six.public_key
    for message, signature in zip(trial_messages(key), combine_trials(key, made), strict=True):
        for scheme in (Scheme.PKCS1V15_SHA256, Scheme.PKCS1V15_SHA384):
            with pytest.raises(InvalidSignature):
                key.verify(message, signature, scheme)


def test_a_message_that_meets_a_factor_refuses_the_key(deal: Deal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A maker's modulus may have a factor of a few dozen bits."""
    dealing = deal(4, 3, 1, key_size=640)
    monkeypatch.setattr(shoup_rsa._arith, "jacobi", lambda *_: 0)
    with pytest.raises(InvalidKey, match="common factor"):
        sign_trials(dealing.key_shares[0])


def test_real_size(real: Dealing) -> None:
    key = real.public_key
    check_trials(key, combine_trials(key, [sign_trials(share) for share in real.key_shares[1:]]))
