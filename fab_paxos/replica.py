"""The engine: one function of its state and one event, with everything to be done as its result.

No I/O, no clock, no randomness, no keys. Time comes as TimerFired, signatures as EndorsementMade and
Combined, and what is to happen in the world goes out as effects (``effects`` states the contract).

Here each event and message finds the room, or the flow through several rooms, that handles it.
"""

from __future__ import annotations

from fab_paxos.certifier import Certifier
from fab_paxos.effects import Effect, Timer
from fab_paxos.election import Election
from fab_paxos.events import (
    CheckpointSaved,
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
    StepDown,
    Submitted,
    TimerFired,
)
from fab_paxos.flows import catch_up, change_view, decide, speak, suspect
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
    Progress,
    Propose,
    ProveShare,
    Report,
    Status,
)
from fab_paxos.rooms import build
from fab_paxos.state import EngineConfig, RestoredState
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    QuorumCertificate,
    SuspectStatement,
)
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.limits import TIME_MS_MAX
from verifiable_log.log_frame import LogFrame
from verifiable_log.submission import Submission


class Replica:
    """One member's consensus engine: proposer, acceptor and learner around one log.

    ``rooms`` are its state, for those who look into it; only ``step`` changes it.
    """

    def __init__(self, config: EngineConfig, state: RestoredState) -> None:
        """Raises ValueError when the restored entries do not continue the restored log."""
        self.rooms = build(config, state)

    @property
    def view(self) -> int:
        return self.rooms.view

    @property
    def leader(self) -> int:
        return self.rooms.leader

    @property
    def status(self) -> Status:
        return self.rooms.status

    @property
    def pending(self) -> tuple[Submission, ...]:
        """What this member's own clients have submitted, and is not decided."""
        return self.rooms.proposer.pending

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Handles one event; the effects are to be carried out in order."""
        rooms = self.rooms
        out: list[Effect] = []
        match event:
            case Received(sender, Propose() as propose, arrived_ms):
                arrived_ms = rooms.acceptor.now_ms if arrived_ms is None else arrived_ms
                decide.on_propose(rooms, sender, propose, arrived_ms, out)
            case Received(sender, message):
                self._received(sender, message, out)
            case Drained():
                speak.on_drained(rooms, out)
            case Clock(now_ms):
                rooms.acceptor.now_ms = min(max(0, now_ms), TIME_MS_MAX)
            case Submitted(submission):
                rooms.proposer.on_submitted(submission, out)
            case EndorsementMade(statement, signature, proven):
                if (room := self._signing_of(statement)) is not None:
                    room.on_endorsement_made(statement, signature, proven, out)
            case EndorsementRefused(statement):
                if (room := self._signing_of(statement)) is not None:
                    room.on_endorsement_refused(statement)
            case Combined(certificate):
                self._certified(certificate, out)
                decide.pass_on(rooms, certificate, out)
            case CombinationFailed(statement, culprits, unproven):
                if (room := self._signing_of(statement)) is not None:
                    room.signing.on_combination_failed(statement, culprits, unproven, out)
            case CheckpointSaved(slot):
                rooms.checkpoints.on_saved(slot, out)
            case TimerFired(Timer.HEARTBEAT):
                speak.on_heartbeat(rooms, out)
                catch_up.on_heartbeat(rooms, out)
            case TimerFired(Timer.VIEW):
                suspect.on_view_timeout(rooms, out)
            case ProofsWanted(proofs_wanted):
                speak.on_proofs_wanted(rooms, proofs_wanted, out)
            case StepDown():
                suspect.on_step_down(rooms, out)
            case PeerConnected(peer):
                speak.on_connected(rooms, peer, out)
            case Started():
                speak.on_started(rooms, out)
        return tuple(out)

    def _received(self, sender: int, message: Message, out: list[Effect]) -> None:
        rooms = self.rooms
        match message:
            case Accepted():
                decide.on_accepted(rooms, sender, message, out)
            case Endorsed(endorsement):
                self._endorsed(sender, endorsement, out)
            case CertifyRequest():
                decide.on_certify_request(rooms, sender, message)
            case Certified(certificate):
                self._certified(certificate, out)
            case ProveShare(statement):
                if (room := self._signing_of(statement)) is not None:
                    room.signing.on_prove_share(statement, out)
            case Status():
                catch_up.on_status(rooms, sender, message, out)
            case Fetch() | FetchBatches() | FetchState():
                catch_up.on_question(rooms, sender, message, out)
            case LogFrame():
                catch_up.on_frame(rooms, sender, message, out)
            case Forward(submissions):
                decide.on_forward(rooms, submissions, out)
            case Report():
                change_view.on_report(rooms, sender, message, out)
            case NewView():
                change_view.on_new_view(rooms, message, out)
            case Batches(batches):
                change_view.on_batches(rooms, batches, out)
            case Progress():
                change_view.on_progress(rooms, message, out)
            case Offer():
                catch_up.on_offer(rooms, sender, message, out)
            case StatePart():
                catch_up.on_state_part(rooms, sender, message, out)

    def _endorsed(self, sender: int, endorsement: Endorsement, out: list[Effect]) -> None:
        """Another member's share of a statement."""
        if endorsement.member != sender:
            return
        rooms = self.rooms
        match endorsement.statement:
            case AcceptedStatement(view=view):
                if view == rooms.view:
                    rooms.certifier.on_endorsed(endorsement, out)
            case SuspectStatement() as statement:
                suspect.on_suspect(rooms, sender, endorsement, statement, out)
            case CheckpointStatement():
                rooms.checkpoints.joint_signing.on_endorsed(endorsement, out)
            case ProgressStatement():
                rooms.view_change.joint_signing.on_endorsed(endorsement, out)
            case _:
                pass

    def _certified(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """What a quorum has said jointly: which log is decided, who leads, what may be forgotten."""
        rooms = self.rooms
        match certificate.statement:
            case AcceptedStatement():
                decide.on_certificate(rooms, certificate, out)
            case SuspectStatement(view) if view >= rooms.view:
                change_view.enter(rooms, view + 1, certificate, out)
            case CheckpointStatement() | MembershipStatement(revision=0):
                rooms.checkpoints.on_certificate(certificate, rooms.certifier.certified, out)
            case ProgressStatement():
                change_view.on_progress_certificate(rooms, certificate, out)
            case _:
                pass

    def _signing_of(self, statement: JointStatement) -> Certifier | Election | SigningInTurn | None:
        """The room that gets statements of this kind jointly signed."""
        match statement:
            case AcceptedStatement():
                return self.rooms.certifier
            case SuspectStatement():
                return self.rooms.election
            case CheckpointStatement():
                return self.rooms.checkpoints.joint_signing
            case ProgressStatement():
                return self.rooms.view_change.joint_signing
            case _:
                return None
