"""Seeds: from each follow all messages about one candidate, or about one spare residue of the sieve.

A party draws its seeds of a batch independently of each other, and commits to every one before anybody sends
anything about the batch. Later it opens all but those of the one candidate that may become the key, and
everybody computes again what it should have sent. There is no seed above them, so opening all others tells
nothing about that one.

    commitment of a seed = SHA-256(domain, session, batch u32, party u16, leaf u32, seed)
    root = SHA-256(domain, session, batch u32, party u16, the commitments by leaf)
    opening = for every leaf in order 32 bytes: the seed, or the commitment of one that stays closed
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Set

from shoup_rsa.dealerless.settings import Settings

SEED_LENGTH = 32
_SEED_DOMAIN = b"shoup-rsa/v1/dealerless/seed\x00"
_ROOT_DOMAIN = b"shoup-rsa/v1/dealerless/root\x00"


def split(data: bytes) -> list[bytes]:
    """32 bytes a leaf."""
    return [data[at : at + SEED_LENGTH] for at in range(0, len(data), SEED_LENGTH)]


def _head(settings: Settings, batch: int, party: int) -> bytes:
    return settings.session + batch.to_bytes(4, "big") + party.to_bytes(2, "big")


def root(settings: Settings, batch: int, party: int, seeds: list[bytes]) -> bytes:
    """What a party broadcasts before anything else in a batch."""
    return opened_root(settings, batch, party, seeds, frozenset())


def opened_root(settings: Settings, batch: int, party: int, entries: list[bytes], closed: Set[int]) -> bytes:
    """The root that belongs to an opening: entries are seeds, and at `closed` leaves commitments."""
    head = _head(settings, batch, party)
    begin = hashlib.sha256(_SEED_DOMAIN + head)
    whole = hashlib.sha256(_ROOT_DOMAIN + head)
    for leaf, entry in enumerate(entries):
        if leaf in closed:
            whole.update(entry)
        else:
            one = begin.copy()
            one.update(leaf.to_bytes(4, "big") + entry)
            whole.update(one.digest())
    return whole.digest()


def opening(settings: Settings, batch: int, party: int, seeds: list[bytes], closed: Set[int]) -> bytes:
    """The opening of all seeds but those of the closed leaves."""
    entries = list(seeds)
    for leaf in closed:
        entries[leaf] = commitment(settings, batch, party, leaf, seeds[leaf])
    return b"".join(entries)


def commitment(settings: Settings, batch: int, party: int, leaf: int, seed: bytes) -> bytes:
    """Of one seed."""
    head = _head(settings, batch, party)
    return hashlib.sha256(_SEED_DOMAIN + head + leaf.to_bytes(4, "big") + seed).digest()


def fits(committed: bytes, computed: bytes) -> bool:
    """Whether two digests are the same."""
    return hmac.compare_digest(committed, computed)
