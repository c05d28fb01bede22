"""From one world to the next: the members of the next epoch go on from the log up to the end of this one.

What moves them is what their journals take: the record of the epoch, with the checkpoint at the end and the
certificate of the old members on the new ones. Who has it starts anew at view 0 from the log, its clients'
numbers and its control state, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from fab_paxos.messages import Certified, Message
from quorum import (
    Context,
    DecisionCertificate,
    Endorsement,
    JointStatement,
    MembershipStatement,
    QuorumCertificate,
    combine,
)
from quorum.threshold_rsa import ThresholdRsaScheme
from tests.worlds.cluster import Cluster
from tests.worlds.disk import Disk
from tests.worlds.member import Member
from tests.worlds.require import require
from tests.worlds.standin import StandInScheme
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


def record_of(old: Cluster, end: int, config: bytes = b"those of the next epoch") -> EpochRecord:
    """What members of the next epoch are brought: one copy suffices. ``config`` says who they are."""
    disk = arrived(old, end)[0].disk
    checkpoint, decision = disk.checkpoint, disk.certificate
    if checkpoint is None or decision is None:
        raise AssertionError("nobody goes on without a checkpoint")
    return EpochRecord(EpochMembership(config, _certified(old, disk, config)), checkpoint, decision)


def _certified(old: Cluster, disk: Disk, config: bytes) -> QuorumCertificate:
    """Who has signed the checkpoint at the end signs who the next members are."""
    if disk.checkpoint is None:
        raise AssertionError("nobody goes on without a checkpoint")
    state, context = disk.checkpoint.snapshot.statement, old.scheme.context
    digest = sha256(b"\x06" + config).digest()
    rest = state.slot, state.root, state.state_digest, digest
    statement = MembershipStatement(context.epoch + 1, 0, *rest)
    text = statement.encode(context)
    shares = [
        Endorsement(statement, me, old.endorsers[me].endorse(text, proven=False))
        for me in range(old.system.decision)
    ]
    return combine(old.scheme, shares)


def forger(old: Cluster) -> Callable[[JointStatement, int], QuorumCertificate]:
    """What is certified, in whatever epoch, with the shares of all members of this one."""
    scheme, endorsers, decision = old.scheme, old.endorsers, old.system.decision
    if not isinstance(scheme, StandInScheme | ThresholdRsaScheme):
        raise TypeError("nobody steals these shares")

    def forge(statement: JointStatement, epoch: int) -> QuorumCertificate:
        there = scheme.in_epoch(epoch)
        text = statement.encode(there.context)
        shares = [
            Endorsement(statement, me, endorsers[me].endorse(text, proven=False)) for me in range(decision)
        ]
        return combine(there, shares)

    return forge


def later_record(new: Cluster, record: EpochRecord) -> EpochRecord:
    """The same with the newest checkpoint of the epoch itself, if it has one: for somebody who comes late."""
    honest = [member for member in new.live() if member.me not in new.tampers]
    for disk in sorted((member.disk for member in honest), key=lambda disk: -disk.proven):
        checkpoint, decision = disk.checkpoint, disk.certificate
        if checkpoint is None or decision is None or checkpoint.slot <= record.checkpoint.slot:
            continue
        if DecisionCertificate.of(decision).slot >= checkpoint.slot:
            return replace(record, checkpoint=checkpoint, decision=decision)
    return record


def heard_in(old: World) -> tuple[Message, ...]:
    """What a liar of the next epoch may remember of this one: words, and certificates."""
    decisions = [one for member in old.members for one in member.certificates]
    elections = [member.disk.election for member in old.members if member.disk.election is not None]
    return (*old.heard, *map(Certified, dict.fromkeys((*decisions, *elections))))


def prepare(old: Cluster, new: Cluster, end: int) -> None:
    """Nobody is up in the ``new`` world until it takes its seat. What clients have signed stays signed."""
    for member in new.members:
        new.crash(member.me)
        member.runs.clear()
    if isinstance(old, World) and isinstance(new, World):
        new.gate.follow(old.gate, end)


def take_seat(
    new: Cluster, seat: int, own: Disk | None, record: EpochRecord, known: dict[int, Entry]
) -> None:
    """The member is to start in the new epoch, with what its own disk has. ``known``: the log so far."""
    member, slot = new.members[seat], record.checkpoint.slot
    member.disk.begin_epoch(own, record)
    member.disk.leaps = [slot]  # below, others decided, or its own former self
    member.pruned.update({at: entry for at, entry in known.items() if at <= slot})


def log_of(old: Cluster) -> dict[int, Entry]:
    """All that correct members decided."""
    honest = (member for member in old.members if member.me not in old.tampers)
    return {slot: entry for member in honest for slot, entry in member.decisions().items()}
