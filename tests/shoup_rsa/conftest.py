"""Keys for the tests: small ones from a seeded generator, the same on every run, and one of real size."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest

from shoup_rsa import Dealing, generate_threshold_key

Deal = Callable[..., Dealing]


@cache
def deal_once(
    parties: int,
    threshold: int,
    corruptions: int,
    seed: int | str,
    epoch: int,
    key_size: int,
    protocol: int,
    factors: int = 1,
) -> Dealing:
    return generate_threshold_key(
        parties,
        threshold,
        corruptions,
        key_size,
        protocol=protocol,
        epoch=epoch,
        factors=factors,
        insecure_small_key=True,
        random_below=random.Random(seed).randrange,
    )


@pytest.fixture(scope="session")
def deal() -> Deal:
    """deal(parties, threshold, corruptions, seed=1, epoch=0, key_size=512, protocol=2): made once."""

    def dealing(
        parties: int,
        threshold: int,
        corruptions: int,
        seed: int = 1,
        epoch: int = 0,
        key_size: int = 512,
        protocol: int = 2,
    ) -> Dealing:
        return deal_once(parties, threshold, corruptions, seed, epoch, key_size, protocol)

    return dealing


@pytest.fixture(scope="session")
def six(deal: Deal) -> Dealing:
    """The classic alliance: six members, any five sign, one may be corrupt. 512 bits."""
    return deal(6, 5, 1)


@pytest.fixture(scope="session")
def real(deal: Deal) -> Dealing:
    """Four members, any three sign, 2048 bits."""
    return deal(4, 3, 1, seed=7, key_size=2048)
