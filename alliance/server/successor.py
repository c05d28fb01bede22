"""The epoch that a member is about to enter, and its place in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alliance.config.file import AllianceConfig
from alliance.config.parties import Party
from alliance.errors import NoLongerMember
from alliance.keys import shares
from alliance.storage import epoch_entry
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochRecord
from fab_paxos import RestoredState
from fab_paxos.control import Control, after
from fab_paxos.effects import EntryRecord, ProvenRecord, Record
from verifiable_log import Entry
from verifiable_log.client_windows import ClientWindows


@dataclass(frozen=True, slots=True)
class Successor:
    """The epoch that is to be entered: its alliance.toml, and what the journal is to take.

    ``between`` are the slots up to the record's checkpoint that others have brought with it: those that the
    member lacked, and maybe more, or none if it had decided them all. None: they are not all there, and the
    log here begins behind the checkpoint.
    """

    config: AllianceConfig
    record: EpochRecord
    between: tuple[Entry, ...] | None = ()

    def enter(self, folder: Path, journal: Journal, mine: Party) -> int:
        """All that is durable. This member's number in the epoch from now on.

        Raises NoLongerMember when it has none: its shares are erased then. Raises OSError, JournalError and
        KeyFileError: nothing may be said any more before the member has started again.
        """
        before: list[Record] = []
        if self.between is not None:
            # What others bring up may have been pruned meanwhile: the old epoch went on.
            before += [EntryRecord(entry) for entry in self.between if entry.slot > journal.pruned]
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
