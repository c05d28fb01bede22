"""A consensus server: the one place where everything is constructed, started and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from alliance.config import file as config_file
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.parties import Member
from alliance.errors import (
    AllianceError,
    ConfigError,
    JournalError,
    NoLongerMember,
    PortTaken,
    SignerError,
)
from alliance.evidence.folder import EvidenceFolder
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.channels import Channels
from alliance.net.endpoints import Endpoints
from alliance.net.tasks import together, until_first
from alliance.pb import client_pb2, client_pb2_grpc, peer_pb2
from alliance.resharing.handover import Handover
from alliance.server.failure import Failure
from alliance.server.own_commands import OwnCommands
from alliance.server.parting import passed_on
from alliance.server.retention import Retention
from alliance.server.revisions import beginning
from alliance.server.services import ClientService, PeerService
from alliance.server.sessions import Sessions
from alliance.server.signer_process import SignerProcess
from alliance.server.succession import Succession
from alliance.server.successor import Successor, place
from alliance.server.term import EngineFactory, Lasting, Term
from alliance.server.vouching import Voucher
from alliance.storage import epoch_entry, epochs
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_check import JournalCheck
from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from fab_paxos import Replica
from fab_paxos.events import Event
from quorum import MembershipStatement

log = logging.getLogger("alliance.server")

JOURNAL = "journal.sqlite"
_SERVICES = (
    client_pb2.DESCRIPTOR.services_by_name["Client"].full_name,
    peer_pb2.DESCRIPTOR.services_by_name["Peer"].full_name,
)


class Server:
    """One member: its parts, from the first to the last moment. ``term`` has those of its present epoch."""

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
        self._make_engine = engine
        self._passphrase = b""
        self._parting: tuple[Handover, Succession] | None = None
        self._next: Successor | None = None
        self._ahead: SignerProcess | None = None
        self._journal = Journal(folder / JOURNAL, config.alliance_id, config.members[me].name)
        config, me = _present(folder, config, credentials, self._journal)
        self.name = config.members[me].name
        self._directory = Directory(config)
        replayed = self._journal.replay(beginning(folder, config))
        self._history = History(self._journal, replayed.log, replayed.certificate)
        self._history.checkpoint = replayed.state.checkpoint
        self._sessions = Sessions(self._history)
        self._retention = Retention(config, folder, self._history, awaited)
        self._check = JournalCheck(self._journal, self._history)
        self._admission = Admission(config, former=epochs.former_members(folder, config))
        self._endpoints = Endpoints(self._admission, credentials, self._equip)
        self._health = health_aio.HealthServicer()
        self._failure = Failure()
        self._channels = Channels(credentials)
        self._evidence = EvidenceFolder(folder, config)
        self._voucher = Voucher(folder, self._directory, me, self._channels, self._endorse)
        self._lasting = self._what_lasts(keep_slots)
        try:
            self.term = Term(self._lasting, me, replayed.state, engine)
        except ValueError as error:
            raise self._journal.damaged(str(error)) from None
        self._client_service = ClientService(
            self,
            self._directory,
            self._history,
            self._sessions,
            self._failure,
            self._admission.identities,
            self._voucher,
        )
        followers = self._admission.update, self._evidence.update, self._retention.update
        self._directory.follow(*followers, self._channels.leave_others)
        self._directory.tell_incoming(self._admission.expect)

    def _what_lasts(self, keep_slots: int | None) -> Lasting:
        return Lasting(
            self._folder,
            self._credentials,
            self._directory,
            self._journal,
            self._history,
            self._sessions,
            self._evidence,
            self._retention,
            self._check,
            self._admission.budget,
            self._failure,
            self._voucher,
            self._follow,
            keep_slots,
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

    async def start(self, passphrase: bytes, address: str | None = None) -> str:
        """Starts signer and listening; returns the address. Raises KeyFileError, SignerError, PortTaken.

        The passphrase is kept: later epochs have shares of their own to open.
        """
        self._passphrase = passphrase
        self._parting = self._prepare_parting(passphrase)
        await self.term.start(passphrase)
        self._client_service.start()
        where = address or self._mine(self._directory.config).address
        if not await self._endpoints.open(where):
            raise PortTaken(
                f"{where} cannot be listened on: is another process using it? Stop that one, or serve"
                " elsewhere with --listen HOST:PORT"
            )
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        if address is None:  # else its address leads here in a way that this process does not know
            self._directory.follow(lambda now: self._endpoints.follow(self._mine(now).address))
        return where

    def _prepare_parting(self, passphrase: bytes) -> tuple[Handover, Succession]:
        """What takes this member, and its keys, from one epoch to the next."""
        directory, mine = self._directory, self._credentials.party
        commands = OwnCommands(self._folder, self._credentials, directory.config.context, self._post)
        handover = Handover(self._folder, mine, passphrase, lambda: directory.config, commands.submit)
        others = self._history, self._voucher, self._channels
        return handover, Succession(self._folder, mine, directory, *others, handover)

    def _mine(self, config: AllianceConfig) -> Member:
        """This member as it is now; as it was, where it is none any more."""
        identity = self._credentials.party.identity
        known = (*config.members, *self.term.config.members)
        return next(one for one in known if one.identity == identity)

    def _equip(self, server: grpc.aio.Server) -> None:
        """All that is asked of a member, behind one address."""
        client_pb2_grpc.add_ClientServicer_to_server(self._client_service, server)  # type: ignore[no-untyped-call]
        peer = PeerService(self._admission.identities, self)
        server.add_generic_rpc_handlers((peer.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection([*_SERVICES, health, reflection.SERVICE_NAME], server)

    async def run(self) -> None:
        """Serves until cancelled, once it was started; raises the AllianceError that ends it."""
        if self._parting is None:
            raise RuntimeError("a server is started before it runs")
        handover, succession = self._parting
        await together(
            terms=self._take_part(succession),
            failure=self._failure.raised(),
            journal=self._watch_journal(),
            endpoints=self._endpoints.run(),
            voucher=self._voucher.run(),
            handover=handover.run(),
        )

    async def _take_part(self, succession: Succession) -> None:
        """In one epoch after the other. Raises NoLongerMember behind the last one."""
        while True:
            await until_first(self.term.run(), self._epoch_over(succession))
            if self._next is not None:
                await self._enter(self._next)

    async def _epoch_over(self, succession: Succession) -> None:
        """Returns when a later epoch can be entered."""
        self._next = await succession.next(self.term)

    async def _enter(self, successor: Successor) -> None:
        """What clients wait for, and they themselves, stay; all that is of the epoch begins anew."""
        before, config = self.term, successor.config
        pending = *before.engine.pending, *before.inbox.submitted
        control = before.revisions.control
        before.close()
        try:
            me = successor.enter(self._folder, self._journal, self._credentials.party)
        except NoLongerMember:
            await passed_on(self._channels, config)
            raise
        except OSError as error:
            raise JournalError(f"epoch {config.epoch} cannot be entered: {error}") from None
        log.info("epoch %d begins behind slot %d", config.epoch, config.start)
        if self._ahead is not None and self._ahead.epoch == config.epoch:
            self._ahead.begin(self._passphrase)  # it opens its share while the rest is made
        self._directory.update(config)
        self._voucher.enter(me)
        if self._history.checkpoint is not successor.record.checkpoint:
            self._history.bring(successor.record, successor.between)
            self._sessions.snapshot_installed()
        state = successor.state(control, self._history.pruned)
        ahead, self._ahead = self._ahead, None
        self.term = Term(self._lasting, me, state, self._make_engine, ahead)
        await self.term.start(self._passphrase)
        self._client_service.start()
        self.term.submit(pending)

    async def _watch_journal(self) -> None:
        """With each heartbeat: whether its files are still there, a little of what is in them, and what of it
        nobody needs any more."""
        while True:
            await asyncio.sleep(self._directory.config.timing.heartbeat_seconds)
            try:
                self._journal.check_presence()
                self._check.portion()
                self._retention.look()
            except JournalError as error:
                self._failure.failed(error)
                return

    def _follow(self, state: ControlState) -> None:
        if self._parting is None:
            return
        self._parting[0].follow(state)
        if state.end is not None and self._ahead is None:
            with suppress(SignerError):  # which is told where it is needed
                self._ahead = SignerProcess(self._folder, state.epoch + 1)
                full = any(one.change.kind is ChangeKind.FULL for one in state.scheduled)
                self._ahead.unseal_ahead(self._passphrase, state.dealing + full)

    def _post(self, event: Event) -> None:
        self.term.inbox.post(event)

    def _endorse(self, statement: MembershipStatement) -> None:
        self.term.endorse(statement)

    async def hand_over(self) -> None:
        """To be awaited before ``run`` is cancelled: if this member leads, another one does from then on."""
        if self.term.incarnation.settled.is_set():
            await self.term.leadership.hand_over()

    async def stop(self) -> None:
        """Ends cleanly; whatever was acknowledged is in the journal already.

        Streams end at once: nothing more comes on them, and who waits there is to ask another member.
        """
        self.term.close()
        if self._ahead is not None:
            self._ahead.close()
        await self._endpoints.stop(None)
        await self._channels.close()
        self._journal.close()


def _present(
    folder: Path, config: AllianceConfig, mine: Credentials, journal: Journal
) -> tuple[AllianceConfig, int]:
    """Who takes part in the epoch that the journal is in, and this member's place among them.

    Raises NoLongerMember when it is none of them, ConfigError, JournalError and KeyFileError.
    """
    try:
        config = epoch_entry.resume(folder, config, journal)
        return config, place(folder, config, mine.party)
    except OSError as error:
        journal.close()
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    except AllianceError:
        journal.close()
        raise
