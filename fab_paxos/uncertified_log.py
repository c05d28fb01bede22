"""The end of the log that the engine keeps in memory: everything above the certified slot."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from fab_paxos.control import Control
from fab_paxos.limits import CHECKPOINT_SLOTS, WINDOW_SLOTS
from fab_paxos.snapshots import Snapshots
from fab_paxos.state import RestoredEntry
from quorum import AcceptedStatement
from verifiable_log.batch import Batch, Entry
from verifiable_log.client_windows import ClientWindows
from verifiable_log.limits import POOL_BYTES_MAX, POOL_SUBMISSIONS_MAX
from verifiable_log.merkle import Frontier, slot_leaf
from verifiable_log.ordering_state import Snapshot
from verifiable_log.submission import Submission


class UncoveredReport(RuntimeError):
    """A Report would name what this member never voted for, or leave out what it did: it must not be made."""


class BeyondTheEnd(RuntimeError):
    """A slot behind the last one of the epoch would be accepted: more than ``f`` members are faulty."""


class UncertifiedLog:
    """Accepted entries without gaps, decided ones first; ``base <= decided <= tip``.

    Slots up to ``base`` are certified, journalled and out of memory. ``superseded`` entries were accepted
    in earlier views and are not part of this log: they are reported until something else is accepted in
    their place.

    Of slots up to ``muted_up_to`` this member has spoken in this view, of another log than it has now. It
    votes no more on them, and as leader proposes nothing more: its votes must never contradict each other.

    ``control`` is what the decided log says of the alliance itself, or None. By that nothing above ``end``,
    the last slot of the epoch, is ever in this log, and up to ``goal`` something decided waits for slots to
    pass. ``start`` is the last slot of the epoch before.
    """

    def __init__(
        self,
        base: Frontier,
        windows: ClientWindows,
        checkpoint_slots: int = CHECKPOINT_SLOTS,
        control: Control | None = None,
        start: int = 0,
    ) -> None:
        self._checkpoint_slots = checkpoint_slots
        self.snapshots = Snapshots()
        self._base = base
        self._entries: list[Entry] = []
        self._superseded: dict[int, Entry] = {}
        self.windows = windows
        self.start = start
        self.decided = base.size
        self.controls: Mapping[int, Control] = {}  # after each slot of the newest ``decide``
        self._heed(control)
        self._proven = base.size  # up to here entries may have come from a certificate
        self.muted_up_to = 0
        if self.complete:  # no later checkpoint makes up for one that is missing here
            self._keep_snapshot(base)

    @property
    def base(self) -> int:
        return self._base.size

    @property
    def tip(self) -> int:
        """The highest accepted slot."""
        return self._base.size + len(self._entries)

    def entry(self, slot: int) -> Entry | None:
        """The accepted entry of a slot above ``base``."""
        place = slot - self._base.size - 1
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def frontier(self, slot: int) -> Frontier:
        """The Merkle frontier after ``slot``, which lies between ``base`` and ``tip``."""
        if slot == self._base.size:
            return self._base
        entry = self.entry(slot)
        if entry is None:
            raise LookupError(f"slot {slot} is not between {self.base} and {self.tip}")
        return entry.frontier

    def root(self, slot: int) -> bytes | None:
        """The root of the log up to ``slot``, if it is still (or already) here."""
        if slot == self._base.size:
            return self._base.root
        entry = self.entry(slot)
        return entry.root if entry is not None else None

    def next_frontier(self, batch: Batch) -> Frontier:
        """What the frontier would be after accepting this batch at ``tip + 1``."""
        return self.frontier(self.tip).append(slot_leaf(self.tip + 1, batch.digest))

    def append(self, view: int, batch: Batch, frontier: Frontier, signature: bytes) -> Entry:
        """Accepts ``batch`` at ``tip + 1``; ``frontier`` is ``next_frontier(batch)``."""
        slot = self.tip + 1
        if self.end is not None and slot > self.end:
            raise BeyondTheEnd(f"slot {slot} lies beyond slot {self.end}, the last one of this epoch")
        if self.control is not None:
            self.windows.drop(slot, self.control.departed(slot))
        fresh = tuple(self.windows.admit(slot, submission) for submission in batch.submissions)
        entry = Entry(slot, view, batch, frontier.root, frontier, signature, fresh)
        self._entries.append(entry)
        self._superseded.pop(slot, None)
        if slot % self._checkpoint_slots == 0 or slot == self.end:
            self._keep_snapshot(frontier)  # now or never: the windows go on with the next slot
        return entry

    def renew(self, slot: int, view: int) -> Entry:
        """Accepts the entry of a slot again, in a later view."""
        place = slot - self._base.size - 1
        entry = self._entries[place] = replace(self._entries[place], view=view, signature=b"")
        return entry

    def truncate(self, slot: int) -> None:
        """Drops the accepted entries above ``slot``; decided ones never. Raises ValueError for those."""
        self._cut(slot)
        self._superseded.clear()

    def enter_view(self) -> None:
        """What was accepted and is not decided leaves the log, but is remembered for Reports."""
        for entry in self._cut(self.decided):
            self._superseded[entry.slot] = entry
        self.muted_up_to = 0

    def restore_superseded(self, entry: RestoredEntry) -> None:
        """An entry of an earlier view, from the journal."""
        frontier = Frontier(0, ())
        self._superseded[entry.slot] = Entry(
            entry.slot, entry.view, entry.batch, entry.root, frontier, entry.signature, ()
        )

    def recover(self, statement: AcceptedStatement) -> list[Entry]:
        """Puts superseded entries back when they are what a certificate proves; else does nothing."""
        if self.tip != self.decided or statement.slot <= self.tip:
            return []
        frontier, found = self.frontier(self.tip), []
        for slot in range(self.tip + 1, statement.slot + 1):
            superseded = self._superseded.get(slot)
            if superseded is None:
                return []
            frontier = frontier.append(slot_leaf(slot, superseded.batch.digest))
            found.append((superseded.batch, frontier))
        if frontier.root != statement.root:
            return []
        return [self.append_proven(statement.view, batch, after) for batch, after in found]

    def append_proven(self, view: int, batch: Batch, frontier: Frontier) -> Entry:
        """Takes ``batch`` at ``tip + 1`` because a certificate of ``view`` proves it, whoever proposed it."""
        entry = self.append(view, batch, frontier, b"")
        self._proven = entry.slot
        return entry

    def accepted_above(self, slot: int) -> tuple[Entry, ...]:
        """What this member accepted last at each slot above ``slot``, in this view or an earlier one.

        Each of these is its own vote. What it only took from a certificate carries that one's view, in which
        it may never have been, and no leader's word: ``slot``, that of a certificate, is to cover it. Raises
        UncoveredReport when it does not, or when slots above ``slot`` have left the log's memory.
        """
        proven = max(self._proven, self._base.size)
        if slot < proven:
            raise UncoveredReport(
                f"a Report from slot {slot + 1} on, but slots up to {proven} are proven here"
            )
        held = [*self._entries, *self._superseded.values()]
        return tuple(sorted((e for e in held if e.slot > slot), key=lambda entry: entry.slot))

    def batch(self, digest: bytes) -> Batch | None:
        """A batch that this member accepted anywhere above ``base``."""
        for entry in (*self._superseded.values(), *self._entries):
            if entry.batch.digest == digest:
                return entry.batch
        return None

    def _cut(self, slot: int) -> list[Entry]:
        if slot < self.decided:
            raise ValueError(f"slot {self.decided} is decided: the log cannot be cut at {slot}")
        place = slot - self._base.size
        cut = self._entries[place:]
        if cut:
            self.muted_up_to = max(self.muted_up_to, self.tip)
        del self._entries[place:]
        self.windows.rollback(slot)
        self.snapshots.drop_above(slot)
        return cut

    @property
    def reach(self) -> int:
        """So far the log may be told at once: what is decided on the way may say how it goes on.

        It is never told beyond where something takes effect.
        """
        if self.complete:
            return self.decided
        effective = self.control.effective if self.control is not None else None
        stops = [stop for stop in (self.end, effective) if stop is not None and stop > self.decided]
        return min([self.decided + WINDOW_SLOTS, *stops])

    def admits(self, slot: int, submissions: Sequence[Submission]) -> bool:
        """Whether the clients of all of these may have something in ``slot``."""
        control = self.control
        return control is None or all(control.admits(one.client_id, slot) for one in submissions)

    def share(self, client_id: bytes) -> tuple[Hashable, int, int]:
        """Whose client it is, and how much of it waits here at most: submissions, and their bytes."""
        control = self.control
        limits = (POOL_SUBMISSIONS_MAX, POOL_BYTES_MAX) if control is None else control.limits(client_id)
        return self.organisation(client_id), *limits

    def organisation(self, client_id: bytes) -> Hashable:
        """Whose turn it is when this client is served; where nobody says, it is a turn of its own."""
        control = self.control
        return client_id if control is None else control.organisation(client_id)

    @property
    def complete(self) -> bool:
        """Whether the last slot of the epoch is decided."""
        return self.end is not None and self.decided >= self.end

    # -- checkpoints ---------------------------------------------------------------------------------

    def _keep_snapshot(self, frontier: Frontier) -> None:
        """Of the windows as they are; ``control`` joins it when the slot is decided."""
        items: tuple[bytes, ...] | None = ()
        if self.control is not None:
            items = self.control.items() if frontier.size <= self.decided else None
        self.snapshots.begin(frontier, self.windows.begin_state(frontier.size), items)

    def newest_snapshot(self) -> Snapshot | None:
        """The newest snapshot of the decided log."""
        return self.snapshots.newest(self.decided)

    def install_snapshot(self, snapshot: Snapshot) -> None:
        """Goes on from a snapshot above everything decided here; what was accepted in its place is void.

        Raises ValueError when its state cannot be read, and then changes nothing. Remnants above it stay:
        their log may be the one that the snapshot continues.
        """
        windows = ClientWindows.read(snapshot.client_items)
        control, items = self.control, snapshot.control_items
        if control is not None:
            control = control.read(items)
        elif items:
            raise ValueError("a state about the alliance itself, and this member keeps none")
        self._cut(self.decided)
        self.windows = windows
        self._heed(control)
        self._base = snapshot.frontier
        self.decided = snapshot.slot
        self._entries.clear()
        self._drop_superseded(snapshot.slot)

    def decide(self, slot: int) -> tuple[Entry, ...]:
        """Marks everything up to ``slot`` decided; the newly decided entries in order."""
        if slot <= self.decided:
            return ()
        first = self.decided - self._base.size
        newly = tuple(self._entries[first : slot - self._base.size])
        if newly:
            self.decided = newly[-1].slot
            self.windows.settle(self.decided)
            if self.control is not None:
                self._apply(self.control, newly)
        return newly

    def _apply(self, control: Control, entries: tuple[Entry, ...]) -> None:
        """What these decided slots say of the alliance itself, one after the other.

        It is written into a snapshot now and not when the slot was accepted: what was decided then differs
        from member to member.
        """
        controls = {}
        for entry in entries:
            control, _ = control.apply(entry)
            controls[entry.slot] = control
            if self.snapshots.awaits(entry.slot):
                self.snapshots.join(entry.slot, control.items())
        self.controls = controls
        self._heed(control)

    def _heed(self, control: Control | None) -> None:
        """What holds from now on. Kept here as plain numbers: every slot asks for them."""
        self.control = control
        self.end = _end_of_epoch(control, self.start) if control is not None else None
        self.goal = max(self.end or 0, control.effective or 0) if control is not None else 0

    def forget(self, slot: int) -> None:
        """Drops decided entries up to ``slot`` from memory."""
        slot = min(slot, self.decided)
        if slot > self._base.size:
            base = self.frontier(slot)
            del self._entries[: slot - self._base.size]
            self._base = base
            self._drop_superseded(slot)

    def _drop_superseded(self, slot: int) -> None:
        for old in [old for old in self._superseded if old <= slot]:
            del self._superseded[old]


def _end_of_epoch(control: Control, start: int) -> int | None:
    """The last slot of the epoch that began behind ``start``; None while it is not known.

    With that slot decided ``control`` may speak of the next epoch already.
    """
    if control.start > start:
        return control.start
    return control.end if control.end is not None and control.end > start else None
