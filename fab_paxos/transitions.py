"""What follows when something becomes true: the log grows, slots are decided, the leader changes.

Each of these concerns several rooms (acceptor, learner, certifier, …), and their order matters: what must be
durable is said before what may then be sent. ``replica`` decides what an event makes true.
"""

from __future__ import annotations

from fab_paxos.acceptor import Acceptor
from fab_paxos.catch_up import CatchUp
from fab_paxos.certifier import Certifier
from fab_paxos.checkpoint import Checkpoints, slot_of
from fab_paxos.effects import (
    Broadcast,
    Certify,
    Decide,
    Effect,
    EntryRecord,
    Persist,
    ProvenRecord,
    Send,
    SnapshotInstalled,
    SnapshotRecord,
    TruncateRecord,
    ViewRecord,
)
from fab_paxos.election import Election
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.leader_monitor import LeaderMonitor
from fab_paxos.learner import Learner
from fab_paxos.messages import Certified, NewView, Progress, Report
from fab_paxos.proposer import Proposer
from fab_paxos.share_collector import Reputation
from fab_paxos.share_recipients import ShareRecipients
from fab_paxos.state import EngineConfig, RestoredState
from fab_paxos.state_transfer import Brought
from fab_paxos.uncertified_log import UncertifiedLog
from fab_paxos.view_change import ViewChange, view_of
from fab_paxos.view_timer import ViewTimer
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    ProgressStatement,
    QuorumCertificate,
    SuspectStatement,
)
from verifiable_log.batch import Entry
from verifiable_log.log_frame import LogFrame


