"""The lock client's session and its waiting, with executors and a consensus of one in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from alliance.client import listener
from alliance.errors import ConfigError
from examples.lock_service import APPLICATION, LeaseLost, LockClient, LockMachine, LockTaken
from examples.lock_service import client as client_module
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office
from tests.execution.stage import Stage


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "END_SECONDS", 0.5)


@pytest.fixture
def office(tmp_path: Path, chain: Chain) -> Any:
    office = Office(tmp_path / "journal.sqlite", chain)
    yield office
    office.journal.close()


class Scene:
    """Two executors, and two clients with a session each."""

    def __init__(self, stage: Stage, lives: AsyncExitStack, clients: list[LockClient]) -> None:
        self.executors = lives
        self.stage = stage
        self.anna, self.bert = clients


@asynccontextmanager
async def scene(farm: Farm, folder: Path, office: Office, ttl_seconds: float = 30.0) -> AsyncIterator[Scene]:
    async with Stage.set(farm, folder, office, APPLICATION) as stage, AsyncExitStack() as lives:
        await lives.enter_async_context(
            stage.running(*(stage.executor(member, LockMachine()) for member in (0, 1)))
        )
        async with AsyncExitStack() as stack:
            clients = []
            for client in (0, 1):
                connected = await stack.enter_async_context(stage.client(client))
                clients.append(await stack.enter_async_context(LockClient(connected, ttl_seconds)))
            yield Scene(stage, lives, clients)


def test_who_waits_hears_of_the_release(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is half a minute, and nobody asks again before: only the log can have told."""
    for name in ("ASK_SECONDS_MIN", "ASK_SECONDS_MAX"):
        monkeypatch.setattr(client_module, name, 1000.0)

    async def scenario() -> None:
        async with scene(farm, tmp_path, office) as here:
            held = await here.anna.acquire("gate")
            waiting = asyncio.create_task(here.bert.acquire("gate"))
            while [view.waiting for view in await here.anna.locks()] != [1]:
                pass
            await here.anna.release(held)
            assert (await waiting).token > held.token

    run(scenario())


def test_who_gives_up_is_no_longer_in_line(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with scene(farm, tmp_path, office) as here:
            async with here.anna.lock("gate"):
                waiting = asyncio.create_task(here.bert.acquire("gate"))
                while [view.waiting for view in await here.anna.locks()] != [1]:
                    pass
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                while [view.waiting for view in await here.anna.locks()] != [0]:
                    pass
                with pytest.raises(LockTaken):
                    await here.bert.acquire("gate", wait=0)
            with pytest.raises(KeyError):
                async with here.bert.lock("gate"):
                    raise KeyError
            while await here.anna.locks():
                pass

    run(scenario())


def test_a_session_that_cannot_be_renewed_is_lost(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with scene(farm, tmp_path, office, ttl_seconds=2.0) as here:
            held = await here.anna.acquire("gate")
            machine: Any = here.stage.machines[0]
            ends = {session.expires_ms for session in machine.sessions.values()}
            while len(ends) < 6:  # both sessions are renewed twice
                await here.bert.locks()
                ends |= {session.expires_ms for session in machine.sessions.values()}
            assert not here.anna.lost.is_set()
            await here.executors.aclose()
            await here.anna.lost.wait()
            with pytest.raises(LeaseLost):
                await here.anna.acquire("another")
            assert held.token == 1

    run(scenario())


def test_losing_the_lease_within_a_block_is_said_at_its_end(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    """The service ended the session, because its lease was over by agreed time."""

    async def scenario() -> None:
        async with scene(farm, tmp_path, office) as here:
            machines: list[Any] = here.stage.machines

            async def too_long() -> None:
                async with here.anna.lock("gate"):
                    later = machines[0].now_ms + 60_000
                    for machine in machines:
                        machine._advance(later)

            with pytest.raises(LeaseLost, match="others may hold"):
                await too_long()

    run(scenario())


@pytest.mark.parametrize("ttl_seconds", [0.0, 0.9, -1.0, 1e9, float("nan")])
def test_a_lease_has_a_length(
    farm: Farm, tmp_path: Path, office: Office, run: Run, ttl_seconds: float
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office, APPLICATION) as stage, stage.client() as client:
            with pytest.raises(ConfigError, match="a lease lasts"):
                LockClient(client, ttl_seconds)

    run(scenario())
