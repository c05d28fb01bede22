"""Members that know different things bring each other up.

docs/concepts/protocol.md, section 10; checkpoints: docs/concepts/protocol.md, section 11.
"""

from __future__ import annotations

from collections.abc import Sequence

from fab_paxos.answers import batch_bytes, size_of
from fab_paxos.effects import (
    Effect,
    OfferCheckpoint,
    Persist,
    ProvenRecord,
    Send,
    SnapshotInstalled,
    SnapshotRecord,
    TruncateRecord,
)
from fab_paxos.flows import change_view, decide
from fab_paxos.messages import Batches, Certified, Fetch, FetchBatches, FetchState, Message, Status
from fab_paxos.rooms import Rooms
from fab_paxos.state_transfer import Brought, answer
from quorum import QuorumCertificate
from verifiable_log.batch import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import Frontier

# -- being brought up --------------------------------------------------------------------------------


def on_frame(rooms: Rooms, sender: int, frame: LogFrame, out: list[Effect]) -> None:
    """A part of the log, with its proof: in pieces, since what one says may concern the next one."""
    log = rooms.log
    steps = rooms.catch_up.on_frame(sender, frame, out)
    if not steps:
        return
    first = log.decided + 1
    while piece := steps[log.decided + 1 - first : log.reach + 1 - first]:
        _take(rooms, piece, frame.certificate, out)
    change_view.carry_out(rooms, out)
    rooms.catch_up.progressed(sender, out)


def _take(
    rooms: Rooms,
    piece: Sequence[tuple[Batch, Frontier]],
    certificate: QuorumCertificate,
    out: list[Effect],
) -> None:
    """A proven piece of the log is decided."""
    log = rooms.log
    tip, root = log.tip, log.root(log.tip)
    entries = rooms.catch_up.take(piece, certificate, out)
    if log.root(tip) != root:
        rooms.acceptor.replaced(log.decided)
        rooms.learner.replaced(log.decided)
    rooms.acceptor.spoken_for(entries[-1].slot)
    # First of all, so that no older one that waits brings the proven slot down again.
    rooms.certifier.keep_for_later(certificate)
    decide.on_decided(rooms, log.decide(entries[-1].slot), out)
    log.forget(log.decided)


def on_offer(rooms: Rooms, sender: int, offer: Offer, out: list[Effect]) -> None:
    if rooms.catch_up.was_asked(sender):
        brought = rooms.catch_up.transfer.on_offer(sender, offer, rooms.log.decided, out)
        _on_brought(rooms, sender, brought, out)


def on_state_part(rooms: Rooms, sender: int, part: StatePart, out: list[Effect]) -> None:
    _on_brought(rooms, sender, rooms.catch_up.transfer.on_part(sender, part, out), out)


def _on_brought(rooms: Rooms, sender: int, brought: Brought | None, out: list[Effect]) -> None:
    """A checkpoint is here with its whole state: the log goes on from it."""
    if brought is None:
        return
    log, snapshot = rooms.log, brought.checkpoint.snapshot
    if log.root(snapshot.slot) == snapshot.frontier.root:
        newly = log.decide(snapshot.slot)  # our own log, which it proves
        out.append(Persist(ProvenRecord(snapshot.slot, brought.certificate)))
        decide.on_decided(rooms, newly, out)
        log.forget(snapshot.slot)  # as of a frame: an older certificate must not bring the proven slot down
    elif snapshot.slot > log.decided:
        _install(rooms, brought, out)
    rooms.certifier.keep_for_later(brought.certificate)
    decide.on_certificate(rooms, brought.certificate, out)
    change_view.carry_out(rooms, out)
    rooms.catch_up.progressed(sender, out)


def _install(rooms: Rooms, brought: Brought, out: list[Effect]) -> None:
    """The log goes on from a checkpoint above all that was decided here."""
    log, checkpoint, snapshot = rooms.log, brought.checkpoint, brought.checkpoint.snapshot
    if log.tip >= snapshot.slot:
        log.truncate(log.decided)
        out.append(Persist(TruncateRecord(log.decided, log.muted_up_to)))
    log.install_snapshot(snapshot)
    out.append(Persist(SnapshotRecord(checkpoint, brought.certificate, log.muted_up_to)))
    out.append(SnapshotInstalled(checkpoint))
    rooms.checkpoints.install_snapshot(checkpoint)
    rooms.acceptor.replaced(snapshot.slot)
    rooms.learner.replaced(snapshot.slot)
    rooms.learner.forget()
    rooms.proposer.on_snapshot_installed(out)


