"""What a server that this process has dialled may make it hold: the other end of ``doorman``.

gRPC buffers a message as far as it has come, and compares its length with the limit when it is whole. So a
server that lies could send one that never ends, and end who dialled it. Here the messages of a channel are
counted as they are handed over; a thread compares that, some times a second, with what the kernel has
received of that server, and cuts a connection of which too much is on the way. gRPC dials again by itself.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from alliance.net import descriptors, sockets
from alliance.net.limits import DIALLED_BYTES_MAX, LEAK_BYTES_PER_SECOND, MESSAGE_BYTES, OVERHEAD

log = logging.getLogger("alliance.net")

LOOK_SECONDS = 0.1


class Meter:
    """One address: the bytes that its channels have handed over, and those that came and were not."""

    def __init__(self, name: str, address: str) -> None:
        """``name``: who is dialled, for the log. ``address``: host:port."""
        self.name = name
        self.handed_over = 0
        self.keys: frozenset[str] = frozenset()
        self._address = address
        self._counted = 0
        self._received: dict[tuple[int, str], int] = {}
        self._waiting: dict[tuple[int, str], float] = {}
        # A name may take long to be resolved: nobody is to wait for that.
        threading.Thread(target=self._resolve, name="resolver", daemon=True).start()

    def counting(self, parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
        """A deserializer like this one that counts what it is given."""

        def counted(data: bytes) -> Any:
            self.handed_over += len(data) + len(data) // OVERHEAD + MESSAGE_BYTES
            return data if parse is None else parse(data)

        return counted

    def measured(
        self, samples: list[sockets.Sample], handed_over: int, passed: float
    ) -> list[sockets.Sample]:
        """The connections that are to be cut.

        ``samples`` were taken after ``handed_over`` was read, ``passed`` seconds after the last look.
        """
        credit = handed_over - self._counted + LEAK_BYTES_PER_SECOND * passed
        self._counted = handed_over
        received, waiting = {}, {}
        for sample in samples:
            place = sample.descriptor, sample.key
            last = self._received.get(place, 0)
            more = sample.received - last if sample.received >= last else sample.received
            waits = self._waiting.get(place, 0.0) + more
            taken = min(waits, credit)
            credit -= taken
            received[place], waiting[place] = sample.received, waits - taken
        self._received, self._waiting = received, waiting
        return [s for s in samples if waiting[s.descriptor, s.key] > DIALLED_BYTES_MAX]

    def _resolve(self) -> None:
        host, _, port = self._address.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            return  # gRPC does not reach it either
        self.keys = frozenset(sockets.key_of((str(name[0]), int(name[1]))) for *_, name in found)


class Channel:
    """gRPC's channel, whose messages are counted."""

    def __init__(self, channel: Any, name: str, address: str) -> None:
        """``name``: who is at ``address``, for the log."""
        self._channel = channel
        self._meter = _watch.meter(name, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def __aenter__(self) -> Channel:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *reason: Any) -> None:
        await self._channel.__aexit__(*reason)

    def unary_unary(self, method: str, *how: Any, **named: Any) -> Any:
        return self._call(self._channel.unary_unary, method, *how, **named)

    def unary_stream(self, method: str, *how: Any, **named: Any) -> Any:
        return self._call(self._channel.unary_stream, method, *how, **named)

    def stream_unary(self, method: str, *how: Any, **named: Any) -> Any:
        return self._call(self._channel.stream_unary, method, *how, **named)

    def stream_stream(self, method: str, *how: Any, **named: Any) -> Any:
        return self._call(self._channel.stream_stream, method, *how, **named)

    def _call(
        self,
        make: Callable[..., Any],
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **named: Any,
    ) -> Any:
        return make(method, request_serializer, self._meter.counting(response_deserializer), **named)


class Watch:
    """The meters of a process, and the thread that looks at them, as long as there are any."""

    def __init__(self) -> None:
        self._meters: weakref.WeakValueDictionary[str, Meter] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def meter(self, name: str, address: str) -> Meter:
        """That of the address, which is looked at as long as somebody holds it."""
        with self._lock:
            meter = self._meters.get(address)
            if meter is None:
                meter = self._meters[address] = Meter(name, address)
            if self._thread is None and sockets.AVAILABLE:
                self._thread = threading.Thread(target=self._run, name="dialled", daemon=True)
                self._thread.start()
            return meter

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                meters = list(self._meters.values())
                if not meters:
                    self._thread = None
                    return
            try:
                look(meters, LOOK_SECONDS)
            except OSError as error:  # without a descriptor to look with, for one
                log.warning("connections cannot be looked at: %s", error)
            del meters


def look(meters: list[Meter], passed: float) -> None:
    """One look at the connections of all; those of which too much is on the way are cut. Raises OSError."""
    counts = [meter.handed_over for meter in meters]
    wanted = frozenset().union(*(meter.keys for meter in meters))
    samples = sockets.measure(descriptors.listed(), lambda _, key: key in wanted)
    for meter, count in zip(meters, counts, strict=True):
        mine = [sample for sample in samples if sample.key in meter.keys]
        for sample in meter.measured(mine, count, passed):
            log.warning(
                "closed the connection to %s: more than %d bytes of what it sends are on the way",
                meter.name,
                DIALLED_BYTES_MAX,
            )
            sockets.cut(sample.descriptor, sample.key)


_watch = Watch()


def _forked() -> None:
    """The thread, and whatever lock it held, stayed with the parent."""
    global _watch
    _watch = Watch()


os.register_at_fork(after_in_child=_forked)
