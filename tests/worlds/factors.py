"""Factors of composite keys, of real size and dealt at once, from primes that everybody knows.

Two dealers have ten factors here, for five keys of an alliance.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from alliance.config.file import AllianceConfig
from alliance.founding import dealer as founder
from alliance.founding.plan import Founding
from quorum import QuorumSystem
from quorum.factors import DealtFactor, compose, deal_factor
from quorum.threshold_rsa import ThresholdRsaEndorser
from shoup_rsa import dealer
from tests.worlds.founding import KEYS, Key, cheap_key_files
from tests.worlds.primes import SAFE_PRIMES_1024

DEALERS = 2
FACTOR_BITS = 2048


@functools.cache
def factor(system: QuorumSystem, threshold: int, place: int) -> DealtFactor:
    """The factor of 2048 bits with the primes at this place of the stock, 0..9."""
    primes = SAFE_PRIMES_1024[2 * place : 2 * place + 2]
    with patch.object(dealer, "_two_safe_primes", lambda *_: primes):
        return deal_factor(system, threshold, FACTOR_BITS, DEALERS)


@functools.cache
def composite(system: QuorumSystem, threshold: int, key: int = 0) -> Key:
    """A composite key of 4096 bits; ``key``: its place among the keys of one alliance, 0..4."""
    factors = [factor(system, threshold, DEALERS * key + place) for place in range(DEALERS)]
    public = compose([one.key for one in factors])
    held = zip(*(one.endorsers for one in factors), strict=True)
    return public, tuple(ThresholdRsaEndorser.compose(public, shares) for shares in held)


@contextmanager
def composing() -> Iterator[None]:
    """Whoever calls ``dealer.found`` meanwhile founds cheaply, and with composite keys."""
    places = itertools.count()

    def stored(system: QuorumSystem, threshold: int, *_: Any) -> Key:
        return composite(system, threshold, next(places) % KEYS)

    with (
        cheap_key_files(),
        patch.object(founder, "deal_agreement_key", lambda system, *_: stored(system, system.decision)),
        patch.object(founder, "deal_key", stored),
    ):
        yield


def found(founding: Founding, folder: Path, passphrase: bytes) -> AllianceConfig:
    """``dealer.found`` in all but the dealing."""
    with composing():
        return founder.found(founding, folder, passphrase)