class Transitions:
    """The rooms of one engine, and what carries a change through all of them."""

    def __init__(self, config: EngineConfig, state: RestoredState) -> None:
        """Raises ValueError when the restored entries do not continue the restored log."""
        self._config = config
        self._system = config.system
        reputation = Reputation()
        self._election = Election(config.system, config.me, state.view, state.election, reputation)
        self._log = UncertifiedLog(state.frontier, state.windows, config.checkpoint_slots)
        self._restore(state)
        self._learner = Learner(config.system, self._log)
        last = self._log.entry(self._log.tip)
        if last is not None and last.view == self.view:
            self._learner.on_own(config.me, last.slot)
            if last.signature:  # a proposal, and so the leader's own word
                self._learner.on_own(self.leader, last.slot)
        self._acceptor = Acceptor(config.system, self._log, config.drift_ms)
        self._proposer = Proposer(self._log)
        self._recipients = ShareRecipients(config.system.member_count, config.me)
        self._certifier = Certifier(
            config.system, config.me, self._log, state.view, state.certificate, reputation, self._recipients
        )
        self._view_change = ViewChange(
            config.system,
            config.me,
            self._log,
            state.view,
            state.new_view_digest,
            SigningInTurn(config.system, config.me, reputation, view_of),
        )
        self._checkpoints = Checkpoints(
            self._log,
            SigningInTurn(config.system, config.me, reputation, slot_of),
            state.checkpoint,
            state.pruned,
            config.retain_slots,
        )
        self._catch_up = CatchUp(config.system, config.me, self._log, state.view)
        # A certificate of a longer log than ours: kept until its slot is decided here.
        self._beyond = state.beyond
        timeout, decided = config.view_timeout_seconds, self._log.decided
        self._view_timer = ViewTimer(timeout, decided)
        self._leader_monitor = LeaderMonitor(
            config.system, config.me, state.view, decided, timeout, config.tenure_slots
        )

    def _restore(self, state: RestoredState) -> None:
        self._log.muted_up_to = state.muted_up_to
        for entry in state.entries:
            if entry.view != state.view:
                self._log.restore_superseded(entry)
                continue
            frontier = self._log.next_frontier(entry.batch)
            if entry.slot != self._log.tip + 1 or entry.root != frontier.root:
                raise ValueError(f"the journal's entry for slot {entry.slot} does not continue its log")
            self._log.append(entry.view, entry.batch, frontier, entry.signature)

    @property
    def view(self) -> int:
        return self._election.view

    @property
    def leader(self) -> int:
        return self._system.leader(self.view)

    # -- the log grows ---------------------------------------------------------------------------------

    def _proposed(self, entries: list[Entry], out: list[Effect]) -> None:
        """These entries were proposed by the leader in this view: that is its own word for them, too."""
        if entries:
            self._learner.on_own(self.leader, entries[-1].slot)
        self._extended(entries, out)

    def _extended(self, entries: list[Entry], out: list[Effect]) -> None:
        """Our accepted log has grown by these entries."""
        for entry in entries:
            self._certifier.on_accepted(entry.slot)
            self._learner.on_extended(entry.slot, out)
        if entries:
            self._learner.on_own(self._config.me, entries[-1].slot)
            self._decide(out)
            if self._beyond is not None:  # it may prove what others' words do not decide
                self._on_certificate(self._beyond, out)

    def _on_frame(self, sender: int, frame: LogFrame, out: list[Effect]) -> None:
        tip, root = self._log.tip, self._log.root(self._log.tip)
        entries = self._catch_up.on_frame(sender, frame, out)
        if not entries:
            return
        if self._log.root(tip) != root:
            self._acceptor.replaced(self._log.decided)
            self._learner.replaced(self._log.decided)
        self._acceptor.spoken_for(entries[-1].slot)
        # First of all, so that no older one that waits brings the proven slot down again.
        self._keep_for_later(frame.certificate)
        self._decide_entries(self._log.decide(entries[-1].slot), out)
        self._log.forget(self._log.decided)
        self._carry_out(out)
        self._catch_up.progressed(sender, out)

    def _on_brought(self, sender: int, brought: Brought | None, out: list[Effect]) -> None:
        """A checkpoint is here with its whole state: the log goes on from it."""
        if brought is None:
            return
        checkpoint, snapshot = brought.checkpoint, brought.checkpoint.snapshot
        if self._log.root(snapshot.slot) == snapshot.frontier.root:
            newly = self._log.decide(snapshot.slot)  # our own log, which it proves
            out.append(Persist(ProvenRecord(snapshot.slot, brought.certificate)))
            self._decide_entries(newly, out)
        elif snapshot.slot > self._log.decided:
            if self._log.tip >= snapshot.slot:
                self._log.truncate(self._log.decided)
                out.append(Persist(TruncateRecord(self._log.decided, self._log.muted_up_to)))
            self._log.install_snapshot(snapshot)
            out.append(Persist(SnapshotRecord(checkpoint, brought.certificate, self._log.muted_up_to)))
            out.append(SnapshotInstalled(checkpoint))
            self._checkpoints.install_snapshot(checkpoint)
            self._acceptor.replaced(snapshot.slot)
            self._learner.replaced(snapshot.slot)
            self._learner.forget()
            self._proposer.on_snapshot_installed(out)
        self._keep_for_later(brought.certificate)
        self._on_certificate(brought.certificate, out)
        self._carry_out(out)
        self._catch_up.progressed(sender, out)

    # -- decisions -------------------------------------------------------------------------------------

    def _decide(self, out: list[Effect]) -> None:
        decided = self._learner.decided()
        if decided > self._log.decided:
            self._decide_entries(self._log.decide(decided), out)

    def _decide_entries(self, entries: tuple[Entry, ...], out: list[Effect]) -> None:
        for entry in entries:
            self._proposer.on_decided(entry)
            self._leader_monitor.on_decided(entry)
            out.append(Decide(entry))
        if entries and (
            self._leader_monitor.too_slow() or self._leader_monitor.over_tenure(self._log.decided)
        ):
            self._suspect(out)
        self._learner.forget()
        if entries:
            self._checkpoints.on_decided(out)
        if self._beyond is not None:
            self._on_certificate(self._beyond, out)

    def _on_certificate(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """What a quorum has said jointly: which log is decided, who leads, what may be forgotten."""
        match certificate.statement:
            case AcceptedStatement():
                self._on_decision_certificate(certificate, out)
            case SuspectStatement(view) if view >= self.view:
                self._enter_view(view + 1, certificate, out)
            case CheckpointStatement():
                self._checkpoints.on_certificate(certificate, self._certifier.certified, out)
            case ProgressStatement():
                self._view_change.on_certificate(certificate)
            case _:
                pass

    def _on_decision_certificate(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """It decides our own log up to its slot, if that is the certified one."""
        statement = certificate.statement
        known = max(self._certifier.certified, self._log.base - 1)  # below the base no root can be compared
        if not isinstance(statement, AcceptedStatement) or statement.slot <= known:
            return
        out.extend(Persist(EntryRecord(entry)) for entry in self._log.recover(statement))
        if self._log.root(statement.slot) != statement.root:
            self._keep_for_later(certificate)
            return
        if self._beyond is not None and _slot(self._beyond) <= statement.slot:
            self._beyond = None
        self._certifier.on_certificate(certificate)
        newly = self._log.decide(statement.slot)
        # What it proves is proven without our memory of it. Only a Report speaks of it: before the NewView.
        out.append(Persist(ProvenRecord(statement.slot, certificate), lazily=self._view_change.active))
        self._decide_entries(newly, out)
        out.append(Certify(certificate))
        self._log.forget(statement.slot)
        self._checkpoints.on_certified(statement.slot, out)

    # -- views -----------------------------------------------------------------------------------------

    def _suspect(self, out: list[Effect]) -> None:
        if self._election.suspect(out):
            self._proposer.share_pending(out)

    @property
    def _ordered(self) -> tuple[int, int]:
        """What the leader has brought about."""
        return self.view, self._log.decided

    @property
    def _progress(self) -> tuple[int, bool, int, int]:
        return self.view, self._view_change.active, self._log.decided, self._certifier.certified

    def _enter_view(self, view: int, proof: QuorumCertificate, out: list[Effect]) -> None:
        """The fence first: after it is durable nothing is accepted in a lower view. Then the Report."""
        self._view_timer.enter_view(self._log.decided)
        self._leader_monitor.enter_view(view, self._log.decided)
        self._election.enter(view, proof)
        out.append(Persist(ViewRecord(view, proof)))
        self._log.enter_view()
        self._learner.enter_view()
        self._acceptor.enter_view()
        self._certifier.enter_view(view)
        self._view_change.enter_view(view)
        self._proposer.enter_view()
        self._catch_up.enter_view(view)
        out.append(Broadcast(Certified(proof)))
        self._report(out)

    def _report(self, out: list[Effect]) -> None:
        newest = self._beyond if self._beyond is not None else self._certifier.newest
        report = self._view_change.report(newest)
        if report is None:
            return
        if self.leader == self._config.me:
            self._on_report(self._config.me, report, out)
        else:
            out.append(Send(self.leader, report))

    def _on_report(self, sender: int, report: Report, out: list[Effect]) -> None:
        if self.leader != self._config.me:
            return
        new_view = self._view_change.on_report(sender, report, out)
        if new_view is not None and self._view_change.on_new_view(new_view, out):
            out.append(Broadcast(new_view))
            self._begin(new_view, out)

    def _on_new_view(self, new_view: NewView, out: list[Effect]) -> None:
        if new_view.view == self.view and self._view_change.on_new_view(new_view, out):
            self._begin(new_view, out)

    def _begin(self, new_view: NewView | Progress, out: list[Effect]) -> None:
        if new_view.base is not None:
            self._on_certificate(new_view.base, out)
        self._carry_out(out)
        self._view_change.ask(out)

    def _carry_out(self, out: list[Effect]) -> None:
        """Goes on with the NewView; once it is complete, with the proposals that waited for it."""
        self._extended(self._view_change.carry_out(out), out)
        self._advance(out)

    def _advance(self, out: list[Effect]) -> None:
        if self._view_change.active:
            self._proposed(self._acceptor.advance(out), out)

    def _keep_for_later(self, certificate: QuorumCertificate) -> None:
        if self._beyond is None or _slot(certificate) > _slot(self._beyond):
            self._beyond = certificate


def _slot(certificate: QuorumCertificate) -> int:
    statement = certificate.statement
    return statement.slot if isinstance(statement, AcceptedStatement) else 0
