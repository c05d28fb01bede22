"""A consensus server: the one place where everything is constructed, started and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from alliance.config import file as config_file
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, ConfigError, JournalError, NoLongerMember, PortTaken
from alliance.evidence.folder import EvidenceFolder
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.channels import Channels
from alliance.net.endpoints import Endpoints
from alliance.net.tasks import together
from alliance.pb import client_pb2, client_pb2_grpc, peer_pb2
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
from alliance.server.revisions import Revisions, beginning
from alliance.server.services import ClientService, PeerService
from alliance.server.sessions import Sessions
from alliance.server.signer import Signer
from alliance.server.status import StatusSource, Watched
from alliance.server.vouching import Voucher
from alliance.server.world import ServerWorld
from alliance.storage import epoch_entry
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_check import JournalCheck
from fab_paxos import EngineConfig, Replica, RestoredState
from fab_paxos.events import EndorsementMade, EndorsementRefused
from quorum import JointStatement, MembershipStatement

log = logging.getLogger("alliance.server")

JOURNAL = "journal.sqlite"
_SERVICES = (
    client_pb2.DESCRIPTOR.services_by_name["Client"].full_name,
    peer_pb2.DESCRIPTOR.services_by_name["Peer"].full_name,
)

EngineFactory: TypeAlias = Callable[[EngineConfig, RestoredState], Engine]
"""Raises ValueError when the restored state is none of this configuration."""


class Server:
    """One member: its parts, from the first to the last moment."""

    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        credentials: Credentials,
        folder: Path,
        *,
        keep_slots: int | None = None,
        awaited: Sequence[str] = (),
        engine: EngineFactory = Replica,
    ) -> None:
        """Opens and replays the journal. Raises JournalError and ConfigError.

        ``keep_slots``: how much of the log is kept below the stable checkpoint; None keeps all of it.
        ``awaited``: applications whose snapshots are waited for, beside those that have run here.
        """
        self._credentials = credentials
        self._folder = folder
        self._journal = Journal(folder / JOURNAL, config.alliance_id, config.members[me].name)
        config, me = _present(folder, config, credentials, self._journal)
        self._config, self._me = config, me
        self._directory = Directory(config)
        replayed = self._journal.replay(beginning(folder, config))
        self._history = History(self._journal, replayed.log, replayed.certificate)
        self._history.checkpoint = replayed.state.checkpoint
        try:
            self._engine = engine(_engine_config(config, me, keep_slots), replayed.state)
        except ValueError as error:
            raise self._journal.damaged(str(error)) from None
        self._admission = Admission(config)
        self._endpoints = Endpoints(self._admission, credentials, self._equip)
        self._health = health_aio.HealthServicer()
        self._inbox = Inbox()
        self._failure = Failure(self._inbox)
        self._log = MemberLog(config)
        self._clocks = PeerClocks(config)
        self._gate = Gate(config)
        key = credentials.signing_key
        self._incarnation = Incarnation(config, me, key, self._journal, self._gate.latest)
        self._check = JournalCheck(self._journal, self._history)
        self._receiver = PeerReceiver(
            self._gate, self._inbox, self._log, self._clocks, self._failure, self._check, self._leader
        )
        self._peers = Peers(config, me, credentials, self._incarnation, self._receiver)
        self._sessions = Sessions(self._history)
        self._retention = Retention(config, folder, self._history, awaited)
        self._signer = Signer(config.context, self._endorsed)
        self._channels = Channels(credentials)
        self._voucher = Voucher(folder, self._directory, me, self._channels, self._endorse)
        self._revisions = Revisions(
            folder, replayed.state.control, self._directory, self._gate, self._voucher
        )
        self._evidence = EvidenceFolder(folder, config)
        self._world = self._make_world(Seal(config, me, key))
        self._driver = Driver(self._engine, self._world, inbox=self._inbox)
        self._leadership = Leadership(config, me, self._engine, self._inbox, self._peers.links)
        self._client_service = self._for_clients()
        parts = (self._admission, self._peers, self._evidence)
        self._directory.follow(*(part.update for part in parts))

    def _make_world(self, seal: Seal) -> ServerWorld:
        return ServerWorld(
            self._directory,
            self._inbox,
            self._journal,
            self._history,
            self._sessions,
            self._peers,
            seal,
            self._signer,
            self._log,
            self._clocks,
            self._evidence,
            self._gate.latest,
            self._retention,
            self._revisions,
            CheckpointWriter(self._journal, self._inbox, self._failure),
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        passphrase: bytes,
        *,
        keep_slots: int | None = None,
        awaited: Sequence[str] = (),
    ) -> Server:
        """The member whose folder this is. Raises ConfigError, KeyFileError, ClockError, JournalError."""
        config = config_file.load(folder)
        me, member = keys.member_party(config, folder)
        credentials = keys.load_credentials(folder, member, passphrase)
        return cls(config, me, credentials, folder, keep_slots=keep_slots, awaited=awaited)

    @property
    def name(self) -> str:
        return self._config.members[self._me].name

    async def start(self, passphrase: bytes, address: str | None = None) -> str:
        """Starts signer and listening; returns the address. Raises KeyFileError, SignerError, PortTaken."""
        await self._signer.start(self._folder, passphrase)
        self._client_service.start()
        self._revisions.start()
        where = address or self._directory.config.members[self._me].address
        if not await self._endpoints.open(where):
            raise PortTaken(
                f"{where} cannot be listened on: is another process using it? Stop that one, or serve"
                " elsewhere with --listen HOST:PORT"
            )
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        if address is None:  # else its address leads here in a way that this process does not know
            self._directory.follow(lambda now: self._endpoints.follow(now.members[self._me].address))
        return where

    def _for_clients(self) -> ClientService:
        watched = Watched(
            self._engine,
            self._peers.links,
            self._log,
            self._clocks,
            self._evidence.counts,
            self._check,
            self._credentials,
            self._admission.budget,
            self._retention,
        )
        return ClientService(
            self._directory,
            self._gate,
            self._inbox,
            self._history,
            self._sessions,
            StatusSource(self._directory, self._me, watched),
            self._failure,
            self._leadership,
            self._admission.identities,
            self._voucher,
        )

    def _equip(self, server: grpc.aio.Server) -> None:
        """All that is asked of a member, behind one address."""
        client_pb2_grpc.add_ClientServicer_to_server(self._client_service, server)  # type: ignore[no-untyped-call]
        peer = PeerService(self._admission.identities, self._me, self._peers)
        server.add_generic_rpc_handlers((peer.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection([*_SERVICES, health, reflection.SERVICE_NAME], server)

    async def run(self) -> None:
        """Serves until cancelled; an error that ends it is raised as the AllianceError that it is."""
        await together(
            driver=self._take_part(),
            failure=self._failure.raised(),
            signer=self._signer.run(),
            peers=self._peers.dial(),
            journal=self._watch_journal(),
            receiver=self._receiver.run(),
            endpoints=self._endpoints.run(),
            voucher=self._voucher.run(),
        )

    async def _take_part(self) -> None:
        """Nothing that the engine says leaves before n - f members know of this start."""
        number, needed = self._incarnation.number, self._config.system.report
        log.info("start %d: votes when %d members, itself included, know of it", number, needed)
        await self._incarnation.settled.wait()
        log.info("start %d: votes from now on", number)
        await self._driver.run()

    async def _watch_journal(self) -> None:
        """With each heartbeat: whether its files are still there, a little of what is in them, and what of it
        nobody needs any more."""
        while True:
            await asyncio.sleep(self._config.timing.heartbeat_seconds)
            try:
                self._journal.check_presence()
                self._check.portion()
                self._retention.look()
            except JournalError as error:
                self._failure.failed(error)
                return

    async def hand_over(self) -> None:
        """To be awaited before ``run`` is cancelled: if this member leads, another one does from then on."""
        if self._incarnation.settled.is_set():
            await self._leadership.hand_over()

    async def stop(self) -> None:
        """Ends cleanly; whatever was acknowledged is in the journal already.

        Streams end at once: nothing more comes on them, and who waits there is to ask another member.
        """
        self._world.close()
        await self._endpoints.stop(None)
        await self._channels.close()
        self._signer.close()
        self._journal.close()

    def _leader(self) -> int:
        return self._config.system.leader(self._engine.status.view)

    def _endorse(self, statement: MembershipStatement) -> None:
        self._signer.endorse(statement, proven=True)

    def _endorsed(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        if isinstance(statement, MembershipStatement):
            self._voucher.endorsed(statement, signature)
        elif signature is None:
            self._inbox.post(EndorsementRefused(statement))
        else:
            self._inbox.post(EndorsementMade(statement, signature, proven))


def _present(
    folder: Path, config: AllianceConfig, mine: Credentials, journal: Journal
) -> tuple[AllianceConfig, int]:
    """Who takes part in the epoch that the journal is in, and this member's place among them.

    Raises NoLongerMember when it is none of them, ConfigError, JournalError and KeyFileError.
    """
    try:
        config = epoch_entry.resume(folder, config, journal)
        for index, member in enumerate(config.members):
            if member.identity == mine.party.identity:
                return config, index
        raise NoLongerMember(
            f"{mine.party.name} takes no part in epoch {config.epoch}: it has stopped, and its journal is an"
            " archive of the log"
        )
    except OSError as error:
        journal.close()
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    except AllianceError:
        journal.close()
        raise


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
