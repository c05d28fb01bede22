"""What profile lean does otherwise when a view is opened: one Report can fix a slot, so it must be good.

* Reports bring evidence (``report_evidence``): the leader's signature, or the progress certificate of the
  view's NewView. That is kept for it in the journal, before anything of the view is accepted.
* A Report counts only when it is *ripe*: every batch that it names is here, with a time stamp that this
  member takes now. A liar that reports what nobody has, or what lies in the far future, is waited for in
  vain, and with it nobody else: the Reports of the correct members ripen.
* A NewView is carried out only with its progress certificate, for which a member gives its share when it has
  all batches. So a vector is unique, and enough correct members hold what it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fab_paxos.acceptor import Acceptor
from fab_paxos.effects import (
    Blame,
    Effect,
    NewViewRecord,
    Offence,
    Persist,
    ProgressRecord,
    Send,
)
from fab_paxos.evidence import TwoProposals, disagree
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.messages import FetchBatches, NewView, Progress, Report, top_of
from fab_paxos.selection import ReportedEntry
from fab_paxos.uncertified_log import UncertifiedLog
from fab_paxos.view_change import FETCH_BATCHES_MAX, ViewChange
from quorum import ProgressStatement, QuorumCertificate, Quorums
from verifiable_log.batch import Batch, Entry


class LeanViewChange(ViewChange):
    """From the Reports to an open view: docs/concepts/protocol.md, section 9.4."""

    def __init__(
        self,
        system: Quorums,
        me: int,
        log: UncertifiedLog,
        view: int,
        digest: bytes | None,
        joint_signing: SigningInTurn,
        openings: Iterable[Progress],
        acceptor: Acceptor,
    ) -> None:
        """``openings`` are those that the journal kept; ``acceptor`` knows which time stamps are taken."""
        super().__init__(system, me, log, view, digest, joint_signing)
        self._openings = {opening.view: opening for opening in openings}
        self._acceptor = acceptor
        self._asked: dict[int, tuple[bytes, ...]] = {}
        self._proposals: dict[tuple[int, int], ReportedEntry] = {}

    def enter_view(self, view: int) -> None:
        super().enter_view(view)
        self._asked.clear()
        self._proposals.clear()

    # -- Reports -------------------------------------------------------------------------------------

    def report(self, base: QuorumCertificate | None) -> Report | None:
        """As in classic, with the evidence. Raises RuntimeError for an entry that has none here.

        What a certificate brought has none; but it lies at or below the certificate, and is not reported.
        """
        bare = super().report(base)
        if bare is None:
            return None
        accepted = self._log.accepted_above(self._base(bare))
        entries = tuple(map(self._evident, accepted))
        views = sorted({entry.view for entry in entries if entry.view})
        return Report(self._view, base, entries, openings=tuple(self._openings[view] for view in views))

    def _evident(self, entry: Entry) -> ReportedEntry:
        opening = self._openings.get(entry.view)
        if entry.view and opening is None:
            raise RuntimeError(f"slot {entry.slot} was accepted in view {entry.view}, which never began here")
        if opening is not None and entry.slot <= top_of(opening, self._log.start):
            return ReportedEntry(entry.slot, entry.view, entry.batch.digest)
        if not entry.signature and self._system.leader(entry.view) != self._me:
            raise RuntimeError(f"slot {entry.slot} was accepted in view {entry.view} without its proposal")
        return ReportedEntry(entry.slot, entry.view, entry.batch.digest, entry.root, entry.signature)

    def on_report(self, member: int, report: Report, out: list[Effect]) -> NewView | None:
        """A newer Report with a higher base takes the place of the first: what that one names may be gone
        from its reporter's memory, and would never ripen."""
        first = self._reports.get(member)
        if report.view == self._view:
            self._compare(report, out)
            if self._takes_the_place(report, first):
                self._reports[member] = report
        new_view = super().on_report(member, report, out)
        if new_view is None and first is not self._reports.get(member):
            self.ask_for_more(out)
        return new_view

    def _takes_the_place(self, report: Report, first: Report | None) -> bool:
        if first is None or disagree(first, report):
            return False
        return self._base(report) > self._base(first)

    def _usable(self) -> Mapping[int, Report]:
        """Those that are ripe. What our own certificate covers need not be: our own Report is among them."""
        ours = self._reports.get(self._me)
        base = self._base(ours) if ours is not None else self._log.start
        return {
            member: report
            for member, report in super()._usable().items()
            if self._told(self._base(report))
            and all(self._ripe(e.slot, e.batch_digest) for e in report.entries if e.slot > base)
        }

    def _told(self, base: int) -> bool:
        """Whether it is known here what the log up to ``base`` says of the slots above it."""
        return self._log.control is None or self._log.decided >= base

    def _ripe(self, slot: int, digest: bytes) -> bool:
        batch = self._batch(digest)
        if batch is None or batch.time_ms > self._acceptor.stamp_max:
            return False
        return self._log.admits(slot, batch.submissions)

    def _compare(self, report: Report, out: list[Effect]) -> None:
        """Two proposals of one leader for one slot of a view, in whosever Reports, convict it."""
        for entry in report.entries:
            if entry.signature:
                first = self._proposals.setdefault((entry.view, entry.slot), entry)
                if first != entry:
                    leader = self._system.leader(entry.view)
                    evidence = TwoProposals(first, entry)
                    out.append(Blame(leader, Offence.TWO_PROPOSALS, str(entry.slot), evidence))

    # -- the NewView ---------------------------------------------------------------------------------

    def on_new_view(self, new_view: NewView, out: list[Effect]) -> bool:
        """A quorum's word, once it is here, decides which one it is."""
        for _, report in new_view.reports:
            self._compare(report, out)
        return self.progress is None and super().on_new_view(new_view, out)

    def endorse(self, out: list[Effect]) -> None:
        """Only with all batches: a progress certificate is to say that many members have them."""
        if isinstance(self.new_view, NewView) and self.progress is None:
            base = self._base(self.new_view)
            slots = enumerate(self.new_view.vector, base + 1)
            possible = self._told(base) and self._within(base, self.top)
            if possible and all(slot <= self._log.base or self._ripe(slot, digest) for slot, digest in slots):
                super().endorse(out)

    def on_certificate(self, certificate: QuorumCertificate) -> bool:
        """True when the NewView is to be carried out from now on."""
        return self.progress is None and super().on_certificate(certificate)

    def on_progress(self, progress: Progress, out: list[Effect]) -> bool:
        """Also when the leader gave us another NewView: there is but one with such a certificate."""
        statement = ProgressStatement(self._view, progress.digest)
        if self.progress is not None or progress.certificate.statement != statement:
            return False
        if self._digest is None:
            self._digest = progress.digest
            out.append(Persist(NewViewRecord(self._view, progress.digest)))
        self.new_view = self.progress = progress
        self.joint_signing.drop()
        return True

    def carry_out(self, out: list[Effect]) -> list[Entry]:
        if self.active or self.progress is None or self._log.decided < self._base(self.progress):
            return []
        self._keep(self.progress, out)
        return super().carry_out(out)

    def _keep(self, progress: Progress, out: list[Effect]) -> None:
        """For Reports, as long as an entry of its view may be in one."""
        if progress.view not in self._openings:
            named = {entry.view for entry in self._log.accepted_above(self._log.base)}
            self._openings = {view: one for view, one in self._openings.items() if view in named}
            self._openings[progress.view] = progress
            out.append(Persist(ProgressRecord(tuple(self._openings.values()))))

    # -- missing batches -----------------------------------------------------------------------------

    def served(self, digest: bytes) -> Batch | None:
        """Also what was fetched for a NewView: a liar's batch may have been given to its leader only."""
        return self._batch(digest)

    def on_heartbeat(self, out: list[Effect]) -> None:
        self._attempt += 1
        self.endorse(out)
        self.ask(out)

    def on_batches(self, batches: tuple[Batch, ...], out: list[Effect]) -> None:
        wanted = self._wanted()
        self._fetched.update((batch.digest, batch) for batch in batches if batch.digest in wanted)
        self.endorse(out)

    def ask(self, out: list[Effect]) -> None:
        """Each missing batch of one member that should have it, of another one after the next heartbeat."""
        self._asked.clear()
        self._ask_besides((), out)

    def ask_for_more(self, out: list[Effect]) -> None:
        self._asked = {
            holder: digests
            for holder, digests in self._asked.items()
            if any(self._batch(digest) is None for digest in digests)
        }
        self._ask_besides([digest for digests in self._asked.values() for digest in digests], out)

    def _ask_besides(self, asked: Iterable[bytes], out: list[Effect]) -> None:
        under_way = set(asked)
        questions: dict[int, list[bytes]] = {}
        for digest, holders in self._wanted().items():
            if digest not in under_way and holders:
                questions.setdefault(holders[self._attempt % len(holders)], []).append(digest)
        for holder, digests in questions.items():
            if holder not in self._asked:
                self._asked[holder] = tuple(digests[:FETCH_BATCHES_MAX])
                out.append(Send(holder, FetchBatches(self._asked[holder])))

    def _wanted(self) -> dict[bytes, list[int]]:
        """The batches that are missing, each with the members that should have it, but for ourselves."""
        if self.active:
            return {}
        if self.new_view is None:
            return self._named_by(self._reports.items())
        base = self._base(self.new_view)
        slots = enumerate(self.new_view.vector, base + 1)
        missing = [digest for slot, digest in slots if slot > self._log.base and self._batch(digest) is None]
        others = [member for member in range(self._system.member_count) if member != self._me]
        if self.progress is not None or not isinstance(self.new_view, NewView):
            return dict.fromkeys(missing, others)
        leader = self._system.leader(self._view)
        reporters = self._named_by(self.new_view.reports)
        return {digest: [leader, *reporters.get(digest, ())] for digest in missing}

    def _named_by(self, reports: Iterable[tuple[int, Report]]) -> dict[bytes, list[int]]:
        named: dict[bytes, list[int]] = {}
        for member, report in reports:
            for entry in report.entries:
                beyond = member != self._me and entry.slot > self._log.base
                if beyond and self._batch(entry.batch_digest) is None:
                    named.setdefault(entry.batch_digest, []).append(member)
        return named
