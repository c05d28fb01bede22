"""What the engine's effects come to in a server: its journal, links, clients, signer and clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from alliance.config.directory import Directory
from alliance.evidence.folder import EvidenceFolder
from alliance.server.checkpoint_writer import CheckpointWriter
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Inbox
from alliance.server.gate import Seal
from alliance.server.kept_votes import KeptVotes
from alliance.server.latest_statements import LatestStatements
from alliance.server.member_log import MemberLog
from alliance.server.peers import Peers
from alliance.server.retention import Retention
from alliance.server.revisions import Revisions
from alliance.server.sessions import Sessions
from alliance.server.signer import Signer
from alliance.storage.history import History, Pruned
from alliance.storage.journal import Journal
from alliance.wire.log_frames import FRAME_BYTES_MAX
from fab_paxos.control import Control
from fab_paxos.effects import Blame, Offence, Record, Timer, ViewRecord
from fab_paxos.events import CombinationFailed, Combined, TimerFired
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Message
from quorum import AcceptedStatement, CombineFailed, Endorsement, JointStatement, QuorumCertificate, combine
from verifiable_log import Entry, Submission
from verifiable_log.batch import NOOP
from verifiable_log.ordering_state import Checkpoint

log = logging.getLogger("alliance.server")

STANDSTILL_SHARE = 0.5
"""A timer that is late by more than this part of its time tells about this process, not about the leader."""


@dataclass(eq=False)
class ServerWorld:
    """The driver's ``World``. What an effect is answered by comes into the inbox, in a later turn."""

    directory: Directory
    inbox: Inbox
    journal: Journal
    history: History
    sessions: Sessions
    peers: Peers
    seal: Seal
    signer: Signer
    log: MemberLog
    clocks: PeerClocks
    evidence: EvidenceFolder
    heard: LatestStatements
    votes: KeptVotes
    retention: Retention
    revisions: Revisions
    checkpoints: CheckpointWriter
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def close(self) -> None:
        """No timer fires any more, and no checkpoint is being saved."""
        for timer in self.timers.values():
            timer.cancel()
        self.checkpoints.close()

    def persist(self, records: Sequence[Record]) -> None:
        self.journal.append(records, self.heard.take_news())
        entered = [record.view for record in records if isinstance(record, ViewRecord)]
        if entered:
            self.log.leads(entered[-1], self.directory.config.system.leader(entered[-1]))

    # -- towards the other members -------------------------------------------------------------------

    def send(self, to: int, message: Message) -> None:
        self.peers.send(to, self.seal.close(message))

    def broadcast(self, message: Message) -> None:
        self.peers.broadcast(self.seal.close(message))

    def send_log_frame(self, to: int, first_slot: int) -> None:
        link = self.peers.links[to]
        if not link.connected or link.backlog > FRAME_BYTES_MAX:
            return  # it asks faster than it reads; frames are expensive, and it will ask again
        # A snapshot installed in the same turn prunes: the peer asks again, and is offered the state.
        with suppress(Pruned):
            self.send(to, self.history.frame(first_slot))

    def offer_checkpoint(self, to: int, checkpoint: Checkpoint) -> None:
        link = self.peers.links[to]
        if link.connected and link.backlog <= FRAME_BYTES_MAX:
            self.send(to, self.history.offer(checkpoint))

    # -- what is answered by an event ----------------------------------------------------------------

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        self.signer.endorse(statement, proven=proven)

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        try:
            self.inbox.post(Combined(combine(self.directory.config.scheme, endorsements)))
        except CombineFailed as failure:
            if failure.wrong_key:
                self.log.wrong_key(failure.wrong_key)
            statement = endorsements[0].statement
            self.inbox.post(CombinationFailed(statement, failure.culprits, failure.unproven))

    def set_timer(self, name: StrEnum, seconds: float) -> None:
        if name in self.timers:
            self.timers[name].cancel()
        loop = asyncio.get_running_loop()
        if name is Timer.HEARTBEAT:
            self.timers[name] = loop.call_later(seconds, self.inbox.post, TimerFired(name))
        else:
            self.timers[name] = loop.call_later(seconds, self._waited, name, seconds, loop.time() + seconds)

    def _waited(self, name: StrEnum, seconds: float, due: float) -> None:
        """The time for something to come is over, unless it was this process that stood still.

        Then what came meanwhile is still to be read, and nobody is suspected for it: it waits once more.
        """
        loop, fired = asyncio.get_running_loop(), TimerFired(name)
        if loop.time() - due > STANDSTILL_SHARE * seconds:
            self.timers[name] = loop.call_later(seconds, self.inbox.post, fired)
        else:
            self.inbox.post(fired)

    # -- the decided log, and who waits for it -------------------------------------------------------

    def decided(self, entry: Entry, control: Control | None) -> None:
        self.log.filled += entry.batch == NOOP
        self.history.decided(entry)
        self.revisions.decided(entry, control)
        self.sessions.decided(entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        if isinstance(certificate.statement, AcceptedStatement):
            self.votes.certified(certificate.statement)
        self.history.certified(certificate)
        self.sessions.certified()

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.history.checkpoint = checkpoint
        self.checkpoints.save(checkpoint)
        self.revisions.stable(checkpoint)

    def prune(self, slot: int) -> None:
        self.retention.prune(slot)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        log.info("brought up by a checkpoint: the log goes on after slot %d", checkpoint.slot)
        self.history.install_snapshot(checkpoint)
        self.revisions.snapshot_installed(checkpoint)
        self.revisions.stable(checkpoint)
        self.sessions.snapshot_installed()

    def refuse(self, submission: Submission, reason: str) -> None:
        self.sessions.refused(submission, reason)

    def already_ordered(self, submission: Submission, slot: int) -> None:
        self.sessions.located(submission, slot)

    # -- who does what a correct party does not do ---------------------------------------------------

    def blame(self, blame: Blame) -> None:
        if blame.offence is Offence.STAMP_AHEAD and self.clocks.is_wrong:
            return  # the log says of this member's own clock already that it is the wrong one
        self.log.offences[blame.member, blame.offence] += 1
        name = self.directory.config.members[blame.member].name
        if not blame.offence.certain:
            self.log.suspect(blame.member, blame.reason)
        elif blame.evidence is None or not self._keep(name, blame.reason, blame.evidence):
            self.log.accuse(blame.member, blame.reason)

    def blame_client(self, evidence: TwoSubmissions) -> None:
        client_id = evidence.first.client_id
        for client in self.directory.config.clients:
            if client.client_id == client_id:
                self._keep(client.name, f"two contents under number {evidence.first.client_seq}", evidence)

    def _keep(self, culprit: str, reason: str, evidence: Evidence | TwoSubmissions) -> bool:
        """A line for each new file: there are no more than the folder takes."""
        path = self.evidence.keep(culprit, evidence, self.history)
        if path is not None:
            log.warning("%s: %s; evidence: %s", culprit, reason, path)
        return path is not None
