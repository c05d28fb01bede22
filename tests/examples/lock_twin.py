"""The lock service once more, the dumb way: a pure function over lists, written from the documentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from examples.lock_service.encoding import Invalid, Mode
from examples.lock_service.words import (
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
        word = decode(payload)
    except Invalid:
        return Refused(Reason.MALFORMED), state
    if isinstance(word, Listing):
        return page(state, word.after), state
    key = (client_id, word.session)
    found = next((s for s in state.sessions if s[0] == key), None)
    if isinstance(word, Open):
        if found:
            return Refused(Reason.SESSION_EXISTS), state
        end = state.now + word.ttl_ms
        return Lease(word.session, end), replace(state, sessions=(*state.sessions, (key, word.ttl_ms, end)))
    if not found:
        return Refused(Reason.NO_SESSION), state
    if isinstance(word, Close):
        return Done(), without_session(state, key)
    if isinstance(word, Acquire):
        return acquire(state, key, word)
    if isinstance(word, Ask):
        return standing(state, key, word.name), state
    if isinstance(word, Release):
        mine = claim_of(state, key, word.name)
        if mine is None:
            return Refused(Reason.NOT_HELD), state
        if word.token and word.token != mine.token:
            return Refused(Reason.WRONG_TOKEN), state
        return Done(), without_claim(state, mine)
    end = state.now + found[1]
    sessions = tuple((k, ttl, end if k == key else e) for k, ttl, e in state.sessions)
    return Lease(word.session, end), replace(state, sessions=sessions)


def acquire(state: State, key: Key, word: Acquire) -> tuple[Answer, State]:
    mine = claim_of(state, key, word.name)
    if mine is not None:
        if mine.mode is not word.mode:
            return Refused(Reason.OTHER_MODE), state
        return standing(state, key, word.name), state
    claim = Claim(key, word.name, word.mode, state.now + word.wait_ms)
    after = serve(replace(state, claims=(*state.claims, claim)), word.name)
    answer = standing(after, key, word.name)
    if word.wait_ms == 0 and isinstance(answer, Queued):
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
