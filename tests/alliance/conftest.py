"""One alliance for all tests of a process, and one event loop that must be empty after each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from alliance.founding.plan import Founding
from tests.alliance.farm import CLIENTS, MEMBERS, PASSPHRASE, Chain, Farm, Told
from tests.worlds.founding import cheap_key_files, dealt, found

DEADLINE_SECONDS = 60.0
"""A test that waits forever fails instead; no test waits for time to pass."""

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session")
def cheap_scrypt() -> Iterator[None]:
    """Key files that cost nothing to open: what scrypt is worth is not tested here."""
    with cheap_key_files():
        yield


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory, cheap_scrypt: None) -> Farm:
    folder = tmp_path_factory.mktemp("alliance") / "farm"
    addresses = [f"127.0.0.1:{7400 + index}" for index in range(len(MEMBERS))]
    founding = Founding("farm", MEMBERS, addresses, CLIENTS, 1, 2048)
    config = found(founding, folder, PASSPHRASE)
    farm = Farm.open(folder, config)
    _, farm.primes = dealt(config.system, config.system.decision, founding.key_size)
    return farm


@pytest.fixture
def chain(farm: Farm) -> Chain:
    return Chain(farm)


@pytest.fixture(scope="session")
def long_chain(farm: Farm) -> Chain:
    """Twenty slots, not to be changed: its certificates are made once."""
    return Chain(farm).grow(20, size=2)


@pytest.fixture(scope="session")
def _runner() -> Iterator[asyncio.Runner]:
    # grpc.aio does not bear several loops in a process well.
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def run(_runner: asyncio.Runner) -> Run:
    """Runs a coroutine; fails when it takes too long, leaves tasks behind or loses an exception."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        loop = _runner.get_loop()
        complaints: list[dict[str, Any]] = []

        def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # Once the blocking client has made a second loop, both are woken by grpc's poller, and the
            # slower one finds nothing to read: harmless, and not ours.
            if not isinstance(context.get("exception"), BlockingIOError):
                complaints.append(context)

        loop.set_exception_handler(complain)

        async def bounded() -> Any:
            async with asyncio.timeout(DEADLINE_SECONDS):
                result = await work
                left = asyncio.all_tasks() - {asyncio.current_task()}
                if left:
                    _, left = await asyncio.wait(left, timeout=2.0)
                for task in left:  # it is the failure of this test, and of none behind it
                    task.cancel()
                assert not left, f"left behind: {left}"
                return result

        result = _runner.run(bounded())
        assert not complaints, complaints
        return result

    return run


@pytest.fixture
def told(tmp_path: Path, chain: Chain) -> Iterator[Told]:
    """A fresh member's memory of the (still empty) chain."""
    told = Told(tmp_path / "journal.sqlite", chain)
    yield told
    told.journal.close()
