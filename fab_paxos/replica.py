"""The engine: one function of its state and one event, with everything to be done as its result.

No I/O, no clock, no randomness, no keys. Time comes as TimerFired, signatures as EndorsementMade and
Combined, and what is to happen in the world goes out as effects (``effects`` states the contract).
"""

from __future__ import annotations

from fab_paxos.certifier import Certifier
from fab_paxos.effects import (
    Broadcast,
    Effect,
    OfferCheckpoint,
    Send,
    SetTimer,
)
from fab_paxos.election import Election
from fab_paxos.events import (
    Clock,
    CombinationFailed,
    Combined,
    Drained,
    EndorsementMade,
    EndorsementRefused,
    Event,
    PeerConnected,
    ProofsWanted,
    Received,
    Started,
    Submitted,
    TimerFired,
)
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    FetchBatches,
    FetchState,
    Forward,
    Message,
    NewView,
    Offer,
    Progress,
    Propose,
    ProveShare,
    Report,
    StatePart,
    Status,
)
from fab_paxos.state_transfer import answer
from fab_paxos.transitions import Transitions
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    JointStatement,
    ProgressStatement,
    SuspectStatement,
)
from verifiable_log.limits import TIME_MS_MAX
from verifiable_log.log_frame import LogFrame

HEARTBEAT = "heartbeat"