# -- helping others ----------------------------------------------------------------------------------


def on_status(rooms: Rooms, sender: int, status: Status, out: list[Effect]) -> None:
    """Whoever is behind in views gets the proof that moves it, and then the NewView that it lacks."""
    rooms.catch_up.on_status(sender, status, out)
    if not rooms.answers.may(sender):
        return  # it tells its status again and again, and was answered
    held = rooms.view_change
    if status.view < rooms.view and rooms.election.proof is not None:
        out.append(Send(sender, Certified(rooms.election.proof)))
    elif status.view == rooms.view and not status.active and held.new_view is not None:
        opening = held.progress or held.new_view
        rooms.answers.charge(sender, size_of(opening))
        out.append(Send(sender, opening))
    if rooms.recipients.note(sender, status.proofs_wanted):
        rooms.certifier.on_proofs_wanted(sender, out)
    latest = rooms.acceptor.latest(rooms.view)
    rooms.catch_up.help(sender, status, latest, rooms.certifier.newest, rooms.checkpoints.stable, out)
    rooms.answers.charge(sender, 0)


def on_question(rooms: Rooms, sender: int, message: Message, out: list[Effect]) -> None:
    """A member asks for what it lacks; when it has got enough, it is answered at the next heartbeat."""
    match message:
        case Fetch(first_slot) if rooms.answers.may(sender, message):
            _on_fetch(rooms, sender, first_slot, out)
        case FetchState() if rooms.answers.may(sender, message):
            _on_fetch_state(rooms, sender, message, out)
        case FetchBatches(digests) if rooms.answers.may(sender, message):
            _on_fetch_batches(rooms, sender, digests, out)
        case _:
            pass


def on_heartbeat(rooms: Rooms, out: list[Effect]) -> None:
    """What was asked for too fast is answered now."""
    for sender, message in rooms.answers.on_heartbeat():
        on_question(rooms, sender, message, out)


def _on_fetch(rooms: Rooms, sender: int, first_slot: int, out: list[Effect]) -> None:
    """The slots of a NewView are fetched by digest, not as proposals."""
    rooms.answers.charge(sender, 0)
    certified, stable = rooms.certifier.certified, rooms.checkpoints.stable
    if first_slot <= certified and rooms.certifier.newest is None:
        return  # from an epoch before: nothing proves it to members of this one
    if first_slot <= rooms.checkpoints.pruned and stable is not None:
        # Else it is from an epoch before, or, after a snapshot, its proof lies beyond the log that is here.
        if rooms.log.start < stable.slot <= certified:
            rooms.answers.charge(sender, 32 * len(stable.snapshot.state))
            out.append(OfferCheckpoint(sender, stable))
        return
    if first_slot > certified:
        if not rooms.view_change.active:
            return  # what was proposed, and what the NewView gave, is not told apart before it is here
        first_slot = max(first_slot, rooms.view_change.top + 1)
    leading = rooms.leading and not rooms.log.muted_up_to
    size = rooms.catch_up.on_fetch(sender, first_slot, certified, rooms.view, leading, out)
    rooms.answers.charge(sender, size)


def _on_fetch_state(rooms: Rooms, sender: int, fetch: FetchState, out: list[Effect]) -> None:
    part = answer(rooms.checkpoints.stable, fetch)
    rooms.answers.charge(sender, sum(map(len, part.items)) if part is not None else 0)
    if part is not None:
        out.append(Send(sender, part))


def _on_fetch_batches(rooms: Rooms, sender: int, digests: tuple[bytes, ...], out: list[Effect]) -> None:
    rooms.answers.charge(sender, 0)
    for batch in filter(None, map(rooms.view_change.served, dict.fromkeys(digests))):
        rooms.answers.charge(sender, batch_bytes(batch))
        out.append(Send(sender, Batches((batch,))))
