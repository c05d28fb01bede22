"""What clients say to the lock service and what it answers, as bytes: canonical, and judged before believed.

Commands and queries, big-endian; a session is 16 bytes, a name is its length u8 and ASCII; times are
milliseconds. Every one begins with ``MAGIC`` and its kind u8::

    1 open     session | ttl u64               5 ask      session | name
    2 renew    session                         6 release  session | token u64 | name
    3 close    session                         7 list     after u8-text
    4 acquire  session | mode u8 | wait u64 | name

Replies have kinds of their own: see the classes. Bytes after the end make either invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from examples.lock_service.encoding import Invalid, Mode, Reader, text, u64

MAGIC = b"lock/1\x00"
SESSION_BYTES = 16
TTL_MS_MIN, TTL_MS_MAX = 1_000, 24 * 3600 * 1_000
WAIT_MS_MAX = 24 * 3600 * 1_000


class Reason(IntEnum):
    """Why a command changed nothing."""

    MALFORMED = 1
    NO_SESSION = 2
    SESSION_EXISTS = 3
    TAKEN = 4
    NOT_HELD = 5
    WRONG_TOKEN = 6
    OTHER_MODE = 7
    TOO_MANY = 8


EXPLANATIONS = {
    Reason.MALFORMED: "the service does not read this as a command",
    Reason.NO_SESSION: "the session is not one of this client's, or its lease is over",
    Reason.SESSION_EXISTS: "the session is open already",
    Reason.TAKEN: "others hold the lock or are before you",
    Reason.NOT_HELD: "the session neither holds the lock nor waits for it",
    Reason.WRONG_TOKEN: "the session holds the lock with another token",
    Reason.OTHER_MODE: "the session has the lock in the other mode: release it first",
    Reason.TOO_MANY: "this client has too many sessions or locks",
}


# -- what clients say -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Begins a session that ends ``ttl_ms`` after it was opened or last renewed, in agreed time."""

    session: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Renew:
    session: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Ends a session and all that it holds or waits for."""

    session: bytes


@dataclass(frozen=True, slots=True)
class Acquire:
    """``wait_ms`` 0 tries; otherwise the session queues for so long at most."""

    session: bytes
    mode: Mode
    wait_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """How the session stands to the lock; what one who waits repeats."""

    session: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Release:
    """Token 0: whatever the session has there, the lock or a place in the queue."""

    session: bytes
    token: int
    name: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The locks whose names come after this one."""

    after: str


Operation = Open | Renew | Close | Acquire | Ask | Release | Listing
_KINDS: tuple[type, ...] = (Open, Renew, Close, Acquire, Ask, Release, Listing)


def encode(operation: Operation) -> bytes:
    """Raises Invalid for what no service would read."""
    match operation:
        case Open(session, ttl_ms):
            body = session + u64(ttl_ms)
        case Renew(session) | Close(session):
            body = session
        case Acquire(session, mode, wait_ms, name):
            body = session + bytes([mode]) + u64(wait_ms) + text(name)
        case Ask(session, name):
            body = session + text(name)
        case Release(session, token, name):
            body = session + u64(token) + text(name)
        case Listing(after):
            body = text(after)
    encoded = MAGIC + bytes([_KINDS.index(type(operation)) + 1]) + body
    decode(encoded)
    return encoded


def decode(data: bytes) -> Operation:
    """Raises Invalid."""
    reader = Reader(data)
    reader.begin(MAGIC)
    match reader.u8():
        case 1:
            operation: Operation = Open(reader.take(SESSION_BYTES), reader.within(TTL_MS_MIN, TTL_MS_MAX))
        case 2:
            operation = Renew(reader.take(SESSION_BYTES))
        case 3:
            operation = Close(reader.take(SESSION_BYTES))
        case 4:
            session, mode = reader.take(SESSION_BYTES), reader.mode()
            operation = Acquire(session, mode, reader.within(0, WAIT_MS_MAX), reader.name())
        case 5:
            operation = Ask(reader.take(SESSION_BYTES), reader.name())
        case 6:
            session, token = reader.take(SESSION_BYTES), reader.u64()
            operation = Release(session, token, reader.name())
        case 7:
            operation = Listing(reader.name(empty=True))
        case _:
            raise Invalid("an unknown kind")
    reader.end()
    return operation


