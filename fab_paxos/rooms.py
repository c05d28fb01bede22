"""The rooms of one engine, and their one place of construction."""

from __future__ import annotations

from dataclasses import dataclass

from fab_paxos.acceptor import Acceptor
from fab_paxos.answers import Answers
from fab_paxos.catch_up import CatchUp
from fab_paxos.certifier import Certifier
from fab_paxos.checkpoint import Checkpoints, slot_of
from fab_paxos.election import Election
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.leader_monitor import LeaderMonitor
from fab_paxos.lean_view_change import LeanViewChange
from fab_paxos.learner import Learner
from fab_paxos.messages import Status
from fab_paxos.proposer import Proposer
from fab_paxos.share_collector import Reputation
from fab_paxos.share_recipients import ShareRecipients
from fab_paxos.state import EngineConfig, RestoredState
from fab_paxos.uncertified_log import UncertifiedLog
from fab_paxos.view_change import ViewChange, view_of
from fab_paxos.view_timer import ViewTimer


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that an engine knows, each part in the room that looks after it. The bundle never changes.

    No room knows the bundle: what concerns several of them is done by ``flows``.
    """

    config: EngineConfig
    election: Election
    log: UncertifiedLog
    learner: Learner
    acceptor: Acceptor
    proposer: Proposer
    recipients: ShareRecipients
    certifier: Certifier
    view_change: ViewChange
    checkpoints: Checkpoints
    catch_up: CatchUp
    answers: Answers
    view_timer: ViewTimer
    leader_monitor: LeaderMonitor

    @property
    def me(self) -> int:
        return self.config.me

    @property
    def view(self) -> int:
        return self.election.view

    @property
    def leader(self) -> int:
        return self.config.system.leader(self.view)

    @property
    def leading(self) -> bool:
        return self.leader == self.me

    @property
    def status(self) -> Status:
        return Status(
            view=self.view,
            accepted=self.log.tip,
            decided=self.log.decided,
            certified=self.certifier.certified,
            active=self.view_change.active,
            stable=self.checkpoints.slot,
            proofs_wanted=self.recipients.wants_proofs(self.me),
        )


def build(config: EngineConfig, state: RestoredState) -> Rooms:
    """The rooms as they were when ``state`` was journalled.

    Raises ValueError when the restored entries do not continue the restored log.
    """
    system, me, view = config.system, config.me, state.view
    reputation = Reputation()
    log = UncertifiedLog(state.frontier, state.windows, config.checkpoint_slots, state.control, state.start)
    restore(log, state)
    recipients = ShareRecipients(system.member_count, me)
    acceptor = Acceptor(system, log, config.drift_ms)
    progress = SigningInTurn(system, me, reputation, view_of)
    rooms = Rooms(
        config=config,
        election=Election(system, me, view, state.election, reputation),
        log=log,
        learner=Learner(system, log),
        acceptor=acceptor,
        proposer=Proposer(log),
        recipients=recipients,
        certifier=Certifier(system, me, log, view, state.certificate, state.beyond, reputation, recipients),
        view_change=LeanViewChange(
            *(system, me, log, view, state.new_view_digest, progress, state.openings, acceptor)
        )
        if system.lean
        else ViewChange(system, me, log, view, state.new_view_digest, progress),
        checkpoints=Checkpoints(
            log,
            SigningInTurn(system, me, reputation, slot_of),
            state.checkpoint,
            state.pruned,
            config.retain_slots,
        ),
        catch_up=CatchUp(system, me, log, view),
        answers=Answers(),
        view_timer=ViewTimer(config.view_timeout_seconds, log.decided),
        leader_monitor=LeaderMonitor(
            system,
            me,
            view,
            log.decided,
            timeout=config.view_timeout_seconds,
            tenure_slots=config.tenure_slots,
            tenure_beats=config.tenure_seconds / config.heartbeat_seconds,
        ),
    )
    last = log.entry(log.tip)
    if last is not None and last.view == view:
        rooms.learner.on_own(me, last.slot)
        if last.signature:  # a proposal, and so the leader's own vote
            rooms.learner.on_own(rooms.leader, last.slot)
    return rooms


def restore(log: UncertifiedLog, state: RestoredState) -> None:
    """Puts the entries of ``state`` into an empty log; raises ValueError as ``build`` does."""
    log.muted_up_to = state.muted_up_to
    for entry in state.entries:
        if entry.view != state.view:
            log.restore_superseded(entry)
            continue
        frontier = log.next_frontier(entry.batch)
        if entry.slot != log.tip + 1 or entry.root != frontier.root:
            raise ValueError(f"the journal's entry for slot {entry.slot} does not continue its log")
        log.append(entry.view, entry.batch, frontier, entry.signature)
