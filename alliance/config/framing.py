"""Several fields as the bytes of one statement: no two lists of fields give the same bytes."""

from __future__ import annotations

import struct


def framed(*parts: bytes) -> bytes:
    """The parts end to end, each after its length as four bytes, big-endian."""
    return b"".join(u32(len(part)) + part for part in parts)


def u32(number: int) -> bytes:
    return struct.pack(">I", number)
