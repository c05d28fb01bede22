"""Bounds of form on what comes in, and the errors that say which one is broken."""

from __future__ import annotations

from collections.abc import Sized
from typing import TypeVar

ENVELOPE_BYTES_MAX = 8 * 1024 * 1024
"""The largest gRPC message that is read: some batches, or a frame of the log."""

PROOF_HASHES_MAX = 64
SHARE_BYTES_MAX = 16 * 1024
"""The longest share of a composite key, of seven dealers and after many redistributions; or a signature."""

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
SLOT_MAX = 2**62

Held = TypeVar("Held", bound=Sized)


class Malformed(ValueError):
    """Bytes that no correct member sends."""


class OverLimit(Malformed):
    """Too long, or too many."""


def some(what: str, held: Held, most: int) -> Held:
    if len(held) == 0:
        raise Malformed(f"no {what}")
    return at_most(what, held, most)


def at_most(what: str, held: Held, most: int) -> Held:
    if len(held) > most:
        raise OverLimit(f"{len(held)} {what}, of {most} at most")
    return held


def checked_slot(slot: int) -> int:
    if not 1 <= slot <= SLOT_MAX:
        raise Malformed(f"slot {slot}")
    return slot


def checked_digest(data: bytes) -> bytes:
    if len(data) != DIGEST_BYTES:
        raise Malformed(f"a digest of {len(data)} bytes")
    return data


def checked_signature(data: bytes) -> bytes:
    if len(data) != SIGNATURE_BYTES:
        raise Malformed(f"a signature of {len(data)} bytes")
    return data
