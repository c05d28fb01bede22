"""What follows when something becomes true: the log grows, slots are decided, the leader changes.

Each of these concerns several rooms (acceptor, learner, certifier, …), and their order matters: what must be
durable is said before what may then be sent. ``replica`` decides what an event makes true.
"""

from __future__ import annotations

from fab_paxos.acceptor import Acceptor
from fab_paxos.audience import Audience
from fab_paxos.catch_up import CatchUp
from fab_paxos.certifier import Certifier
from fab_paxos.checkpoint import Checkpoints
from fab_paxos.effects import (
    Broadcast,
    Certify,
    CutRecord,
    Decide,
    Effect,
    EntryRecord,
    LeapRecord,
    Leapt,
    Persist,
    ProvenRecord,
    Send,
    ViewRecord,
)
from fab_paxos.election import Election
from fab_paxos.gathering import Reputation
from fab_paxos.jointly import Jointly
from fab_paxos.learner import Learner
from fab_paxos.messages import Certified, NewView, Progress, Report
from fab_paxos.opening import Opening
from fab_paxos.pace import Pace
from fab_paxos.patience import Patience
from fab_paxos.proposer import Proposer
from fab_paxos.state import EngineConfig, RestoredState
from fab_paxos.tail import Tail
from fab_paxos.transfer import Brought
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
        self._tail = Tail(state.frontier, state.windows, config.checkpoint_slots)
        self._restore(state)
        self._learner = Learner(config.system, self._tail)
        last = self._tail.entry(self._tail.tip)
        if last is not None and last.view == self.view:
            self._learner.on_own(config.me, last.slot)
            if last.signature:  # a proposal, and so the leader's own word
                self._learner.on_own(self.leader, last.slot)
        self._acceptor = Acceptor(config.system, self._tail, config.drift_ms)
        self._proposer = Proposer(self._tail)
        self._audience = Audience(config.system.member_count, config.me)
        self._certifier = Certifier(
            config.system, config.me, self._tail, state.view, state.certificate, reputation, self._audience
        )
        self._opening = Opening(
            config.system,
            config.me,
            self._tail,
            state.view,
            state.new_view_digest,
            Jointly(config.system, config.me, reputation),
        )
        self._checkpoints = Checkpoints(
            self._tail,
            Jointly(config.system, config.me, reputation),
            state.checkpoint,
            state.pruned,
            config.retain_slots,
        )
        self._catch_up = CatchUp(config.system, config.me, self._tail, state.view)
        # A certificate of a longer log than ours: kept until its slot is decided here.
        self._beyond = state.beyond
        timeout, decided = config.view_timeout_seconds, self._tail.decided
        self._patience = Patience(timeout, decided)
        self._pace = Pace(config.system, config.me, state.view, decided, timeout, config.tenure_slots)

    def _restore(self, state: RestoredState) -> None:
        self._tail.silent = state.silent
        for entry in state.entries:
            if entry.view != state.view:
                self._tail.restore_remnant(entry)
                continue
            frontier = self._tail.next_frontier(entry.batch)
            if entry.slot != self._tail.tip + 1 or entry.root != frontier.root:
                raise ValueError(f"the journal's entry for slot {entry.slot} does not continue its log")
            self._tail.append(entry.view, entry.batch, frontier, entry.signature)

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
        tip, root = self._tail.tip, self._tail.root(self._tail.tip)
        entries = self._catch_up.on_frame(sender, frame, out)
        if not entries:
            return
        if self._tail.root(tip) != root:
            self._acceptor.replaced(self._tail.decided)
            self._learner.replaced(self._tail.decided)
        self._acceptor.spoken_for(entries[-1].slot)
        # First of all, so that no older one that waits brings the proven slot down again.
        self._keep_for_later(frame.certificate)
        self._decide_entries(self._tail.decide(entries[-1].slot), out)
        self._tail.forget(self._tail.decided)
        self._carry_out(out)
        self._catch_up.progressed(sender, out)

    def _on_brought(self, sender: int, brought: Brought | None, out: list[Effect]) -> None:
        """A checkpoint is here with its whole state: the log goes on from it."""
        if brought is None:
            return
        checkpoint, snapshot = brought.checkpoint, brought.checkpoint.snapshot
        if self._tail.root(snapshot.slot) == snapshot.frontier.root:
            newly = self._tail.decide(snapshot.slot)  # our own log, which it proves
            out.append(Persist(ProvenRecord(snapshot.slot, brought.certificate)))
            self._decide_entries(newly, out)
        elif snapshot.slot > self._tail.decided:
            if self._tail.tip >= snapshot.slot:
                self._tail.truncate(self._tail.decided)
                out.append(Persist(CutRecord(self._tail.decided, self._tail.silent)))
            self._tail.leap(snapshot)
            out.append(Persist(LeapRecord(checkpoint, brought.certificate, self._tail.silent)))
            out.append(Leapt(checkpoint))
            self._checkpoints.leap(checkpoint)
            self._acceptor.replaced(snapshot.slot)
            self._learner.replaced(snapshot.slot)
            self._learner.forget()
            self._proposer.on_leap(out)
        self._keep_for_later(brought.certificate)
        self._on_certificate(brought.certificate, out)
        self._carry_out(out)
        self._catch_up.progressed(sender, out)

    # -- decisions -------------------------------------------------------------------------------------

    def _decide(self, out: list[Effect]) -> None:
        decided = self._learner.decided()
        if decided > self._tail.decided:
            self._decide_entries(self._tail.decide(decided), out)

    def _decide_entries(self, entries: tuple[Entry, ...], out: list[Effect]) -> None:
        for entry in entries:
            self._proposer.on_decided(entry)
            self._pace.on_decided(entry)
            out.append(Decide(entry))
        if entries and (self._pace.too_slow() or self._pace.over_tenure(self._tail.decided)):
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
                self._opening.on_certificate(certificate)
            case _:
                pass

    def _on_decision_certificate(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """It decides our own log up to its slot, if that is the certified one."""
        statement = certificate.statement
        known = max(self._certifier.certified, self._tail.base - 1)  # below the base no root can be compared
        if not isinstance(statement, AcceptedStatement) or statement.slot <= known:
            return
        out.extend(Persist(EntryRecord(entry)) for entry in self._tail.recover(statement))
        if self._tail.root(statement.slot) != statement.root:
            self._keep_for_later(certificate)
            return
        if self._beyond is not None and _slot(self._beyond) <= statement.slot:
            self._beyond = None
        self._certifier.on_certificate(certificate)
        newly = self._tail.decide(statement.slot)
        # What it proves is proven without our memory of it. Only a Report speaks of it: before the NewView.
        out.append(Persist(ProvenRecord(statement.slot, certificate), lazily=self._opening.active))
        self._decide_entries(newly, out)
        out.append(Certify(certificate))
        self._tail.forget(statement.slot)
        self._checkpoints.on_certified(statement.slot, out)

    # -- views -----------------------------------------------------------------------------------------

    def _suspect(self, out: list[Effect]) -> None:
        if self._election.suspect(out):
            self._proposer.share_pending(out)

    @property
    def _ordered(self) -> tuple[int, int]:
        """What the leader has brought about."""
        return self.view, self._tail.decided

    @property
    def _progress(self) -> tuple[int, bool, int, int]:
        return self.view, self._opening.active, self._tail.decided, self._certifier.certified

    def _enter_view(self, view: int, proof: QuorumCertificate, out: list[Effect]) -> None:
        """The fence first: after it is durable nothing is accepted in a lower view. Then the Report."""
        self._patience.enter_view(self._tail.decided)
        self._pace.enter_view(view, self._tail.decided)
        self._election.enter(view, proof)
        out.append(Persist(ViewRecord(view, proof)))
        self._tail.enter_view()
        self._learner.enter_view()
        self._acceptor.enter_view()
        self._certifier.enter_view(view)
        self._opening.enter_view(view)
        self._proposer.enter_view()
        self._catch_up.enter_view(view)
        out.append(Broadcast(Certified(proof)))
        self._report(out)

    def _report(self, out: list[Effect]) -> None:
        newest = self._beyond if self._beyond is not None else self._certifier.newest
        report = self._opening.report(newest)
        if report is None:
            return
        if self.leader == self._config.me:
            self._on_report(self._config.me, report, out)
        else:
            out.append(Send(self.leader, report))

    def _on_report(self, sender: int, report: Report, out: list[Effect]) -> None:
        if self.leader != self._config.me:
            return
        new_view = self._opening.on_report(sender, report, out)
        if new_view is not None and self._opening.on_new_view(new_view, out):
            out.append(Broadcast(new_view))
            self._begin(new_view, out)

    def _on_new_view(self, new_view: NewView, out: list[Effect]) -> None:
        if new_view.view == self.view and self._opening.on_new_view(new_view, out):
            self._begin(new_view, out)

    def _begin(self, new_view: NewView | Progress, out: list[Effect]) -> None:
        if new_view.base is not None:
            self._on_certificate(new_view.base, out)
        self._carry_out(out)
        self._opening.ask(out)

    def _carry_out(self, out: list[Effect]) -> None:
        """Goes on with the NewView; once it is complete, with the proposals that waited for it."""
        self._extended(self._opening.carry_out(out), out)
        self._advance(out)

    def _advance(self, out: list[Effect]) -> None:
        if self._opening.active:
            self._proposed(self._acceptor.advance(out), out)

    def _keep_for_later(self, certificate: QuorumCertificate) -> None:
        if self._beyond is None or _slot(certificate) > _slot(self._beyond):
            self._beyond = certificate


def _slot(certificate: QuorumCertificate) -> int:
    statement = certificate.statement
    return statement.slot if isinstance(statement, AcceptedStatement) else 0
