"""The connections of a server as the kernel has them: which there are, what has come in, and closing them.

gRPC tells nobody of a connection before its first call, and counts no bytes. Both can be seen at the
process's own descriptors: this thread looks at those that were accepted at the server's port, some times a
second, also while the event loop is busy (``sockets``). On a system that does not tell, nothing is measured
or closed, and only gRPC's own limits hold.
"""

from __future__ import annotations

import logging
import threading
import time

from alliance.net import descriptors, sockets
from alliance.net.budget import Budget

log = logging.getLogger("alliance.net")

LOOK_SECONDS = 0.05
"""What a sender can bring between two looks is not much more than it could at once: some megabytes."""

SHARE_OF_TIME = 5
"""A look takes one part of so many of this thread's time at most: among many connections it is rarer."""

LOG_SECONDS = 5.0
"""The same is told once in so many seconds."""


class Doorman:
    """Watches ports for a budget, from the first ``start`` to ``stop``."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._ports: frozenset[int] = frozenset()
        self._descriptors: dict[str, int] = {}
        self._to_cut: set[str] = set()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, float] = {}
        self._quiet: dict[str, int] = {}

    def start(self, port: int) -> None:
        """``port``: where a server of this process listens."""
        self._ports |= {port}
        if self._thread is not None:
            return
        if sockets.AVAILABLE:
            self._thread = threading.Thread(target=self._run, name="doorman", daemon=True)
            self._thread.start()
        else:
            log.warning("connections cannot be measured on this system: see 'Limits' in the documents")

    def stop(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        wait = LOOK_SECONDS
        while not self._end.wait(wait):
            begun = time.perf_counter()
            try:
                self.look()
            except OSError as error:  # without a descriptor to look with, for one
                self._tell("look", "connections cannot be looked at: %s", error)
            wait = max(LOOK_SECONDS, SHARE_OF_TIME * (time.perf_counter() - begun))

    def look(self) -> None:
        """One look at all connections; whoever is over a bound is cut off."""
        to_cut = [self._to_cut.pop() for _ in range(len(self._to_cut))]
        descriptors_in_use = descriptors.listed()
        accepted = sockets.measure(descriptors_in_use, lambda port, _: port in self._ports)
        self._descriptors = {sample.key: sample.descriptor for sample in accepted}
        self._budget.present(set(self._descriptors))
        for key in to_cut:
            self._cut(key)
        for sample in accepted:
            self._budget.measured(sample.key, sample.received, sample.sent)
        for key, reason in self._budget.over():
            who = self._budget.holder_of(key) or "a stranger"
            self._tell(who, "closed a connection of %s at %s: %s", who, key, reason)
            self._cut(key)
        count, most = len(descriptors_in_use), descriptors.limit()
        if count > most * descriptors.FEW:
            self._tell("descriptors", "%d of %d file descriptors are in use", count, most)

    def cut(self, key: str) -> None:
        """Closes the connection from ``key``, if there is one: gRPC finds it broken.

        One that has come since the last look is closed at the next one.
        """
        if not self._cut(key) and sockets.AVAILABLE:
            self._to_cut.add(key)

    def _cut(self, key: str) -> bool:
        descriptor = self._descriptors.get(key)
        if descriptor is not None:
            sockets.cut(descriptor, key)
        return descriptor is not None

    def _tell(self, what: str, text: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self._told.get(what, float("-inf")) < LOG_SECONDS:
            self._quiet[what] = self._quiet.get(what, 0) + 1
            return
        more = self._quiet.pop(what, 0)
        self._told[what] = now
        log.warning(text + (f" (and {more} more like this)" if more else ""), *arguments)
