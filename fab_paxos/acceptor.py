"""The acceptor: takes the leader's proposals in the order of slots, and speaks once for many."""

from __future__ import annotations

from collections.abc import Callable, Collection

from fab_paxos.effects import Blame, Broadcast, Effect, EntryRecord, Offence, Persist
from fab_paxos.evidence import BrokenLog, Repetition, TwoStatements
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Accepted, Propose
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import Quorums
from quorum.faults import mask_of
from verifiable_log.batch import Entry
from verifiable_log.client_windows import Freshness
from verifiable_log.merkle import slot_leaf


class Acceptor:
    """What to accept: docs/concepts/protocol.md, section 5, step 3; time stamps: docs/concepts/protocol.md,
    section 4.1."""

    def __init__(self, system: Quorums, log: UncertifiedLog, drift_ms: int) -> None:
        self._system = system
        self._log = log
        self._drift_ms = drift_ms
        self.now_ms = 0
        self._ahead: dict[int, Propose] = {}
        self._late: set[int] = set()  # of those, whose time stamps lay behind our clock when they came
        self._vouched = 0  # late ones up to this slot were accepted by a correct member
        self._announced = log.tip

    @property
    def stamp_max(self) -> int:
        """The latest time stamp, in milliseconds, that this member takes now."""
        return self.now_ms + self._drift_ms

    def enter_view(self) -> None:
        """Proposals of the old view are void; whatever is accepted in the new one is news."""
        self._ahead.clear()
        self._late.clear()
        self._vouched = 0
        self._announced = self._log.base

    def on_propose(self, propose: Propose, arrived_ms: int, active: bool, out: list[Effect]) -> list[Entry]:
        """Takes a proposal of the current view; the entries that it let this member accept.

        Its time stamp is compared to what our clock showed when it came. One that is ahead is as if it had
        never come: it is fetched again, or the view ends. One behind waits until others vouch for it.

        Until the view's NewView is carried out (``active``) proposals wait.

        Proposals beyond the window are dropped: they can be fetched once the log got there. So are those
        beyond the end of the epoch, which is known here before they lie within the window. One that comes
        before its predecessors waits, so that loss on one link does not repeat itself.
        """
        if propose.slot <= self._log.tip:
            self._compare(propose, out)
            return []
        if propose.slot > self._log.base + WINDOW_SLOTS:
            return []
        if self._log.end is not None and propose.slot > self._log.end:
            return []
        if self._log.control is None and not propose.batch.submissions:
            return []  # nothing here waits for slots to pass
        first = self._ahead.get(propose.slot)
        if first is None:
            ahead_ms = propose.batch.time_ms - arrived_ms
            if ahead_ms > self._drift_ms:
                leader = self._system.leader(propose.view)  # or our own clock is wrong
                out.append(Blame(leader, Offence.STAMP_AHEAD, f"{propose.slot} is {ahead_ms / 1000:.1f} s"))
                return []
            if -ahead_ms > self._drift_ms:
                self._late.add(propose.slot)
            self._ahead[propose.slot] = propose
        elif first.root != propose.root:
            self._blame_for_two(first, propose, out)
        return self.advance(out) if active else []

    def advance(self, out: list[Effect]) -> list[Entry]:
        """Accepts what waits and now continues the log."""
        accepted: list[Entry] = []
        for slot in [slot for slot in self._ahead if slot <= self._log.tip]:
            del self._ahead[slot]
            self._late.discard(slot)
        while (slot := self._log.tip + 1) in self._ahead and (
            slot not in self._late or slot <= self._vouched
        ):
            self._late.discard(slot)
            entry = self._accept(self._ahead.pop(slot), out)
            if entry is None:
                break
            accepted.append(entry)
        return accepted

    @property
    def waiting(self) -> bool:
        """Whether a late proposal is next: if nobody vouches for it, the view must end."""
        return self._log.tip + 1 in self._late

    def vouched(self, voters: Callable[[int, bytes], Collection[int]]) -> bool:
        """Whether the late proposal that is next may be accepted now: ``one_correct`` members have.

        One of them is correct, and so the stamp was near to a correct clock when it came there. A vote for a
        later slot counts if the proposals up to there lead from our log to what was voted for. The leader
        has voted for its own proposals.
        """
        slot = self._log.tip + 1
        if slot not in self._late or slot <= self._vouched:
            return False
        frontier = self._log.frontier(self._log.tip)
        while (propose := self._ahead.get(slot)) is not None:
            frontier = frontier.append(slot_leaf(slot, propose.batch.digest))
            if frontier.root != propose.root:
                return False
            members = {self._system.leader(propose.view), *voters(slot, propose.root)}
            if self._system.has_correct(mask_of(members)):
                self._vouched = slot
                return True
            slot += 1
        return False

    def announce(self, view: int, out: list[Effect]) -> None:
        """One cumulative Accepted for all that was accepted since the last one."""
        if self._log.tip > self._announced:
            self._announced = self._log.tip
            accepted = self.latest(view)
            if accepted is not None:
                out.append(Broadcast(accepted))

    def latest(self, view: int) -> Accepted | None:
        """This member's cumulative vote in ``view``, if it accepted anything in it that is not certified."""
        entry = self._log.entry(self._log.tip)
        if entry is None or entry.view != view or entry.slot <= self._log.muted_up_to:
            return None
        return Accepted(view, entry.slot, entry.root)

    def spoken_for(self, slot: int) -> None:
        """The log up to ``slot`` needs no announcement: proposed by this member, or proven already."""
        self._announced = max(self._announced, slot)

    def replaced(self, slot: int) -> None:
        """What was accepted above ``slot`` is gone, so it is news when it is accepted again."""
        self._announced = slot

    def _accept(self, propose: Propose, out: list[Effect]) -> Entry | None:
        leader = self._system.leader(propose.view)
        frontier = self._log.next_frontier(propose.batch)
        if frontier.root != propose.root:
            out.append(Blame(leader, Offence.WRONG_ROOT, str(propose.slot), self._broken_log(propose)))
            return None
        if not self._log.admits(propose.slot, propose.batch.submissions):
            out.append(Blame(leader, Offence.NOT_ADMITTED, str(propose.slot)))
            return None
        fresh = self._log.windows.preview(propose.slot, propose.batch.submissions)
        if not all(fresh):
            repetition = self._repetition(propose, fresh.index(False))
            out.append(Blame(leader, Offence.REPETITION, str(propose.slot), repetition))
            return None
        entry = self._log.append(propose.view, propose.batch, frontier, propose.signature)
        out.append(Persist(EntryRecord(entry)))
        return entry

    def _compare(self, propose: Propose, out: list[Effect]) -> None:
        entry = self._log.entry(propose.slot)
        if entry is None or entry.view != propose.view or entry.root == propose.root:
            return
        first = Propose(entry.view, entry.slot, entry.batch, entry.root, entry.signature)
        self._blame_for_two(first, propose, out)

    def _broken_log(self, propose: Propose) -> BrokenLog | None:
        """Evidence if our log, too, is what this leader proposed; a NewView or a certificate may differ."""
        frontier = self._log.frontier(self._log.tip)
        entry = self._log.entry(self._log.tip)
        if frontier.size == 0:
            return BrokenLog(None, frontier, propose)
        if entry is None or entry.view != propose.view or not entry.signature:
            return None
        before = Propose(entry.view, entry.slot, entry.batch, entry.root, entry.signature)
        return BrokenLog(before, frontier, propose)

    def _repetition(self, propose: Propose, index: int) -> Repetition | None:
        """Evidence if it is known where the log holds the number; in time that is forgotten."""
        repeated = propose.batch.submissions[index]
        judgement = self._log.windows.judge(repeated)
        within = (
            judgement.freshness is Freshness.FRESH
        )  # so that something earlier in the batch makes it stale
        key = (repeated.client_id, repeated.client_seq)
        used = any((s.client_id, s.client_seq) == key for s in propose.batch.submissions[:index])
        unknown = judgement.slot == 0 and not within  # an expired number, or one from before our checkpoint
        if unknown or (within and not used):
            return None
        slot = propose.slot if within else judgement.slot
        held = self._log.entry(slot)
        batch = propose.batch if within else held.batch if held is not None else None
        base = self._log.base
        entries = filter(None, map(self._log.entry, range(base + 1, propose.slot)))
        digests = (*(entry.batch.digest for entry in entries), propose.batch.digest)
        return Repetition(propose, index, slot, batch, base, digests)

    def _blame_for_two(self, first: Propose, second: Propose, out: list[Effect]) -> None:
        leader = self._system.leader(second.view)
        # What a NewView or a certificate put into our log bears no signature of the leader.
        evidence = TwoStatements(first, second) if first.signature else None
        out.append(Blame(leader, Offence.TWO_PROPOSALS, str(second.slot), evidence))
