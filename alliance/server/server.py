"""A consensus server: the one place where everything is constructed, started and ended."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, IdentityConflict, PortTaken
from alliance.evidence.folder import EvidenceFolder
from alliance.keys import folder as keys
from alliance.net.channels import SERVER_OPTIONS, Identities, bind, server_credentials
from alliance.net.tasks import together
from alliance.pb import client_pb2, client_pb2_grpc, peer_pb2
from alliance.server.driver import Driver
from alliance.server.gate import Gate, Rejected, Seal
from alliance.server.incarnation import FAREWELL_SECONDS, Incarnation
from alliance.server.member_log import MemberLog
from alliance.server.peers import Peers
from alliance.server.services import ClientService, PeerService
from alliance.server.sessions import Sessions
from alliance.server.signer import Signer
from alliance.storage.history import History, Pruned
from alliance.storage.journal import Journal
from alliance.wire.log_frames import FRAME_BYTES_MAX
from fab_paxos import EngineConfig, Replica
from fab_paxos.effects import Record, ViewRecord
from fab_paxos.events import (
    CombinationFailed,
    Combined,
    EndorsementMade,
    EndorsementRefused,
    PeerConnected,
    TimerFired,
)
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Message, Status
from quorum import CombineFailed, Endorsement, JointStatement, QuorumCertificate, combine
from verifiable_log import Entry, Submission
from verifiable_log.ordering_state import Checkpoint

log = logging.getLogger("alliance.server")

JOURNAL = "journal.sqlite"
STOP_GRACE_SECONDS = 1.0


class Server:
    """One member. It is the driver's ``World`` and the links' ``Receiver``: effects leave through it."""

    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        credentials: keys.Credentials,
        folder: Path,
        *,
        keep_slots: int | None = None,
    ) -> None:
        """Opens and replays the journal. Raises JournalError.

        ``keep_slots``: how much of the log is kept below the stable checkpoint; None keeps all of it.
        """
        self._config = config
        self._me = me
        self._scheme = config.scheme
        member = config.members[me]
        self._journal = Journal(folder / JOURNAL, config.alliance_id, member.name)
        replayed = self._journal.replay()
        self._history = History(self._journal, replayed.log, replayed.state.certificate)
        try:
            self._replica = Replica(_engine_config(config, me, keep_slots), replayed.state)
        except ValueError as error:
            raise self._journal.damaged(str(error)) from None
        self._driver = Driver(self._replica, self)
        self._gate = Gate(config)
        self._seal = Seal(config, me, credentials.signing_key)
        self._incarnation = Incarnation(config, me, credentials.signing_key, self._journal, self._gate.latest)
        self._sessions = Sessions(self._history)
        self._peers = Peers(config, me, credentials, self._incarnation, self)
        self._signer = Signer(config.context, self._endorsed)
        self._credentials = credentials
        self._folder = folder
        self._grpc: grpc.aio.Server | None = None
        self._rejected: Counter[int] = Counter()
        self._log = MemberLog(config)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._blamed: dict[int, str] = {}
        self._alarms: dict[int, str] = {}
        self._error: AllianceError | None = None
        self._ended = asyncio.Event()
        self._evidence = EvidenceFolder(folder, config)

    @classmethod
    def open(cls, folder: Path, passphrase: bytes, *, keep_slots: int | None = None) -> Server:
        """The member whose folder this is. Raises ConfigError, KeyFileError, ClockError, JournalError."""
        config = config_file.load(folder)
        me, member = keys.member_party(config, folder)
        credentials = keys.load_credentials(folder, member, passphrase)
        return cls(config, me, credentials, folder, keep_slots=keep_slots)

    @property
    def name(self) -> str:
        return self._config.members[self._me].name

    async def start(self, passphrase: bytes, address: str | None = None) -> str:
        """Starts signer and listening; returns the address. Raises KeyFileError, SignerError, PortTaken."""
        await self._signer.start(self._folder, passphrase)
        server = grpc.aio.server(options=SERVER_OPTIONS)
        health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        client = ClientService(
            self._config,
            self._me,
            self._gate,
            self._driver,
            self._history,
            self._sessions,
            self._peers,
            self,
        )
        client_pb2_grpc.add_ClientServicer_to_server(client, server)  # type: ignore[no-untyped-call]
        peer = PeerService(Identities(self._config), self._me, self._peers)
        server.add_generic_rpc_handlers((peer.handler(),))
        services = [
            client_pb2.DESCRIPTOR.services_by_name["Client"].full_name,
            peer_pb2.DESCRIPTOR.services_by_name["Peer"].full_name,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
        ]
        reflection.enable_server_reflection([*services, reflection.SERVICE_NAME], server)
        where = address or self._config.members[self._me].address
        if not bind(server, where, server_credentials(self._config, self._credentials)):
            raise PortTaken(
                f"{where} cannot be listened on: is another process using it? Stop that one, or serve"
                " elsewhere with --listen HOST:PORT"
            )
        await server.start()
        for service in ("", *services[:2]):
            await health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._grpc = server
        return where

    async def run(self) -> None:
        """Serves until cancelled; an error that ends it is raised as the AllianceError that it is."""
        await together(
            driver=self._take_part(),
            failure=self._fail(),
            signer=self._signer.run(),
            peers=self._peers.dial(),
        )

    async def _take_part(self) -> None:
        """Nothing that the engine says leaves before n - f members know of this start."""
        number, needed = self._incarnation.number, self._config.system.report
        log.info("start %d: votes when %d members, itself included, know of it", number, needed)
        await self._incarnation.settled.wait()
        log.info("start %d: votes from now on", number)
        await self._driver.run()

    async def _fail(self) -> None:
        """Raises what ``failed`` was told."""
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """Ends cleanly; whatever was acknowledged is in the journal already."""
        for timer in self._timers.values():
            timer.cancel()
        if self._grpc is not None:
            await self._grpc.stop(STOP_GRACE_SECONDS)
        self._signer.close()
        self._journal.close()

    # -- Receiver: what links bring ------------------------------------------------------------------

    def received(self, sender: int, data: bytes) -> None:
        admitted = self._gate.admit(sender, data)
        if isinstance(admitted, Rejected):
            self._rejected[sender] += 1
            self._log.accuse(sender, f"a message was refused: {admitted.reason}")
        else:
            self._driver.post(admitted)

    def rejected_frame(self, sender: int, reason: str) -> None:
        self._rejected[sender] += 1
        self._log.accuse(sender, f"the link was closed: it sent {reason}")

    def connected(self, peer: int) -> None:
        self._log.connected(peer)
        self._driver.post(PeerConnected(peer))

    def lost(self, peer: int) -> None:
        self._log.lost(peer)

    def doubted(self, peer: int, reason: str) -> None:
        self._alarms[peer] = reason
        self._log.accuse(peer, f"the link was refused: {reason}")

    def failed(self, error: AllianceError) -> None:
        """This member must not go on: it says nothing more from this moment, and ``run`` raises the error.

        After a conflict it lets the peer hear the farewell first.
        """
        if self._error is None:
            self._error = error
            self._driver.halt()
            delay = FAREWELL_SECONDS if isinstance(error, IdentityConflict) else 0.0
            self._timers["end"] = asyncio.get_running_loop().call_later(delay, self._ended.set)

    async def room(self) -> None:
        await self._driver.room()

    # -- World: what the engine wants ----------------------------------------------------------------

    def persist(self, records: Sequence[Record]) -> None:
        self._journal.append(records)
        entered = [record.view for record in records if isinstance(record, ViewRecord)]
        if entered:
            self._log.leads(entered[-1], self._config.system.leader(entered[-1]))

    def send(self, to: int, message: Message) -> None:
        self._peers.send(to, self._seal.close(message))

    def broadcast(self, message: Message) -> None:
        self._peers.broadcast(self._seal.close(message))

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        self._signer.endorse(statement, proven=proven)

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        try:
            self._driver.post(Combined(combine(self._scheme, endorsements)))
        except CombineFailed as failure:
            statement = endorsements[0].statement
            self._driver.post(CombinationFailed(statement, failure.culprits, failure.unproven))

    def decided(self, entry: Entry) -> None:
        self._history.decided(entry)
        self._sessions.decided(entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        self._history.certified(certificate)
        self._sessions.certified()

    def supply(self, to: int, first_slot: int) -> None:
        link = self._peers.links[to]
        if not link.connected or link.backlog > FRAME_BYTES_MAX:
            return  # it asks faster than it reads; frames are dear to make, and it will ask again
        with suppress(Pruned):  # by a leap in the same turn: it will ask again, and be offered the state
            self.send(to, self._history.frame(first_slot))

    def present(self, to: int, checkpoint: Checkpoint) -> None:
        link = self._peers.links[to]
        if link.connected and link.backlog <= FRAME_BYTES_MAX:
            self.send(to, self._history.offer(checkpoint))

    def prune(self, slot: int) -> None:
        self._history.prune(slot)

    def leapt(self, checkpoint: Checkpoint) -> None:
        log.info("brought up by a checkpoint: the log goes on after slot %d", checkpoint.slot)
        self._history.install_snapshot(checkpoint)
        self._sessions.leapt()

    def refuse(self, submission: Submission, reason: str) -> None:
        self._sessions.refused(submission, reason)

    def locate(self, submission: Submission, slot: int) -> None:
        self._sessions.located(submission, slot)

    def blame(self, member: int, reason: str, evidence: Evidence | None) -> None:
        self._blamed[member] = reason
        name = self._config.members[member].name
        if evidence is None or not self._keep(name, reason, evidence):
            self._log.accuse(member, reason)

    def blame_client(self, evidence: TwoSubmissions) -> None:
        client_id = evidence.first.client_id
        for client in self._config.clients:
            if client.client_id == client_id:
                self._keep(client.name, f"two contents under number {evidence.first.client_seq}", evidence)

    def _keep(self, culprit: str, reason: str, evidence: Evidence | TwoSubmissions) -> bool:
        """A line for each new file: there are no more than the folder takes."""
        path = self._evidence.keep(culprit, evidence, self._history)
        if path is not None:
            log.warning("%s: %s; evidence: %s", culprit, reason, path)
        return path is not None

    def set_timer(self, name: str, seconds: float) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self._driver.post, TimerFired(name))

    # -- Freshness: what Status tells -----------------------------------------------------------------

    def status(self) -> Status:
        return self._replica.status

    def blamed(self) -> list[int]:
        return sorted(self._blamed)

    def evidence(self) -> Mapping[str, int]:
        return self._evidence.counts

    def rejected(self, peer: int) -> int:
        return self._rejected[peer]

    def alarm(self, peer: int) -> str:
        return self._alarms.get(peer, "")

    def _endorsed(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        if signature is None:
            self._driver.post(EndorsementRefused(statement))
        else:
            self._driver.post(EndorsementMade(statement, signature, proven))


def _engine_config(config: AllianceConfig, me: int, keep_slots: int | None) -> EngineConfig:
    timing = config.timing
    return EngineConfig(
        config.system,
        me,
        heartbeat_seconds=timing.heartbeat_seconds,
        view_timeout_seconds=timing.view_timeout_seconds,
        tenure_slots=timing.tenure_slots,
        drift_ms=int(1000 * timing.clock_drift_seconds),
        retain_slots=keep_slots,
    )
