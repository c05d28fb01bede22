"""Executors of one process beside a consensus of one, and a client of their application."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from alliance.cli.demo.cluster import free_addresses
from alliance.client import Client
from alliance.config.file import AllianceConfig
from alliance.execution import ExecutionClient, Executor, StateMachine
from alliance.server.signer import Answer, AttestationGuard
from quorum import JointStatement
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.network import Office, serving


class Stage:
    """``office`` orders what clients propose; members that have no executor are down."""

    def __init__(self, farm: Farm, folder: Path, config: AllianceConfig, application: str) -> None:
        self.application = application
        self.farm = farm
        self.config = config
        self._folder = folder
        self.machines: list[StateMachine] = []

    @classmethod
    @asynccontextmanager
    async def set(
        cls, farm: Farm, folder: Path, office: Office, application: str = "kv"
    ) -> AsyncIterator[Stage]:
        async with serving(farm, 0, office) as port:
            dead, *there = free_addresses(7)
            members = tuple(
                replace(
                    member,
                    address=dead if index else f"127.0.0.1:{port}",
                    applications=((application, there[index]),),
                )
                for index, member in enumerate(farm.config.members)
            )
            yield cls(farm, folder, replace(farm.config, members=members), application)

    def home(self, member: int) -> Path:
        """A copy of the member's folder, which keeps what its executor saves."""
        home = self._folder / f"member-{member + 1}"
        if not home.exists():
            shutil.copytree(self.farm.member_home(member), home)
        return home

    def executor(self, member: int, machine: StateMachine, kind: type[Executor] = Executor) -> Executor:
        self.machines.append(machine)
        mine = self.farm.members[member]
        return kind(self.home(member), self.config, member, mine, self.application, machine)

    @asynccontextmanager
    async def running(self, *executors: Executor) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Within it they execute and answer; the tasks are their lives."""
        async with AsyncExitStack() as stack:
            lives = []
            for executor in executors:
                stack.push_async_callback(executor.stop)
                await executor.start(PASSPHRASE)
                lives.append(asyncio.create_task(executor.run()))
                stack.push_async_callback(_end, lives[-1])
            yield lives

    @asynccontextmanager
    async def client(self, client: int = 0, application: str | None = None) -> AsyncIterator[ExecutionClient]:
        home = self._folder / f"client-{client + 1}"
        home.mkdir(exist_ok=True)
        consensus = Client(self.config, self.farm.clients[client], home)
        name = self.application if application is None else application
        async with ExecutionClient(consensus, name) as connected:
            yield connected


class InProcess:
    """A signer without a process of its own: what it signs, and what it refuses, is the same."""

    def __init__(self, answer: Answer, farm: Farm, member: int) -> None:
        self._context = farm.config.context
        self._guard = AttestationGuard(self._context)
        self._endorser = farm.attesters[member]
        self._answer = answer

    async def start(self, folder: Path, passphrase: bytes) -> None:
        pass

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        message = statement.encode(self._context)
        self._guard.judge(message)
        share = self._endorser.endorse(message, proven=proven)
        asyncio.get_running_loop().call_soon(self._answer, statement, share, proven)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        pass


async def _end(life: asyncio.Task[None]) -> None:
    life.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await life
