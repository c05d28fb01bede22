"""From one world to the next: the members of the next epoch go on from the log up to the end of this one.

What moves them is the checkpoint at the end, which a quorum of the old members has signed: who holds it
starts anew at view 0 from the log, its clients' numbers and its control state, and from nothing else.
"""

from __future__ import annotations

from dataclasses import replace

from quorum import Context
from tests.worlds.cluster import Cluster
from tests.worlds.disk import Disk
from tests.worlds.member import Member
from tests.worlds.require import require
from tests.worlds.world import World
from verifiable_log import Entry


def context_after(old: Cluster) -> Context:
    return replace(old.scheme.context, epoch=old.scheme.context.epoch + 1)


def end_of(old: Cluster) -> int | None:
    """The last slot of the epoch, if anybody knows it; no two members know different ones."""
    lives = (member for member in old.members if member.replica is not None and member.me not in old.tampers)
    ends = {member.engine.rooms.log.end for member in lives} - {None}
    require(len(ends) <= 1, f"seed {old.seed}: the epoch ends at {ends}")
    return next(iter(ends), None)


def arrived(old: Cluster, end: int) -> list[Member]:
    """The correct members with the checkpoint at the end on their disks: they may begin the next epoch."""
    honest = (member for member in old.live() if member.me not in old.tampers)
    return [m for m in honest if m.disk.checkpoint is not None and m.disk.checkpoint.slot == end]


def prepare(old: Cluster, new: Cluster, end: int) -> None:
    """Nobody is up in the ``new`` world until it takes its seat. What clients have signed stays signed."""
    for member in new.members:
        new.crash(member.me)
        member.runs.clear()
    if isinstance(old, World) and isinstance(new, World):
        new.gate.follow(old.gate, end)


def take_seat(new: Cluster, seat: int, donor: Disk, known: dict[int, Entry]) -> None:
    """The member is to start in the new epoch, with what ``donor`` has. ``known``: the log so far."""
    member, checkpoint = new.members[seat], donor.checkpoint
    if checkpoint is None:
        raise AssertionError("nobody goes on without a checkpoint")
    member.disk.begin_epoch(donor, checkpoint)
    member.disk.leaps = [checkpoint.slot]  # below, others decided, or its own former self
    member.pruned.update({slot: entry for slot, entry in known.items() if slot <= checkpoint.slot})


def log_of(old: Cluster) -> dict[int, Entry]:
    """All that correct members decided."""
    honest = (member for member in old.members if member.me not in old.tampers)
    return {slot: entry for member in honest for slot, entry in member.decisions().items()}
