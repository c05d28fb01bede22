"""Connections to what runs on top of the alliance: the lock service, certified replies, broadcast."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import AsyncGenerator

from alliance import Client
from alliance.execution import ExecutionClient
from examples.broadcast import Message, publish_all, subscribe
from examples.lock_service import APPLICATION, LockClient, operations

TOPIC = "bench"
SESSION_MS = 600_000
_serial = itertools.count()


class LockConnection:
    """A session with a lock of its own: each command is one acquire and one release, both certified."""

    def __init__(self, client: Client) -> None:
        self._locks = LockClient(ExecutionClient(client, APPLICATION), SESSION_MS / 1000)
        self._name = f"bench/{os.getpid()}/{next(_serial)}"

    async def request(self, commands: list[bytes]) -> None:
        for _ in commands:
            await self._locks.release(await self._locks.acquire(self._name, wait=0))

    async def close(self) -> None:
        await self._locks.close()


class ReplyConnection:
    """Each command is one that the lock service executes, a renewal; done is: its certified reply is here."""

    def __init__(self, client: Client) -> None:
        self._client = ExecutionClient(client, APPLICATION)
        self._session = secrets.token_bytes(operations.SESSION_BYTES)
        self._operation: operations.Operation = operations.Open(self._session, SESSION_MS)

    async def request(self, commands: list[bytes]) -> None:
        for _ in commands:
            await self._client.execute(operations.encode(self._operation))
            self._operation = operations.Renew(self._session)

    async def close(self) -> None:
        await self._client.close()


class PublishConnection:
    """The commands of a request are published as messages of one topic; done is: all receipts are here."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def request(self, commands: list[bytes]) -> None:
        async for _ in publish_all(self._client, TOPIC, commands):
            pass

    async def close(self) -> None:
        await self._client.close()


class SubscribeConnection:
    """A request is done when as many messages have come as it has commands, each proven."""

    def __init__(self, client: Client, messages: AsyncGenerator[Message, None]) -> None:
        self._client = client
        self._messages = messages

    @classmethod
    async def open(cls, client: Client) -> SubscribeConnection:
        """Hears what is published from about now on."""
        known = [member.certified for member in await client.status() if member.reachable]
        return cls(client, subscribe(client, [TOPIC], start=max(known) + 1))

    async def request(self, commands: list[bytes]) -> None:
        for _ in commands:
            await anext(self._messages)

    async def close(self) -> None:
        await self._messages.aclose()
        await self._client.close()
