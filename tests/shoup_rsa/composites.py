"""Composite keys for the tests: small ones, dealt once, and ones of real size from primes on file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from shoup_rsa import (
    AnyKeyShare,
    CompositeKeyShare,
    CompositePublicKey,
    Dealing,
    PublicKey,
    dealer,
    generate_threshold_key,
)
from shoup_rsa.composite import redistribution as handing_on
from shoup_rsa.redistribution import VerifiedDealing
from shoup_rsa.redistribution.verdict import images
from tests.shoup_rsa.board import CONTEXT, Lie, lying, receiver
from tests.shoup_rsa.conftest import deal_once
from tests.worlds.primes import SAFE_PRIMES_1024

_ON_FILE = json.loads((Path(__file__).parent / "vectors" / "safe_primes.json").read_text())
PRIMES: dict[int, tuple[int, ...]] = {
    1024: SAFE_PRIMES_1024,
    2048: tuple(int(prime, 16) for prime in _ON_FILE["2048"]),
}
"""By their length in bits: for three factors of 2048 bits, and for four of 4096."""


@dataclass(frozen=True)
class CompositeDealing:
    """Like a `Dealing`, with what each of the dealers handed out."""

    public_key: CompositePublicKey
    key_shares: tuple[CompositeKeyShare, ...]
    factors: tuple[Dealing, ...]


def compose(factors: Sequence[Dealing]) -> CompositeDealing:
    key = CompositePublicKey(tuple(dealt.public_key for dealt in factors), insecure_small_key=True)
    rows = zip(*(dealt.key_shares for dealt in factors), strict=True)
    return CompositeDealing(key, tuple(CompositeKeyShare(key, row) for row in rows), tuple(factors))


def factor(
    parties: int,
    threshold: int,
    corruptions: int,
    place: int,
    factors: int = 2,
    protocol: int = 2,
    epoch: int = 0,
    key_size: int = 512,
) -> Dealing:
    return deal_once(parties, threshold, corruptions, f"factor {place}", epoch, key_size, protocol, factors)


@cache
def composite(
    parties: int, threshold: int, corruptions: int, factors: int = 2, protocol: int = 2, epoch: int = 0
) -> CompositeDealing:
    """Factors of 512 bits."""
    places = range(1, factors + 1)
    return compose(
        [factor(parties, threshold, corruptions, place, factors, protocol, epoch) for place in places]
    )


@cache
def of_real_size(
    parties: int, threshold: int, corruptions: int, factors: int, key_size: int
) -> CompositeDealing:
    """Factors of 2048 or 4096 bits."""
    primes = PRIMES[key_size // 2]
    dealings = []
    for place in range(factors):
        pair = primes[2 * place], primes[2 * place + 1]
        with patch.object(dealer, "_two_safe_primes", lambda *_, pair=pair: pair):
            dealings.append(
                generate_threshold_key(parties, threshold, corruptions, key_size, factors=factors)
            )
    return compose(dealings)


def order_for(
    key: PublicKey, parties: int, threshold: int, corruptions: int, **changes: object
) -> handing_on.CompositeOrder:
    """With the least index bound there may be, attempt 0."""
    bound = max(parties, key.factors[0].index_bound or key.parties)
    fields: dict[str, object] = {"index_bound": bound, "attempt": 0, "context": CONTEXT}
    return handing_on.CompositeOrder(key, parties, threshold, corruptions, **(fields | changes))  # type: ignore[arg-type]


def open_to_all(order: handing_on.CompositeOrder) -> handing_on.CompositeRedistribution:
    keys = (receiver(order.receiver_bits, number).key for number in range(1, order.parties + 1))
    return handing_on.CompositeRedistribution(order, tuple(keys))


def deals(
    redistribution: handing_on.CompositeRedistribution, shares: Sequence[AnyKeyShare]
) -> list[tuple[int, bytes]]:
    return [
        (share.index, handing_on.deal(redistribution, share).to_bytes(redistribution)) for share in shares
    ]


def take_all(outcome: handing_on.CompositeOutcome) -> list[AnyKeyShare]:
    order = outcome.redistribution.order
    return [
        handing_on.receive(outcome, index, receiver(order.receiver_bits, index))
        for index in range(1, order.parties + 1)
    ]


def hand_on(
    order: handing_on.CompositeOrder, shares: Sequence[AnyKeyShare], *, trusting: bool = False
) -> tuple[PublicKey, list[AnyKeyShare]]:
    """All of it, if all are honest: the next key and its shares. `trusting` saves the time of proofs."""
    redistribution = open_to_all(order)
    if trusting:
        valid = tuple(_unproven(redistribution, share) for share in shares)
    else:
        judgement = handing_on.judge(redistribution, deals(redistribution, shares))
        assert not judgement.culprits
        valid = judgement.valid
    outcome = handing_on.conclude(redistribution, valid)
    assert outcome is not None
    return outcome.public_key, take_all(outcome)


def _unproven(
    redistribution: handing_on.CompositeRedistribution, share: AnyKeyShare
) -> handing_on.VerifiedCompositeDealing:
    parts = []
    for part, own in zip(redistribution.factors, share.factor_shares, strict=True):
        made = lying(part, own, Lie(unproven=True))
        parts.append(VerifiedDealing(part.digest, made, images(part, made.image, made.commitments)))
    return handing_on.VerifiedCompositeDealing(share.index, tuple(parts))
