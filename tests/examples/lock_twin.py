"""The lock service once more, the dumb way: a pure function over lists, written from the documentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    Page,
    Queued,
    Reason,
    Refused,
    Release,
    decode,
)

Key = tuple[bytes, bytes]


@dataclass(frozen=True)
class Claim:
    """One who holds a lock (``token`` > 0) or waits for it. The state has them in order of arrival."""

    key: Key
    name: str
    mode: Mode
    deadline: int
    token: int = 0


@dataclass(frozen=True)
class State:
    now: int = 0
    last_token: int = 0
    sessions: tuple[tuple[Key, int, int], ...] = ()
    """Key, duration, end."""
    claims: tuple[Claim, ...] = ()


def step(state: State, client_id: bytes, payload: bytes, time_ms: int) -> tuple[Answer, State]:
    state = advance(state, time_ms)
    try:
        operation = decode(payload)
    except Invalid:
        return Refused(Reason.MALFORMED), state
    if isinstance(operation, Listing):
        return page(state, operation.after), state
    key = (client_id, operation.session)
    found = next((s for s in state.sessions if s[0] == key), None)
    if isinstance(operation, Open):
        if found:
            return Refused(Reason.SESSION_EXISTS), state
        end = state.now + operation.ttl_ms
        return Lease(operation.session, end), replace(
            state, sessions=(*state.sessions, (key, operation.ttl_ms, end))
        )
    if not found:
        return Refused(Reason.NO_SESSION), state
    if isinstance(operation, Close):
        return Done(), without_session(state, key)
    if isinstance(operation, Acquire):
        return acquire(state, key, operation)
    if isinstance(operation, Ask):
        return standing(state, key, operation.name), state
    if isinstance(operation, Release):
        mine = claim_of(state, key, operation.name)
        if mine is None:
            return Refused(Reason.NOT_HELD), state
        if operation.token and operation.token != mine.token:
            return Refused(Reason.WRONG_TOKEN), state
        return Done(), without_claim(state, mine)
    end = state.now + found[1]
    sessions = tuple((k, ttl, end if k == key else e) for k, ttl, e in state.sessions)
    return Lease(operation.session, end), replace(state, sessions=sessions)


def acquire(state: State, key: Key, operation: Acquire) -> tuple[Answer, State]:
    mine = claim_of(state, key, operation.name)
    if mine is not None:
        if mine.mode is not operation.mode:
            return Refused(Reason.OTHER_MODE), state
        return standing(state, key, operation.name), state
    claim = Claim(key, operation.name, operation.mode, state.now + operation.wait_ms)
    after = serve(replace(state, claims=(*state.claims, claim)), operation.name)
    answer = standing(after, key, operation.name)
    if operation.wait_ms == 0 and isinstance(answer, Queued):
        return Refused(Reason.TAKEN), state
    return answer, after


def standing(state: State, key: Key, name: str) -> Answer:
    mine = claim_of(state, key, name)
    if mine is None:
        return Refused(Reason.NOT_HELD)
    ends = {k: end for k, _, end in state.sessions}
    if mine.token:
        return Grant(name, mine.mode, mine.token, *key, ends[key])
    concerned = [c for c in state.claims[: state.claims.index(mine) + 1] if c.name == name]
    waiting = [c for c in concerned if not c.token]
    times = [ends[c.key] for c in concerned] + [c.deadline for c in waiting]
    return Queued(name, len(waiting) - 1, mine.deadline, min(times), state.now)


def page(state: State, after: str) -> Page:
    ends = {key: end for key, _, end in state.sessions}
    views = []
    for name in sorted({c.name for c in state.claims if c.name > after}):
        holders = [c for c in state.claims if c.name == name and c.token]
        waiting = [c for c in state.claims if c.name == name and not c.token]
        told = tuple((c.key[0], c.token, ends[c.key]) for c in holders)
        views.append(LockView(name, holders[0].mode, told, len(waiting)))
    return Page(state.now, False, tuple(views))


def claim_of(state: State, key: Key, name: str) -> Claim | None:
    return next((c for c in state.claims if c.key == key and c.name == name), None)


def serve(state: State, name: str) -> State:
    """Grants one by one, always to the first who waits."""
    while True:
        holders = [c for c in state.claims if c.name == name and c.token]
        first = next((c for c in state.claims if c.name == name and not c.token), None)
        if first is None:
            return state
        if holders and not all(c.mode is Mode.SHARED for c in (*holders, first)):
            return state
        token = state.last_token + 1
        claims = tuple(replace(c, token=token) if c is first else c for c in state.claims)
        state = replace(state, claims=claims, last_token=token)


def without_claim(state: State, claim: Claim) -> State:
    claims = tuple(c for c in state.claims if c is not claim)
    return serve(replace(state, claims=claims), claim.name)


def without_session(state: State, key: Key) -> State:
    for claim in sorted((c for c in state.claims if c.key == key), key=lambda c: c.name):
        current = claim_of(state, key, claim.name)
        assert current is not None
        state = without_claim(state, current)
    return replace(state, sessions=tuple(s for s in state.sessions if s[0] != key))


def advance(state: State, time_ms: int) -> State:
    """Ends one thing at a time, always the one that is due first."""
    state = replace(state, now=max(state.now, time_ms))
    while True:
        leases = [(end, 0, key, "") for key, _, end in state.sessions]
        waits = [(c.deadline, 1, c.key, c.name) for c in state.claims if not c.token]
        due = min(leases + waits, default=None)
        if due is None or due[0] > state.now:
            return state
        _, wait, key, name = due
        if wait:
            claim = claim_of(state, key, name)
            assert claim is not None
            state = without_claim(state, claim)
        else:
            state = without_session(state, key)
