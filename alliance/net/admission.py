"""Between gRPC and every method of a server: who may have one more call open, and what its messages hold.

No handler is begun, and nothing of a request is read, before the budget has room for the call. Until a
handler reads, gRPC takes WINDOW_BYTES of a call and no more; a unary request is therefore read here, too,
when the call is let in, within REQUEST_SECONDS. A stream that brings nothing for IDLE_SECONDS has ended. An
answer that is not taken within TAKEN_SECONDS ends its call.
"""

from __future__ import annotations

import asyncio
import inspect
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NoReturn

import grpc
import grpc.aio

from alliance.config.file import AllianceConfig
from alliance.config.parties import Client, Member, Party
from alliance.net import descriptors, sockets
from alliance.net.budget import Budget, Call, Refused
from alliance.net.channels import SERVER_OPTIONS, Identities
from alliance.net.doorman import Doorman
from alliance.net.guard import EachMethod, RequestGuard
from alliance.net.limits import (
    CALLS_PENDING_MAX,
    CALLS_PER_CONNECTION_MAX,
    CALLS_PER_HOLDER_MAX,
    HANDSHAKE_SECONDS,
    IDLE_SECONDS,
    METHOD_BYTES_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_SECONDS,
    TAKEN_SECONDS,
    WINDOW_BYTES,
)

ROOM_SECONDS = 0.02
"""So often somebody who is to wait looks whether there is room."""

FAREWELL_SECONDS = 1.0
"""So long a party that is removed has to hear of it before its connections are closed."""

_NONE = "only members and clients are served"
_DEPARTED = "this party does not belong to the alliance any more: its members have removed it"

FOR_FORMER = frozenset({"/alliance.v1.Client/GetMembership"})
"""What who was a member once may ask: it is to learn that it is none any more."""

FORMER_MAX = 64
"""So many former members are known, those that left last; the others are strangers."""

ENDLESS = frozenset({"/alliance.v1.Peer/Exchange"})
"""Streams that may be silent: their ends have heartbeats of their own."""

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.server_handshake_timeout_ms", int(1000 * HANDSHAKE_SECONDS)),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
    # It would let the other end's speed raise the window, to 8 MiB and more for each call.
    ("grpc.http2.bdp_probe", 0),
    # Beyond this gRPC refuses some of those that come, beyond twice as many all, at little cost.
    ("grpc.server.max_pending_requests", CALLS_PENDING_MAX),
    ("grpc.server.max_pending_requests_hard_limit", 2 * CALLS_PENDING_MAX),
]


class Admission(EachMethod):
    """The budget of one server, and what enforces it: ``server``, ``start``, ``stop``.

    The process gets as many file descriptors as the system lets it have.
    """

    def __init__(
        self,
        config: AllianceConfig,
        calls_per_holder: int = CALLS_PER_HOLDER_MAX,
        former: Sequence[Member] = (),
    ) -> None:
        """``former``: members of earlier epochs, the last that left first, who may ask who takes part now."""
        super().__init__()
        self.identities = Identities(config)
        self._config = config
        self._former = tuple(former[:FORMER_MAX])
        self._incoming: tuple[Client, ...] = ()
        self.identities.update(config, former=self._former)
        descriptors.raise_limit()
        self.budget = Budget(calls_per_holder)
        self.doorman = Doorman(self.budget)
        self._under_way: dict[bytes, set[asyncio.Task[Any]]] = {}

    def update(self, config: AllianceConfig) -> None:
        """These are the members and clients from now on. Whoever is none any more is told so, and cut off."""
        if config.epoch > self._config.epoch:
            now = {member.identity for member in config.members}
            known = {member.identity: member for member in (*self._config.members, *self._former)}
            left = [member for member in known.values() if member.identity not in now]
            self._former = tuple(left[:FORMER_MAX])
        self._config = config
        self._look()

    def expect(self, incoming: tuple[Client, ...]) -> None:
        """These are let in as clients are, beside them."""
        self._incoming = incoming
        self._look()

    def _look(self) -> None:
        before = self.identities.parties
        self.identities.update(self._config, self._incoming, self._former)
        for identity in before - self.identities.parties:
            for handler in self._under_way.get(identity, ()):
                handler.cancel()
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._cut, identity)

    def _cut(self, identity: bytes) -> None:
        if identity in self.identities.parties:  # let in again meanwhile
            return
        for key in self.budget.connections_of(identity):
            self.doorman.cut(key)

    def server(self) -> grpc.aio.Server:
        """A server all of whose methods are within the budget, and guarded; every server is made here."""
        options = [
            *SERVER_OPTIONS,
            *OPTIONS,
            ("grpc.max_allowed_incoming_connections", self.budget.connections_max),
            ("grpc.max_concurrent_streams", CALLS_PER_CONNECTION_MAX),
        ]
        return grpc.aio.server(options=options, interceptors=[self, RequestGuard()])

    def start(self, address: str | int) -> None:
        """Watches the connections at this address, a port or host:port, from now on."""
        self.doorman.start(int(str(address).rpartition(":")[2]))

    def stop(self) -> None:
        self.doorman.stop()

    def around(self, method: str, handler: Any, asks: str, answers: str) -> Any:
        """As a handler of bytes that reads its request by itself."""
        behaviour = getattr(handler, f"{asks}_{answers}")
        bytes_max = METHOD_BYTES_MAX.get(method, REQUEST_BYTES_MAX)
        idle = None if method in ENDLESS else IDLE_SECONDS

        async def answer(_: object, context: Any) -> bytes | None:
            party, call = await self._enter(context, method, bytes_max)
            metered = Metered(context, call, handler, idle)
            mine: Any = asyncio.current_task()
            self._under_way.setdefault(party.identity, set()).add(mine)
            try:
                request = metered.each() if handler.request_streaming else await metered.request()
                if inspect.isasyncgenfunction(behaviour):
                    async for part in behaviour(request, metered):
                        await metered.write(part)
                    return None
                reply = await behaviour(request, metered)
                return None if handler.response_streaming else metered.serialized(reply)
            except Refused as error:
                return await _refuse(context, error)
            except asyncio.CancelledError:
                if party.identity in self.identities.parties:
                    raise
                return await _abort(context, grpc.StatusCode.PERMISSION_DENIED, _DEPARTED)
            finally:
                call.close()
                self._under_way[party.identity].discard(mine)
                if not self._under_way[party.identity]:
                    del self._under_way[party.identity]

        make: Any = getattr(grpc, f"stream_{answers}_rpc_method_handler")
        return make(answer)

    async def _enter(self, context: Any, method: str, bytes_max: int) -> tuple[Party, Call]:
        party = self.identities.known(context)
        if party is None and method in FOR_FORMER:
            party = self.identities.former(context)
        if party is None:
            return await _abort(context, grpc.StatusCode.PERMISSION_DENIED, _NONE)
        if not (peer := context.peer()):  # it has hung up before it had its turn
            raise asyncio.CancelledError
        key = _key(peer)
        try:
            member = self.identities.member(context) is not None
            return party, self.budget.open(
                key, party.identity, party.name, member=member, bytes_max=bytes_max
            )
        except Refused as error:
            if error.cut:
                self.doorman.cut(key)
            return await _refuse(context, error)


