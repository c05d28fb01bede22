"""Protobuf <-> the engine's messages. Form and bounds are checked here, signatures in the gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from google.protobuf.message import DecodeError

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import (
    SHARE_BYTES_MAX,
    SLOT_MAX,
    Malformed,
    at_most,
    checked_digest,
    checked_signature,
    checked_slot,
    some,
)
from alliance.wire.certificates import decode_certificate, decode_decision, encode_certificate
from alliance.wire.checkpoints import decode_offer, decode_part, encode_offer, encode_part
from alliance.wire.fastpath import (
    FORWARD,
    FORWARDED,
    PROPOSE,
    PROPOSE_BATCH,
    SUBMISSIONS,
    laid,
    within,
)
from alliance.wire.log_frames import decode_batch, decode_frame, decode_submission, encode_batch, encode_frame
from fab_paxos.limits import WINDOW_SLOTS
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
    Message,
    NewView,
    Progress,
    Propose,
    ProveShare,
    Report,
    Status,
    slot_of_base,
)
from fab_paxos.selection import ReportedEntry
from fab_paxos.view_change import FETCH_BATCHES_MAX
from quorum import (
    Endorsement,
    InvalidStatement,
    ProgressStatement,
    decode_joint,
)
from quorum.system import MEMBER_COUNT_MAX
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.limits import (
    BATCH_SUBMISSIONS_MAX,
    TIME_MS_MAX,
)
from verifiable_log.log_frame import LogFrame
from verifiable_log.submission import InvalidSubmission, Submission

REPORT_ENTRIES_MAX = 2 * WINDOW_SLOTS
"""A member accepts at most a window above its certificate; the certificate may be one window old."""


# -- to the wire -------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The PeerMessage of an engine's message."""
    match message:
        case Propose(view, slot, batch, root, signature):
            head = pb.Propose(view=view, slot=slot, root=root, signature=signature).SerializeToString()
            stamp = pb.Batch(time_ms=batch.time_ms).SerializeToString()
            parts = [stamp, *laid(SUBMISSIONS, _encoded(batch.submissions))]
            return b"".join(within(PROPOSE, [head, *within(PROPOSE_BATCH, parts)]))
        case Accepted(view, slot, root, signature):
            wire = pb.PeerMessage(accepted=pb.Accepted(view=view, slot=slot, root=root, signature=signature))
        case CertifyRequest(view, slot):
            wire = pb.PeerMessage(certify_request=pb.CertifyRequest(view=view, slot=slot))
        case Endorsed(Endorsement(statement, _, signature)):
            share = pb.Endorsement(tag=statement.TAG, fields=statement.fields(), share=signature)
            wire = pb.PeerMessage(endorsement=share)
        case Certified(certificate):
            wire = pb.PeerMessage(certified=encode_certificate(certificate))
        case ProveShare(statement):
            wire = pb.PeerMessage(prove_share=pb.ProveShare(tag=statement.TAG, fields=statement.fields()))
        case Status():
            wire = pb.PeerMessage(status=_status(message))
        case Fetch(first_slot):
            wire = pb.PeerMessage(fetch=pb.Fetch(first_slot=first_slot))
        case LogFrame():
            wire = pb.PeerMessage(log_frame=encode_frame(message))
        case Forward(submissions):
            return b"".join(within(FORWARD, laid(FORWARDED, _encoded(submissions))))
        case Report():
            wire = pb.PeerMessage(report=_report(message))
        case NewView(view, reports, vector, signature):
            members = [pb.MemberReport(member=member, report=_report(report)) for member, report in reports]
            opening = pb.NewView(view=view, reports=members, vector=vector, signature=signature)
            wire = pb.PeerMessage(new_view=opening)
        case FetchBatches(digests):
            wire = pb.PeerMessage(fetch_batches=pb.FetchBatches(digests=digests))
        case Batches(batches):
            wire = pb.PeerMessage(batches=pb.Batches(batches=[encode_batch(batch) for batch in batches]))
        case Progress():
            wire = pb.PeerMessage(progress=_progress(message))
        case Offer():
            wire = pb.PeerMessage(offer=encode_offer(message))
        case FetchState(slot, first):
            wire = pb.PeerMessage(fetch_state=pb.FetchState(slot=slot, first=first))
        case StatePart():
            wire = pb.PeerMessage(state_part=encode_part(message))
    return wire.SerializeToString()


def _encoded(submissions: Iterable[Submission]) -> list[bytes]:
    return [submission.encoded for submission in submissions]


def _status(status: Status) -> pb.Status:
    return pb.Status(
        view=status.view,
        accepted=status.accepted,
        decided=status.decided,
        certified=status.certified,
        active=status.active,
        stable=status.stable,
        no_proofs_wanted=not status.proofs_wanted,
        clock_ms=status.clock_ms,
    )


def _progress(progress: Progress) -> pb.Progress:
    return pb.Progress(
        view=progress.view,
        reports_digest=progress.reports_digest,
        base=encode_certificate(progress.base) if progress.base is not None else None,
        vector=progress.vector,
        certificate=encode_certificate(progress.certificate),
    )


def _report(report: Report) -> pb.Report:
    entries = [
        pb.ReportedEntry(
            slot=e.slot, view=e.view, batch_digest=e.batch_digest, root=e.root, signature=e.signature
        )
        for e in report.entries
    ]
    base = encode_certificate(report.base) if report.base is not None else None
    openings = map(_progress, report.openings)
    return pb.Report(
        view=report.view, base=base, entries=entries, signature=report.signature, openings=openings
    )


