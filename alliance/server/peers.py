"""Links between members: one long-lived stream per pair, an outbox that leaves as one envelope.

The member with the higher index dials. A stream begins with a handshake (``incarnation``). What is lost with
a link is not repeated here: the engine is told when a link comes up, and brings the peer up to date.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from operator import is_not
from typing import Any, Protocol

import grpc
import grpc.aio

from alliance.config.file import AllianceConfig
from alliance.config.parties import Member
from alliance.errors import AllianceError, IdentityConflict, JournalError
from alliance.keys.channel import Credentials
from alliance.net.channels import (
    GREETING,
    NotServed,
    OtherProtocol,
    established,
    hang_up,
    one_line,
    open_channel,
)
from alliance.net.tasks import until_first
from alliance.server.incarnation import Doubt, Incarnation, farewell
from alliance.wire.bounds import ENVELOPE_BYTES_MAX, Malformed
from alliance.wire.envelope import ENVELOPE_MESSAGES_MAX, Mismatch, envelope, open_envelope

log = logging.getLogger(__name__)

OUTBOX_BYTES_MAX = 32 * 1024 * 1024
"""What waits for a peer that does not read; beyond it, messages to it are dropped."""

MESSAGE_BYTES = 64
"""What a message takes in memory beside its own bytes: most of them are shared with other links."""

FLUSH_BYTES = ENVELOPE_BYTES_MAX // 2
EXCHANGE = "/alliance.v1.Peer/Exchange"
HANDSHAKES_APART_SECONDS = 0.02
"""Each may cost a synced write: a peer that opens stream after stream gets no more of them."""

BACKOFF_SECONDS = (0.1, 1.0)
"""First and longest. A member that starts votes only when most of its peers have found it."""


class Receiver(Protocol):
    """Where a link's messages go; ``room`` waits while too much of this peer is waiting."""

    def received(self, sender: int, data: bytes) -> None: ...
    def rejected_frame(self, sender: int, reason: str) -> None: ...
    def connected(self, peer: int) -> None: ...
    def lost(self, peer: int) -> None: ...
    def mismatched(self, peer: int, reason: str, *, later: bool = False) -> None: ...
    def doubted(self, peer: int, reason: str) -> None: ...
    def failed(self, error: AllianceError) -> None: ...
    async def room(self, sender: int) -> None: ...


class Packer:
    """Puts messages into envelopes of ``epoch``. What goes to all is put together once, not for each."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._messages: list[bytes] = []
        self._frame = b""

    def pack(self, messages: list[bytes]) -> bytes:
        """An envelope of these messages; the last one again if they are the very same objects."""
        last = self._messages
        if len(messages) != len(last) or any(map(is_not, messages, last)):
            self._messages, self._frame = messages, envelope(messages, self._epoch)
        return self._frame


class Link:
    """The outbox to one peer; survives the streams that empty it."""

    def __init__(self, peer: int, packer: Packer) -> None:
        self.peer = peer
        self._packer = packer
        self.connected = False
        self.dropped = 0
        self._outbox: list[bytes] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._stream = 0
        self._shaken = float("-inf")
        self._successor = asyncio.Event()

    def send(self, message: bytes) -> None:
        """Queues a message; without a stream, or for a peer that does not read, it is dropped."""
        size = len(message) + MESSAGE_BYTES
        if not self.connected or self._bytes + size > OUTBOX_BYTES_MAX:
            self.dropped += 1
            return
        self._outbox.append(message)
        self._bytes += size
        self._wake.set()

    @property
    def backlog(self) -> int:
        """Bytes in memory that wait for the peer."""
        return self._bytes

    def take_over(self) -> int:
        """A new stream ends the one before it. Returns its number, with which it is opened and closed."""
        self._successor.set()
        self._successor = asyncio.Event()
        self._stream += 1
        self._disconnect()
        return self._stream

    async def handshake_due(self) -> None:
        """Waits, if the last one was just now."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._shaken + HANDSHAKES_APART_SECONDS - loop.time()))
        self._shaken = loop.time()

    def open(self, stream: int) -> None:
        """The handshake is done; what is sent from now on leaves."""
        if stream == self._stream:
            self.connected = True

    def close(self, stream: int) -> bool:
        """Whether a connection ends by this: not if a newer stream has taken over, or none was open."""
        ends = self.connected and stream == self._stream
        if stream == self._stream:
            self._disconnect()
        return ends

    def _disconnect(self) -> None:
        """What waits is for a stream that is no more."""
        self.connected = False
        self._outbox.clear()
        self._bytes = 0

    async def succeeded(self, stream: int) -> None:
        """Returns when a newer stream has taken over from ``stream``."""
        if stream == self._stream:
            await self._successor.wait()

    async def next_frame(self, stream: int) -> bytes | None:
        """Waits for messages and returns all that waits (up to a bound) as one envelope.

        None when a newer stream has taken over: what waits is for that one.
        """
        while stream == self._stream and not self._outbox:
            self._wake.clear()
            await self._wake.wait()
        if stream != self._stream:
            return None
        size = count = 0
        for message in self._outbox[:ENVELOPE_MESSAGES_MAX]:
            if count and size + len(message) > FLUSH_BYTES:
                break
            size += len(message)
            count += 1
        messages, self._outbox = self._outbox[:count], self._outbox[count:]
        self._bytes -= size + count * MESSAGE_BYTES
        return self._packer.pack(messages)


