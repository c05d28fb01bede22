"""One budget for what others make a server hold: connections, calls, and bytes in flight, of every method.

Bytes are in flight from when the kernel has them until the handler asks for the next message, and from when a
handler writes an answer until the transport has taken it. gRPC buffers a message as far as it has come, and
looks at its length only when it is whole. So what came in on a connection is counted where it arrives, at the
socket (``doorman``), and what was handed to handlers is taken off (``admission``). Whoever goes over a bound
is cut off: its connection is closed, which frees all that gRPC holds for it.

A holder is a party of the alliance, however many connections and processes it has.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from alliance.net import descriptors
from alliance.net.limits import (
    BARRED_SECONDS,
    CALL_BYTES,
    CALLS_MAX,
    CALLS_PER_HOLDER_MAX,
    CLIENT_BYTES_MAX,
    CONNECTION_BYTES_MAX,
    CONNECTIONS_MAX,
    CONNECTIONS_PART,
    CONNECTIONS_PER_HOLDER_MAX,
    HANDSHAKE_SECONDS,
    LEAK_BYTES_PER_SECOND,
    MEMBER_BYTES_MAX,
    MESSAGE_BYTES,
    OVERHEAD,
    PROCESS_BYTES_MAX,
    SLACK_BYTES,
    STRANGERS_PER_ADDRESS_MAX,
    STRANGERS_SUSPECT_MAX,
    WINDOW_BYTES,
)


@dataclass(eq=False)
class Holder:
    """A party of the alliance, and what it holds here."""

    identity: bytes
    name: str
    bytes_max: int = CLIENT_BYTES_MAX
    calls: int = 0
    barred_until: float = 0.0
    connections: dict[str, Connection] = field(default_factory=dict, repr=False)

    @property
    def in_flight(self) -> int:
        return max(0, sum(connection.in_flight for connection in tuple(self.connections.values())))


@dataclass(eq=False)
class Connection:
    """``key`` is the other end, as host:port. Without a holder nobody has made a call on it yet."""

    key: str
    opened: float
    holder: Holder | None = None
    seen: bool = False
    calls: int = 0
    allowance: int = SLACK_BYTES
    buffered: float = 0.0
    """What has arrived and no handler was given: an upper bound, except for the leak."""
    handled: int = 0
    leaving: int = 0
    received: int = 0
    sent: int = 0
    measured: float = 0.0

    @property
    def address(self) -> str:
        return self.key.rpartition(":")[0]

    @property
    def arrived(self) -> int:
        return int(self.buffered) + self.handled

    @property
    def in_flight(self) -> int:
        return self.arrived + self.leaving


class Refused(Exception):
    """The call is not served: what is to be told to the caller. ``cut``: nor is its connection."""

    def __init__(self, text: str, *, cut: bool = False) -> None:
        super().__init__(text)
        self.cut = cut


class Call:
    """One open call; ends with ``close``. All of it runs in the thread of the event loop."""

    def __init__(self, budget: Budget, connection: Connection, bytes_max: int) -> None:
        self._budget = budget
        self._connection = connection
        self._bytes_max = bytes_max
        self._handled = self._leaving = 0

    def arrived(self, size: int) -> None:
        """A message was handed over. Raises Refused when it is longer than this method takes."""
        claim = size + MESSAGE_BYTES + size // OVERHEAD
        with self._budget.lock:
            connection = self._connection
            connection.buffered -= claim
            connection.handled += size - self._handled
            self._handled = size
        if size > self._bytes_max:
            raise Refused(f"a message of this method has {self._bytes_max} bytes at most")

    def done(self) -> None:
        """The handler has finished with the last message: it asks for the next."""
        self._hold(0, self._leaving)

    def leaves(self, size: int) -> None:
        """An answer of so many bytes is on its way to the caller; 0: it has been taken."""
        self._hold(self._handled, size)

    @property
    def has_room(self) -> bool:
        """Whether its holder may bring more, or is to wait until some of what it brought is handled."""
        holder = self._connection.holder
        return holder is None or 2 * holder.in_flight <= holder.bytes_max

    def close(self) -> None:
        self._hold(0, 0)
        self._budget.closed(self._connection, self._bytes_max)

    def _hold(self, handled: int, leaving: int) -> None:
        with self._budget.lock:
            self._connection.handled += handled - self._handled
            self._connection.leaving += leaving - self._leaving
        self._handled, self._leaving = handled, leaving


@dataclass(frozen=True, slots=True)
class Usage:
    """What of a budget is used, each beside its bound; and what was refused and cut off since the start."""

    connections: int
    connections_max: int
    calls: int
    calls_max: int
    bytes_in_flight: int
    bytes_in_flight_max: int
    descriptors: int
    descriptors_max: int
    calls_refused: int
    connections_cut: int


class Budget:
    """What a process holds for others. ``now`` is a monotonic clock, in seconds."""

    def __init__(
        self, calls_per_holder: int = CALLS_PER_HOLDER_MAX, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.lock = threading.Lock()
        self.calls = 0
        self.connections_max = min(CONNECTIONS_MAX, int(descriptors.limit() * CONNECTIONS_PART))
        self.refused = 0
        self.cut_off = 0
        self._calls_per_holder = calls_per_holder
        self._now = now
        self._holders: dict[bytes, Holder] = {}
        self._connections: OrderedDict[str, Connection] = OrderedDict()
        self._suspect: dict[str, float] = {}
        """Until when an address is one where somebody was cut off just now."""

    @property
    def usage(self) -> Usage:
        return Usage(
            len(self._connections),
            self.connections_max,
            self.calls,
            CALLS_MAX,
            self.in_flight,
            PROCESS_BYTES_MAX,
            descriptors.in_use(),
            descriptors.limit(),
            self.refused,
            self.cut_off,
        )

    @property
    def in_flight(self) -> int:
        return max(0, sum(connection.in_flight for connection in tuple(self._connections.values())))

    # -- calls ---------------------------------------------------------------------------------------

    def open(self, key: str, identity: bytes, name: str, *, member: bool, bytes_max: int) -> Call:
        """A call of the party of this identity, on the connection from ``key``. Raises Refused."""
        now = self._now()
        with self.lock:
            # Who is to be a member is a client before; who was one, and is none, has not a member's share.
            holder = self._holders.setdefault(identity, Holder(identity, name))
            holder.bytes_max = MEMBER_BYTES_MAX if member else CLIENT_BYTES_MAX
            connection = self._connections.setdefault(key, Connection(key, now))
            if connection.holder is not None:
                connection.holder.connections.pop(key, None)  # the port may have been another party's before
            connection.holder = holder
            holder.connections[key] = connection
            try:
                self._require_room(holder, now)
            except Refused as error:
                self.refused += 1
                if error.cut:
                    self._suspect[connection.address] = now + BARRED_SECONDS
                raise
            connection.calls += 1
            connection.buffered -= CALL_BYTES
            connection.allowance += bytes_max + WINDOW_BYTES
            holder.calls += 1
            self.calls += 1
        return Call(self, connection, bytes_max)

    def _require_room(self, holder: Holder, now: float) -> None:
        if now < holder.barred_until:
            raise Refused("this party was cut off just now for holding too much: wait some seconds", cut=True)
        if len(holder.connections) > CONNECTIONS_PER_HOLDER_MAX:
            most = f"{CONNECTIONS_PER_HOLDER_MAX} connections"
            raise Refused(f"{most} of this party are open here: close some", cut=True)
        if holder.calls >= self._calls_per_holder:
            raise Refused(f"{self._calls_per_holder} calls of this party are open here: close some")
        if holder.calls and self.calls >= CALLS_MAX:
            raise Refused(f"{CALLS_MAX} calls are open here: try another member, or later")

    def closed(self, connection: Connection, bytes_max: int) -> None:
        with self.lock:
            self.calls -= 1
            connection.calls -= 1
            connection.allowance -= bytes_max + WINDOW_BYTES
            if not connection.calls:
                # With its calls gRPC drops what it had of their messages. Less than zero: not measured yet.
                connection.buffered = min(connection.buffered, 0.0)
            if connection.holder is not None:
                connection.holder.calls -= 1

    # -- connections ---------------------------------------------------------------------------------

    def present(self, keys: set[str]) -> None:
        """These connections are there, and no others."""
        now = self._now()
        with self.lock:
            for key in self._connections.keys() - keys:
                gone = self._connections[key]
                if gone.calls or (not gone.seen and now - gone.opened < 1.0):
                    continue  # its calls end first; or the look was before it came
                del self._connections[key]
                if gone.holder is not None:
                    gone.holder.connections.pop(key, None)
                    if not gone.holder.connections and now >= gone.holder.barred_until:
                        self._holders.pop(gone.holder.identity, None)
            for key in keys - self._connections.keys():
                self._connections[key] = Connection(key, now)
            for key in keys:
                self._connections[key].seen = True

    def measured(self, key: str, received: int, sent: int) -> None:
        """So many bytes have come in and gone out on a connection since it was opened."""
        now = self._now()
        with self.lock:
            connection = self._connections.get(key)
            if connection is None:
                return
            if received < connection.received:  # a new connection from a port that was used before
                connection.received = connection.sent = 0
                connection.buffered, connection.opened = 0.0, now
            passed = now - (connection.measured or connection.opened)
            taken_off = LEAK_BYTES_PER_SECOND * passed + (sent - connection.sent) / (4 * OVERHEAD)
            more = received - connection.received
            connection.buffered = max(0.0, connection.buffered + more - taken_off)
            connection.received, connection.sent, connection.measured = received, sent, now

    def over(self) -> list[tuple[str, str]]:
        """The connections that are to be closed, and why. The parties behind them are barred for a while."""
        now = self._now()
        with self.lock:
            self._suspect = {address: until for address, until in self._suspect.items() if now < until}
            strangers = self._strangers(now)
            greedy = self._greedy()
            for key, _ in greedy:
                holder = self._connections[key].holder
                self._suspect[self._connections[key].address] = now + BARRED_SECONDS
                if holder is not None:
                    holder.barred_until = now + BARRED_SECONDS
            self.cut_off += len(greedy)
        return strangers + greedy

    def _strangers(self, now: float) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        unknown = [connection for connection in self._connections.values() if connection.holder is None]
        counts = Counter(connection.address for connection in unknown)
        for connection in unknown:  # the oldest first
            if now - connection.opened > HANDSHAKE_SECONDS:
                found.append((connection.key, "it made no call"))
            elif counts[connection.address] > self._strangers_max(connection.address):
                found.append((connection.key, "too many connections of this address made no call"))
                counts[connection.address] -= 1
        return found

    def _strangers_max(self, address: str) -> int:
        """Who was cut off comes again at once, and cannot be told from others before its first call."""
        return STRANGERS_SUSPECT_MAX if address in self._suspect else STRANGERS_PER_ADDRESS_MAX

    def _greedy(self) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for connection in self._connections.values():
            if connection.arrived > connection.allowance:
                what = f"{connection.arrived} bytes have come in, and its calls take {connection.allowance}"
                found[connection.key] = what
            elif connection.in_flight > CONNECTION_BYTES_MAX:
                what = f"{connection.in_flight} bytes of it are in flight, of {CONNECTION_BYTES_MAX}"
                found[connection.key] = what
        for holder in self._holders.values():
            if holder.in_flight > holder.bytes_max:
                why = f"{holder.in_flight} bytes of {holder.name} are in flight, of {holder.bytes_max}"
                found.update(dict.fromkeys(holder.connections, why))
        left = [holder for holder in self._holders.values() if not found.keys() & holder.connections.keys()]
        total = self.in_flight
        for holder in sorted(left, key=lambda holder: -holder.in_flight):
            if total <= PROCESS_BYTES_MAX:
                break
            total -= holder.in_flight
            why = f"{PROCESS_BYTES_MAX} bytes are in flight here, most of {holder.name}"
            found.update(dict.fromkeys(holder.connections, why))
        return list(found.items())

    def connections_of(self, identity: bytes) -> list[str]:
        """On which connections this party has made a call."""
        with self.lock:
            holder = self._holders.get(identity)
            return [] if holder is None else list(holder.connections)

    def holder_of(self, key: str) -> str:
        """The name of the party behind a connection; empty for a stranger's."""
        connection = self._connections.get(key)
        return connection.holder.name if connection is not None and connection.holder is not None else ""
