"""The submissions of one slot, and the slot as a member accepted it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from verifiable_log.limits import BATCH_BYTES_MAX, BATCH_SUBMISSIONS_MAX, TIME_MS_MAX
from verifiable_log.merkle import Frontier, MerkleLog, tree_head
from verifiable_log.submission import InvalidSubmission, Submission


@dataclass(frozen=True, slots=True)
class Batch:
    """The submissions of one slot; the empty batch without a stamp is the NOOP that fills gaps.

    ``time_ms`` is the leader's stamp, in milliseconds since 1970. The agreed time of a slot is the highest
    stamp up to it, so it never goes back, and a NOOP, whose stamp is 0, leaves it as it was.
    ``digest`` is ``batch_digest`` of the submissions' number, the stamp and the RFC 6962 tree head over their
    headers.
    """

    submissions: tuple[Submission, ...]
    digest: bytes
    time_ms: int = 0

    @classmethod
    def of(cls, submissions: Iterable[Submission], time_ms: int = 0) -> Batch:
        """Raises InvalidSubmission: too many submissions, too large, or a stamp out of range."""
        members = tuple(submissions)
        if len(members) > BATCH_SUBMISSIONS_MAX:
            raise InvalidSubmission(f"a batch has {BATCH_SUBMISSIONS_MAX} submissions at most")
        if sum(len(submission.encoded) for submission in members) > BATCH_BYTES_MAX:
            raise InvalidSubmission(f"a batch has {BATCH_BYTES_MAX} bytes at most")
        if not 0 <= time_ms <= TIME_MS_MAX:
            raise InvalidSubmission(f"a time stamp is 0 to {TIME_MS_MAX} ms")
        head = tree_head([submission.header().encode() for submission in members])
        return cls(members, batch_digest(len(members), time_ms, head), time_ms)

    def tree(self) -> MerkleLog:
        """The tree over the submissions' headers, to make paths from."""
        tree = MerkleLog()
        for submission in self.submissions:
            tree.append(submission.header().encode())
        return tree


def batch_digest(count: int, time_ms: int, head: bytes) -> bytes:
    """SHA-256 of ``0x02 | count u64 | time_ms u64 | head``: binds the submissions' number and time to them.

    A Merkle root does not say how many leaves it has, and without that a path may fit another index too:
    the position of a submission would not be proven. 0x02 keeps it apart from leaves and nodes.
    """
    return sha256(b"\x02" + count.to_bytes(8, "big") + time_ms.to_bytes(8, "big") + head).digest()


NOOP = Batch.of(())


@dataclass(frozen=True, slots=True)
class Entry:
    """A slot as this member accepted it.

    ``root`` and ``frontier`` are those of the log up to and including this slot. ``signature`` is the
    leader's on the proposal (empty for our own, which is signed again when it is sent: Ed25519 is
    deterministic). ``fresh`` says of each submission whether it is delivered; a repetition is not.
    """

    slot: int
    view: int
    batch: Batch
    root: bytes
    frontier: Frontier
    signature: bytes
    fresh: tuple[bool, ...]
