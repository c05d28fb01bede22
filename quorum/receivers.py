"""Receivers of key shares: each member's own key, to which shares are sealed when they are handed on.

Imports shoup_rsa, as ``quorum.threshold_rsa`` does, and is therefore not imported by ``quorum/__init__``.
"""

from __future__ import annotations

from shoup_rsa.redistribution import InvalidReceiver, ReceiverKey, ReceiverSecret, generate_receiver

__all__ = ["InvalidReceiver", "ReceiverKey", "ReceiverSecret", "generate_receiver", "receiver_bits"]

_BITS_STEP = 256


def receiver_bits(key_size: int) -> int:
    """The length of receivers' moduli that suffices for shared keys of ``key_size`` bits.

    It does the first time that shares are handed on within an alliance, whatever the threshold, of at most 30
    members, and of 31 that tolerate six faults.
    """
    return -(-(key_size + 1024) // _BITS_STEP) * _BITS_STEP
