"""What a member says of itself: when a turn ends, with every heartbeat, and when a link is new."""

from __future__ import annotations

from dataclasses import replace

from fab_paxos.effects import Broadcast, Effect, Send, SetTimer, Timer
from fab_paxos.flows import change_view, decide, suspect
from fab_paxos.messages import Status
from fab_paxos.rooms import Rooms


def on_started(rooms: Rooms, out: list[Effect]) -> None:
    out.append(SetTimer(Timer.HEARTBEAT, rooms.config.heartbeat_seconds))
    decide.count(rooms, out)  # where one member decides alone, nobody else's vote brings it about
    rooms.checkpoints.on_decided(out)  # at the end of an epoch no later one would make up for it


def on_drained(rooms: Rooms, out: list[Effect]) -> None:
    """All that a turn brought is here: one proposal, one vote, one share for all of it."""
    view, active = rooms.view, rooms.view_change.active
    rooms.proposer.hand_over(rooms.leader, rooms.me, rooms.election.suspecting, out)
    if rooms.leading and active:
        rooms.acceptor.announce(view, out)  # what a NewView gave it; its proposals speak for themselves
        resigned = rooms.election.suspecting
        entries = [] if resigned else rooms.proposer.propose(view, rooms.acceptor.now_ms, out)
        if entries:
            rooms.acceptor.spoken_for(entries[-1].slot)
            decide.on_proposed(rooms, entries, out)
        rooms.certifier.request_certificate(out)
    decide.on_vouched(rooms, out)
    rooms.acceptor.announce(view, out)
    rooms.certifier.endorse_wanted(out)
    suspect.watch(rooms, out)
    rooms.checkpoints.on_drained(rooms.certifier.certified, out)


def on_heartbeat(rooms: Rooms, out: list[Effect]) -> None:
    """All that may have been lost is said again."""
    out.append(SetTimer(Timer.HEARTBEAT, rooms.config.heartbeat_seconds))
    out.append(Broadcast(_status(rooms)))
    rooms.leader_monitor.on_heartbeat()
    rooms.catch_up.on_heartbeat(out)
    rooms.certifier.repeat_request(out)
    rooms.proposer.on_heartbeat(rooms.view_change.active and not rooms.leading, out)
    suspect.on_heartbeat(rooms, out)
    rooms.election.on_heartbeat(out)
    rooms.view_change.on_heartbeat(out)
    rooms.view_change.joint_signing.signing.on_heartbeat(out)
    rooms.checkpoints.joint_signing.signing.on_heartbeat(out)
    change_view.report(rooms, out)


def on_connected(rooms: Rooms, peer: int, out: list[Effect]) -> None:
    """What was on its way to ``peer`` may be lost."""
    out.append(Send(peer, _status(rooms)))
    latest = rooms.acceptor.latest(rooms.view)
    if latest is not None:
        out.append(Send(peer, latest))
    rooms.catch_up.on_connected(peer)
    if peer == rooms.leader:
        rooms.proposer.hand_over_again()
        change_view.report(rooms, out)


def on_proofs_wanted(rooms: Rooms, proofs_wanted: bool, out: list[Effect]) -> None:
    """Others are told at once when somebody begins to wait here for proofs."""
    if rooms.recipients.note(rooms.me, proofs_wanted):
        out.append(Broadcast(_status(rooms)))


def _status(rooms: Rooms) -> Status:
    """What is told: also what our clock shows."""
    return replace(rooms.status, clock_ms=rooms.acceptor.now_ms)
