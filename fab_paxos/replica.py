"""The engine: one function of its state and one event, with everything to be done as its result.

No I/O, no clock, no randomness, no keys. Time comes as TimerFired, signatures as EndorsementMade and
Combined, and what is to happen in the world goes out as effects (``effects`` states the contract).
"""

from __future__ import annotations

from fab_paxos.acceptor import Acceptor
from fab_paxos.catch_up import CatchUp
from fab_paxos.certifier import Certifier
from fab_paxos.effects import Blame, Broadcast, Certify, Decide, Effect, Persist, ProvenRecord, Send, SetTimer
from fab_paxos.events import (
    CombinationFailed,
    Combined,
    Drained,
    EndorsementMade,
    EndorsementRefused,
    Event,
    PeerConnected,
    Received,
    Started,
    Submitted,
    TimerFired,
)
from fab_paxos.learner import Learner
from fab_paxos.messages import (
    Accepted,
    Certified,
    Endorsed,
    Fetch,
    Flag,
    Forward,
    LogFrame,
    Message,
    Propose,
    ProveShare,
    Status,
)
from fab_paxos.proposer import Proposer
from fab_paxos.state import EngineConfig, RestoredState
from fab_paxos.tail import Tail
from fab_paxos.types import Entry
from quorum import AcceptedStatement, QuorumCertificate

HEARTBEAT = "heartbeat"


