"""How many invalid submissions each client has sent of late: a correct one sends none."""

from __future__ import annotations

import time
from collections.abc import Callable

INVALID_MAX = 256
"""With so many its Submit streams are closed. Each costs the check of a signature and an answer."""

SERVED_AGAIN = INVALID_MAX // 2
FORGIVEN_PER_SECOND = 10.0
"""A client whose streams were closed may submit again when so many of its count are left: after 13 s."""


class InvalidSubmissions:
    """By client id; as many entries as clients that sent any of late. ``now`` is in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: dict[bytes, tuple[float, float]] = {}
        self._closed: set[bytes] = set()

    def add(self, client_id: bytes) -> bool:
        """One more; whether the client's streams are to be closed."""
        count = self.count(client_id) + 1
        self._counts[client_id] = count, self._now()
        if count >= INVALID_MAX:
            self._closed.add(client_id)
        return client_id in self._closed

    def count(self, client_id: bytes) -> float:
        """Those that are not forgiven yet."""
        count, then = self._counts.get(client_id, (0.0, 0.0))
        left = count - FORGIVEN_PER_SECOND * (self._now() - then)
        if left <= 0:
            self._counts.pop(client_id, None)
            return 0.0
        return left

    def bars(self, client_id: bytes) -> bool:
        """Whether this client may not submit for now."""
        if client_id in self._closed and self.count(client_id) <= SERVED_AGAIN:
            self._closed.discard(client_id)
        return client_id in self._closed