class Replica(Transitions):
    """One member's consensus engine: proposer, acceptor and learner around one log."""

    @property
    def status(self) -> Status:
        return Status(
            view=self.view,
            accepted=self._log.tip,
            decided=self._log.decided,
            certified=self._certifier.certified,
            active=self._view_change.active,
            stable=self._checkpoints.slot,
            proofs_wanted=self._recipients.wants_proofs(self._config.me),
        )

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Handles one event; the effects are to be carried out in order."""
        out: list[Effect] = []
        match event:
            case Received(sender, message):
                self._received(sender, message, out)
            case Drained():
                self._drained(out)
            case Clock(now_ms):
                self._acceptor.now_ms = min(max(0, now_ms), TIME_MS_MAX)
            case Submitted(submission):
                self._proposer.on_submitted(submission, out)
            case EndorsementMade(statement, signature, proven):
                if (room := self._signing_of(statement)) is not None:
                    room.on_endorsement_made(statement, signature, proven, out)
            case EndorsementRefused(statement):
                self._certifier.on_endorsement_refused(statement)
            case Combined(certificate):
                self._on_certificate(certificate, out)
                if self.leader == self._config.me and certificate == self._certifier.newest:
                    self._recipients.certificate(certificate, out)
            case CombinationFailed(statement, culprits, unproven):
                if (room := self._signing_of(statement)) is not None:
                    room.signing.on_combination_failed(statement, culprits, unproven, out)
            case TimerFired("heartbeat"):
                self._heartbeat(out)
            case TimerFired("pace"):
                self._leader_monitor.on_time(self._ordered)
            case TimerFired():
                self._on_view_timeout(out)
            case ProofsWanted(proofs_wanted):
                if self._recipients.note(self._config.me, proofs_wanted):
                    out.append(Broadcast(self.status))
            case PeerConnected(peer):
                self._connected(peer, out)
            case Started():
                out.append(SetTimer(HEARTBEAT, self._config.heartbeat_seconds))
                self._decide(out)  # where one member decides alone, nobody else's word brings it about
        return tuple(out)

    def _signing_of(self, statement: JointStatement) -> Certifier | Election | SigningInTurn | None:
        """The room that gets statements of this kind jointly signed."""
        match statement:
            case AcceptedStatement():
                return self._certifier
            case SuspectStatement():
                return self._election
            case CheckpointStatement():
                return self._checkpoints.joint_signing
            case ProgressStatement():
                return self._view_change.joint_signing
            case _:
                return None

    # -- messages --------------------------------------------------------------------------------------

    def _received(self, sender: int, message: Message, out: list[Effect]) -> None:
        match message:
            case Accepted(view):
                if view == self.view:
                    self._learner.on_accepted(sender, message, out)
                self._decide(out)
            case Propose():
                self._on_propose(sender, message, out)
            case Endorsed(endorsement):
                self._on_endorsed(sender, endorsement, out)
            case CertifyRequest(view, slot):
                if view == self.view and sender == self.leader:
                    self._certifier.on_certify_request(slot)
            case Certified(certificate):
                self._on_certificate(certificate, out)
            case ProveShare(statement):
                if (room := self._signing_of(statement)) is not None:
                    room.signing.on_prove_share(statement, out)
            case Status():
                self._on_status(sender, message, out)
            case Fetch(first_slot):
                self._on_fetch(sender, first_slot, out)
            case LogFrame():
                self._on_frame(sender, message, out)
            case Forward(submissions):
                if self.leader == self._config.me:
                    self._proposer.on_forwarded(submissions, out)
                else:
                    self._proposer.on_shared(submissions, out)
            case Report():
                self._on_report(sender, message, out)
            case NewView():
                self._on_new_view(message, out)
            case FetchBatches(digests):
                for batch in filter(None, map(self._log.batch, dict.fromkeys(digests))):
                    out.append(Send(sender, Batches((batch,))))
            case Batches(batches):
                self._view_change.on_batches(batches)
                self._carry_out(out)
                self._view_change.ask_for_more(out)
            case Progress():
                if message.view == self.view and self._view_change.on_progress(message, out):
                    self._begin(message, out)
            case Offer():
                if self._catch_up.was_asked(sender):
                    transfer = self._catch_up.transfer
                    self._on_brought(sender, transfer.on_offer(sender, message, self._log.decided, out), out)
            case StatePart():
                self._on_brought(sender, self._catch_up.transfer.on_part(sender, message, out), out)
            case FetchState():
                part = answer(self._checkpoints.stable, message)
                if part is not None:
                    out.append(Send(sender, part))

    def _on_propose(self, sender: int, propose: Propose, out: list[Effect]) -> None:
        if propose.view != self.view or self.leader == self._config.me:
            return
        entries = self._acceptor.on_propose(propose, self._view_change.active, out)
        self._proposed(entries, out)
        if entries:
            self._catch_up.progressed(sender, out)

    def _on_endorsed(self, sender: int, endorsement: Endorsement, out: list[Effect]) -> None:
        if endorsement.member != sender:
            return
        match endorsement.statement:
            case AcceptedStatement(view=view):
                if view == self.view:
                    self._certifier.on_endorsed(endorsement, out)
            case SuspectStatement() as statement:
                if statement.view < self.view and self._election.proof is not None:
                    out.append(Send(sender, Certified(self._election.proof)))
                elif self._election.on_suspect(endorsement, statement, out):
                    self._suspect(out)
            case CheckpointStatement():
                self._checkpoints.joint_signing.on_endorsed(endorsement, out)
            case ProgressStatement():
                self._view_change.joint_signing.on_endorsed(endorsement, out)
            case _:
                pass

    def _on_status(self, sender: int, status: Status, out: list[Effect]) -> None:
        """Whoever is behind in views gets the proof that moves it, and then the NewView that it lacks."""
        if status.view < self.view and self._election.proof is not None:
            out.append(Send(sender, Certified(self._election.proof)))
        elif status.view == self.view and not status.active and self._view_change.new_view is not None:
            out.append(Send(sender, self._view_change.progress or self._view_change.new_view))
        if self._recipients.note(sender, status.proofs_wanted):
            self._certifier.on_proofs_wanted(sender, out)
        self._catch_up.on_status(sender, status, out)
        latest = self._acceptor.latest(self.view)
        self._catch_up.help(sender, status, latest, self._certifier.newest, self._checkpoints.stable, out)

    def _on_fetch(self, sender: int, first_slot: int, out: list[Effect]) -> None:
        """The slots of a NewView are fetched by digest, not as proposals."""
        certified = self._certifier.certified
        stable = self._checkpoints.stable
        if first_slot <= self._checkpoints.pruned and stable is not None:
            if (
                stable.slot <= certified
            ):  # else, after a install_snapshot, its proof lies beyond the log that is here
                out.append(OfferCheckpoint(sender, stable))
            return
        if first_slot > certified:
            if not self._view_change.active:
                return  # what was proposed, and what the NewView gave, is not told apart before it is here
            first_slot = max(first_slot, self._view_change.top + 1)
        leading = self.leader == self._config.me and not self._log.muted_up_to
        self._catch_up.on_fetch(sender, first_slot, certified, self.view, leading, out)

    # -- speaking --------------------------------------------------------------------------------------

    def _drained(self, out: list[Effect]) -> None:
        me, view = self._config.me, self.view
        self._proposer.hand_over(self.leader, me, self._election.suspecting, out)
        if self.leader == me and self._view_change.active:
            self._acceptor.announce(view, out)  # what a NewView gave it; its proposals speak for themselves
            entries = self._proposer.propose(view, self._acceptor.now_ms, out)
            if entries:
                self._acceptor.spoken_for(entries[-1].slot)
                self._proposed(entries, out)
            self._certifier.request_certificate(out)
        self._acceptor.announce(view, out)
        self._certifier.endorse_wanted(out)
        self._watch(out)

    def _watch(self, out: list[Effect]) -> None:
        behind = self._log.tip > self._certifier.certified  # undecided, or decided and without its proof
        due = not self._view_change.active or behind or self._proposer.waiting
        self._view_timer.watch(due, self._progress, self._log.decided, out)
        self._leader_monitor.watch(self._view_change.active and self._proposer.waiting, self._ordered, out)

    def _on_view_timeout(self, out: list[Effect]) -> None:
        if self._view_timer.expired(self._progress):
            self._suspect(out)

    def _heartbeat(self, out: list[Effect]) -> None:
        out.append(SetTimer(HEARTBEAT, self._config.heartbeat_seconds))
        out.append(Broadcast(self.status))
        self._leader_monitor.on_heartbeat()
        self._catch_up.on_heartbeat(out)
        self._certifier.repeat_request(out)
        leading = self.leader == self._config.me
        self._proposer.on_heartbeat(self._view_change.active and not leading, out)
        if self._proposer.overlooked >= self._config.overlooked_heartbeats:
            self._suspect(out)
        self._election.signing.on_heartbeat(out)
        self._view_change.ask(out)
        self._view_change.joint_signing.signing.on_heartbeat(out)
        self._checkpoints.joint_signing.signing.on_heartbeat(out)
        self._report(out)

    def _connected(self, peer: int, out: list[Effect]) -> None:
        out.append(Send(peer, self.status))
        latest = self._acceptor.latest(self.view)
        if latest is not None:
            out.append(Send(peer, latest))
        self._catch_up.on_connected(peer)
        if peer == self.leader:
            self._proposer.hand_over_again()
            self._report(out)
