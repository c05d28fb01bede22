"""The blocking twin waits for its background thread, and nothing that runs in that thread ever does."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from alliance import sync
from examples.lock_service import sync as locks

PATIENCE_SECONDS = 20.0


class Consensus:
    """The asynchronous client, as far as its twin needs one: it tells when it is closed."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.waits = threading.Event()

    async def listen(self, start: int, **_: object) -> AsyncGenerator[int, None]:
        try:
            yield start
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def close(self) -> None:
        self.ended.set()

    async def acquire(self, *_: object, **__: object) -> str:
        return "held"

    async def let_go(self, _: str) -> None:
        self.ended.set()


class Circle:
    """What only the garbage collector frees, and what it frees with it."""

    def __init__(self, *held: Any) -> None:
        self.me, self.held = self, held


class Careless(Circle):
    """As programs have them: the finalizer ends what the object holds."""

    def __del__(self) -> None:
        for each in self.held:
            each.close()


@contextmanager
def collected_in_the_background() -> Iterator[None]:
    """Whatever is dropped within the block is freed by the thread of all blocking clients."""

    async def collect() -> None:
        gc.collect()

    gc.collect()
    gc.disable()
    try:
        yield
        collecting = threading.Thread(target=sync.wait, args=(collect(),), daemon=True)
        collecting.start()
        collecting.join(PATIENCE_SECONDS)
        assert not collecting.is_alive(), "the background waits for itself"
    finally:
        gc.enable()


def abandoned_stream(consensus: Any) -> None:
    entries = sync.Client(consensus).listen(7)
    assert next(entries) == 7  # type: ignore[comparison-overlap]
    Circle(entries)


def finalizer_that_closes_a_stream(consensus: Any) -> None:
    entries = sync.Client(consensus).listen(7)
    assert next(entries) == 7  # type: ignore[comparison-overlap]
    Careless(entries)


def finalizer_that_closes_a_client(consensus: Any) -> None:
    Careless(sync.Client(consensus))


def finalizer_that_closes_a_lock_client(consensus: Any) -> None:
    Careless(locks.LockClient(consensus))


def abandoned_block_with_a_lock(consensus: Any) -> None:
    def work() -> Iterator[str]:
        with locks.LockClient(consensus).lock("gate"):
            yield "at work"

    working = work()
    next(working)
    Circle(working)


@pytest.mark.parametrize(
    "abandon",
    [
        abandoned_stream,
        finalizer_that_closes_a_stream,
        finalizer_that_closes_a_client,
        finalizer_that_closes_a_lock_client,
        abandoned_block_with_a_lock,
    ],
)
def test_finalizers_in_the_background_end_things_without_waiting(abandon: Callable[[Any], None]) -> None:
    consensus = Consensus()
    with collected_in_the_background():
        abandon(consensus)
        assert not consensus.ended.is_set()
    assert consensus.ended.wait(PATIENCE_SECONDS)


def test_a_blocking_call_in_the_background_itself_is_refused() -> None:
    async def callback() -> None:
        sync.wait(Consensus().close())

    with pytest.raises(RuntimeError, match="would wait for itself"):
        sync.wait(callback())


def test_a_closed_stream_has_no_next_item() -> None:
    consensus: Any = Consensus()
    with sync.Client(consensus).listen(7) as entries:
        assert next(entries) == 7  # type: ignore[comparison-overlap]
    assert consensus.ended.is_set()
    assert list(entries) == []
    entries.close()


def test_closing_a_stream_ends_the_thread_that_waits_for_its_next_item() -> None:
    consensus: Any = Consensus()
    entries = sync.Client(consensus).listen(7)
    heard: list[Any] = []
    following = threading.Thread(target=lambda: heard.extend(entries), daemon=True)
    following.start()
    assert consensus.waits.wait(PATIENCE_SECONDS)
    with pytest.raises(RuntimeError, match="another thread"):
        next(entries)
    entries.close()
    following.join(PATIENCE_SECONDS)
    assert not following.is_alive()
    assert (heard, consensus.ended.is_set()) == ([7], True)
