"""The lock service as a state machine: a function of the ordered commands and their agreed times alone.

A lock exists while it is held or waited for. Its queue is served in the order of arrival; requests for
shared mode are granted together, but none overtakes one that came before it. A session that was not renewed
ends when agreed time reaches its end, with all that it holds. Tokens come from one counter for all locks, so
that they rise for each lock also when nobody remembers it any more.

Nothing here raises because of what a client says: the answer is ``Refused``, and the state is as before.
"""

from __future__ import annotations

import heapq
from typing import Protocol

from examples.lock_service import operations, state
from examples.lock_service.encoding import Invalid, Mode
from examples.lock_service.operations import (
    Acquire,
    Answer,
    Ask,
    Close,
    Done,
    Grant,
    Lease,
    Listing,
    LockView,
    Open,
    Operation,
    Page,
    Queued,
    Reason,
    Refused,
    Release,
    Renew,
)
from examples.lock_service.state import Lock, Session, SessionKey, Waiter

SESSIONS_PER_CLIENT_MAX = 256
CLAIMS_PER_CLIENT_MAX = 4096
"""Locks held and waited for by the sessions of one client: memory is bounded by the list of clients."""

PAGE_LOCKS = 100
PAGE_HOLDERS = 100


class Ordered(Protocol):
    """The part of a command of the execution layer that is looked at. ``time_ms`` never decreases."""

    @property
    def client_id(self) -> bytes: ...
    @property
    def time_ms(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


class LockMachine:
    """A ``StateMachine`` of the execution layer."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.last_token = 0
        self.sessions: dict[SessionKey, Session] = {}
        self.locks: dict[str, Lock] = {}
        # When something ends by time: (time, whether a wait, session, name of the lock). May be outdated.
        self._ends: list[tuple[int, bool, SessionKey, str]] = []
        self._ends_max = 64

    def apply(self, command: Ordered) -> bytes:
        """The answer to one command, encoded."""
        self._advance(command.time_ms)
        try:
            operation = operations.decode(command.payload)
        except Invalid:
            return operations.encode_answer(Refused(Reason.MALFORMED))
        return operations.encode_answer(self._answer(command.client_id, operation))

    def query(self, query: bytes) -> bytes:
        """Listing only, as of the last command's time; anything else is refused."""
        try:
            operation = operations.decode(query)
        except Invalid:
            operation = None
        answer = self._page(operation.after) if isinstance(operation, Listing) else Refused(Reason.MALFORMED)
        return operations.encode_answer(answer)

    def snapshot(self) -> bytes:
        return state.write(self.now_ms, self.last_token, self.sessions, self.locks)

    def restore(self, snapshot: bytes) -> None:
        """Raises Invalid, and leaves the machine as it was, for what ``snapshot`` never wrote."""
        self.now_ms, self.last_token, self.sessions, self.locks = state.read(snapshot)
        self.rebuild_ends()

    # -- commands ------------------------------------------------------------------------------------

    def _answer(self, client_id: bytes, operation: Operation) -> Answer:
        if isinstance(operation, Listing):
            return self._page(operation.after)
        key = (client_id, operation.session)
        if isinstance(operation, Open):
            return self._open(key, operation.ttl_ms)
        session = self.sessions.get(key)
        if session is None:
            return Refused(Reason.NO_SESSION)
        match operation:
            case Renew():
                session.expires_ms = self.now_ms + session.ttl_ms
                self._note(session.expires_ms, key)
                return Lease(key[1], session.expires_ms)
            case Close():
                self._end_session(key)
                return Done()
            case Acquire(_, mode, wait_ms, name):
                return self._acquire(key, session, mode, wait_ms, name)
            case Ask(_, name):
                return self._standing(key, name)
            case Release(_, token, name):
                return self._release(key, token, name)

    def _open(self, key: SessionKey, ttl_ms: int) -> Answer:
        if key in self.sessions:
            return Refused(Reason.SESSION_EXISTS)
        if sum(client_id == key[0] for client_id, _ in self.sessions) >= SESSIONS_PER_CLIENT_MAX:
            return Refused(Reason.TOO_MANY)
        session = self.sessions[key] = Session(ttl_ms, self.now_ms + ttl_ms)
        self._note(session.expires_ms, key)
        return Lease(key[1], session.expires_ms)

    def _acquire(self, key: SessionKey, session: Session, mode: Mode, wait_ms: int, name: str) -> Answer:
        lock = self.locks.get(name)
        if lock is not None and (key in lock.holders or key in lock.queue):
            had = lock.mode if key in lock.holders else lock.queue[key].mode
            return self._standing(key, name) if had is mode else Refused(Reason.OTHER_MODE)
        claims = sum(len(s.names) for (client_id, _), s in self.sessions.items() if client_id == key[0])
        if claims >= CLAIMS_PER_CLIENT_MAX:
            return Refused(Reason.TOO_MANY)
        if lock is None:
            lock = self.locks[name] = Lock()
        elif wait_ms == 0 and (lock.queue or not _compatible(lock, mode)):
            return Refused(Reason.TAKEN)
        lock.queue[key] = Waiter(mode, self.now_ms + wait_ms)
        session.names.add(name)
        self._serve(name)
        if key in lock.queue:
            self._note(lock.queue[key].deadline_ms, key, name)
        return self._standing(key, name)

    def _standing(self, key: SessionKey, name: str) -> Answer:
        lock = self.locks.get(name)
        if lock is not None and key in lock.holders:
            expires_ms = self.sessions[key].expires_ms
            return Grant(name, lock.mode, lock.holders[key], *key, expires_ms)
        if lock is not None and key in lock.queue:
            before = list(lock.queue)[: list(lock.queue).index(key) + 1]
            ends = [self.sessions[other].expires_ms for other in (*lock.holders, *before)]
            next_ms = min(*ends, *(lock.queue[other].deadline_ms for other in before))
            return Queued(name, len(before) - 1, lock.queue[key].deadline_ms, next_ms, self.now_ms)
        return Refused(Reason.NOT_HELD)

    def _release(self, key: SessionKey, token: int, name: str) -> Answer:
        lock = self.locks.get(name)
        if lock is None or (key not in lock.holders and key not in lock.queue):
            return Refused(Reason.NOT_HELD)
        if token != 0 and lock.holders.get(key) != token:
            return Refused(Reason.WRONG_TOKEN)
        self._leave(key, name)
        return Done()

    def _page(self, after: str) -> Page:
        names = sorted(name for name in self.locks if name > after)
        views = []
        for name in names[:PAGE_LOCKS]:
            lock = self.locks[name]
            holders = tuple(
                (key[0], token, self.sessions[key].expires_ms)
                for key, token in list(lock.holders.items())[:PAGE_HOLDERS]
            )
            views.append(LockView(name, lock.mode, holders, len(lock.queue)))
        return Page(self.now_ms, len(names) > PAGE_LOCKS, tuple(views))

    # -- locks ---------------------------------------------------------------------------------------

    def _serve(self, name: str) -> None:
        """Grants the lock to those at the front of its queue that can have it."""
        lock = self.locks[name]
        while lock.queue:
            key, waiter = next(iter(lock.queue.items()))
            if not _compatible(lock, waiter.mode):
                return
            del lock.queue[key]
            self.last_token += 1
            lock.mode = waiter.mode
            lock.holders[key] = self.last_token
        if not lock.holders:
            del self.locks[name]

    def _leave(self, key: SessionKey, name: str) -> None:
        lock = self.locks[name]
        lock.holders.pop(key, None)
        lock.queue.pop(key, None)
        self.sessions[key].names.discard(name)
        self._serve(name)

    def _end_session(self, key: SessionKey) -> None:
        for name in sorted(self.sessions[key].names):
            self._leave(key, name)
        del self.sessions[key]

    # -- time ----------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> None:
        """All that ends by time until now, in the order of the times; of equal times, leases first."""
        self.now_ms = max(self.now_ms, now_ms)
        while self._ends and self._ends[0][0] <= self.now_ms:
            at_ms, _, key, name = heapq.heappop(self._ends)
            session = self.sessions.get(key)
            if session is None:
                continue
            if not name:
                if session.expires_ms == at_ms:
                    self._end_session(key)
            elif name in self.locks:
                waiter = self.locks[name].queue.get(key)
                if waiter is not None and waiter.deadline_ms == at_ms:
                    self._leave(key, name)

    def _note(self, at_ms: int, key: SessionKey, name: str = "") -> None:
        heapq.heappush(self._ends, (at_ms, bool(name), key, name))
        if len(self._ends) > self._ends_max:
            self.rebuild_ends()

    def rebuild_ends(self) -> None:
        """From the state alone: what is outdated goes."""
        self._ends = [(session.expires_ms, False, key, "") for key, session in self.sessions.items()]
        for name, lock in self.locks.items():
            self._ends += [(waiter.deadline_ms, True, key, name) for key, waiter in lock.queue.items()]
        heapq.heapify(self._ends)
        self._ends_max = 64 + 2 * len(self._ends)


def _compatible(lock: Lock, mode: Mode) -> bool:
    """Whether the lock's holders let another one in."""
    return not lock.holders or (mode is Mode.SHARED and lock.mode is Mode.SHARED)
