"""Coming to an epoch that this member has not lived to see, or in which it is new: as a client of the others.

Who slept while an epoch ended finds nobody who speaks its own any more, and what it missed is of no use to
it: the alliance's public key is the same in all epochs, so one signature proves who takes part in the newest
one, and a checkpoint of that epoch has all that a member goes on from. Whoever tells it is believed in
nothing. Only when everything is checked is anything written (``storage.epoch_entry``), so that a member that
is killed before begins again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import grpc.aio

from alliance.client.brought_state import BroughtState, batches_after, newest_checkpoint
from alliance.client.revisions import newer
from alliance.config.control import current
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.config.parties import Member, Party
from alliance.errors import ConfigError, ServerLied
from alliance.keys import handover, revision, shares
from alliance.keys.shares import Generation
from alliance.net.channels import NotServed, one_line
from alliance.net.problems import plainly
from alliance.server.successor import Successor, place
from alliance.storage import epoch_entry
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from alliance.wire.bounds import Malformed
from alliance.wire.membership import MembershipProof
from consensus.control import ControlState
from quorum import InvalidCertificate, InvalidStatement
from verifiable_log.batch import Batch, Entry
from verifiable_log.merkle import Frontier, slot_leaf

log = logging.getLogger("alliance.server")

BETWEEN_SLOTS_MAX = 8192
BETWEEN_BYTES_MAX = 64 * 1024 * 1024
"""So much of the log is brought with a checkpoint: that of some seconds, when all are busy."""
AT_ONCE = 2
"""So many members are asked who takes part at one time: each may answer with some 70 MB."""

_REFUTED = (Malformed, InvalidStatement, InvalidCertificate, ServerLied, ValueError)
"""What comes of an answer that no correct member gives, or that is of another time."""


class Channels(Protocol):
    """``alliance.net.channels.Channels``."""

    def to(self, member: Member) -> grpc.aio.Channel: ...


async def arrive(
    folder: Path,
    config: AllianceConfig,
    me: Party,
    channels: Channels,
    epoch: int,
    here: Frontier | None = None,
) -> Successor | None:
    """The newest epoch after ``epoch``, which is the journal's, as its members prove it. Nothing is written.

    ``config`` is what the folder has, of whatever epoch, ``here`` the log that this member has decided. None:
    as far as can be reached there is nothing newer, or nobody of that epoch has a checkpoint of it yet; it is
    to be tried again. Raises NoLongerMember when this member's identity is none of the newest epoch: its
    shares are erased, and alliance.toml says so.
    """
    proof = await _newest(config, me, channels, epoch)
    if proof is None:
        return None
    now = _file_of(config, proof)
    if all(member.identity != me.identity for member in now.members):
        revision.keep(folder, now)  # by which it is told so again
    place(folder, now, me)
    log.info("epoch %d has begun with slot %d: its members are asked for it", now.epoch, now.start + 1)
    for member in now.members:
        if member.identity == me.identity:
            continue
        try:
            brought = await newest_checkpoint(channels.to(member), now.scheme)
            record = _record(folder, now, proof, brought)
            break
        except (NotServed, grpc.aio.AioRpcError) as error:
            log.info("%s brings no checkpoint of epoch %d: %s", member.name, now.epoch, _why(error))
        except _REFUTED as error:
            log.warning("%s brings a checkpoint that is not taken: %s", member.name, _why(error))
    else:
        return None
    return Successor(now, record, await _between(now, me, channels, here, brought.frontier))


async def _between(
    now: AllianceConfig, me: Party, channels: Channels, here: Frontier | None, end: Frontier
) -> tuple[Entry, ...] | None:
    """The slots from the log that is ``here`` to that of the checkpoint, so that it goes on without a gap.

    None if there are more than so many, or nobody keeps them: then the member goes on without them, as it
    does when it is brought up within an epoch.
    """
    if here == end:  # all is decided here, and only not certified
        return ()
    if here is None or not 0 < end.size - here.size <= BETWEEN_SLOTS_MAX:
        return None
    for member in now.members:
        if member.identity == me.identity:
            continue
        try:
            told = await batches_after(channels.to(member), here.size, end.size, BETWEEN_BYTES_MAX)
            return _proven(here, told, end)
        except (NotServed, grpc.aio.AioRpcError) as error:
            log.info("%s does not tell the log from slot %d on: %s", member.name, here.size + 1, _why(error))
        except _REFUTED as error:
            log.warning("%s tells a log that does not verify: %s", member.name, _why(error))
    return None


def _proven(here: Frontier, batches: Sequence[Batch], end: Frontier) -> tuple[Entry, ...]:
    """They lead from one to the other, which is certified. Raises ServerLied when they do not."""
    entries = []
    for batch in batches:
        here = here.append(slot_leaf(here.size + 1, batch.digest))
        fresh = (True,) * len(batch.submissions)  # the journal tells it anew
        entries.append(Entry(here.size, 0, batch, here.root, here, b"", fresh))
    if here != end:
        raise ServerLied("these are not the batches of the certified log")
    return tuple(entries)


def takes_part(folder: Path, journal: Path, config: AllianceConfig, me: Party) -> bool:
    """Whether a party has begun to take part, or may: the journal says so, whatever alliance.toml says.

    False: it has to arrive first. Raises NoLongerMember when it has no place any more, with its shares
    erased; ConfigError, JournalError, KeyFileError.
    """
    listed = any(member.identity == me.identity for member in config.members)
    if not config.epoch and listed:
        return True
    if not journal.exists():
        return False
    with closing(Journal(journal, config.alliance_id, me.name)) as kept:
        if kept.membership is None and not kept.starts.newest:
            return False
        if config.epoch < kept.epoch:  # it was stopped between the two
            try:
                config = epoch_entry.resume(folder, config, kept)
            except OSError as error:
                raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    place(folder, config, me)
    return True


async def begin(
    folder: Path,
    journal: Path,
    config: AllianceConfig,
    me: Party,
    channels: Channels,
    first: int,
    pause: float,
) -> None:
    """A new member enters its first epoch, as soon as that is certified and somebody has a checkpoint of it.

    ``first`` is that epoch by the log. Of the one before, which may be the newest that is certified, it is no
    member. Raises NoLongerMember when it has missed all that it was a member of; JournalError, KeyFileError,
    and ConfigError.
    """
    with closing(Journal(journal, config.alliance_id, me.name)) as kept:
        before = max(kept.epoch, first - 1)
        successor = await arrive(folder, config, me, channels, before)
        while successor is None:
            await asyncio.sleep(pause)
            successor = await arrive(folder, config, me, channels, before)
        try:
            successor.enter(folder, kept, me)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None


async def _newest(
    config: AllianceConfig, me: Party, channels: Channels, epoch: int
) -> MembershipProof | None:
    """That of the highest epoch which any member proves, if more than f of them have answered: what one
    correct member knows is then not missed."""
    others = [member for member in config.members if member.identity != me.identity]
    turns = asyncio.Semaphore(AT_ONCE)
    best: MembershipProof | None = None
    answered = 0

    async def ask(member: Member) -> None:
        nonlocal best, answered
        async with turns:
            try:
                proof = await newer(channels.to(member), Membership.last_of(epoch))
                answered += 1
                least = epoch if best is None else best.membership.epoch
                if proof is None or proof.membership.epoch <= least:
                    return
                proof.verify(config.scheme)
                _file_of(config, proof)
                best = proof
            except grpc.aio.AioRpcError as error:
                log.debug("%s: %s", member.name, _why(error))
            except _REFUTED as error:
                log.warning("%s gives a membership that is not taken: %s", member.name, _why(error))

    await asyncio.gather(*map(ask, others))
    return best if answered >= config.system.one_correct else None


def _file_of(config: AllianceConfig, proof: MembershipProof) -> AllianceConfig:
    """The alliance.toml of an epoch as it began. Raises ValueError unless the proof is that of one."""
    if proof.membership.revision:
        raise ValueError("it proves a revision, and not how its epoch began")
    now = current(config, proof.membership, proof.keys, proof.changes)
    if now.canonical != proof.membership.config:
        raise ValueError("a membership that alliance.toml cannot hold")
    return now


def _record(folder: Path, now: AllianceConfig, proof: MembershipProof, brought: BroughtState) -> EpochRecord:
    """What the journal is to take. Raises NotServed, ValueError or ServerLied unless all of it is of that
    epoch."""
    checkpoint, decision = brought.checkpoint
    if checkpoint.slot < now.start:
        raise NotServed("it has not come to the end of the epoch before")
    brought.windows()
    state = ControlState.read(checkpoint.snapshot.control_items)
    if state.end == state.slot == now.start:
        state = state.next_epoch()
    if (state.alliance_id, state.epoch, state.start, state.slot) != (
        *(now.alliance_id, now.epoch, now.start),
        checkpoint.slot,
    ):
        raise ValueError(f"the state of slot {checkpoint.slot} is not one of epoch {now.epoch}")
    membership = EpochMembership(proof.membership.config, proof.certificate)
    return EpochRecord(membership, checkpoint, decision, _generation(folder, now, state))


def _generation(folder: Path, now: AllianceConfig, state: ControlState) -> Generation | None:
    """The shares of the epoch's dealing that are to count; None when they do already, or are not here.

    Of several attempts one has succeeded: the log and the note beside the shares say by which dealings.
    """
    counting = shares.current(folder)
    if counting is not None and counting.epoch == now.dealing:
        return None
    received, agreed = handover.received(folder), state.transcript_digest
    there = [one for one, note in received.items() if one.epoch == now.dealing and note.transcript == agreed]
    return next((one for one in there if one in shares.generations(folder)), None)


def _why(error: Exception) -> str:
    text = error.details() or "" if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return one_line(plainly(text))