class Metered:
    """gRPC's context; what is read and written through it is counted, and bounded in time."""

    def __init__(self, context: Any, call: Call, handler: Any, idle: float | None) -> None:
        self._context = context
        self._call = call
        self._parse = handler.request_deserializer
        self._serialize = handler.response_serializer
        self._idle = idle
        self._begun = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def request(self) -> Any:
        """The one request of a call that has one."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                data = await self._context.read()
        except TimeoutError:
            raise Refused(f"the request did not arrive within {REQUEST_SECONDS:g} s") from None
        if data is grpc.aio.EOF:
            raise Refused("no request came")
        return self._parsed(data)

    async def read(self) -> Any:
        """The next message, or EOF, which is also what a stream comes to that brings nothing for too long."""
        self._call.done()
        try:
            async with self._within(self._idle):
                await self._room()
                data = await self._context.read()
        except TimeoutError:
            return grpc.aio.EOF
        try:
            return data if data is grpc.aio.EOF else self._parsed(data)
        except Refused as error:  # said here: what is raised within a handler is taken for its own mistake
            return await _refuse(self._context, error)

    async def _room(self) -> None:
        while not self._call.has_room:  # noqa: ASYNC110 - what another thread measures sets no event
            await asyncio.sleep(ROOM_SECONDS)

    async def each(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    async def send_initial_metadata(self, metadata: Any) -> None:
        """To its end, also for who is cancelled: gRPC would send it again with the status, which fails."""
        self._begun = True
        sending = asyncio.ensure_future(self._context.send_initial_metadata(metadata))
        try:
            await asyncio.shield(sending)
        finally:
            await asyncio.wait([sending], timeout=FAREWELL_SECONDS)
            sending.cancel()

    async def write(self, message: Any) -> None:
        """Returns when the transport has taken it."""
        if not self._begun:
            await self.send_initial_metadata(())
        data = self.serialized(message)
        self._call.leaves(len(data))
        try:
            async with self._within(TAKEN_SECONDS):
                await self._context.write(data)
        except TimeoutError:
            # The status could not be told either: it would wait behind the answer. A reset takes no window.
            raise asyncio.CancelledError from None
        finally:
            self._call.leaves(0)

    def _within(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """A time limit, except in endless streams: members exchange thousands of messages a second there, and
        what waits for one that does not read is bounded by its link."""
        return asyncio.timeout(seconds) if self._idle is not None else nullcontext()

    def serialized(self, message: Any) -> bytes:
        data: bytes = self._serialize(message) if self._serialize is not None else message
        return data

    def _parsed(self, data: bytes) -> Any:
        self._call.arrived(len(data))
        return self._parse(data) if self._parse is not None else data


async def _refuse(context: Any, error: Refused) -> NoReturn:
    await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))


async def _abort(context: Any, code: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("abort raises")


def _key(peer: str) -> str:
    """As a socket's name is written, from gRPC's ``ipv4:1.2.3.4:5`` or ``ipv6:[::1]:5``, escaped as it is."""
    _, _, rest = urllib.parse.unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    return sockets.key_of((host.strip("[]"), int(port)))
