"""The leader is suspected: it stands still, is slow, passes a client over, or enough others suspect it.

Or it resigns: a leader that suspects its own view proposes no more, and whoever hears of it joins.
"""

from __future__ import annotations

from fab_paxos.effects import Effect, Send
from fab_paxos.messages import Certified
from fab_paxos.rooms import Rooms
from quorum import Endorsement, SuspectStatement


def suspect(rooms: Rooms, out: list[Effect]) -> None:
    """Once a view; everybody is then to know over which submissions."""
    if rooms.election.suspect(out):
        rooms.proposer.share_pending(out)


def on_suspect(
    rooms: Rooms, sender: int, endorsement: Endorsement, statement: SuspectStatement, out: list[Effect]
) -> None:
    """Another member suspects: it gets the proof if its view has ended already, or is joined."""
    if statement.view < rooms.view and rooms.election.proof is not None:
        out.append(Send(sender, Certified(rooms.election.proof)))
    elif rooms.election.on_suspect(endorsement, statement, out):
        suspect(rooms, out)


def on_step_down(rooms: Rooms, out: list[Effect]) -> None:
    """This member is to lead no longer; where nobody else could, it goes on."""
    if rooms.leading and rooms.config.system.leader(rooms.view + 1) != rooms.me:
        suspect(rooms, out)


def watch(rooms: Rooms, out: list[Effect]) -> None:
    """At the end of a turn: whether the leader has resigned, or is to lead no longer, or owes anything."""
    control = rooms.log.control
    deposed = control is not None and rooms.leader in control.suspected and not rooms.log.complete
    if rooms.election.resigned or deposed:
        suspect(rooms, out)
    rooms.view_timer.watch(_is_due(rooms), _progress(rooms), rooms.log.decided, out)
    timed = rooms.view_change.active and not rooms.log.complete
    rooms.leader_monitor.watch(timed, rooms.proposer, rooms.acceptor.now_ms)


def _is_due(rooms: Rooms) -> bool:
    """Whether the leader owes anything; with the last slot of the epoch decided, only its proof."""
    log = rooms.log
    if log.complete:
        return rooms.certifier.certified < log.decided
    behind = log.tip > rooms.certifier.certified  # undecided, or decided and without its proof
    waiting = rooms.proposer.waiting or rooms.acceptor.waiting or log.decided < log.goal
    return not rooms.view_change.active or behind or waiting


def on_view_timeout(rooms: Rooms, out: list[Effect]) -> None:
    if rooms.view_timer.expired(_progress(rooms)):
        suspect(rooms, out)


def on_decided(rooms: Rooms, out: list[Effect]) -> None:
    """Slots were decided: slower than others had done it, or the last ones of the leader's tenure."""
    if rooms.log.complete:
        return
    if rooms.leader_monitor.too_slow() or rooms.leader_monitor.over_tenure(rooms.log.decided):
        suspect(rooms, out)


def on_heartbeat(rooms: Rooms, out: list[Effect]) -> None:
    if rooms.proposer.overlooked >= rooms.config.overlooked_heartbeats and not rooms.log.complete:
        suspect(rooms, out)


def _progress(rooms: Rooms) -> tuple[int, bool, int, int]:
    return rooms.view, rooms.view_change.active, rooms.log.decided, rooms.certifier.certified
