"""Protobuf <-> the engine's messages. Form and bounds are checked here, signatures in the gate."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from alliance.pb import peer_pb2 as pb
from fab_paxos.limits import BATCH_SUBMISSIONS_MAX
from fab_paxos.messages import (
    Accepted,
    Certified,
    Endorsed,
    Fetch,
    Flag,
    Forward,
    LogFrame,
    Message,
    Propose,
    ProveShare,
    Status,
)
from fab_paxos.types import Batch, InvalidSubmission, Submission
from quorum import Endorsement, InvalidStatement, QuorumCertificate, decode_joint

ENVELOPE_BYTES_MAX = 8 * 1024 * 1024
"""The largest gRPC message that is read: some batches, or a frame of the log."""

FRAME_BYTES_MAX = 2 * 1024 * 1024
"""A log frame stops growing here; one batch always fits."""

FRAME_SLOTS_MAX = 4096
ENVELOPE_MESSAGES_MAX = 4096
PROOF_HASHES_MAX = 64
SHARE_BYTES_MAX = 8192
DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
SLOT_MAX = 2**62


class Malformed(ValueError):
    """Bytes that no correct member sends."""


# -- to the wire -------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The PeerMessage of an engine's message."""
    match message:
        case Propose(view, slot, batch, root, signature):
            body = pb.Propose(view=view, slot=slot, root=root, batch=_batch(batch), signature=signature)
            wire = pb.PeerMessage(propose=body)
        case Accepted(view, slot, root, signature):
            wire = pb.PeerMessage(accepted=pb.Accepted(view=view, slot=slot, root=root, signature=signature))
        case Flag(view, slot):
            wire = pb.PeerMessage(flag=pb.Flag(view=view, slot=slot))
        case Endorsed(Endorsement(statement, _, signature)):
            share = pb.Endorsement(tag=statement.TAG, fields=statement.fields(), share=signature)
            wire = pb.PeerMessage(endorsement=share)
        case Certified(certificate):
            wire = pb.PeerMessage(certified=encode_certificate(certificate))
        case ProveShare(statement):
            wire = pb.PeerMessage(prove_share=pb.ProveShare(tag=statement.TAG, fields=statement.fields()))
        case Status(view, accepted, decided, certified):
            status = pb.Status(view=view, accepted=accepted, decided=decided, certified=certified)
            wire = pb.PeerMessage(status=status)
        case Fetch(first_slot):
            wire = pb.PeerMessage(fetch=pb.Fetch(first_slot=first_slot))
        case LogFrame():
            wire = pb.PeerMessage(log_frame=encode_frame(message))
        case Forward(submissions):
            wire = pb.PeerMessage(forward=pb.Forward(submissions=[s.encoded for s in submissions]))
    return wire.SerializeToString()


def encode_certificate(certificate: QuorumCertificate) -> pb.Certificate:
    statement = certificate.statement
    return pb.Certificate(tag=statement.TAG, fields=statement.fields(), signature=certificate.signature)


def encode_frame(frame: LogFrame, peaks: Iterable[bytes] = ()) -> pb.LogFrame:
    return pb.LogFrame(
        first_slot=frame.first_slot,
        batches=[_batch(batch) for batch in frame.batches],
        certificate=encode_certificate(frame.certificate),
        cover=frame.cover,
        peaks=peaks,
    )


def envelope(messages: list[bytes]) -> bytes:
    return pb.Envelope(messages=messages).SerializeToString()


def _batch(batch: Batch) -> pb.Batch:
    return pb.Batch(submissions=[submission.encoded for submission in batch.submissions])


# -- from the wire -----------------------------------------------------------------------------------


def open_envelope(data: bytes) -> list[bytes]:
    """The messages of a frame; raises Malformed."""
    try:
        messages = pb.Envelope.FromString(data).messages
    except DecodeError:
        raise Malformed("not an envelope") from None
    if len(messages) > ENVELOPE_MESSAGES_MAX:
        raise Malformed(f"{len(messages)} messages in one envelope")
    return list(messages)


