"""Alliances that are founded at once: RSA keys from primes that everybody knows, key files that open at once.

What dealing and scrypt are worth is tested where they are made: tests/shoup_rsa, ``alliance init``, the demo.
All else is as ``dealer.found`` makes it, and of real size. Alliances from another ``stock`` have other keys.
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
from alliance.keys import sealing
from quorum import QuorumSystem
from quorum.receivers import ReceiverSecret
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser, deal_key
from shoup_rsa import dealer
from shoup_rsa._entropy import random_below
from shoup_rsa.redistribution import paillier
from tests.worlds.primes import PRIMES_1664, SAFE_PRIMES_1024

Key = tuple[AgreementKey, tuple[ThresholdRsaEndorser, ...]]


KEY_BITS = 2048
KEYS = 5
"""An alliance has at most so many: for agreement, attestation, and three purposes."""


@functools.cache
def dealt(
    system: QuorumSystem, threshold: int, key_size: int, stock: int = 0, place: int = 0, dealing: int = 0
) -> tuple[Key, tuple[int, int]]:
    """A key, and the two primes that only its dealer knows: a test looks for them.

    ``stock``: 0 or 1. ``place``: its place among the keys of one alliance; the agreement key is the first.
    In another ``dealing`` the modulus is the same, and the shares are others: as if it was handed on.
    """
    assert (key_size, stock < 2, place < KEYS) == (KEY_BITS, True, True)
    first = 2 * (KEYS * stock + place)
    primes = SAFE_PRIMES_1024[first], SAFE_PRIMES_1024[first + 1]
    with patch.object(dealer, "_two_safe_primes", lambda *_: primes):
        return deal_key(system, threshold, key_size, dealing), primes


@functools.cache
def receiver(number: int) -> ReceiverSecret:
    """Of real size, from two primes: each number up to 27 has another modulus."""
    first, second = list(itertools.combinations(PRIMES_1664, 2))[number]
    return ReceiverSecret(first, second, paillier.draw_generator(first, second, random_below))


@contextmanager
def cheap_key_files() -> Iterator[None]:
    """Key files that are written meanwhile open at once: they say themselves how costly they are."""
    with patch.multiple(sealing, SCRYPT_COST=2**4, SCRYPT_PASSES=1):
        yield


@contextmanager
def cheaply(stock: int = 0) -> Iterator[None]:
    """Whoever calls ``dealer.found`` meanwhile founds cheaply."""

    places = itertools.count()
    receivers = map(receiver, itertools.cycle(range(28)))

    def stored(system: QuorumSystem, threshold: int, key_size: int, *_: Any) -> Key:
        return dealt(system, threshold, key_size, stock, next(places))[0]

    def agreement(system: QuorumSystem, key_size: int, *_: Any) -> Key:
        nonlocal places
        places = itertools.count()
        return stored(system, system.decision, key_size)

    with (
        cheap_key_files(),
        patch.object(founder, "deal_agreement_key", agreement),
        patch.object(founder, "deal_key", stored),
        patch.object(founder, "generate_receiver", lambda _: next(receivers)),
    ):
        yield


def found(founding: Founding, folder: Path, passphrase: bytes, stock: int = 0) -> AllianceConfig:
    """``dealer.found``, cheaply."""
    with cheaply(stock):
        return founder.found(founding, folder, passphrase)
