"""The client for programs without asyncio: the same methods, blocking.

One event loop, in a background thread, serves all such clients of the process. Whatever waits for it must not
run in it: the garbage collector may run anybody's finalizers in any thread, so finalizers only schedule.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.client import client as asynchronous
from alliance.client.client import TIMEOUT_SECONDS, VOTES_SECONDS
from alliance.client.delivery import LogEntry
from alliance.client.member_status import MemberStatus
from alliance.config.file import AllianceConfig
from alliance.net import forks
from alliance.proofs.receipt import Receipt
from verifiable_log import Submission

T = TypeVar("T")
END_SECONDS = 1.0
"""How long the end of the program waits for what is left in the background."""


class _Background:
    """The thread of this process that all its blocking clients live in."""

    def __init__(self) -> None:
        self.clients: WeakSet[asynchronous.Client] = WeakSet()
        self.streams: WeakSet[Stream[Any]] = WeakSet()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending: set[asyncio.Task[Any]] = set()
        self._end: asyncio.Event | None = None

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in this very thread, where nothing may wait for it."""
        return threading.current_thread() is self._thread

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, begun when it is first needed."""
        with self._lock:
            if self._loop is None:
                begun: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(
                    target=asyncio.run, args=(self._live(begun),), name="alliance", daemon=True
                )
                self._thread.start()
                self._loop = begun.result()
            return self._loop

    def schedule(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begins it in this thread, which the caller runs in; nobody waits for it."""
        task = self.loop().create_task(work)
        self._ending.add(task)  # the loop itself would let go of it
        task.add_done_callback(self._ending.discard)

    def end(self) -> None:
        """The program ends."""
        if self._loop is not None and self._thread is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(END_SECONDS)

    async def _live(self, begun: Future[asyncio.AbstractEventLoop]) -> None:
        """The background's life, until the program ends: then what was left open is closed.

        If the interpreter ends in the midst of gRPC's work, it waits for two seconds.
        """
        self._end = asyncio.Event()
        begun.set_result(asyncio.get_running_loop())
        await self._end.wait()
        await asyncio.gather(*(stream.aclose() for stream in list(self.streams)), return_exceptions=True)
        await asyncio.gather(*(client.close() for client in list(self.clients)), return_exceptions=True)


_background = _Background()


def _forked() -> None:
    """The child has none of the parent's threads, but a copy of the locks that they held."""
    global _background
    _background = _Background()


def _finish() -> None:
    _background.end()


os.register_at_fork(after_in_child=_forked)
atexit.register(_finish)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in the loop of all blocking clients; what it returns or raises.

    Raises RuntimeError in that loop's own thread, which would wait for itself: there, a callback or a
    finalizer was run.
    """
    if _background.is_here:
        work.close()
        raise RuntimeError(
            "a blocking call in the thread of all blocking clients would wait for itself: make it in"
            " another thread, not in a callback or a finalizer"
        )
    future = asyncio.run_coroutine_threadsafe(work, _background.loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # no effect unless the waiting itself was interrupted
        raise


def finish(work: Coroutine[Any, Any, object]) -> None:
    """As ``wait``, for what ends something. In the loop's own thread, where the garbage collector may have
    it run, it is begun and not waited for.
    """
    if _background.is_here:
        _background.schedule(work)
    else:
        wait(work)


class Stream(Iterator[T]):
    """What a blocking client yields, one by one. ``close`` ends it early, from any thread.

    One that is dropped without that is closed in the background.
    """

    # There is no finalizer here: it is the asynchronous generator's own one that asyncio schedules.

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._reading: asyncio.Task[Any] | None = None
        self._closed = False
        self._forks = forks.count()
        _background.streams.add(self)

    def __next__(self) -> T:
        if self._forks != forks.count():
            raise RuntimeError("this iterator was made before this process was forked: make another one here")
        try:
            return wait(self._next())
        except StopAsyncIteration:
            raise StopIteration from None
        except CancelledError:
            if self._closed:
                raise StopIteration from None
            raise

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream: who waits for the next item, in another thread, is told that there is none."""
        if self._forks == forks.count():  # otherwise nothing of it belongs to this process
            finish(self.aclose())

    async def _next(self) -> T:
        if self._reading is not None:
            raise RuntimeError("another thread waits for the next item: give each one its own iterator")
        self._reading = asyncio.current_task()
        try:
            return await anext(self._items)
        finally:
            self._reading = None

    async def aclose(self) -> None:
        """As ``close``, in the background."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._items.aclose()


class Client:
    """See ``alliance.client.Client``; make it with ``alliance.sync.connect``."""

    def __init__(self, client: asynchronous.Client) -> None:
        self._client = client
        _background.clients.add(client)

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
        """Ends the streams, as the asynchronous one does."""
        finish(self._client.close())

    def propose(self, command: bytes, timeout: float = TIMEOUT_SECONDS) -> Receipt:
        """Has one command ordered; returns its verified receipt."""
        return wait(self._client.propose(command, timeout))

    def propose_all(self, commands: Iterable[bytes], timeout: float = TIMEOUT_SECONDS) -> Stream[Receipt]:
        """Has commands ordered in the order given; yields their receipts."""
        return Stream(self._client.propose_all(commands, timeout))

    def sign(self, commands: Iterable[bytes]) -> Submission:
        """See ``alliance.Client.sign``."""
        return self._client.sign(commands)

    def resume(self, submission: Submission, timeout: float = TIMEOUT_SECONDS) -> list[Receipt]:
        """Asks again for the outcome of a submission."""
        return wait(self._client.resume(submission, timeout))

    def with_votes(self, receipt: Receipt, timeout: float = VOTES_SECONDS) -> Receipt:
        """The receipt with the votes of f + 1 members of its epoch."""
        return wait(self._client.with_votes(receipt, timeout))

    def listen(
        self, start: int | None = 1, *, follow: bool = True, server: str | None = None, exact: bool = False
    ) -> Stream[LogEntry]:
        """The decided commands from a slot on, each once, in order, verified."""
        return Stream(self._client.listen(start, follow=follow, server=server, exact=exact))

    def status(self) -> list[MemberStatus]:
        """What each member says of itself."""
        return wait(self._client.status())


def connect(folder: str | Path, passphrase: bytes) -> Client:
    """The synchronous twin of ``alliance.connect``."""
    return Client(wait(asynchronous.connect(folder, passphrase)))
