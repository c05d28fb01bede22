"""Links between members: one long-lived stream per pair, an outbox that leaves as one envelope.

The member with the higher index dials. What is lost with a link is not repeated here: the engine is told
when a link comes up, and brings the peer up to date.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from alliance.channels import open_channel
from alliance.codec import ENVELOPE_BYTES_MAX, ENVELOPE_MESSAGES_MAX, Malformed, envelope, open_envelope
from alliance.config import AllianceConfig
from alliance.keys import Credentials

log = logging.getLogger(__name__)

OUTBOX_BYTES_MAX = 32 * 1024 * 1024
"""What waits for a peer that does not read; beyond it, messages to it are dropped."""

FLUSH_BYTES = ENVELOPE_BYTES_MAX // 2
EXCHANGE = "/alliance.v1.Peer/Exchange"
BACKOFF_SECONDS = (0.1, 2.0)


class Receiver(Protocol):
    """Where a link's messages go; ``room`` waits while too many are waiting."""

    def received(self, sender: int, data: bytes) -> None: ...
    def connected(self, peer: int) -> None: ...
    async def room(self) -> None: ...


class Link:
    """The outbox to one peer; survives the streams that empty it."""

    def __init__(self, peer: int) -> None:
        self.peer = peer
        self.connected = False
        self.dropped = 0
        self._outbox: list[bytes] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._stream = 0

    def send(self, message: bytes) -> None:
        """Queues a message; without a stream, or for a peer that does not read, it is dropped."""
        if not self.connected or self._bytes + len(message) > OUTBOX_BYTES_MAX:
            self.dropped += 1
            return
        self._outbox.append(message)
        self._bytes += len(message)
        self._wake.set()

    def open(self) -> int:
        """A new stream takes over; what waited for the old one is stale. Returns its number."""
        self._stream += 1
        self._outbox.clear()
        self._bytes = 0
        self.connected = True
        return self._stream

    def close(self, stream: int) -> None:
        if stream == self._stream:
            self.connected = False
            self._outbox.clear()
            self._bytes = 0

    def current(self, stream: int) -> bool:
        return stream == self._stream

    async def next_frame(self) -> bytes:
        """Waits for messages and returns all that waits (up to a bound) as one envelope."""
        while not self._outbox:
            self._wake.clear()
            await self._wake.wait()
        size = count = 0
        for message in self._outbox[:ENVELOPE_MESSAGES_MAX]:
            if count and size + len(message) > FLUSH_BYTES:
                break
            size += len(message)
            count += 1
        messages, self._outbox = self._outbox[:count], self._outbox[count:]
        self._bytes -= size
        return envelope(messages)


class Peers:
    """All links of one member."""

    def __init__(self, config: AllianceConfig, me: int, mine: Credentials, receiver: Receiver) -> None:
        self._config = config
        self._me = me
        self._mine = mine
        self._receiver = receiver
        self.links = {peer: Link(peer) for peer in range(len(config.members)) if peer != me}

    def send(self, to: int, message: bytes) -> None:
        self.links[to].send(message)

    def broadcast(self, message: bytes) -> None:
        for link in self.links.values():
            link.send(message)

    async def dial(self) -> None:
        """Keeps a stream open to every member with a lower index; runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for peer in range(self._me):
                tasks.create_task(self._keep_open(peer), name=f"link to member {peer + 1}")

    async def answer(self, peer: int, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Serves the stream that a member with a higher index opened."""
        await self._exchange(peer, context.read, context.write)

    async def _keep_open(self, peer: int) -> None:
        member = self._config.members[peer]
        delay, longest = BACKOFF_SECONDS
        wait = delay
        while True:
            async with open_channel(member, self._mine) as channel:
                exchange: Any = channel.stream_stream(EXCHANGE)
                call = exchange()
                try:
                    await call.initial_metadata()
                    wait = delay
                    await self._exchange(peer, call.read, call.write)
                except grpc.aio.AioRpcError as error:
                    log.debug("link to %s: %s", member.name, error.details())
                finally:
                    call.cancel()
            # Jitter, so that members that lost each other do not meet at the same instant again.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, longest)

    async def _exchange(self, peer: int, read: Callable[[], Any], write: Callable[[bytes], Any]) -> None:
        link = self.links[peer]
        stream = link.open()
        self._receiver.connected(peer)
        writer = asyncio.create_task(self._write(link, stream, write))
        try:
            while link.current(stream):
                frame = await read()
                if frame is grpc.aio.EOF:
                    return
                try:
                    for message in open_envelope(frame):
                        self._receiver.received(peer, message)
                except Malformed as error:
                    log.warning("%s sends %s: link closed", self._config.members[peer].name, error)
                    return
                await self._receiver.room()
        finally:
            link.close(stream)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, link: Link, stream: int, write: Callable[[bytes], Any]) -> None:
        while link.current(stream):
            await write(await link.next_frame())
