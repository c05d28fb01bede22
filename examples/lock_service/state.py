"""The state of the lock service, and its bytes: the same state has the same bytes at every member.

    MAGIC | now u64 | last token u64 | count u64 of sessions | sessions | count u64 of locks | locks
    session: client id[32] | session[16] | ttl u64 | expires u64
    lock:    name | mode u8 | count u64 | (client id, session, token u64) | count u64 | (client id, session,
             mode u8, deadline u64)

Sessions are in order of their keys, locks of their names, holders of their tokens; queues as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from examples.lock_service.encoding import Invalid, Mode, Reader, text, u64
from examples.lock_service.operations import SESSION_BYTES

MAGIC = b"lock-state/1\x00"
CLIENT_BYTES = 32

SessionKey = tuple[bytes, bytes]
"""Client id and the session's own 16 bytes: nobody can name a session of another client."""


@dataclass(slots=True)
class Session:
    ttl_ms: int
    expires_ms: int
    names: set[str] = field(default_factory=set)
    """Of the locks that it holds or waits for."""


@dataclass(slots=True)
class Waiter:
    mode: Mode
    deadline_ms: int


@dataclass(slots=True)
class Lock:
    """Both dictionaries in order of arrival. Someone holds it, or it is not there."""

    mode: Mode = Mode.EXCLUSIVE
    holders: dict[SessionKey, int] = field(default_factory=dict)
    queue: dict[SessionKey, Waiter] = field(default_factory=dict)


def write(
    now_ms: int, last_token: int, sessions: Mapping[SessionKey, Session], locks: Mapping[str, Lock]
) -> bytes:
    parts = [MAGIC, u64(now_ms), u64(last_token), u64(len(sessions))]
    for key, session in sorted(sessions.items()):
        parts += [*key, u64(session.ttl_ms), u64(session.expires_ms)]
    parts.append(u64(len(locks)))
    for name, lock in sorted(locks.items()):
        parts += [text(name), bytes([lock.mode]), u64(len(lock.holders))]
        for key, token in lock.holders.items():
            parts += [*key, u64(token)]
        parts.append(u64(len(lock.queue)))
        for key, waiter in lock.queue.items():
            parts += [*key, bytes([waiter.mode]), u64(waiter.deadline_ms)]
    return b"".join(parts)


def read(data: bytes) -> tuple[int, int, dict[SessionKey, Session], dict[str, Lock]]:
    """What ``write`` wrote. Raises Invalid."""
    reader = Reader(data)
    reader.begin(MAGIC)
    now_ms, last_token = reader.u64(), reader.u64()
    sessions: dict[SessionKey, Session] = {}
    for _ in range(reader.count()):
        key = _key(reader)
        sessions[key] = Session(reader.u64(), reader.u64())
    locks: dict[str, Lock] = {}
    for _ in range(reader.count()):
        name = reader.name()
        lock = locks[name] = Lock(reader.mode())
        for _ in range(reader.count()):
            key = _key(reader)
            lock.holders[key] = reader.u64()
        for _ in range(reader.count()):
            key = _key(reader)
            lock.queue[key] = Waiter(reader.mode(), reader.u64())
        for key in (*lock.holders, *lock.queue):
            if key not in sessions:
                raise Invalid("a lock of no session")
            sessions[key].names.add(name)
    reader.end()
    if write(now_ms, last_token, sessions, locks) != data:
        raise Invalid("not in the order in which it is written")
    return now_ms, last_token, sessions, locks


def _key(reader: Reader) -> SessionKey:
    return reader.take(CLIENT_BYTES), reader.take(SESSION_BYTES)
