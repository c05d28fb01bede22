"""The client for programs without asyncio: the same methods, blocking.

One event loop, in a background thread, serves all such clients of the process.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.client import client as asynchronous
from alliance.client.client import TIMEOUT_SECONDS, MemberStatus
from alliance.client.listener import LogEntry
from alliance.config.file import AllianceConfig
from alliance.proofs.receipt import Receipt
from verifiable_log import Submission

T = TypeVar("T")
END_SECONDS = 1.0
"""How long the end of the program waits for what is left in the background."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_clients: WeakSet[asynchronous.Client] = WeakSet()


def _background() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            begun: Future[asyncio.AbstractEventLoop] = Future()
            threading.Thread(target=asyncio.run, args=(_live(begun),), name="alliance", daemon=True).start()
            _loop = begun.result()
        return _loop


async def _live(begun: Future[asyncio.AbstractEventLoop]) -> None:
    """The background's life, until the program ends: then clients are closed that were left open.

    If the interpreter ends in the midst of gRPC's work, it waits for two seconds.
    """
    loop, thread, end = asyncio.get_running_loop(), threading.current_thread(), asyncio.Event()

    def finish() -> None:
        loop.call_soon_threadsafe(end.set)
        thread.join(END_SECONDS)

    atexit.register(finish)
    begun.set_result(loop)
    await end.wait()
    await asyncio.gather(*(client.close() for client in list(_clients)), return_exceptions=True)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in the loop of all blocking clients; what it returns or raises."""
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
        _clients.add(client)

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
        wait(self._client.close())

    def propose(self, command: bytes, timeout: float = TIMEOUT_SECONDS) -> Receipt:
        """Has one command ordered; returns its verified receipt."""
        return wait(self._client.propose(command, timeout))

    def propose_all(self, commands: Iterable[bytes], timeout: float = TIMEOUT_SECONDS) -> Iterator[Receipt]:
        """Has commands ordered in the order given; yields their receipts."""
        return _iterate(self._client.propose_all(commands, timeout))

    def resume(self, submission: Submission, timeout: float = TIMEOUT_SECONDS) -> list[Receipt]:
        """Asks again for the outcome of a submission."""
        return wait(self._client.resume(submission, timeout))

    def listen(self, start: int = 1, *, follow: bool = True, server: str | None = None) -> Iterator[LogEntry]:
        """The decided commands from a slot on, each once, in order, verified."""
        return _iterate(self._client.listen(start, follow=follow, server=server))

    def status(self) -> list[MemberStatus]:
        """What each member says of itself."""
        return wait(self._client.status())


def connect(folder: str | Path, passphrase: bytes) -> Client:
    """The synchronous twin of ``alliance.connect``."""
    return Client(wait(asynchronous.connect(folder, passphrase)))


def _iterate(items: AsyncIterator[T]) -> Iterator[T]:
    async def next_item() -> T:
        return await anext(items)

    try:
        while True:
            try:
                yield wait(next_item())
            except StopAsyncIteration:
                return
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            wait(close())
