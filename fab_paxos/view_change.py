"""Changing the view: Reports to the new leader, its NewView, and carrying that out slot by slot.

Every member recomputes what the leader selected, and keeps the digest of the first NewView it found valid,
so that a leader that signs two of them cannot lead it into both. Members then endorse that digest: the
progress certificate, one signature, spares late members the Reports and their checking.
"""

from __future__ import annotations

from collections.abc import Mapping

from fab_paxos.effects import Blame, Effect, EntryRecord, NewViewRecord, Offence, Persist, Send
from fab_paxos.evidence import TwoNewViews, TwoReports, WrongNewView, disagree
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import FetchBatches, NewView, Progress, Report, slot_of_base, top_of
from fab_paxos.rule import choose, vector_of
from fab_paxos.selection import InvalidSelection, ReportedEntry
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import JointStatement, ProgressStatement, QuorumCertificate, Quorums
from verifiable_log.batch import NOOP, Batch, Entry

FETCH_BATCHES_MAX = 16
"""Batches that are under way to this member because it asked for them, whomever it asked."""


class Contradiction(RuntimeError):
    """A valid NewView contradicts a decided slot: more members are faulty than the alliance tolerates."""


class ViewChange:
    """From the Reports to an open view: docs/concepts/protocol.md, section 9, steps 3 to 6."""

    def __init__(
        self,
        system: Quorums,
        me: int,
        log: UncertifiedLog,
        view: int,
        digest: bytes | None,
        joint_signing: SigningInTurn,
    ) -> None:
        """``digest`` is that of the NewView which the journal kept for ``view``."""
        self._system = system
        self._me = me
        self._log = log
        self._view = view
        self._digest = digest
        self._reports: dict[int, Report] = {}
        self._fetched: dict[bytes, Batch] = {}
        self._missing: list[tuple[int, bytes]] = []
        self._requested: tuple[bytes, ...] = ()
        self._attempt = 0
        self.joint_signing = joint_signing
        self.new_view: NewView | Progress | None = None
        self.progress: Progress | None = None
        self.active = view == 0

    def enter_view(self, view: int) -> None:
        self._view = view
        self._digest = None
        self._reports.clear()
        self._fetched.clear()
        self._missing = []
        self._requested = ()
        self.joint_signing.drop()
        self.new_view = self.progress = None
        self.active = False

    @property
    def top(self) -> int:
        """The last slot that the NewView fills: what follows comes as proposals."""
        return top_of(self.new_view, self._log.start) if self.new_view is not None else 0

    # -- Reports -------------------------------------------------------------------------------------

    def report(self, base: QuorumCertificate | None) -> Report | None:
        """What this member accepted above ``base``, its newest certificate; None once it has a NewView."""
        if self.active or self._digest is not None:
            return None
        accepted = self._log.accepted_above(slot_of_base(base, self._log.start))
        entries = (ReportedEntry(entry.slot, entry.view, entry.batch.digest) for entry in accepted)
        return Report(self._view, base, tuple(entries))

    def on_report(self, member: int, report: Report, out: list[Effect]) -> NewView | None:
        """As leader of the view: the NewView, when this Report makes enough of them."""
        if report.view != self._view:
            return None
        first = self._reports.setdefault(member, report)
        if disagree(first, report):
            evidence = TwoReports(member, first, report)
            out.append(Blame(member, Offence.TWO_REPORTS, str(self._view), evidence))
        return self.opened()

    def opened(self) -> NewView | None:
        """As leader of the view: the NewView, when there are enough Reports for it and none was made."""
        if self.active or self._digest is not None:
            return None
        start = self._log.start
        chosen = choose(self._system, self._me, self._usable(), start)
        if chosen is None:
            return None
        return NewView(self._view, chosen, vector_of(self._system, chosen, start))

    def _usable(self) -> Mapping[int, Report]:
        """The Reports that the view may be opened with; what few name, if only of far slots, does no harm."""
        if self._log.end is None:
            return self._reports
        return {
            member: report
            for member, report in self._reports.items()
            if not report.entries or self._within(self._base(report), report.entries[-1].slot)
        }

    def _base(self, said: Report | NewView | Progress) -> int:
        return slot_of_base(said.base, self._log.start)

    def _within(self, base: int, slot: int) -> bool:
        """Whether a correct member whose certificate is of ``base`` may have accepted ``slot``."""
        return slot <= base + WINDOW_SLOTS and (self._log.end is None or slot <= self._log.end)

    # -- the NewView ---------------------------------------------------------------------------------

    def on_new_view(self, new_view: NewView, out: list[Effect]) -> bool:
        """Judges a NewView of this view; True when it is the one to carry out."""
        leader = self._system.leader(self._view)
        if self.new_view is not None and new_view.digest == self.new_view.digest:
            return False
        if not self._follows(new_view):
            out.append(Blame(leader, Offence.WRONG_NEW_VIEW, evidence=WrongNewView(new_view)))
            return False
        if self._digest is None:
            self._digest = new_view.digest
            out.append(Persist(NewViewRecord(self._view, self._digest)))
        elif self._digest != new_view.digest:
            # After a restart, or from a progress certificate, only the digest of the first is here.
            first = self.new_view
            evidence = TwoNewViews(first, new_view) if isinstance(first, NewView) else None
            out.append(Blame(leader, Offence.TWO_NEW_VIEWS, str(self._view), evidence))
            return False
        self.new_view = new_view
        self.endorse(out)
        return True

    def endorse(self, out: list[Effect]) -> None:
        """Our share for the progress certificate of the NewView that is here."""
        if self.new_view is not None:
            self.joint_signing.want(ProgressStatement(self._view, self.new_view.digest), out)

    def on_certificate(self, certificate: QuorumCertificate) -> bool:
        """A verified progress certificate of the NewView that is here is kept for those who come late."""
        held = self.new_view
        if isinstance(held, NewView) and certificate.statement == ProgressStatement(held.view, held.digest):
            self.progress = Progress(held.view, held.reports_digest, held.base, held.vector, certificate)
            self.joint_signing.drop()
            return True
        return False

    def on_progress(self, progress: Progress, out: list[Effect]) -> bool:
        """A quorum has checked this NewView: True when it is the one to carry out, without its Reports."""
        digest = progress.digest
        if self.new_view is not None or progress.certificate.statement != ProgressStatement(
            self._view, digest
        ):
            return False
        if self._digest is None:
            self._digest = digest
            out.append(Persist(NewViewRecord(self._view, digest)))
        elif self._digest != digest:
            return False  # the leader gave us another one, to which we keep
        self.new_view = self.progress = progress
        return True

    def _follows(self, new_view: NewView) -> bool:
        members = [member for member, _ in new_view.reports]
        if members != sorted(set(members)) or any(r.view != self._view for _, r in new_view.reports):
            return False
        try:
            return vector_of(self._system, new_view.reports, self._log.start) == new_view.vector
        except InvalidSelection:
            return False

    def carry_out(self, out: list[Effect]) -> list[Entry]:
        """Accepts the NewView's slots in order, as far as the log and the batches are here.

        Slots that are proven already are out of the log's memory and passed over: a certificate of this very
        view may have proven others there, when the leader made two NewViews. Raises Contradiction when a
        slot decided in an earlier view would be replaced.
        """
        if self.active or self.new_view is None:
            return []
        base = self._base(self.new_view)
        if self._log.decided < base:
            return []
        accepted: list[Entry] = []
        self._missing = []
        for slot in range(max(base, self._log.base) + 1, self.top + 1):
            digest = self.new_view.vector[slot - base - 1]
            held = self._log.entry(slot)
            if held is not None:
                if held.batch.digest != digest:
                    raise Contradiction(f"the NewView of view {self._view} contradicts slot {slot}")
                if held.view == self._view:
                    continue
                entry = self._log.renew(slot, self._view)
            else:
                batch = self._batch(digest)
                if batch is None:
                    self._note_missing(slot, base)
                    return accepted
                entry = self._log.append(self._view, batch, self._log.next_frontier(batch), b"")
            accepted.append(entry)
            out.append(Persist(EntryRecord(entry)))
        self.active = True
        self._fetched.clear()
        return accepted

    def served(self, digest: bytes) -> Batch | None:
        """A batch that another member asks for."""
        return self._log.batch(digest)

    def on_heartbeat(self, out: list[Effect]) -> None:
        """What was asked for may have been lost."""
        self.ask(out)

    # -- missing batches -----------------------------------------------------------------------------

    def on_batches(self, batches: tuple[Batch, ...], out: list[Effect]) -> None:
        wanted = {digest for _, digest in self._missing}
        self._fetched.update((batch.digest, batch) for batch in batches if batch.digest in wanted)

    def ask(self, out: list[Effect]) -> None:
        """Asks for the first missing batches: a member that reported the very first, another one each time.

        A progress certificate does not say who reported what. Then so many of the others are asked at once
        as report in a view, each time from another one on. Correct members that cannot be faulty together
        hold the batch (docs/concepts/protocol.md, section 9.1), and those left out can: so one is asked.
        """
        if self.active or self.new_view is None or not self._missing:
            return
        known = isinstance(self.new_view, NewView)
        holders = [member for member in self._holders(*self._missing[0]) if member != self._me]
        step = self._attempt % max(1, len(holders))
        holders = holders[step:] + holders[:step]
        count = 1 if known else self._least(holders)
        if holders:
            share = max(1, FETCH_BATCHES_MAX // count)
            self._requested = tuple(digest for _, digest in self._missing[:share])
            for holder in holders[:count]:
                out.append(Send(holder, FetchBatches(self._requested)))
            self._attempt += 1

    def _least(self, holders: list[int]) -> int:
        """How many of these, from the first one on, are not left out all together by one set of liars."""
        mask = 0
        for count, holder in enumerate(holders, 1):
            mask |= 1 << holder
            if self._system.reports(mask):
                return count
        return len(holders)

    def _holders(self, slot: int, digest: bytes) -> list[int]:
        if not isinstance(self.new_view, NewView):
            return list(range(self._system.member_count))
        return [
            member
            for member, report in self.new_view.reports
            if any((entry.slot, entry.batch_digest) == (slot, digest) for entry in report.entries)
        ]

    def ask_for_more(self, out: list[Effect]) -> None:
        """The next missing batches, as soon as those asked for are all here."""
        if self._requested and all(self._batch(digest) is not None for digest in self._requested):
            self._requested = ()
            self.ask(out)

    def _note_missing(self, slot: int, base: int) -> None:
        if self.new_view is not None:
            rest = enumerate(self.new_view.vector[slot - base - 1 :], slot)
            self._missing = [(at, digest) for at, digest in rest if self._batch(digest) is None]

    def _batch(self, digest: bytes) -> Batch | None:
        if digest == NOOP.digest:
            return NOOP
        return self._log.batch(digest) or self._fetched.get(digest)


def view_of(statement: JointStatement) -> int:
    """Where shares on the progress of a view are collected; -1 for other statements."""
    return statement.view if isinstance(statement, ProgressStatement) else -1
