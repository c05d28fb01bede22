"""Who waits for a lock hears of releases from the log, so that he asks when it is worth asking."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from alliance import AllianceError, Client
from alliance.execution import Kind, unwrap
from examples.lock_service import operations
from examples.lock_service.encoding import Invalid
from examples.lock_service.operations import Close, Release
from examples.lock_service.ticket import APPLICATION

log = logging.getLogger(__name__)


class Releases:
    """One stream for all who wait; it is open while somebody does. It is a hint and no more than that."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._last: dict[str, int] = {}
        self._closed = 0
        self._news = asyncio.Event()
        self._waiting = 0
        self._stream: asyncio.Task[None] | None = None

    async def wait(self, name: str, slot: int, seconds: float) -> None:
        """Returns when the lock may have been released after ``slot``; after ``seconds`` at the latest."""
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._listen(slot + 1))
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while max(self._last.get(name, 0), self._closed) <= slot:
                    await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                await self.close()

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        self._last.clear()
        if stream is not None:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    async def _listen(self, start: int) -> None:
        try:
            async with aclosing(self._client.listen(start)) as entries:
                async for entry in entries:
                    self._note(entry.slot, entry.command)
        except AllianceError as error:
            log.warning("%s", error)  # those who wait ask without being told

    def _note(self, slot: int, command: bytes) -> None:
        told = unwrap(APPLICATION, command)
        if told is None or told[0] is not Kind.APPLY:
            return
        try:
            operation = operations.decode(told[1])
        except Invalid:
            return
        if isinstance(operation, Release):
            self._last[operation.name] = slot
        elif isinstance(operation, Close):
            self._closed = slot
        else:
            return
        self._news.set()
        self._news = asyncio.Event()
