"""The executor: the application process of one member.

It follows the log as its member's server tells it, and believes only what is certified; it executes each
command once, and answers clients with its share of the signature on what came of it. Its state is compared
with the other executors'.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import grpc.aio

from alliance.client.listener import Listener
from alliance.config import file as config_file
from alliance.config.directory import Directory
from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.membership import Answer
from alliance.errors import PortTaken, StateDiverged, StateError, Unreachable
from alliance.execution.machine import StateMachine, require_name
from alliance.execution.outcome import Outcome
from alliance.execution.runner import COMPARE_SLOTS, Runner, compare_digests
from alliance.execution.service import ApplicationService
from alliance.execution.state_file import StateFile, running
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.channels import Channels, parser
from alliance.net.endpoints import Endpoints
from alliance.net.tasks import together
from alliance.pb import application_pb2 as pb
from alliance.pb import application_pb2_grpc
from alliance.server.signer import Signer
from quorum import JointStatement

log = logging.getLogger("alliance.execution")

COMPARE_SECONDS = 2.0
RETRY_SECONDS = 1.0
STOP_GRACE_SECONDS = 1.0
SHARES_KEPT = 4096
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
        self._me = me
        self._credentials = credentials
        self._folder = folder
        self._application = require_name(application)
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
        self._saved = self.runner.slot
        self._admission = Admission(config, CALLS_PER_HOLDER_MAX)
        self._endpoints = Endpoints(self._admission, credentials, self._equip)
        self._service = ApplicationService(
            self.directory, self._admission.identities, application, self.runner, self
        )
        self.directory.follow(self._admission.update)
        self._signer = Signer(config.context, self._endorsed, ATTESTATION)
        self._asked: dict[tuple[JointStatement, bool], asyncio.Future[bytes | None]] = {}
        self._shares: OrderedDict[tuple[JointStatement, bool], bytes] = OrderedDict()
        self._channels = Channels(credentials)
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

    @property
    def name(self) -> str:
        """The member's."""
        return self._config.members[self._me].name

    async def start(self, passphrase: bytes, address: str | None = None) -> str:
        """Starts its signer and listening; returns the address.

        Raises KeyFileError, SignerError or PortTaken.
        """
        await self._signer.start(self._folder, passphrase)
        where = address or self._where(self._config)
        if not await self._endpoints.open(where):
            raise PortTaken(
                f"{where} cannot be listened on: {self._who_is_at(where)}; give one of the two another"
                f" address under 'applications' of {self.name} in every alliance.toml"
            )
        if address is None:  # else its address leads here in a way that this process does not know
            self.directory.follow(lambda now: self._endpoints.follow(self._where(now)))
        return where

    def _where(self, config: AllianceConfig) -> str:
        return config.members[self._me].application_address(self._application)

    def _equip(self, server: grpc.aio.Server) -> None:
        application_pb2_grpc.add_ApplicationServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]

    @property
    def _config(self) -> AllianceConfig:
        return self.directory.config

    def _who_is_at(self, where: str) -> str:
        """Another application of this member that listens there, if it is one."""
        mine = self._config.members[self._me]
        others = (name for name in running(self._folder) if name != self._application)
        there = [name for name in others if mine.application_address(name) == where]
        return f"the application '{there[0]}' of this member does" if there else "another process does"

    async def run(self) -> None:
        """Executes until cancelled. Raises StateDiverged, StateError or SignerError."""
        await together(
            follow=self._follow(),
            signer=self._signer.run(),
            compare=self._compare(),
            endpoints=self._endpoints.run(),
        )

    async def stop(self) -> None:
        """Saves the state and ends."""
        await self._endpoints.stop(STOP_GRACE_SECONDS)
        self._signer.close()
        await self._channels.close()
        try:
            if self.runner.slot > self._saved:
                self._state.save(self.runner.state())
        finally:
            self._state.close()

    def channel(self, member: int) -> grpc.aio.Channel:
        """To a consensus server; the listener asks this member's own first."""
        return self._channels.to(self._config.members[member])

    def heard(self, answer: Answer) -> None:
        """Nothing: the operator hears of another membership from the member's own server."""

    # -- executing -----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            runner = self.runner
            listener = Listener(
                self._config, self, "", runner.slot + 1, self._me, runner.windows, runner.frontier
            )
            try:
                async with aclosing(listener.slots(None)) as slots:
                    async for decided in slots:
                        runner.execute(decided)
                        self._service.executed()
                        if runner.slot % COMPARE_SLOTS == 0:
                            await self._save()
                        await asyncio.sleep(0)
            except Unreachable as error:
                log.warning("%s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _save(self) -> None:
        state = self.runner.state()
        await asyncio.to_thread(self._state.save, state)
        self._saved = state.slot

    # -- answering -----------------------------------------------------------------------------------

    async def attest(self, outcome: Outcome, *, proven: bool) -> bytes | None:
        """This member's share on an outcome of its own; None if the signer refuses."""
        wanted = outcome.statement(), proven
        if wanted in self._shares:
            return self._shares[wanted]
        if wanted not in self._asked:
            self._asked[wanted] = asyncio.get_running_loop().create_future()
            self._signer.endorse(wanted[0], proven=proven)
        return await asyncio.shield(self._asked[wanted])

    def _endorsed(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        if signature is not None:
            self._shares[statement, proven] = signature
            if len(self._shares) > SHARES_KEPT:
                self._shares.popitem(last=False)
        self._asked.pop((statement, proven)).set_result(signature)

    # -- comparing -----------------------------------------------------------------------------------

    async def _compare(self) -> None:
        """Asks the others for their digests, again and again."""
        others = [member for member in range(len(self._config.members)) if member != self._me]
        while True:
            await asyncio.sleep(COMPARE_SECONDS)
            told = await asyncio.gather(*(self._digests(member) for member in others))
            self.judge(dict(zip(others, told, strict=True)))

    def judge(self, told: dict[int, dict[int, bytes]]) -> None:
        """``told``: by member, the digest of each slot that it says. Raises StateDiverged."""
        enough = self._config.system.one_correct
        for slot, mine in self.runner.digests.items():
            said = {member: digests[slot] for member, digests in told.items() if slot in digests}
            outvoted, accused = compare_digests(mine, said, enough)
            if outvoted:
                self._saved = self.runner.slot  # this state is not one to go on from
                raise StateDiverged(
                    f"{self.name} has another state than {enough} other executors after slot {slot}: it"
                    f" halts. If '{self._application}' is the same version everywhere, delete"
                    f" {self._state.path} and {self._application}.lock and start it again; if it happens"
                    " again, the state machine is not deterministic"
                )
            for member in set(accused) - self._accused:
                self._accused.add(member)
                name = self._config.members[member].name
                log.warning("%s: its state of '%s' after slot %d differs", name, self._application, slot)

    async def _digests(self, member: int) -> dict[int, bytes]:
        party = self._config.members[member]
        there = replace(party, address=party.application_address(self._application))
        ask = self._channels.to(there).unary_unary(
            "/alliance.v1.Application/Digests",
            request_serializer=pb.DigestsRequest.SerializeToString,
            response_deserializer=parser(pb.StateDigests),
        )
        try:
            said = await ask(pb.DigestsRequest(application=self._application), timeout=COMPARE_SECONDS)
        except grpc.aio.AioRpcError:
            return {}
        return {} if said is None else {one.slot: one.digest for one in said.digests}
