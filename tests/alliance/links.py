"""Members' links for tests: both sides, and streams that a test opens under a member's name."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio

from alliance.errors import AllianceError
from alliance.net.channels import GREETING, Identities, hang_up, open_channel
from alliance.pb import peer_pb2 as pb
from alliance.server.incarnation import Incarnation
from alliance.server.latest_statements import LatestStatements, SignedStatement
from alliance.server.peers import EXCHANGE, Peers
from alliance.server.services import PeerService
from alliance.storage.journal import Journal
from quorum import GreetingStatement
from tests.alliance.farm import Farm
from tests.alliance.network import at

LOW, HIGH = 0, 5
_STARTS = itertools.count(1)


class Ear:
    """A receiver that remembers; ``until`` waits for what a test expects."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self.rejections: list[tuple[int, str]] = []
        self.connections: list[int] = []
        self.losses: list[int] = []
        self.mismatches: list[tuple[int, str]] = []
        self.doubts: list[tuple[int, str]] = []
        self.errors: list[AllianceError] = []
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

    def lost(self, peer: int) -> None:
        self.losses.append(peer)
        self._news.set()

    def mismatched(self, peer: int, reason: str, *, later: bool = False) -> None:
        self.mismatches.append((peer, reason))
        self._news.set()

    def doubted(self, peer: int, reason: str) -> None:
        self.doubts.append((peer, reason))
        self._news.set()

    def failed(self, error: AllianceError) -> None:
        self.errors.append(error)
        self._news.set()

    async def room(self, sender: int) -> None:
        pass

    async def until(self, condition: Any) -> None:
        while not condition(self):
            self._news.clear()
            await self._news.wait()


class Side:
    """One start of a member, and its links; a new member's, unless its journal is given."""

    def __init__(
        self,
        farm: Farm,
        me: int,
        ports: dict[int, int] | None = None,
        dead: int = 1,
        journal: Path | None = None,
    ) -> None:
        members = tuple(at(farm.config, i, (ports or {}).get(i, dead)) for i in range(6))
        self.config = replace(farm.config, members=members)
        self.me = me
        self.ear = Ear()
        self.latest = LatestStatements(6)
        folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, folder)
        path = journal or folder / "journal.sqlite"
        self.journal = Journal(path, farm.config.alliance_id, self.config.members[me].name)
        key = farm.members[me].signing_key
        self.incarnation = Incarnation(self.config, me, key, self.journal, self.latest)
        self.peers = Peers(self.config, me, farm.members[me], self.incarnation, self.ear)
        self.service = PeerService(Identities(self.config), SimpleNamespace(term=self))

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


def greeting(farm: Farm, member: int, peer: int, number: int, session: bytes = b"s" * 32) -> SignedStatement:
    """A member's word that this is its start of that number."""
    statement = GreetingStatement(member, peer, number, session)
    return SignedStatement(
        statement, farm.members[member].signing_key.sign(statement.encode(farm.config.context))
    )


def step(**what: Any) -> bytes:
    """A frame of the handshake, of the right engine and epoch if nothing else is said."""
    return pb.Handshake(**{"engine": pb.FAB_PAXOS, **what}).SerializeToString()


async def shake_hands(farm: Farm, call: Any, member: int) -> None:
    """What a member does that was started just now, and remembers nobody."""
    assert pb.Handshake.FromString(await call.read()).WhichOneof("step") == "memory"
    await call.write(step(memory=pb.Memory()))
    assert pb.Handshake.FromString(await call.read()).WhichOneof("step") == "greeting"
    await call.write(step(greeting=greeting(farm, member, LOW, next(_STARTS)).encode()))
    assert pb.Handshake.FromString(await call.read()).WhichOneof("step") == "welcome"
    await call.write(step(welcome=pb.Welcome()))


@asynccontextmanager
async def raw(
    farm: Farm, port: int, member: int = HIGH, *, greets: bool = True, metadata: Any = GREETING
) -> AsyncIterator[Any]:
    """A stream to the low member that the test itself opens under a member's name."""
    async with open_channel(at(farm.config, LOW, port), farm.members[member]) as channel:
        exchange: Any = channel.stream_stream(EXCHANGE)
        call = exchange(metadata=metadata)
        await call.initial_metadata()
        if greets:
            await shake_hands(farm, call, member)
        yield call
        hang_up(call)
