"""A view ends and the next one begins: docs/concepts/protocol.md, section 9, from the election proof on."""

from __future__ import annotations

from fab_paxos.effects import Broadcast, Effect, Persist, Send, ViewRecord
from fab_paxos.flows import decide
from fab_paxos.messages import Certified, NewView, Progress, Report
from fab_paxos.rooms import Rooms
from quorum import QuorumCertificate
from verifiable_log.batch import Batch


def enter(rooms: Rooms, view: int, proof: QuorumCertificate, out: list[Effect]) -> None:
    """The fence first: after it is durable nothing is accepted in a lower view. Then the Report."""
    rooms.view_timer.enter_view(rooms.log.decided)
    rooms.leader_monitor.enter_view(view, rooms.log.decided)
    rooms.election.enter(view, proof)
    out.append(Persist(ViewRecord(view, proof)))
    rooms.log.enter_view()
    rooms.learner.enter_view()
    rooms.acceptor.enter_view()
    rooms.certifier.enter_view(view)
    rooms.view_change.enter_view(view)
    rooms.proposer.enter_view()
    rooms.catch_up.enter_view(view)
    out.append(Broadcast(Certified(proof)))
    report(rooms, out)


def report(rooms: Rooms, out: list[Effect]) -> None:
    """Tells the leader what was accepted here, until its NewView comes."""
    ours = rooms.view_change.report(rooms.certifier.furthest)
    if ours is None:
        return
    if rooms.leading:
        on_report(rooms, rooms.me, ours, out)
    else:
        out.append(Send(rooms.leader, ours))


def on_report(rooms: Rooms, sender: int, report: Report, out: list[Effect]) -> None:
    """As leader: the last Report that was missing opens the view.

    The reporter may have the certificate alone, and this member what it proves: so it is heeded at once.
    """
    if not rooms.leading:
        return
    if report.view == rooms.view and report.base is not None:
        decide.on_certificate(rooms, report.base, out)
    _open(rooms, rooms.view_change.on_report(sender, report, out), out)


def _open(rooms: Rooms, new_view: NewView | None, out: list[Effect]) -> None:
    """As leader, if there are Reports enough."""
    if new_view is not None and rooms.view_change.on_new_view(new_view, out):
        out.append(Broadcast(new_view))
        _begin(rooms, new_view, out)


def on_new_view(rooms: Rooms, new_view: NewView, out: list[Effect]) -> None:
    if new_view.view == rooms.view and rooms.view_change.on_new_view(new_view, out):
        _begin(rooms, new_view, out)


def on_progress(rooms: Rooms, progress: Progress, out: list[Effect]) -> None:
    if progress.view == rooms.view and rooms.view_change.on_progress(progress, out):
        _begin(rooms, progress, out)


def on_batches(rooms: Rooms, batches: tuple[Batch, ...], out: list[Effect]) -> None:
    rooms.view_change.on_batches(batches, out)
    if rooms.leading:
        _open(rooms, rooms.view_change.opened(), out)
    carry_out(rooms, out)
    rooms.view_change.ask_for_more(out)


def on_progress_certificate(rooms: Rooms, certificate: QuorumCertificate, out: list[Effect]) -> None:
    """In profile lean nothing of a NewView is accepted before a quorum has endorsed it."""
    if rooms.view_change.on_certificate(certificate) and not rooms.view_change.active:
        carry_out(rooms, out)


def _begin(rooms: Rooms, new_view: NewView | Progress, out: list[Effect]) -> None:
    if new_view.base is not None:
        decide.on_certificate(rooms, new_view.base, out)
    carry_out(rooms, out)
    rooms.view_change.ask(out)


def carry_out(rooms: Rooms, out: list[Effect]) -> None:
    """Goes on with the NewView; once it is complete, with the proposals that waited for it."""
    decide.on_extended(rooms, rooms.view_change.carry_out(out), out)
    if rooms.view_change.active:
        decide.on_proposed(rooms, rooms.acceptor.advance(out), out)