# -- what the service answers ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """1: the session lives until ``expires_ms``, unless it is renewed."""

    session: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    """2: the session of this client holds the lock; ``token`` is higher than in any grant before it."""

    name: str
    mode: Mode
    token: int
    client_id: bytes
    session: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Queued:
    """3: ``ahead`` requests come before; nothing changes by time alone before ``next_ms``."""

    name: str
    ahead: int
    deadline_ms: int
    next_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Done:
    """4: the session is closed, or has let go of the lock."""


@dataclass(frozen=True, slots=True)
class Refused:
    """5: nothing has changed."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class LockView:
    """A lock as it is listed: who holds it with which tokens, and how many wait."""

    name: str
    mode: Mode
    holders: tuple[tuple[bytes, int, int], ...]
    """Client id, token, and when the lease ends."""
    waiting: int


@dataclass(frozen=True, slots=True)
class Page:
    """6: locks in order of their names; ``more`` come after the last."""

    now_ms: int
    more: bool
    locks: tuple[LockView, ...]


Answer = Lease | Grant | Queued | Done | Refused | Page


def encode_answer(answer: Answer) -> bytes:
    match answer:
        case Lease(session, expires_ms):
            body = b"\x01" + session + u64(expires_ms)
        case Grant(name, mode, token, client_id, session, expires_ms):
            body = b"\x02" + text(name) + bytes([mode]) + u64(token) + client_id + session + u64(expires_ms)
        case Queued(name, ahead, deadline_ms, next_ms, now_ms):
            body = b"\x03" + text(name) + b"".join(map(u64, (ahead, deadline_ms, next_ms, now_ms)))
        case Done():
            body = b"\x04"
        case Refused(reason):
            body = b"\x05" + bytes([reason])
        case Page(now_ms, more, locks):
            body = b"\x06" + u64(now_ms) + bytes([more]) + u64(len(locks)) + b"".join(map(_view, locks))
    return MAGIC + body


def _view(lock: LockView) -> bytes:
    holders = (who + u64(token) + u64(expires_ms) for who, token, expires_ms in lock.holders)
    head = text(lock.name) + bytes([lock.mode]) + u64(lock.waiting) + u64(len(lock.holders))
    return head + b"".join(holders)


def decode_answer(data: bytes) -> Answer:
    """Raises Invalid."""
    reader = Reader(data)
    reader.begin(MAGIC)
    match reader.u8():
        case 1:
            answer: Answer = Lease(reader.take(SESSION_BYTES), reader.u64())
        case 2:
            name, mode, token = reader.name(), reader.mode(), reader.u64()
            answer = Grant(name, mode, token, reader.take(32), reader.take(SESSION_BYTES), reader.u64())
        case 3:
            answer = Queued(reader.name(), reader.u64(), reader.u64(), reader.u64(), reader.u64())
        case 4:
            answer = Done()
        case 5:
            answer = Refused(Reason(reader.within(min(Reason), max(Reason), width=1)))
        case 6:
            now_ms, more = reader.u64(), bool(reader.within(0, 1, width=1))
            answer = Page(now_ms, more, tuple(_read_view(reader) for _ in range(reader.count())))
        case _:
            raise Invalid("an unknown kind")
    reader.end()
    return answer


def _read_view(reader: Reader) -> LockView:
    name, mode, waiting = reader.name(), reader.mode(), reader.u64()
    holders = tuple((reader.take(32), reader.u64(), reader.u64()) for _ in range(reader.count()))
    return LockView(name, mode, holders, waiting)
