"""From one epoch to the next: what a member needs to go over, and the order in which it does.

An epoch ends with a certificate of its members on who takes part in the next one, on the log up to the end
and on the state there. With that in hand a member goes over by itself: it needs nothing of anybody that it
has not, if it has decided the log up to the end. Who has not is brought up by the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.config.control import at
from alliance.config.file import AllianceConfig
from alliance.config.parties import Party
from alliance.errors import NoLongerMember
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.server.driver import Inbox
from alliance.server.revisions import Revisions
from alliance.server.vouching import Voucher
from alliance.storage import epoch_entry
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from alliance.wire.membership import MembershipProof
from consensus.control.published import Published
from fab_paxos import RestoredState
from fab_paxos.control import Control, after
from fab_paxos.effects import EntryRecord, ProvenRecord, Record
from fab_paxos.events import Combined
from quorum.threshold_rsa import AgreementKey
from verifiable_log import Entry
from verifiable_log.client_windows import ClientWindows

LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Successor:
    """The epoch that is to be entered: its alliance.toml, and what the journal is to take.

    ``between`` are the slots up to the record's checkpoint that others have brought with it: those that the
    member lacked, and maybe more. Where they are not all there, the log here begins behind the checkpoint.
    """

    config: AllianceConfig
    record: EpochRecord
    between: tuple[Entry, ...] = ()

    def enter(self, folder: Path, journal: Journal, mine: Party) -> int:
        """All that is durable. This member's number in the epoch from now on.

        Raises NoLongerMember when it has none: its shares are erased then. Raises OSError, JournalError and
        KeyFileError: nothing may be said any more before the member has started again.
        """
        before: list[Record] = [EntryRecord(entry) for entry in self.between]
        if before:
            before.append(ProvenRecord(self.record.checkpoint.slot, self.record.decision))
        epoch_entry.enter(folder, self.config, self.record, journal, before)
        return place(folder, self.config, mine)

    def state(self, control: Control | None, pruned: int) -> RestoredState:
        """What the epoch's engine begins with. ``control``: any earlier one, to read this one's by."""
        checkpoint, start = self.record.checkpoint, self.config.start
        snapshot, decision = checkpoint.snapshot, self.record.decision
        proven = decision if decision.epoch == self.config.epoch else None
        within = self.record.is_at_its_slot
        if control is not None:
            control = after(control.read(snapshot.control_items), checkpoint.slot, start)
        return RestoredState(
            frontier=snapshot.frontier,
            windows=ClientWindows.read(snapshot.client_items, snapshot.places),
            certificate=proven if within else None,
            beyond=None if within else proven,
            checkpoint=checkpoint,
            pruned=pruned,
            control=control,
            start=start,
        )


def place(folder: Path, config: AllianceConfig, mine: Party) -> int:
    """A member's number in an epoch, by its identity. Raises NoLongerMember, with its shares erased."""
    for index, member in enumerate(config.members):
        if member.identity == mine.identity:
            return index
    shares.erase_all(folder)
    raise NoLongerMember(
        f"{mine.name} takes no part in epoch {config.epoch}: it has stopped, its key shares are erased, and"
        " its journal is an archive of the log"
    )


async def at_end(
    voucher: Voucher, config: AllianceConfig, history: History, inbox: Inbox, patience: float
) -> MembershipProof:
    """Waits until the members have certified a later epoch, and then, for ``patience`` seconds at most, until
    this member has the log up to the end and the state there, if it is the next one."""
    proof = await voucher.later_than(config.epoch)
    end = proof.membership.start
    if proof.membership.epoch == config.epoch + 1:
        inbox.post(Combined(proof.certificate))  # it makes the checkpoint at the end stable
        until = asyncio.get_running_loop().time() + patience
        while not _stands_at(history, end) and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
    return proof


def _stands_at(history: History, end: int) -> bool:
    checkpoint = history.checkpoint
    return checkpoint is not None and checkpoint.slot == end == history.certified_slot


def following(
    proof: MembershipProof,
    config: AllianceConfig,
    revisions: Revisions,
    history: History,
    keys: Sequence[AgreementKey] = (),
    generation: Generation | None = None,
) -> Successor | None:
    """The next epoch, from what this member has decided itself; None when it has not got to the end.

    ``keys`` are those of the next dealing, if there is one, and ``generation`` this member's shares of it.
    """
    state, checkpoint, decision = revisions.ended, history.checkpoint, history.certificate
    if state is None or checkpoint is None or decision is None or not _stands_at(history, state.slot):
        return None
    successor = state.next_epoch()
    if Published.of(successor).config != proof.membership.config:
        return None
    membership = EpochMembership(proof.membership.config, proof.certificate)
    record = EpochRecord(membership, checkpoint, decision.certificate, generation)
    return Successor(at(config, successor, keys), record)