def decode(sender: int, data: bytes) -> Message:
    """The message that a member sent; nothing about it is verified yet. Raises Malformed."""
    try:
        wire = pb.PeerMessage.FromString(data)
        return _decode(sender, wire)
    except DecodeError:
        raise Malformed("not a message") from None
    except (InvalidSubmission, InvalidStatement) as error:
        raise Malformed(str(error)) from None


def _decode(sender: int, wire: pb.PeerMessage) -> Message:
    match wire.WhichOneof("body"):
        case "propose":
            p = wire.propose
            batch = decode_batch(p.batch)
            if not batch.submissions:
                raise Malformed("an empty batch outside a change of view")
            return Propose(p.view, _slot(p.slot), batch, _digest(p.root), _signature(p.signature))
        case "accepted":
            a = wire.accepted
            return Accepted(a.view, _slot(a.slot), _digest(a.root), _signature(a.signature))
        case "flag":
            return Flag(wire.flag.view, _slot(wire.flag.slot))
        case "endorsement":
            e = wire.endorsement
            if not 0 < len(e.share) <= SHARE_BYTES_MAX:
                raise Malformed(f"a share of {len(e.share)} bytes")
            return Endorsed(Endorsement(decode_joint(e.tag, e.fields), sender, e.share))
        case "certified":
            return Certified(decode_certificate(wire.certified))
        case "prove_share":
            return ProveShare(decode_joint(wire.prove_share.tag, wire.prove_share.fields))
        case "status":
            s = wire.status
            if not s.certified <= s.decided <= s.accepted <= SLOT_MAX:
                raise Malformed("a status out of order")
            return Status(s.view, s.accepted, s.decided, s.certified)
        case "fetch":
            return Fetch(_slot(wire.fetch.first_slot))
        case "log_frame":
            return decode_frame(wire.log_frame)
        case "forward":
            if not 0 < len(wire.forward.submissions) <= BATCH_SUBMISSIONS_MAX:
                raise Malformed(f"{len(wire.forward.submissions)} submissions forwarded at once")
            return Forward(tuple(map(Submission.decode, wire.forward.submissions)))
        case _:
            raise Malformed("a message without a known body")


def decode_frame(wire: pb.LogFrame) -> LogFrame:
    """Raises Malformed, InvalidSubmission or InvalidStatement."""
    if not 0 < len(wire.batches) <= FRAME_SLOTS_MAX or len(wire.cover) > PROOF_HASHES_MAX:
        raise Malformed("a log frame of a wrong size")
    batches = tuple(map(decode_batch, wire.batches))
    cover = tuple(map(_digest, wire.cover))
    return LogFrame(_slot(wire.first_slot), batches, decode_certificate(wire.certificate), cover)


def decode_batch(wire: pb.Batch) -> Batch:
    if len(wire.submissions) > BATCH_SUBMISSIONS_MAX:
        raise Malformed(f"{len(wire.submissions)} submissions in a batch")
    return Batch.of(map(Submission.decode, wire.submissions))


def decode_certificate(wire: pb.Certificate) -> QuorumCertificate:
    if not 0 < len(wire.signature) <= SHARE_BYTES_MAX:
        raise Malformed(f"a certificate with a signature of {len(wire.signature)} bytes")
    return QuorumCertificate(decode_joint(wire.tag, wire.fields), wire.signature)


def _slot(slot: int) -> int:
    if not 1 <= slot <= SLOT_MAX:
        raise Malformed(f"slot {slot}")
    return slot


def _digest(data: bytes) -> bytes:
    if len(data) != DIGEST_BYTES:
        raise Malformed(f"a digest of {len(data)} bytes")
    return data


def _signature(data: bytes) -> bytes:
    if len(data) != SIGNATURE_BYTES:
        raise Malformed(f"a signature of {len(data)} bytes")
    return data
