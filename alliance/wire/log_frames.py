"""Batches and frames of the log on the wire: what listeners read, and members that catch up."""

from __future__ import annotations

from collections.abc import Iterable

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import PROOF_HASHES_MAX, OverLimit, at_most, checked_digest, checked_slot, some
from alliance.wire.certificates import decode_certificate, encode_certificate
from verifiable_log.batch import Batch
from verifiable_log.limits import BATCH_BYTES_MAX, BATCH_SUBMISSIONS_MAX, SUBMISSION_BYTES_MAX
from verifiable_log.log_frame import LogFrame
from verifiable_log.submission import Submission

FRAME_BYTES_MAX = 2 * 1024 * 1024
"""A log frame stops growing here; one batch always fits."""

FRAME_SLOTS_MAX = 4096


def encode_frame(frame: LogFrame, peaks: Iterable[bytes] = ()) -> pb.LogFrame:
    return pb.LogFrame(
        first_slot=frame.first_slot,
        batches=[encode_batch(batch) for batch in frame.batches],
        certificate=encode_certificate(frame.certificate),
        cover=frame.cover,
        peaks=peaks,
    )


def decode_frame(wire: pb.LogFrame) -> LogFrame:
    """Raises Malformed, InvalidSubmission or InvalidStatement."""
    batches = tuple(map(decode_batch, some("batches in a log frame", wire.batches, FRAME_SLOTS_MAX)))
    cover = tuple(map(checked_digest, at_most("hashes in a cover", wire.cover, PROOF_HASHES_MAX)))
    return LogFrame(checked_slot(wire.first_slot), batches, decode_certificate(wire.certificate), cover)


def encode_batch(batch: Batch) -> pb.Batch:
    return pb.Batch(
        submissions=[submission.encoded for submission in batch.submissions], time_ms=batch.time_ms
    )


def decode_batch(wire: pb.Batch) -> Batch:
    submissions = at_most("submissions in a batch", wire.submissions, BATCH_SUBMISSIONS_MAX)
    if sum(map(len, submissions)) > BATCH_BYTES_MAX:
        raise OverLimit(f"a batch has {BATCH_BYTES_MAX} bytes at most")
    return Batch.of(map(decode_submission, submissions), wire.time_ms)


def decode_submission(encoded: bytes) -> Submission:
    if len(encoded) > SUBMISSION_BYTES_MAX:
        raise OverLimit(f"a submission has {SUBMISSION_BYTES_MAX} bytes at most")
    return Submission.decode(encoded)
