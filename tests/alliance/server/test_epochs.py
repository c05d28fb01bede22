"""Epochs in servers that run: another membership, and nothing that anybody waits for is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alliance.client import Client
from alliance.config import file as config_file
from alliance.server import signer
from alliance.server.signer_process import SignerProcess
from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.operations import ChangeOperation, Reinstate, Suspend
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.operators import Operator
from tests.alliance.server.test_revisions import running, until
from tests.alliance.server.test_server import Six

FAR = 2**62


@asynccontextmanager
async def proposing(client: Client, done: list[bytes]) -> AsyncIterator[None]:
    """Somebody asks for one slot after the other all the time; ``done`` are their commands."""
    over = asyncio.Event()

    async def work() -> None:
        while not over.is_set():
            receipt = await client.propose(b"%d" % len(done))
            receipt.verify(client.public_key_of(receipt.context.epoch))
            assert len((await client.with_votes(receipt)).votes) == 2
            done.append(b"%d" % len(done))

    working = asyncio.create_task(work())
    yield
    over.set()
    await working


class Changes:
    """What operators order together, of an alliance whose members run here."""

    def __init__(self, six: Six, client: Client) -> None:
        self._client = client
        self._operators = [Operator(six.farm, member) for member in range(6)]
        self.servers = list(six.servers.values())

    async def order(self, kind: ChangeKind, approvals: int, *operations: ChangeOperation) -> None:
        """Proposed by the first operator and approved by the next ones."""
        state = self.servers[0].term.revisions.state
        assert state is not None
        base = base_digest(state.directory, operations)
        proposed = self._operators[0].propose(Change(kind, state.epoch, base, FAR, FAR, operations))
        for operator in self._operators[:approvals]:
            await self._client.propose(operator.approve(proposed))

    async def entered(self, epoch: int) -> None:
        """By all of them, and they vote again."""
        await until(lambda: all(server.term.config.epoch == epoch for server in self.servers))
        await until(lambda: all(server.term.incarnation.settled.is_set() for server in self.servers))


@pytest.mark.campaign
def test_epoch_suspend_and_reinstate(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader is suspended and another one leads; then it is reinstated. A client goes on all the time.

    Nobody waits for a process to start: those of the next epoch's signers are there when it begins.
    """
    six, done, at_once = Six(farm, tmp_path), list[bytes](), list[int]()

    def started(folder: Path, epoch: int, purpose: str | None = None) -> SignerProcess:
        at_once.append(epoch)
        return SignerProcess(folder, epoch, purpose)

    monkeypatch.setattr(signer, "SignerProcess", started)

    async def scenario() -> None:
        async with running(six) as client:
            changes = Changes(six, client)
            async with proposing(client, done):
                await changes.order(ChangeKind.LIGHT, 2, Suspend("member-1"))
                await changes.entered(1)
                led = [server.term.config.system.leader(0) for server in changes.servers]
                await changes.order(ChangeKind.LIGHT, 4, Reinstate("member-1"))
                await changes.entered(2)
            assert led == [1] * 6
            assert at_once == [0] * 6
            assert {server.term.config.system.leader(0) for server in changes.servers} == {0}
            assert all(config_file.load(home).epoch == 2 for home in six.homes)
            heard = [entry.command async for entry in client.listen(follow=False, server="member-2")]
            assert [command for command in heard if command.isdigit()] == done

    run(scenario())
