"""Hypothesis strategies for everything that members say; form only, no valid signatures."""

from __future__ import annotations

from hypothesis import strategies as st

from alliance.wire.bounds import SHARE_BYTES_MAX, SLOT_MAX
from alliance.wire.peer_messages import REPORT_ENTRIES_MAX
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    FetchBatches,
    FetchState,
    Forward,
    NewView,
    Progress,
    Propose,
    ProveShare,
    Report,
    Status,
)
from fab_paxos.selection import ReportedEntry
from fab_paxos.view_change import FETCH_BATCHES_MAX
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    EpochReadyStatement,
    MembershipStatement,
    ProgressStatement,
    QuorumCertificate,
    ReplyStatement,
    SnapshotStatement,
    SuspectStatement,
)
from verifiable_log import Batch, Submission, UnsignedSubmission
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.limits import TIME_MS_MAX
from verifiable_log.log_frame import LogFrame

SENDER = 3

u64 = st.integers(0, 2**64 - 1)
slots = st.integers(1, SLOT_MAX)
later_views = st.integers(1, 2**64 - 1)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
shares = st.binary(min_size=1, max_size=300) | st.just(b"s" * SHARE_BYTES_MAX)


def _submission(client_id: bytes, seq: int, commands: list[bytes], signature: bytes) -> Submission:
    return UnsignedSubmission(client_id, seq, commands).sign(signature)


submissions = st.builds(
    _submission, digests, u64, st.lists(st.binary(max_size=40), min_size=1, max_size=4), signatures
)
stamps = st.integers(0, TIME_MS_MAX)
batches = st.builds(Batch.of, st.lists(submissions, max_size=4), stamps)
statements = (
    st.builds(AcceptedStatement, u64, u64, digests)
    | st.builds(SuspectStatement, u64)
    | st.builds(ProgressStatement, u64, digests)
    | st.builds(CheckpointStatement, u64, digests, digests)
    | st.builds(ReplyStatement, u64, u64, digests)
    | st.builds(MembershipStatement, u64, u64, u64, digests, digests, digests)
    | st.builds(EpochReadyStatement, digests, u64, digests)
    | st.builds(SnapshotStatement, u64, u64, digests, digests, digests)
)
certificates = st.builds(QuorumCertificate, u64, statements, shares)
positions = st.lists(st.integers(0, SLOT_MAX), min_size=4, max_size=4).map(sorted)
proofs = st.lists(digests, max_size=64).map(tuple)
frames = st.builds(
    LogFrame, slots, st.lists(batches, min_size=1, max_size=4).map(tuple), certificates, proofs
)


@st.composite
def reports(draw: st.DrawFn, views: st.SearchStrategy[int] = later_views) -> Report:
    """Entries in order, above the base and within the window, accepted in earlier views."""
    view = draw(views)
    base = draw(
        st.none()
        | st.builds(QuorumCertificate, u64, st.builds(AcceptedStatement, u64, slots, digests), shares)
    )
    first = base.statement.slot if base is not None else 0
    above = draw(st.lists(st.integers(1, REPORT_ENTRIES_MAX), unique=True, max_size=5).map(sorted))
    entries = [
        ReportedEntry(first + step, draw(st.integers(0, view - 1)), draw(digests))
        for step in above
        if first + step <= SLOT_MAX
    ]
    return Report(view, base, tuple(entries), draw(signatures))


@st.composite
def new_views(draw: st.DrawFn) -> NewView:
    """Its Reports are of its own view."""
    view = draw(st.integers(1, 2**64 - 1))
    pairs = st.tuples(st.integers(0, 254), reports(st.just(view)))
    held = draw(st.lists(pairs, max_size=3).map(tuple))
    return NewView(view, held, draw(st.lists(digests, max_size=5).map(tuple)), draw(signatures))


messages = (
    st.builds(
        Propose,
        u64,
        slots,
        st.builds(Batch.of, st.lists(submissions, min_size=1, max_size=4), stamps),
        digests,
        signatures,
    )
    | st.builds(Accepted, u64, slots, digests, signatures)
    | st.builds(CertifyRequest, u64, slots)
    | st.builds(Endorsed, st.builds(Endorsement, statements, st.just(SENDER), shares))
    | st.builds(Certified, certificates)
    | st.builds(ProveShare, statements)
    | st.builds(
        lambda view, at, on, clock: Status(view, at[3], at[2], at[1], on, at[0], clock_ms=clock),
        u64,
        positions,
        st.booleans(),
        stamps,
    )
    | reports()
    | new_views()
    | st.builds(FetchBatches, st.lists(digests, min_size=1, max_size=FETCH_BATCHES_MAX).map(tuple))
    | st.builds(Batches, st.tuples(batches))
    | st.builds(Fetch, slots)
    | st.builds(
        Progress,
        u64,
        digests,
        st.none()
        | st.builds(QuorumCertificate, u64, st.builds(AcceptedStatement, u64, slots, digests), shares),
        st.lists(digests, max_size=5).map(tuple),
        st.builds(QuorumCertificate, u64, st.builds(ProgressStatement, u64, digests), shares),
    )
    | st.builds(
        Offer,
        st.builds(QuorumCertificate, u64, st.builds(CheckpointStatement, u64, digests, digests), shares),
        proofs,
        st.lists(digests, max_size=5).map(tuple),
        st.builds(QuorumCertificate, u64, st.builds(AcceptedStatement, u64, slots, digests), shares),
        proofs,
    )
    | st.builds(FetchState, slots, st.integers(0, 2**32 - 1))
    | st.builds(
        StatePart, slots, st.integers(0, 2**32 - 1), st.lists(st.binary(), min_size=1, max_size=5).map(tuple)
    )
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
