"""Where and how long a client may be used: in one process and one event loop, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from alliance.errors import Unreachable
from alliance.net import forks


def closed() -> Unreachable:
    """What every call of a closed client comes to."""
    return Unreachable("this client is closed: make another one with alliance.connect")


class Life:
    """Each call of a client asks it first."""

    def __init__(self) -> None:
        """Raises RuntimeError when no client can work in this process."""
        forks.require_grpc()
        self._forks = forks.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def is_copy(self) -> bool:
        """Whether the client was made before a fork, in another process."""
        return self._forks != forks.count()

    def require(self) -> None:
        """Raises Unreachable when it is closed; RuntimeError in another process or event loop."""
        if self.is_copy:
            raise RuntimeError(
                "this client was made before this process was forked, and works in its parent alone: make"
                " another one here, with connect"
            )
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError(
                "this client was used in another event loop and works there alone: make one for each loop,"
                " with connect; programs without asyncio use alliance.sync"
            )
        if self._closed:
            raise closed()

    def close(self) -> bool:
        """Whether it is to be ended now. Raises RuntimeError in another event loop."""
        if self.is_copy or self._closed:
            return False
        self.require()
        self._closed = True
        return True

    @contextmanager
    def use(self) -> Iterator[None]:
        """For work on the client's channels: whose end cancels the calls on them, and nobody else's work."""
        self.require()
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise closed() from None
            raise