class Replica:
    """One member's consensus engine: proposer, acceptor and learner around one log."""

    def __init__(self, config: EngineConfig, state: RestoredState) -> None:
        """Raises ValueError when the restored entries do not continue the restored log."""
        self._config = config
        self._system = config.system
        self._view = state.view
        self._tail = Tail(state.frontier, state.windows)
        self._restore(state)
        self._learner = Learner(config.system, self._tail)
        last = self._tail.entry(self._tail.tip)
        if last is not None and last.view == self._view:
            self._learner.on_own(config.me, last.slot)
            self._learner.on_own(self.leader, last.slot)
        self._acceptor = Acceptor(config.system, self._tail)
        self._proposer = Proposer(self._tail)
        self._certifier = Certifier(config.system, config.me, self._tail, state.certificate)
        self._catch_up = CatchUp(config.system, config.me, self._tail)
        # A certificate of a longer log than ours: kept until its slot is decided here.
        self._beyond: QuorumCertificate | None = None

    def _restore(self, state: RestoredState) -> None:
        for entry in state.entries:
            frontier = self._tail.next_frontier(entry.batch)
            if entry.slot != self._tail.tip + 1 or entry.root != frontier.root:
                raise ValueError(f"the journal's entry for slot {entry.slot} does not continue its log")
            self._tail.append(entry.view, entry.batch, frontier, entry.signature)

    @property
    def view(self) -> int:
        return self._view

    @property
    def leader(self) -> int:
        return self._system.leader(self._view)

    @property
    def status(self) -> Status:
        return Status(self._view, self._tail.tip, self._tail.decided, self._certifier.certified)

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Handles one event; the effects are to be carried out in order."""
        out: list[Effect] = []
        match event:
            case Received(sender, message):
                self._received(sender, message, out)
            case Drained():
                self._drained(out)
            case Submitted(submission):
                self._proposer.on_submitted(submission, out)
            case EndorsementMade(statement, signature, proven):
                self._certifier.on_endorsement_made(statement, signature, proven, out)
            case EndorsementRefused(statement):
                self._certifier.on_endorsement_refused(statement)
            case Combined(certificate):
                self._on_certificate(certificate, out)
            case CombinationFailed(statement, culprits, unproven):
                self._certifier.on_combination_failed(statement, culprits, unproven, out)
            case TimerFired():
                self._heartbeat(out)
            case PeerConnected(peer):
                self._connected(peer, out)
            case Started():
                out.append(SetTimer(HEARTBEAT, self._config.heartbeat_seconds))
                self._decide(out)  # where one member decides alone, nobody else's word brings it about
        return tuple(out)

    # -- messages ------------------------------------------------------------------------------------

    def _received(self, sender: int, message: Message, out: list[Effect]) -> None:
        match message:
            case Accepted(view, slot, root):
                if view == self._view and not self._learner.on_accepted(sender, slot, root):
                    out.append(Blame(sender, _differs(slot), (message,)))
                self._decide(out)
            case Propose():
                self._on_propose(sender, message, out)
            case Endorsed(endorsement):
                statement = endorsement.statement
                own_word = endorsement.member == sender
                if own_word and isinstance(statement, AcceptedStatement) and statement.view == self._view:
                    self._certifier.on_endorsed(endorsement, out)
            case Flag(view, slot):
                if view == self._view and sender == self.leader:
                    self._certifier.on_flag(slot)
            case Certified(certificate):
                self._on_certificate(certificate, out)
            case ProveShare(statement):
                self._certifier.on_prove_share(statement, out)
            case Status():
                self._catch_up.on_status(sender, message, out)
                latest = self._acceptor.latest(self._view)
                self._catch_up.help(sender, message, latest, self._certifier.newest, out)
            case Fetch(first_slot):
                leading = self.leader == self._config.me
                certified = self._certifier.certified
                self._catch_up.on_fetch(sender, first_slot, certified, self._view, leading, out)
            case LogFrame():
                self._on_frame(sender, message, out)
            case Forward(submissions):
                self._proposer.on_forwarded(submissions)

    def _on_propose(self, sender: int, propose: Propose, out: list[Effect]) -> None:
        if propose.view != self._view or self.leader == self._config.me:
            return
        entries = self._acceptor.on_propose(propose, out)
        self._extended(entries, out)
        if entries:
            self._catch_up.progressed(sender, out)

    def _extended(self, entries: list[Entry], out: list[Effect]) -> None:
        """Our accepted log has grown by these entries."""
        for entry in entries:
            self._certifier.on_accepted(entry.slot)
            for liar in self._learner.on_extended(entry.slot, entry.root):
                out.append(Blame(liar, _differs(entry.slot)))
        if entries:
            self._learner.on_own(self._config.me, entries[-1].slot)
            self._learner.on_own(self.leader, entries[-1].slot)
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
        self._extended(self._acceptor.advance(out), out)
        self._catch_up.progressed(sender, out)

    # -- decisions -----------------------------------------------------------------------------------

    def _decide(self, out: list[Effect]) -> None:
        decided = self._learner.decided()
        if decided > self._tail.decided:
            self._decide_entries(self._tail.decide(decided), out)

    def _decide_entries(self, entries: tuple[Entry, ...], out: list[Effect]) -> None:
        for entry in entries:
            self._proposer.on_decided(entry)
            out.append(Decide(entry))
        self._learner.forget(self._tail.decided)
        if self._beyond is not None:
            self._on_certificate(self._beyond, out)

    def _on_certificate(self, certificate: QuorumCertificate, out: list[Effect]) -> None:
        """A certificate decides: our own log up to its slot, if that is the certified one."""
        statement = certificate.statement
        known = max(self._certifier.certified, self._tail.base - 1)  # below the base no root can be compared
        if not isinstance(statement, AcceptedStatement) or statement.slot <= known:
            return
        if self._tail.root(statement.slot) != statement.root:
            self._keep_for_later(certificate)
            return
        if self._beyond is not None and _slot(self._beyond) <= statement.slot:
            self._beyond = None
        self._certifier.on_certificate(certificate)
        newly = self._tail.decide(statement.slot)
        out.append(Persist(ProvenRecord(statement.slot, certificate)))
        self._decide_entries(newly, out)
        out.append(Certify(certificate))
        self._tail.forget(statement.slot)

    def _keep_for_later(self, certificate: QuorumCertificate) -> None:
        if self._beyond is None or _slot(certificate) > _slot(self._beyond):
            self._beyond = certificate

    # -- speaking ------------------------------------------------------------------------------------

    def _drained(self, out: list[Effect]) -> None:
        me, view = self._config.me, self._view
        self._proposer.hand_over(self.leader, me, out)
        if self.leader == me:
            entries = self._proposer.propose(view, out)
            if entries:
                self._acceptor.spoken_for(entries[-1].slot)
                self._extended(entries, out)
            self._certifier.flag_as_leader(view, out)
        self._acceptor.announce(view, out)
        self._certifier.endorse_wanted(view, out)

    def _heartbeat(self, out: list[Effect]) -> None:
        out.append(SetTimer(HEARTBEAT, self._config.heartbeat_seconds))
        out.append(Broadcast(self.status))
        self._catch_up.on_heartbeat(out)
        self._certifier.flag_again(self._view, out)
        self._proposer.on_heartbeat(out)

    def _connected(self, peer: int, out: list[Effect]) -> None:
        out.append(Send(peer, self.status))
        latest = self._acceptor.latest(self._view)
        if latest is not None:
            out.append(Send(peer, latest))
        self._catch_up.on_connected(peer)
        if peer == self.leader:
            self._proposer.hand_over_again()


def _slot(certificate: QuorumCertificate) -> int:
    statement = certificate.statement
    return statement.slot if isinstance(statement, AcceptedStatement) else 0


def _differs(slot: int) -> str:
    return f"its log differs from ours at slot {slot}: it lies, or the leader told it another"