# -- from the wire -----------------------------------------------------------------------------------


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
            return Propose(
                p.view, checked_slot(p.slot), batch, checked_digest(p.root), checked_signature(p.signature)
            )
        case "accepted":
            a = wire.accepted
            return Accepted(
                a.view, checked_slot(a.slot), checked_digest(a.root), checked_signature(a.signature)
            )
        case "certify_request":
            return CertifyRequest(wire.certify_request.view, checked_slot(wire.certify_request.slot))
        case "endorsement":
            e = wire.endorsement
            share = some("bytes in a share", e.share, SHARE_BYTES_MAX)
            return Endorsed(Endorsement(decode_joint(e.tag, e.fields), sender, share))
        case "certified":
            return Certified(decode_certificate(wire.certified))
        case "prove_share":
            return ProveShare(decode_joint(wire.prove_share.tag, wire.prove_share.fields))
        case "status":
            s = wire.status
            if not s.certified <= s.decided <= s.accepted <= SLOT_MAX or s.stable > s.decided:
                raise Malformed("a status out of order")
            if s.clock_ms > TIME_MS_MAX:
                raise Malformed("a clock beyond all time stamps")
            freshness = (s.view, s.accepted, s.decided, s.certified, s.active, s.stable)
            return Status(*freshness, proofs_wanted=not s.no_proofs_wanted, clock_ms=s.clock_ms)
        case "fetch":
            return Fetch(checked_slot(wire.fetch.first_slot))
        case "log_frame":
            frame = wire.log_frame
            state = frame.HasField("offer") or frame.HasField("state_part")
            if frame.peaks or frame.epoch or frame.revision or state:
                raise Malformed("a frame between members with what only listeners need")
            return decode_frame(frame)
        case "forward":
            forwarded = some("submissions forwarded", wire.forward.submissions, BATCH_SUBMISSIONS_MAX)
            return Forward(tuple(map(decode_submission, forwarded)))
        case "report":
            return decode_report(wire.report)
        case "new_view":
            return _new_view(wire.new_view)
        case "fetch_batches":
            digests = some("batches asked for", wire.fetch_batches.digests, FETCH_BATCHES_MAX)
            return FetchBatches(tuple(map(checked_digest, digests)))
        case "batches":
            return Batches(tuple(map(decode_batch, some("batches", wire.batches.batches, 1))))
        case "progress":
            return _decode_progress(wire.progress)
        case "offer":
            return decode_offer(wire.offer)
        case "fetch_state":
            return FetchState(checked_slot(wire.fetch_state.slot), wire.fetch_state.first)
        case "state_part":
            return decode_part(wire.state_part)
        case _:
            raise Malformed("a message without a known body")


def decode_report(wire: pb.Report) -> Report:
    """Entries in the order of slots, above the base and within the window. Raises Malformed."""
    base = decode_decision(wire.base).certificate if wire.HasField("base") else None
    held = at_most("entries in a Report", wire.entries, REPORT_ENTRIES_MAX)
    entries = tuple(map(_decode_entry, held))
    openings = tuple(map(_decode_progress, at_most("openings in a Report", wire.openings, len(held))))
    report = Report(wire.view, base, entries, checked_signature(wire.signature), openings)
    first = entries[0].slot - 1 if entries else 0  # without a base the engine knows where its epoch began
    slots = [slot_of_base(base, first), *(entry.slot for entry in entries)]
    if any(later <= earlier for earlier, later in pairwise(slots)):
        raise Malformed("the entries of a Report are out of order")
    if slots[-1] > slots[0] + REPORT_ENTRIES_MAX or any(entry.view >= wire.view for entry in entries):
        raise Malformed("an entry of a Report that no correct member could have accepted")
    if any(later.view <= earlier.view for earlier, later in pairwise(openings)):
        raise Malformed("the openings of a Report are out of order")
    return report


def _decode_entry(wire: pb.ReportedEntry) -> ReportedEntry:
    """Root and signature are both there, or neither."""
    entry = ReportedEntry(checked_slot(wire.slot), wire.view, checked_digest(wire.batch_digest))
    if not wire.root and not wire.signature:
        return entry
    return replace(entry, root=checked_digest(wire.root), signature=checked_signature(wire.signature))


def _new_view(wire: pb.NewView) -> NewView:
    held = at_most("Reports in a NewView", wire.reports, MEMBER_COUNT_MAX)
    reports = tuple((entry.member, decode_report(entry.report)) for entry in held)
    if any(report.view != wire.view for _, report in reports):
        # The leader's signature is on the bodies of the Reports, which do not name their view: a true one
        # over Reports of another view, put in on the way, must not look like the leader's doing.
        raise Malformed("a NewView with a Report of another view")
    vector = tuple(map(checked_digest, at_most("digests in a NewView", wire.vector, REPORT_ENTRIES_MAX)))
    return NewView(wire.view, reports, vector, checked_signature(wire.signature))


def _decode_progress(wire: pb.Progress) -> Progress:
    base = decode_decision(wire.base).certificate if wire.HasField("base") else None
    vector = tuple(map(checked_digest, at_most("digests in a NewView", wire.vector, REPORT_ENTRIES_MAX)))
    certificate = decode_certificate(wire.certificate)
    if not isinstance(certificate.statement, ProgressStatement):
        raise Malformed("a NewView whose certificate is no progress certificate")
    return Progress(wire.view, checked_digest(wire.reports_digest), base, vector, certificate)
