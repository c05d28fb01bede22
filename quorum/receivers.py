"""Receivers of key shares: each member's own key, to which shares are sealed when they are handed on.

Imports shoup_rsa, as ``quorum.threshold_rsa`` does, and is therefore not imported by ``quorum/__init__``.
"""

from __future__ import annotations

from functools import lru_cache

from shoup_rsa.redistribution import (
    InvalidReceiver,
    ReceiverKey,
    ReceiverSecret,
    generate_receiver,
    receiver_bits_ahead,
)

__all__ = [
    "InvalidReceiver",
    "ReceiverKey",
    "ReceiverSecret",
    "generate_receiver",
    "read_receiver",
    "receiver_bits",
]

MEMBERS_MAX = 31
"""Shares are handed on to at most so many members: more would take minutes, and megabytes of the log."""


def receiver_bits(key_size: int) -> int:
    """The length of a receiver's modulus that suffices for shared keys (or factors) of ``key_size`` bits.

    Whoever the first handing on is to, of at most MEMBERS_MAX members. Raises ValueError for a key size that
    is not supported.
    """
    return receiver_bits_ahead(key_size, MEMBERS_MAX)


@lru_cache(maxsize=512)
def read_receiver(encoded: bytes) -> ReceiverKey:
    """The key of these bytes, validated. Raises InvalidReceiver.

    Some are kept, since validating one takes 15 ms, and founding reads those of all members more than once.
    """
    return ReceiverKey.from_bytes(encoded)
