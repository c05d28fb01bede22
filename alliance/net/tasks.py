"""Pieces of work that live and die together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from alliance.errors import AllianceError

P = ParamSpec("P")
R = TypeVar("R")


async def until_first(*work: Coroutine[Any, Any, Any]) -> None:
    """Runs all of them until the first one ends, then ends the others.

    Raises what the first one raised (of several that ended at once, the leftmost). When this returns or is
    cancelled, none of them runs any longer and no exception of theirs is left unseen.
    """
    tasks = [asyncio.ensure_future(piece) for piece in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    try:
        for task in done:
            if not task.cancelled():
                task.result()
    finally:
        # What is raised holds this frame, and the frame would hold it: a circle, and in it whatever the work
        # was using, such as a call of gRPC, until the garbage collector comes by.
        del task, tasks, done


async def until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Runs it until it ends, or until SIGTERM or SIGINT, which cancel it; whether a signal did."""
    life = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        return True
    return False


class Threads:
    """Work in threads that goes on to its end when whoever waited for it is cancelled; ``settled`` waits."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        running = asyncio.ensure_future(asyncio.to_thread(work, *given, **named))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    async def settled(self) -> None:
        """Nothing is running any more."""
        await asyncio.gather(*self._running, return_exceptions=True)


async def together(**work: Coroutine[Any, Any, None]) -> None:
    """Runs all of it, each as the task of its name, until one fails or all are cancelled.

    Raises the AllianceError that it was, or else the first error.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for name, each in work.items():
                tasks.create_task(each, name=name)
    except BaseExceptionGroup as group:
        raise _root(group) from None


def _root(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """An AllianceError if there is one, else the first."""
    errors: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(reversed(error.exceptions))
        else:
            errors.append(error)
    return next((error for error in errors if isinstance(error, AllianceError)), errors[0])
