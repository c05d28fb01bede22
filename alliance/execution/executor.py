"""The executor: the application process of one member.

It follows the log as its member's server tells it, and believes only what is certified; it executes each
command once, and answers clients with its share of the signature on what came of it. Its state is compared
with the other executors'.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from pathlib import Path

import grpc.aio

from alliance.client.listener import Listener
from alliance.client.revisions import Follower
from alliance.config import file as config_file
from alliance.config.directory import Directory, place_of
from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.membership import Answer
from alliance.config.parties import Member, require_application
from alliance.errors import LogPruned, NoLongerMember, PortTaken, StateDiverged, StateError, Unreachable
from alliance.execution.attestation import Attestation
from alliance.execution.gathering import Gathering
from alliance.execution.keeper import Keeper
from alliance.execution.machine import StateMachine
from alliance.execution.others import Others
from alliance.execution.outcome import Outcome
from alliance.execution.runner import COMPARE_SLOTS, Runner, compare_digests
from alliance.execution.service import ApplicationService
from alliance.execution.snapshot_folder import Held, SnapshotFolder
from alliance.execution.state_file import StateFile, running
from alliance.execution.transfer import Transfer
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.channels import Channels
from alliance.net.endpoints import Endpoints
from alliance.net.tasks import Threads, together
from alliance.pb import application_pb2_grpc
from quorum import QuorumCertificate

log = logging.getLogger("alliance.execution")

COMPARE_SECONDS = 2.0
RETRY_SECONDS = 1.0
STOP_GRACE_SECONDS = 1.0
CALLS_PER_HOLDER_MAX = 1024
"""Open questions of one client: most of them wait for their slot to be executed."""


class Executor:
    """Make it with ``open``; ``start``, ``run``, ``stop``. It is the listener's channels, too."""

    def __init__(
        self,
        folder: Path,
        config: AllianceConfig,
        me: int,
        credentials: Credentials,
        application: str,
        machine: StateMachine,
    ) -> None:
        """Reads the saved state. Raises StateError, and ConfigError without an attestation key."""
        self.directory = Directory(config)
        self.name = config.members[me].name
        """The member's."""
        self._identity = config.members[me].identity
        self._credentials = credentials
        self._home = folder
        self._application = require_application(application)
        config.purpose_key(ATTESTATION)
        self._state = StateFile(folder, config.alliance_id, config.members[me].name, application)
        state = self._state.open()
        try:
            self.runner = Runner(application, machine, state)
        except ValueError as error:
            raise StateError(
                f"{self._state.path} does not fit this application ({error}): delete it and"
                f" {application}.lock, and the state is built anew from the log"
            ) from None
        self._channels = Channels(credentials)
        self._folder = SnapshotFolder(folder, application, lambda: self.config.attestation)
        self._threads = Threads()
        self._keeper = Keeper(application, self.runner, self._state, self._folder, self._made, self._threads)
        self._others = Others(self.directory, me, application, self._channels)
        self._attestation = Attestation(folder, config)
        self._gathering = Gathering(
            self.directory, self.name, application, self._folder, self._others, self._attestation
        )
        self._transfer = Transfer(self._folder, self._others)
        self._admission = Admission(config, CALLS_PER_HOLDER_MAX)
        self._endpoints = Endpoints(self._admission, credentials, self._equip)
        self._service = ApplicationService(
            self.directory, self._admission.identities, application, self.runner, self, self._folder
        )
        self._removed = asyncio.Event()
        self.directory.follow(
            self._admission.update, self._channels.keep_to, self._attestation.update, self._seated
        )
        self._follower = Follower(folder, self.directory, self.channel, beside_server=True)
        self._accused: set[int] = set()

    @classmethod
    def open(cls, folder: Path, application: str, machine: StateMachine, passphrase: bytes) -> Executor:
        """The executor of the member whose folder this is.

        Raises ConfigError, KeyFileError, ClockError, StateError.
        """
        config = config_file.load(folder)
        me, member = keys.member_party(config, folder)
        credentials = keys.load_credentials(folder, member, passphrase)
        return cls(folder, config, me, credentials, application, machine)

    async def start(self, passphrase: bytes, address: str | None = None) -> str:
        """Starts its signer and listening; returns the address.

        Raises KeyFileError, SignerError or PortTaken.
        """
        await self._attestation.start(passphrase)
        where = address or self._where(self.config)
        if not await self._endpoints.open(where):
            raise PortTaken(
                f"{where} cannot be listened on: {self._who_is_at(where)}; give one of the two another"
                f" address under 'applications' of {self.name} in every alliance.toml"
            )
        if address is None:  # else its address leads here in a way that this process does not know
            self.directory.follow(self._move)
        return where

    def _move(self, config: AllianceConfig) -> None:
        if place_of(config, self._identity) is not None:
            self._endpoints.follow(self._where(config))

    def _seated(self, config: AllianceConfig) -> None:
        if place_of(config, self._identity) is None:
            self._removed.set()

    async def _until_removed(self) -> None:
        """Raises NoLongerMember when the member takes no part any more."""
        await self._removed.wait()
        raise NoLongerMember(
            f"{self.name} takes no part in epoch {self.config.epoch}: its executor ends. What it has come to"
            f" stays in {self._state.path}"
        )

    @property
    def _me(self) -> int:
        """The member's number in the epoch that is known now; 0 once it has none."""
        return place_of(self.config, self._identity) or 0

    def _where(self, config: AllianceConfig) -> str:
        mine = config.members[place_of(config, self._identity) or 0]
        return mine.application_address(self._application)

    def _equip(self, server: grpc.aio.Server) -> None:
        application_pb2_grpc.add_ApplicationServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]

    @property
    def config(self) -> AllianceConfig:
        """The newest that this process knows."""
        return self.directory.config

    def _who_is_at(self, where: str) -> str:
        """Another application of this member that listens there, if it is one."""
        mine = self.config.members[self._me]
        others = (name for name in running(self._home) if name != self._application)
        there = [name for name in others if mine.application_address(name) == where]
        return f"the application '{there[0]}' of this member does" if there else "another process does"

    async def run(self) -> None:
        """Executes until cancelled. Raises StateDiverged, StateError, SignerError or NoLongerMember."""
        for held in await asyncio.to_thread(self._folder.load):
            self._made(held)
        try:
            await together(
                follow=self._follow(),
                signer=self._attestation.run(),
                epochs=self._follower.reread(),
                seat=self._until_removed(),
                compare=self._compare(),
                endpoints=self._endpoints.run(),
                keeper=self._keeper.run(),
                gathering=self._gathering.run(),
            )
        except StateDiverged:
            self._keeper.saved = self.runner.slot  # this state is not one to go on from
            raise

    async def stop(self) -> None:
        """Saves the state and ends."""
        await self._endpoints.stop(STOP_GRACE_SECONDS)
        self._service.close()
        self._attestation.close()
        await self._follower.close()
        await self._channels.close()
        try:
            await self._threads.settled()
            if self.runner.slot > self._keeper.saved:
                await self._keeper.save(self.runner.state())
        finally:
            self._state.close()

    def channel(self, member: Member) -> grpc.aio.Channel:
        """To a consensus server; the listener asks this member's own first."""
        return self._channels.to(member)

    def heard(self, answer: Answer) -> None:
        """An answer names the membership that its server is in. If that is newer, it is asked for."""
        self._follower.heard(answer)

    # -- executing -----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        if not self.runner.slot:
            await self._bring_up()
        while True:
            runner = self.runner
            listener = Listener(self.config, self, runner.slot + 1, self._me, runner.windows, runner.frontier)
            try:
                async with aclosing(listener.slots(None)) as slots:
                    async for decided in slots:
                        if decided.slot % COMPARE_SLOTS:
                            runner.execute(decided)
                        else:  # the machine may take a while to say what its state is; clients do not wait
                            await self._threads.run(runner.execute, decided)
                            self._keeper.offer(runner.freeze())
                        self._service.executed()
                        await asyncio.sleep(0)
            except LogPruned as error:
                if not await self._bring_up():
                    log.warning(
                        "%s. No executor that answers has a certified snapshot of '%s' after slot %d: start"
                        " those of the other members, or a server that keeps the whole log",
                        error,
                        self._application,
                        runner.slot,
                    )
                    await asyncio.sleep(RETRY_SECONDS)
            except Unreachable as error:
                log.warning("%s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _bring_up(self) -> bool:
        """Whether there is a newer certified state to go on from: here, or else with other executors."""
        newer = [held for held in self._folder.certified if held.slot > self.runner.slot]
        held = newer[-1] if newer else await self._transfer.fetch(self.runner.slot)
        if held is None:
            return False
        state = await asyncio.to_thread(self._folder.read, held)
        try:
            await self._threads.run(self.runner.install, state)
        except ValueError as error:
            raise StateError(
                f"the certified snapshot of '{self._application}' after slot {held.slot} does not fit this"
                f" application ({error}): is it the version that the other members run?"
            ) from None
        self._service.executed()
        await self._keeper.save(state)
        log.info("'%s' goes on from the certified snapshot after slot %d", self._application, held.slot)
        return True

    def _made(self, held: Held) -> None:
        self._folder.add(held, now=asyncio.get_running_loop().time())
        self._gathering.note(held)

    # -- answering -----------------------------------------------------------------------------------

    async def attest(self, outcome: Outcome, *, proven: bool) -> bytes | None:
        """This member's share on an outcome of its own, in the epoch that ``directory`` names when this
        returns; None if there is none."""
        return await self._attestation.sign(outcome.statement(), proven=proven)

    async def said(self, *, proven: bool) -> list[QuorumCertificate]:
        """What it says of snapshots, each with its share in the place of a signature."""
        return await self._gathering.said(proven=proven)

    # -- comparing -----------------------------------------------------------------------------------

    async def _compare(self) -> None:
        """Asks the others for their digests, again and again."""
        others = self._others
        while True:
            await asyncio.sleep(COMPARE_SECONDS)
            members = others.members
            told = await asyncio.gather(*(others.digests(member) for member in members))
            self.judge(dict(zip(members, told, strict=True)))

    def judge(self, told: dict[int, dict[int, bytes]]) -> None:
        """``told``: by member, the digest of each slot that it says. Raises StateDiverged."""
        enough = self.config.system.one_correct
        for slot, mine in self.runner.digests.items():
            said = {member: digests[slot] for member, digests in told.items() if slot in digests}
            outvoted, accused = compare_digests(mine, said, enough)
            if outvoted:
                raise StateDiverged(
                    f"{self.name} has another state than {enough} other executors after slot {slot}: it"
                    f" halts. If '{self._application}' is the same version everywhere, delete"
                    f" {self._state.path} and {self._application}.lock and start it again; if it happens"
                    " again, the state machine is not deterministic"
                )
            for member in set(accused) - self._accused:
                self._accused.add(member)
                name = self._others.name(member)
                log.warning("%s: its state of '%s' after slot %d differs", name, self._application, slot)
