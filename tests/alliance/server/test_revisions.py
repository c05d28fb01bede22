"""Revisions: what operators order changes servers that run, without a restart, and soon."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.client import Client
from alliance.config import file as config_file
from alliance.config.timing import Timing
from alliance.errors import Unreachable
from alliance.keys.revision import load_founded
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.newcomers import newcomer
from tests.alliance.operators import Operator
from tests.alliance.server.test_server import Six, free_ports

log = logging.getLogger("tests")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - six servers have no event in common
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(six: Six) -> AsyncIterator[Client]:
    """All six, with time for everything, and the first client."""
    six.config = replace(six.config, timing=Timing(view_timeout_seconds=30.0))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(six.stop_all)
        await asyncio.gather(*map(six.start, range(6)))
        yield await stack.enter_async_context(six.client())


def test_one_edit_admits_a_client_removes_another_and_moves_a_member(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """In all six servers that run, in their folders, and in a client that was there before."""
    six, operator, new, leaving = Six(farm, tmp_path), Operator(farm, 0), newcomer(), farm.clients[1]
    (port,) = free_ports(1)
    new_home, leaving_home = tmp_path / "new", tmp_path / "leaving"
    new_home.mkdir()
    leaving_home.mkdir()

    async def scenario() -> None:
        async with (
            running(six) as client,
            Client(six.config, leaving, leaving_home) as last,
        ):
            await last.propose(b"before")
            servers = list(six.servers.values())
            edit = operator.edit(operator.add(new), operator.remove(leaving), operator.move(port))
            await client.propose(edit)
            begun = time.perf_counter()
            await until(lambda: all(server._directory.config.revision == 1 for server in servers))
            in_effect = time.perf_counter()
            await until(lambda: all(server._voucher.proof is not None for server in servers))
            log.info(
                "in effect after %.2f s, certified %.2f s later",
                in_effect - begun,
                time.perf_counter() - in_effect,
            )

            async with Client(six.config, new, new_home) as newest:
                receipt = await newest.propose(b"mine")
                receipt.verify(newest.public_key)
            with pytest.raises(Unreachable):
                await last.propose(b"after", timeout=3.0)

            await client.propose(b"another")
            await until(lambda: client.config.revision == 1)
            assert client.config.members[0].address == f"127.0.0.1:{port}"
            assert [one.name for one in client.config.clients] == ["client-1", "newcomer"]
            heard = {entry.client async for entry in client.listen(follow=False, server="member-1")}
            assert "newcomer" in heard
            assert (await client.status())[0].revision == 1
            links = [server.term.peers.links[0] for server in servers[1:]]
            await until(lambda: all(link.connected for link in links))
            for home in (*six.homes, six.client_home):
                kept = config_file.load(home)
                assert [one.name for one in kept.clients] == ["client-1", "newcomer"]
                assert load_founded(home).revision == 0

    run(scenario())
