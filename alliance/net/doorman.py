"""The connections of a server as the kernel has them: which there are, what has come in, and closing them.

gRPC tells nobody of a connection before its first call, and counts no bytes. Both can be seen at the
process's own descriptors: this thread looks at those that were accepted at the server's port, some times a
second, also while the event loop is busy. It needs ``/proc`` and ``TCP_INFO``, that is, Linux; elsewhere
nothing is measured or closed, and only gRPC's own limits hold.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time

from alliance.net import descriptors
from alliance.net.budget import Budget

log = logging.getLogger("alliance.net")

LOOK_SECONDS = 0.05
"""What a sender can bring between two looks is not much more than it could at once: some megabytes."""

SHARE_OF_TIME = 5
"""A look takes one part of so many of this thread's time at most: among many connections it is rarer."""

LOG_SECONDS = 5.0
"""The same is told once in so many seconds."""

_FOLDER = "/proc/self/fd"
_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120
"""In the kernel's ``struct tcp_info``: bytes that the other end has confirmed, and bytes received."""


class Doorman:
    """Watches one port for a budget, from ``start`` to ``stop``."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._port = 0
        self._descriptors: dict[str, int] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, float] = {}
        self._quiet: dict[str, int] = {}

    def start(self, port: int) -> None:
        """``port``: where the server listens."""
        self._port = port
        if os.path.isdir(_FOLDER) and hasattr(socket, "TCP_INFO"):
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
        found = {}
        descriptors_in_use = [int(name) for name in os.listdir(_FOLDER)]
        for descriptor in descriptors_in_use:
            with contextlib.suppress(OSError):  # no socket, or gone by now
                found[descriptor] = self._measure(descriptor)
        accepted = {descriptor: what for descriptor, what in found.items() if what is not None}
        self._descriptors = {key: descriptor for descriptor, (key, _, _) in accepted.items()}
        self._budget.present(set(self._descriptors))
        for key, received, sent in accepted.values():
            self._budget.measured(key, received, sent)
        for key, reason in self._budget.over():
            who = self._budget.holder_of(key) or "a stranger"
            self._tell(who, "closed a connection of %s at %s: %s", who, key, reason)
            self.cut(key)
        count, most = len(descriptors_in_use), descriptors.limit()
        if count > most * descriptors.FEW:
            self._tell("descriptors", "%d of %d file descriptors are in use", count, most)

    def cut(self, key: str) -> None:
        """Closes the connection from ``key``, if there is one: gRPC finds it broken."""
        descriptor = self._descriptors.get(key)
        if descriptor is not None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as held:
                if _key(held.getpeername()) == key:  # the number may stand for another one by now
                    held.shutdown(socket.SHUT_RDWR)

    def _measure(self, descriptor: int) -> tuple[str, int, int] | None:
        """Who is at the other end of a connection to the server's port, bytes received, and bytes sent.

        None for a socket that is anything else. Raises OSError.
        """
        borrowed = socket.socket(fileno=descriptor)
        try:
            inet = borrowed.family in (socket.AF_INET, socket.AF_INET6)
            if not inet or borrowed.getsockname()[1] != self._port:
                return None
            key = _key(borrowed.getpeername())
            information = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            sent, received = _BYTES.unpack_from(information, _BYTES_AT)
            return key, received, sent
        finally:
            borrowed.detach()

    def _tell(self, what: str, text: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self._told.get(what, float("-inf")) < LOG_SECONDS:
            self._quiet[what] = self._quiet.get(what, 0) + 1
            return
        more = self._quiet.pop(what, 0)
        self._told[what] = now
        log.warning(text + (f" (and {more} more like this)" if more else ""), *arguments)


def _key(name: tuple[str, int]) -> str:
    return f"{name[0].removeprefix('::ffff:').partition('%')[0]}:{name[1]}"
