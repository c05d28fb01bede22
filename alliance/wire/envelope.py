"""Many messages in one frame of a stream: a frame costs about 100 microseconds, its bytes next to nothing."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import Malformed, OverLimit
from alliance.wire.fastpath import ENVELOPE_MESSAGES, laid

ENVELOPE_MESSAGES_MAX = 4096


def envelope(messages: list[bytes]) -> bytes:
    return b"".join(laid(ENVELOPE_MESSAGES, messages))


def open_envelope(data: bytes) -> list[bytes]:
    """The messages of a frame; raises Malformed."""
    try:
        messages = pb.Envelope.FromString(data).messages
    except DecodeError:
        raise Malformed("not an envelope") from None
    if len(messages) > ENVELOPE_MESSAGES_MAX:
        raise OverLimit(f"{len(messages)} messages in one envelope")
    return list(messages)
