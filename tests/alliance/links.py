"""Members' links for tests: both sides, and streams that a test opens under a member's name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc.aio

from alliance.channels import Identities, open_channel
from alliance.peers import EXCHANGE, Peers
from alliance.services import PeerService
from tests.alliance.farm import Farm
from tests.alliance.net import at

LOW, HIGH = 0, 5


class Ear:
    """A receiver that remembers; ``until`` waits for what a test expects."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self.rejections: list[tuple[int, str]] = []
        self.connections: list[int] = []
        self._news = asyncio.Event()

    def received(self, sender: int, data: bytes) -> None:
        self.messages.append((sender, data))
        self._news.set()

    def rejected_frame(self, sender: int, reason: str) -> None:
        self.rejections.append((sender, reason))
        self._news.set()

    def connected(self, peer: int) -> None:
        self.connections.append(peer)
        self._news.set()

    async def room(self) -> None:
        pass

    async def until(self, condition: Any) -> None:
        while not condition(self):
            self._news.clear()
            await self._news.wait()


class Side:
    """One member's links."""

    def __init__(self, farm: Farm, me: int, ports: dict[int, int] | None = None, dead: int = 1) -> None:
        members = tuple(at(farm.config, i, (ports or {}).get(i, dead)) for i in range(6))
        self.config = replace(farm.config, members=members)
        self.me = me
        self.ear = Ear()
        self.peers = Peers(self.config, me, farm.members[me], self.ear)
        self.service = PeerService(Identities(self.config), me, self.peers)

    def serve(self, server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((self.service.handler(),))


@asynccontextmanager
async def dialling(side: Side) -> AsyncIterator[None]:
    task = asyncio.create_task(side.peers.dial())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def raw(farm: Farm, port: int, member: int = HIGH) -> AsyncIterator[Any]:
    """A stream that the test itself opens under a member's name."""
    async with open_channel(at(farm.config, LOW, port), farm.members[member]) as channel:
        exchange: Any = channel.stream_stream(EXCHANGE)
        call = exchange()
        await call.initial_metadata()
        yield call
        call.cancel()
