"""A member's part in one epoch: engine, links, gate and signer, which are of its members and its shares."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.evidence.folder import EvidenceFolder
from alliance.keys.channel import Credentials
from alliance.net.budget import Budget
from alliance.net.tasks import together
from alliance.server.checkpoint_writer import CheckpointWriter
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Driver, Engine, Inbox
from alliance.server.failure import Failure
from alliance.server.gate import Gate, Seal
from alliance.server.incarnation import Incarnation
from alliance.server.leadership import Leadership
from alliance.server.member_log import MemberLog
from alliance.server.peers import Peers
from alliance.server.receiver import PeerReceiver
from alliance.server.retention import Retention
from alliance.server.revisions import Revisions
from alliance.server.sessions import Sessions
from alliance.server.signer import Signer
from alliance.server.signer_process import SignerProcess
from alliance.server.status import StatusSource, Watched
from alliance.server.vouching import Voucher
from alliance.server.world import ServerWorld
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_check import JournalCheck
from consensus.control import ControlState
from fab_paxos import EngineConfig, RestoredState
from fab_paxos.events import EndorsementMade, EndorsementRefused, Submitted
from quorum import JointStatement, MembershipStatement
from verifiable_log import Submission

log = logging.getLogger("alliance.server")

EngineFactory: TypeAlias = Callable[[EngineConfig, RestoredState], Engine]
"""Raises ValueError when the restored state is none of this configuration."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """What of a member outlives its epochs: its folder, the log, and who waits for it."""

    folder: Path
    credentials: Credentials
    directory: Directory
    journal: Journal
    history: History
    sessions: Sessions
    evidence: EvidenceFolder
    retention: Retention
    check: JournalCheck
    budget: Budget
    failure: Failure
    voucher: Voucher
    follow: Callable[[ControlState], None]
    keep_slots: int | None


class Term:
    """From the member's first word in an epoch to its last one; ``config`` is how the epoch began, for it."""

    def __init__(
        self,
        lasting: Lasting,
        me: int,
        state: RestoredState,
        engine: EngineFactory,
        ahead: SignerProcess | None = None,
    ) -> None:
        """Raises ValueError when the state does not fit together, and JournalError.

        ``ahead``: the signer's process.
        """
        self.config = config = lasting.directory.config
        self.me = me
        self._lasting = lasting
        self._closed = False
        self.engine = engine(_engine_config(config, me, lasting.keep_slots), state)
        self.inbox = Inbox()
        lasting.failure.halts(self.inbox)
        self.log = MemberLog(config)
        self.clocks = PeerClocks(config)
        self.gate = Gate(config)
        key = lasting.credentials.signing_key
        self.incarnation = Incarnation(config, me, key, lasting.journal, self.gate.latest)
        self.receiver = PeerReceiver(
            self.gate,
            self.inbox,
            self.log,
            self.clocks,
            lasting.failure,
            lasting.check,
            self._leader,
            lasting.voucher.seek,
        )
        self.peers = Peers(config, me, lasting.credentials, self.incarnation, self.receiver)
        self.signer = Signer(config.context, self._endorsed, ahead=ahead)
        self.revisions = Revisions(
            lasting.folder, state.control, lasting.directory, self.gate, lasting.voucher, lasting.follow
        )
        self.world = self._make_world(Seal(config, me, key))
        self._driver = Driver(self.engine, self.world, inbox=self.inbox)
        self.leadership = Leadership(config, me, self.engine, self.inbox, self.peers.links)
        self.status = StatusSource(lasting.directory, me, self._watched())
        lasting.directory.follow(self.peers.update)

    def _make_world(self, seal: Seal) -> ServerWorld:
        lasting = self._lasting
        return ServerWorld(
            lasting.directory,
            self.inbox,
            lasting.journal,
            lasting.history,
            lasting.sessions,
            self.peers,
            seal,
            self.signer,
            self.log,
            self.clocks,
            lasting.evidence,
            self.gate.latest,
            self.gate.votes,
            lasting.retention,
            self.revisions,
            CheckpointWriter(lasting.journal, self.inbox, lasting.failure),
        )

    def _watched(self) -> Watched:
        lasting = self._lasting
        return Watched(
            self.engine,
            self.peers.links,
            self.log,
            self.clocks,
            lasting.evidence.counts,
            lasting.check,
            lasting.credentials,
            lasting.budget,
            lasting.retention,
            self.signer,
            self.revisions.refresh_hindrance,
        )

    async def start(self, passphrase: bytes) -> None:
        """Starts the signer, and makes known what the log says already. Raises KeyFileError, SignerError."""
        await self.signer.start(self._lasting.folder, passphrase)
        self.revisions.start()
        if (checkpoint := self._lasting.history.checkpoint) is not None:
            self.revisions.stable(checkpoint)

    def submit(self, submissions: tuple[Submission, ...]) -> None:
        """What clients asked for in the epoch before, and is in no slot yet."""
        for submission in submissions:
            self.inbox.post(Submitted(submission))

    async def run(self) -> None:
        """Takes part until it is cancelled; then nothing is said any more. Raises what ends the member."""
        try:
            await together(
                driver=self._take_part(),
                signer=self.signer.run(),
                peers=self.peers.dial(),
                receiver=self.receiver.run(),
            )
        finally:
            self.inbox.halt()

    async def _take_part(self) -> None:
        """Nothing that the engine says leaves before n - f members know of this start."""
        number, needed = self.incarnation.number, self.config.system.report
        log.info("start %d: votes when %d members, itself included, know of it", number, needed)
        await self.incarnation.settled.wait()
        log.info("start %d: votes from now on", number)
        await self._driver.run()

    @property
    def is_alone(self) -> bool:
        """Whether so few members are linked with this one that they decide nothing together."""
        connected = sum(link.connected for link in self.peers.links.values())
        return 1 + connected < self.config.system.decision

    def turn(self) -> None:
        """One turn of the engine, at once."""
        self._driver.turn()

    def close(self) -> None:
        """Ends for good. A checkpoint that is being saved is waited for."""
        if self._closed:
            return
        self._closed = True
        self.inbox.halt()
        self._lasting.directory.unfollow(self.peers.update)
        self.world.close()
        self.peers.close()
        self.signer.close()

    def _leader(self) -> int:
        return self.config.system.leader(self.engine.status.view)

    def endorse(self, statement: MembershipStatement) -> None:
        """With a proof that the share is good; the answer goes to the voucher."""
        self.signer.endorse(statement, proven=True)

    def _endorsed(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        if isinstance(statement, MembershipStatement):
            self._lasting.voucher.endorsed(statement, signature)
        elif signature is None:
            self.inbox.post(EndorsementRefused(statement))
        else:
            self.inbox.post(EndorsementMade(statement, signature, proven))


def _engine_config(config: AllianceConfig, me: int, keep_slots: int | None) -> EngineConfig:
    timing = config.timing
    return EngineConfig(
        config.system,
        me,
        heartbeat_seconds=timing.heartbeat_seconds,
        view_timeout_seconds=timing.view_timeout_seconds,
        tenure_slots=timing.tenure_slots,
        tenure_seconds=timing.tenure_seconds,
        drift_ms=int(1000 * timing.clock_drift_seconds),
        retain_slots=keep_slots,
    )
