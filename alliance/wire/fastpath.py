"""Protobuf's wire format by hand, for what is large: batches and envelopes.

Protobuf's own objects copy their contents once on each level, and a batch is a mebibyte for everybody.
Here the parts stay what they are until one join puts them together. A field of bytes, or a message within a
message, is its key, its length and its bytes; fields come in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alliance.pb import peer_pb2 as pb

_LENGTH_DELIMITED = 2


def varint(value: int) -> bytes:
    """``value`` >= 0, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(kind: Any, field: str) -> bytes:
    return varint(kind.DESCRIPTOR.fields_by_name[field].number << 3 | _LENGTH_DELIMITED)


PROPOSE = _key(pb.PeerMessage, "propose")
PROPOSE_BATCH = _key(pb.Propose, "batch")
SUBMISSIONS = _key(pb.Batch, "submissions")
FORWARD = _key(pb.PeerMessage, "forward")
FORWARDED = _key(pb.Forward, "submissions")
ENVELOPE_MESSAGES = _key(pb.Envelope, "messages")


def laid(key: bytes, values: Iterable[bytes]) -> list[bytes]:
    """The parts of a repeated field of bytes."""
    parts: list[bytes] = []
    for value in values:
        parts += (key, varint(len(value)), value)
    return parts


def within(key: bytes, parts: list[bytes]) -> list[bytes]:
    """The parts of a message as a field of another one."""
    return [key, varint(sum(map(len, parts))), *parts]
