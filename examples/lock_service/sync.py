"""The same for programs without asyncio: ``with connect(…) as locks: with locks.lock(name) as held:``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from alliance.sync import finish
from alliance.sync import wait as wait_for
from examples.lock_service import client as asynchronous
from examples.lock_service.client import TTL_SECONDS, Held
from examples.lock_service.operations import LockView


class LockClient:
    """See ``examples.lock_service.client.LockClient``. Threads may share one."""

    def __init__(self, client: asynchronous.LockClient) -> None:
        self._client = client

    def __enter__(self) -> LockClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        finish(self._client.close())

    @property
    def lost(self) -> bool:
        """Whether the session is over without having been closed."""
        return self._client.lost.is_set()

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: float | None = None) -> Iterator[Held]:
        """Holds the lock within the block."""
        held = self.acquire(name, shared=shared, wait=wait)
        try:
            yield held
        except BaseException:
            # A generator that is abandoned within the block ends it wherever the garbage collector runs.
            finish(self._client.let_go(name))
            raise
        self.release(held)

    def acquire(self, name: str, *, shared: bool = False, wait: float | None = None) -> Held:
        """Waits for the lock."""
        return wait_for(self._client.acquire(name, shared=shared, wait=wait))

    def release(self, held: Held) -> None:
        """Lets go of the lock."""
        wait_for(self._client.release(held))

    def locks(self) -> list[LockView]:
        """All locks that are held or waited for."""
        return wait_for(self._client.locks())


def connect(folder: str | Path, passphrase: bytes, *, ttl_seconds: float = TTL_SECONDS) -> LockClient:
    """The blocking twin of ``examples.lock_service.client.connect``."""
    return LockClient(wait_for(asynchronous.connect(folder, passphrase, ttl_seconds=ttl_seconds)))