class Peers:
    """All links of one member."""

    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        mine: Credentials,
        incarnation: Incarnation,
        receiver: Receiver,
    ) -> None:
        self._config = config
        self._incarnation = incarnation
        self._me = me
        self._mine = mine
        self._receiver = receiver
        self._moved = asyncio.Event()
        self._dialled: dict[int, Member] = {}
        """The newest of each that is dialled, where it is."""
        packer = Packer(config.epoch)
        self.links = {peer: Link(peer, packer) for peer in range(len(config.members)) if peer != me}

    def update(self, config: AllianceConfig) -> None:
        """A revision: members that have moved are dialled where they are now."""
        self._config = config
        self._moved.set()
        self._moved = asyncio.Event()

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

    def mismatched(self, peer: int, reason: str) -> None:
        """This member opened a stream and is set up in another way."""
        self._receiver.mismatched(peer, reason)

    async def answer(self, peer: int, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Serves the stream that a member with a higher index opened. Raises Malformed, when it is told."""
        await self._exchange(peer, context.read, context.write)

    def close(self) -> None:
        """Ends the streams that others have opened; those of ``dial`` end with it."""
        for link in self.links.values():
            link.take_over()

    async def _keep_open(self, peer: int) -> None:
        """The stream to an address that this member has left goes on until one stands at the new address."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                moved, member = self._moved, self._config.members[peer]
                if peer not in self._dialled or self._dialled[peer].address != member.address:
                    # A value of its own: whoever dialled the same place before must end, or two would take
                    # the link from each other for ever.
                    self._dialled[peer] = member = replace(member)
                    tasks.create_task(self._dial(peer, member), name=f"link to member {peer + 1}")
                await moved.wait()

    async def _dial(self, peer: int, member: Member) -> None:
        """Dials it there, again and again, until it has moved elsewhere."""
        delay, longest = BACKOFF_SECONDS
        wait, told = delay, ""
        while self._dialled[peer] is member:
            begun = asyncio.get_running_loop().time()
            async with open_channel(member, self._mine) as channel:
                exchange: Any = channel.stream_stream(EXCHANGE)
                call = exchange(metadata=GREETING)
                try:
                    await established(call)
                    if self._dialled[peer] is member:  # else it would take the link from the newer one
                        await self._exchange(peer, call.read, call.write)
                except OtherProtocol as error:
                    self._receiver.mismatched(peer, str(error))
                except (NotServed, Malformed) as error:
                    reason = str(error)
                    # The others mend themselves; for an expired certificate somebody has to do something.
                    news = "certificate" in reason and reason != told
                    log.log(logging.WARNING if news else logging.DEBUG, "link to %s: %s", member.name, reason)
                    told = reason
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                    log.debug("link to %s ended: %s", member.name, one_line(str(error)))
                finally:
                    hang_up(call)
            if asyncio.get_running_loop().time() - begun > longest:
                wait = delay
            # Jitter, so that members that lost each other do not meet at the same instant again.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, longest)

    async def _exchange(self, peer: int, read: Callable[[], Any], write: Callable[[bytes], Any]) -> None:
        link, was_connected = self.links[peer], self.links[peer].connected
        stream = link.take_over()
        if was_connected:
            self._receiver.lost(peer)
        try:
            await until_first(self._converse(link, stream, read, write), link.succeeded(stream))
        except Malformed as error:
            self._receiver.rejected_frame(peer, str(error))
            raise
        except Mismatch as error:
            self._receiver.mismatched(peer, str(error), later=error.later)
        except NotServed as error:
            log.debug("link to %s: %s", self._config.members[peer].name, error)
        except Doubt as doubt:
            self._receiver.doubted(peer, str(doubt))
        except JournalError as error:
            self._receiver.failed(error)
        except IdentityConflict as conflict:
            self._receiver.failed(conflict)  # first of all: nothing leaves any more
            await farewell(read, write, conflict, self._config.epoch)
        finally:
            if link.close(stream):
                self._receiver.lost(peer)

    async def _converse(
        self, link: Link, stream: int, read: Callable[[], Any], write: Callable[[bytes], Any]
    ) -> None:
        await link.handshake_due()
        await self._incarnation.shake_hands(link.peer, read, write)
        link.open(stream)
        self._receiver.connected(link.peer)
        await until_first(self._read(link.peer, read), self._write(link, stream, write))

    async def _read(self, peer: int, read: Callable[[], Any]) -> None:
        while (frame := await read()) is not grpc.aio.EOF:
            for message in open_envelope(frame, self._config.epoch):
                self._receiver.received(peer, message)
            await self._receiver.room(peer)

    async def _write(self, link: Link, stream: int, write: Callable[[bytes], Any]) -> None:
        while (frame := await link.next_frame(stream)) is not None:
            await write(frame)
