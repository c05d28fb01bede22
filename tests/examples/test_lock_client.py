"""The lock client's session and its waiting, with executors and a consensus of one in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from alliance.client import listener
from alliance.errors import ConfigError, OutcomeUnknown, Unreachable
from alliance.execution import Kind, wrap
from examples.lock_service import (
    APPLICATION,
    LeaseLost,
    LockClient,
    LockMachine,
    LockTaken,
    operations,
    withdrawals,
)
from examples.lock_service import client as client_module
from examples.lock_service.operations import Acquire, Release, Renew
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office
from tests.execution.stage import Stage
from verifiable_log import Submission


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "END_SECONDS", 0.5)
    monkeypatch.setattr(withdrawals, "PAUSE_SECONDS", 0.01)


class Scene:
    """As many executors as sign a reply, and two clients with a session each."""

    def __init__(self, stage: Stage, lives: AsyncExitStack, clients: list[LockClient]) -> None:
        self.executors = lives
        self.stage = stage
        self.anna, self.bert = clients


@asynccontextmanager
async def scene(farm: Farm, folder: Path, office: Office, ttl_seconds: float = 30.0) -> AsyncIterator[Scene]:
    async with Stage.set(farm, folder, office, APPLICATION) as stage, AsyncExitStack() as lives:
        await lives.enter_async_context(
            stage.running(*(stage.executor(member, LockMachine()) for member in (0, 1, 2)))
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


class Outage:
    """Between a lock client and the alliance: what it says does not arrive, or nobody knows whether it did.

    ``kept`` are its commands that were sent without an outcome: they arrive when the client asks for them.
    """

    def __init__(self, locks: LockClient, monkeypatch: pytest.MonkeyPatch, *, silent: bool) -> None:
        self.kept: list[Submission] = []
        self.said: list[type] = []
        self.over = False
        consensus = locks._client.consensus
        execute, resume = locks._client.execute, consensus.resume

        async def cut(payload: bytes, **options: Any) -> Any:
            self.said.append(type(operations.decode(payload)))
            if self.over or self.said[-1] is Renew:
                return await execute(payload, **options)
            if not silent:
                raise Unreachable("nobody is there")
            self.kept.append(consensus.sign([wrap(APPLICATION, Kind.APPLY, payload)]))
            raise OutcomeUnknown("no receipt", self.kept[-1])

        async def ask(submission: Submission, timeout: float) -> Any:
            if not self.over:
                raise OutcomeUnknown("no receipt", submission)
            return await resume(submission, timeout)

        monkeypatch.setattr(locks._client, "execute", cut)
        monkeypatch.setattr(consensus, "resume", ask)


@pytest.mark.parametrize("silent", [False, True])
def test_who_gives_up_in_an_outage_never_gets_the_lock_afterwards(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    """Its session lives on and is renewed: what it does not withdraw, it would hold forever."""

    async def scenario() -> None:
        async with scene(farm, tmp_path, office) as here:
            held = await here.anna.acquire("gate")
            waiting = asyncio.create_task(here.bert.acquire("gate"))
            while [view.waiting for view in await here.anna.locks()] != [1]:
                pass
            outage = Outage(here.bert, monkeypatch, silent=silent)
            waiting.cancel()
            while outage.said.count(Release) < (1 if silent else 3):
                await here.anna.locks()
            assert [view.waiting for view in await here.anna.locks()] == [1]
            outage.over = True
            again = await here.bert.acquire("other")  # it goes on, and so does its session
            await here.anna.release(held)
            assert [view.name for view in await here.anna.locks()] == ["other"]
            await here.bert.release(again)
            assert (await here.bert.acquire("gate", wait=0)).token > held.token

    run(scenario())


def test_a_claim_without_an_answer_is_settled_before_it_is_withdrawn(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A withdrawal that overtakes its claim withdraws nothing."""

    async def scenario() -> None:
        async with scene(farm, tmp_path, office) as here:
            await here.bert.release(await here.bert.acquire("before"))
            outage = Outage(here.bert, monkeypatch, silent=True)
            with pytest.raises(OutcomeUnknown):
                await here.bert.acquire("gate")
            while await here.anna.locks():
                pass
            assert outage.said == [Acquire]
            outage.over = True
            held = await here.bert.acquire("gate")
            assert outage.said == [Acquire, Release, Acquire]
            assert [view.holders[0][1] for view in await here.anna.locks()] == [held.token]

    run(scenario())


def test_a_session_that_cannot_withdraw_is_given_up(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it could be renewed: its renewals would keep what nobody wants."""

    async def scenario() -> None:
        async with scene(farm, tmp_path, office, ttl_seconds=1.0) as here:
            held = await here.bert.acquire("gate")
            Outage(here.bert, monkeypatch, silent=True)
            with pytest.raises(OutcomeUnknown):
                await here.bert.release(held)
            await here.bert.lost.wait()
            with pytest.raises(LeaseLost):
                await here.bert.acquire("gate")

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
