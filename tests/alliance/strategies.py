"""Hypothesis strategies for everything that members say; form only, no valid signatures."""

from __future__ import annotations

from hypothesis import strategies as st

from alliance.codec import SHARE_BYTES_MAX, SLOT_MAX
from fab_paxos import Batch, Submission, UnsignedSubmission
from fab_paxos.messages import (
    Accepted,
    Certified,
    Endorsed,
    Fetch,
    Flag,
    Forward,
    LogFrame,
    Propose,
    ProveShare,
    Status,
)
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    ProgressStatement,
    QuorumCertificate,
    ReplyStatement,
    SuspectStatement,
)

SENDER = 3

u64 = st.integers(0, 2**64 - 1)
slots = st.integers(1, SLOT_MAX)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
shares = st.binary(min_size=1, max_size=300) | st.just(b"s" * SHARE_BYTES_MAX)


def _submission(client_id: bytes, seq: int, commands: list[bytes], signature: bytes) -> Submission:
    return UnsignedSubmission(client_id, seq, commands).sign(signature)


submissions = st.builds(
    _submission, digests, u64, st.lists(st.binary(max_size=40), min_size=1, max_size=4), signatures
)
batches = st.lists(submissions, max_size=4).map(Batch.of)
statements = (
    st.builds(AcceptedStatement, u64, u64, digests)
    | st.builds(SuspectStatement, u64)
    | st.builds(ProgressStatement, u64, digests)
    | st.builds(CheckpointStatement, u64, digests, digests)
    | st.builds(ReplyStatement, digests, u64, u64, digests)
)
certificates = st.builds(QuorumCertificate, statements, shares)
positions = st.lists(st.integers(0, SLOT_MAX), min_size=3, max_size=3).map(sorted)
proofs = st.lists(digests, max_size=64).map(tuple)
frames = st.builds(
    LogFrame, slots, st.lists(batches, min_size=1, max_size=4).map(tuple), certificates, proofs
)
messages = (
    st.builds(
        Propose, u64, slots, st.lists(submissions, min_size=1, max_size=4).map(Batch.of), digests, signatures
    )
    | st.builds(Accepted, u64, slots, digests, signatures)
    | st.builds(Flag, u64, slots)
    | st.builds(Endorsed, st.builds(Endorsement, statements, st.just(SENDER), shares))
    | st.builds(Certified, certificates)
    | st.builds(ProveShare, statements)
    | st.builds(lambda view, at: Status(view, at[2], at[1], at[0]), u64, positions)
    | st.builds(Fetch, slots)
    | frames
    | st.builds(Forward, st.lists(submissions, min_size=1, max_size=4).map(tuple))
)


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Nearly these bytes: some flipped, removed, inserted or doubled."""
    mutant = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(mutant) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0 if mutant:
                mutant[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del mutant[at : at + draw(st.integers(1, 40))]
            case 2:
                mutant[at:at] = draw(st.binary(min_size=1, max_size=12))
            case _:
                mutant[at:at] = mutant[at : at + 40]
    return bytes(mutant)
