"""Many messages in one frame of a stream: a frame costs about 100 microseconds, its bytes next to nothing.

A frame names the engine and the epoch of its messages. One of others is refused as a whole: not as a lie,
since its sender may be honest and set up in another way.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import Malformed, OverLimit
from alliance.wire.fastpath import ENVELOPE_MESSAGES, laid

ENVELOPE_MESSAGES_MAX = 4096


class Mismatch(Exception):
    """A frame of another engine or epoch; the text is one line and says what both sides are.

    ``later``: its epoch is a later one.
    """

    def __init__(self, text: str, *, later: bool = False) -> None:
        super().__init__(text)
        self.later = later


def require_match(frame: pb.Envelope | pb.Handshake, epoch: int) -> None:
    """Raises Mismatch unless the frame is of this engine and of ``epoch``.

    Members of one alliance may be in two epochs for a while: who is behind cannot judge what the other says.
    """
    if frame.engine != pb.FAB_PAXOS:
        known = pb.Engine.DESCRIPTOR.values_by_number.get(frame.engine)
        theirs = known.name.lower() if known is not None else f"engine {frame.engine}"
        raise Mismatch(f"it speaks {theirs}, this member fab_paxos: do both run the same version?")
    if frame.epoch < epoch:
        raise Mismatch(f"it is in epoch {frame.epoch}, which is over: this member is in epoch {epoch}")
    if frame.epoch > epoch:
        raise Mismatch(f"it is in epoch {frame.epoch}, this member still in epoch {epoch}", later=True)


def envelope(messages: list[bytes], epoch: int) -> bytes:
    tail = pb.Envelope(engine=pb.FAB_PAXOS, epoch=epoch).SerializeToString()
    return b"".join([*laid(ENVELOPE_MESSAGES, messages), tail])


def open_envelope(data: bytes, epoch: int) -> list[bytes]:
    """The messages of a frame; raises Mismatch when it is not of this engine and epoch, and Malformed."""
    try:
        frame = pb.Envelope.FromString(data)
    except DecodeError:
        raise Malformed("not an envelope") from None
    require_match(frame, epoch)
    if len(frame.messages) > ENVELOPE_MESSAGES_MAX:
        raise OverLimit(f"{len(frame.messages)} messages in one envelope")
    return list(frame.messages)
