"""The log grows, its slots are decided, and certificates prove it.

docs/concepts/protocol.md, section 5; certificates: docs/concepts/protocol.md, section 6.
"""

from __future__ import annotations

from fab_paxos.effects import Certify, Decide, Effect, EntryRecord, Persist, ProvenRecord
from fab_paxos.flows import suspect
from fab_paxos.messages import Accepted, CertifyRequest, Propose
from fab_paxos.rooms import Rooms
from quorum import AcceptedStatement, QuorumCertificate
from verifiable_log.batch import Entry
from verifiable_log.submission import Submission

# -- the log grows -----------------------------------------------------------------------------------


def on_forward(rooms: Rooms, submissions: tuple[Submission, ...], out: list[Effect]) -> None:
    """Another member's clients: to be proposed, or to be watched because that member suspects the leader."""
    if rooms.leading:
        rooms.proposer.on_forwarded(submissions, out)
    else:
        rooms.proposer.on_shared(submissions, out)


def on_propose(rooms: Rooms, sender: int, propose: Propose, arrived_ms: int, out: list[Effect]) -> None:
    """The leader's proposal, from itself or from the member that was asked for it."""
    if propose.view != rooms.view or rooms.leading:
        return
    entries = rooms.acceptor.on_propose(propose, arrived_ms, rooms.view_change.active, out)
    on_proposed(rooms, entries, out)
    if entries:
        rooms.catch_up.progressed(sender, out)


def on_vouched(rooms: Rooms, out: list[Effect]) -> None:
    """At the end of a turn: a proposal that came here late, and that enough others have accepted."""
    if rooms.view_change.active and rooms.acceptor.vouched(rooms.learner.voters):
        on_proposed(rooms, rooms.acceptor.advance(out), out)


def on_proposed(rooms: Rooms, entries: list[Entry], out: list[Effect]) -> None:
    """These entries were proposed by the leader in this view: that is its own vote for them, too."""
    if entries:
        rooms.learner.on_own(rooms.leader, entries[-1].slot)
    on_extended(rooms, entries, out)


def on_extended(rooms: Rooms, entries: list[Entry], out: list[Effect]) -> None:
    """Our accepted log has grown by these entries."""
    for entry in entries:
        rooms.certifier.on_accepted(entry.slot)
        rooms.learner.on_extended(entry.slot, out)
    if entries:
        rooms.learner.on_own(rooms.me, entries[-1].slot)
        count(rooms, out)
        _try_beyond(rooms, out)  # it may prove what others' votes do not decide


# -- decisions ---------------------------------------------------------------------------------------


def on_accepted(rooms: Rooms, sender: int, accepted: Accepted, out: list[Effect]) -> None:
    """Another member's vote."""
    if accepted.view == rooms.view:
        rooms.learner.on_accepted(sender, accepted, out)
    count(rooms, out)


def count(rooms: Rooms, out: list[Effect]) -> None:
    """Decides what a quorum supports."""
    supported = rooms.learner.decided()
    if supported > rooms.log.decided:
        on_decided(rooms, rooms.log.decide(supported), out)


def on_decided(rooms: Rooms, entries: tuple[Entry, ...], out: list[Effect]) -> None:
    """These entries of our log are decided, by votes or by a certificate."""
    for entry in entries:
        rooms.proposer.on_decided(entry)
        rooms.leader_monitor.on_decided(entry, rooms.acceptor.now_ms)
        out.append(Decide(entry, rooms.log.controls.get(entry.slot)))
    if entries:
        suspect.on_decided(rooms, out)
    rooms.learner.forget()
    if entries:
        rooms.checkpoints.on_decided(out)
    _try_beyond(rooms, out)


# -- certificates ------------------------------------------------------------------------------------


def on_certify_request(rooms: Rooms, sender: int, request: CertifyRequest) -> None:
    if request.view == rooms.view and sender == rooms.leader:
        rooms.certifier.on_certify_request(request.slot)


def on_certificate(rooms: Rooms, certificate: QuorumCertificate, out: list[Effect]) -> None:
    """A decision certificate decides our own log up to its slot, if that is the certified one."""
    statement = certificate.statement
    known = max(rooms.certifier.certified, rooms.log.base - 1)  # below the base no root can be compared
    if not isinstance(statement, AcceptedStatement) or statement.slot <= known:
        return
    out.extend(Persist(EntryRecord(entry)) for entry in rooms.log.recover(statement))
    if rooms.log.root(statement.slot) != statement.root:
        rooms.certifier.keep_for_later(certificate)
        return
    rooms.certifier.on_certificate(certificate)
    newly = rooms.log.decide(statement.slot)
    # What it proves is proven without our memory of it. Only a Report speaks of it: before the NewView.
    out.append(Persist(ProvenRecord(statement.slot, certificate), lazily=rooms.view_change.active))
    on_decided(rooms, newly, out)
    out.append(Certify(certificate))
    rooms.log.forget(statement.slot)
    rooms.checkpoints.on_certified(statement.slot, out)


def pass_on(rooms: Rooms, certificate: QuorumCertificate, out: list[Effect]) -> None:
    """A certificate that was combined here: the leader gives the newest to those who got no shares."""
    if rooms.leading and certificate == rooms.certifier.newest:
        rooms.recipients.certificate(certificate, out)


def _try_beyond(rooms: Rooms, out: list[Effect]) -> None:
    if rooms.certifier.beyond is not None:
        on_certificate(rooms, rooms.certifier.beyond, out)
