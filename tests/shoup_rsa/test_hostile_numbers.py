"""Attacks on keys that live, which must go on failing: odd numbers of dealers, members and receivers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest

import shoup_rsa
from shoup_rsa import InvalidShares, ShoupError, SigningSession, _arith
from shoup_rsa.proof import BatchableProof, Proof
from shoup_rsa.redistribution import (
    InvalidDealing,
    ReceiverKey,
    Redistribution,
    SealedSubshare,
    conclude,
    judge,
    receive,
    verify_dealing,
)
from shoup_rsa.redistribution.transcript import subshare_challenge
from shoup_rsa.redistribution.verdict import images
from tests.shoup_rsa.board import Lie, deals, lying, open_to_all, receiver, same_sizes
from tests.shoup_rsa.composites import composite
from tests.shoup_rsa.conftest import Deal

MESSAGE = b"what a quorum signs"


@pytest.fixture
def arena(deal: Deal) -> Redistribution:
    return open_to_all(same_sizes(deal(4, 3, 1, protocol=3).public_key))


@pytest.fixture
def backends() -> Iterator[tuple[str, ...]]:
    yield ("gmpy2", "auto")
    shoup_rsa.use_backend("auto")


def test_replicas_with_different_backends_give_the_same_verdicts(
    arena: Redistribution, deal: Deal, backends: tuple[str, ...]
) -> None:
    """To the letter: the reason is in the log of each of them."""
    dice = random.Random(5)
    posted = deals(arena, deal(4, 3, 1, protocol=3).key_shares[:2])
    for dealer, data in posted[:2] * 20:
        altered = bytearray(data)
        altered[dice.randrange(60, len(altered))] ^= 1 << dice.randrange(8)
        posted.append((dealer, bytes(altered)))

    def verdicts() -> Iterator[str]:
        for dealer, data in posted:
            try:
                verify_dealing(arena, dealer, data)
                yield "valid"
            except InvalidDealing as error:
                yield str(error)

    first, second = (list(verdicts()) for backend in backends if shoup_rsa.use_backend(backend))
    assert first == second
    assert first.count("valid") == 2


def test_receivers_whose_moduli_are_related_harm_nobody(arena: Redistribution, deal: Deal) -> None:
    """One has a prime of another receiver's modulus, one has N as a factor: dealings hold, shares arrive."""
    order = arena.order
    secrets = [receiver(order.receiver_bits, number) for number in (1, 2, 3, 4)]
    stolen, modulus = secrets[0]._first, order.key.modulus
    highest = (1 << order.receiver_bits) - 1
    related = (stolen * _prime_below(highest // stolen), modulus * _prime_below(highest // modulus))
    keys = (secrets[0].key, secrets[1].key, *(ReceiverKey(number, 5) for number in related))
    redistribution = Redistribution(order, keys)
    judgement = judge(redistribution, deals(redistribution, deal(4, 3, 1, protocol=3).key_shares))
    assert len(judgement.valid) == 4
    outcome = conclude(redistribution, judgement.valid)
    assert outcome is not None
    for index in (1, 2):
        receive(outcome, index, secrets[index - 1])


def test_a_negated_ciphertext_may_pass_and_says_the_same(arena: Redistribution, deal: Deal) -> None:
    """-1 has order 2 modulo n^2: with an even challenge the proof does not see it, nor does the receiver."""
    share = deal(4, 3, 1, protocol=3).key_shares[0]
    honest, order = lying(arena, share, Lie()), arena.order
    target, secret = arena.receivers[1], receiver(order.receiver_bits, 2)
    n, square = target.modulus, target.modulus**2
    subshare = secret.decrypt(honest.subshares[1].ciphertext)
    base = arena.base(1, honest.remainder, honest.image, honest.commitments)
    visible = images(arena, honest.image, honest.commitments)[1]
    ciphertext = -(1 + n * subshare) * target.generator % square
    for cover in count(1 << order.subshare_bits + 200):
        commitments = (
            pow(order.key.verification_base, cover, order.key.modulus),
            (1 + n * cover) * target.generator % square,
        )
        x = subshare_challenge(base, 2, ciphertext, visible, commitments)
        made = SealedSubshare(ciphertext, x, cover + x * subshare, 1 + x)
        subshares = (honest.subshares[0], made, *honest.subshares[2:])
        data = replace(honest, subshares=subshares).to_bytes(arena)
        if x % 2 == 0:
            break
        with pytest.raises(InvalidDealing, match="subshare for receiver 2"):
            verify_dealing(arena, 1, data)
    verify_dealing(arena, 1, data)
    assert secret.decrypt(ciphertext) == subshare


def test_no_object_in_place_of_a_composite_share_breaks_more_than_itself() -> None:
    dealing = composite(4, 3, 1, factors=2)
    key, dice = dealing.public_key, random.Random(7)
    shares = [share.sign_share(MESSAGE, proof="compact") for share in dealing.key_shares[1:]]
    whole = [
        dealing.key_shares[0].sign_share(MESSAGE, proof=form) for form in ("none", "compact", "batchable")
    ]
    expected = key.combine(MESSAGE, shares)
    proof, longer = Proof(1, 2), BatchableProof(1, 2, 3)
    junk: tuple[object, ...] = (
        None,
        0,
        -1,
        True,
        1.0,
        "x",
        b"",
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        [1, 2],
        {},
        1 << 5000,
    )
    junk += (key.modulus, (0, 0), (None, None), proof, (proof, proof), (proof, longer), (longer, longer))
    junk += ((Proof(-1, 1 << 9000), proof), (Proof(True, 1), proof))
    for _ in range(400):
        names = dice.sample(("index", "value", "proof"), dice.randrange(1, 4))
        bad = replace(dice.choice(whole), **{name: dice.choice(junk) for name in names})  # type: ignore[arg-type]
        with suppress(ShoupError):
            assert key.combine(MESSAGE, [bad, *shares]) == expected
        session = SigningSession(key, MESSAGE)
        with suppress(ShoupError):
            session.add(bad)
        if bad.index == 1:
            assert [session.add(share) for share in shares][-1] == expected
        with suppress(ShoupError, InvalidShares):
            key.verify_shares(MESSAGE, [bad])


def _prime_below(number: int) -> int:
    odd = number | 1
    return next(odd - 2 * step for step in count(1) if _arith.is_prime(odd - 2 * step, ()))
