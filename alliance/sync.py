"""The client for programs without asyncio: the same methods, blocking.

One event loop, in a background thread, serves all such clients of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance import client as asynchronous
from alliance.client import TIMEOUT_SECONDS, MemberStatus
from alliance.config import AllianceConfig
from alliance.listener import LogEntry
from alliance.receipt import Receipt
from fab_paxos import Submission

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _background() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="alliance", daemon=True).start()
        return _loop


def _wait(work: Coroutine[Any, Any, T]) -> T:
    future = asyncio.run_coroutine_threadsafe(work, _background())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # no effect unless the waiting itself was interrupted
        raise


class Client:
    """See ``alliance.client.Client``; make it with ``alliance.sync.connect``."""

    def __init__(self, client: asynchronous.Client) -> None:
        self._client = client

    @property
    def config(self) -> AllianceConfig:
        """What the alliance is."""
        return self._client.config

    @property
    def public_key(self) -> RSAPublicKey:
        """The alliance's key, which receipts are verified with."""
        return self._client.public_key

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        _wait(self._client.close())

    def propose(self, command: bytes, timeout: float = TIMEOUT_SECONDS) -> Receipt:
        """Has one command ordered; returns its verified receipt."""
        return _wait(self._client.propose(command, timeout))

    def propose_all(self, commands: Iterable[bytes], timeout: float = TIMEOUT_SECONDS) -> Iterator[Receipt]:
        """Has commands ordered in the order given; yields their receipts."""
        return _iterate(self._client.propose_all(commands, timeout))

    def resume(self, submission: Submission, timeout: float = TIMEOUT_SECONDS) -> list[Receipt]:
        """Asks again for the outcome of a submission."""
        return _wait(self._client.resume(submission, timeout))

    def listen(self, start: int = 1, *, follow: bool = True, server: str | None = None) -> Iterator[LogEntry]:
        """The decided commands from a slot on, each once, in order, verified."""
        return _iterate(self._client.listen(start, follow=follow, server=server))

    def status(self) -> list[MemberStatus]:
        """What each member says of itself."""
        return _wait(self._client.status())


def connect(folder: str | Path, passphrase: bytes) -> Client:
    """The synchronous twin of ``alliance.connect``."""
    return Client(_wait(asynchronous.connect(folder, passphrase)))


def _iterate(items: AsyncIterator[T]) -> Iterator[T]:
    async def next_item() -> T:
        return await anext(items)

    try:
        while True:
            try:
                yield _wait(next_item())
            except StopAsyncIteration:
                return
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            _wait(close())
