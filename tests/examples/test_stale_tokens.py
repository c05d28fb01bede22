"""Holders that are paused for longer than their lease: 10,000 schedules, and never a lost update.

Each client counts: it takes the lock, reads a number at the resource, and writes one more. Pauses come
anywhere, messages to the resource are slow, leases are short. If a holder that was overtaken could write, a
count would be lost. The machine and the rule are the real ones; what is simulated is the time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from examples.lock_service import Fences, LockMachine, StaleToken, operations
from examples.lock_service.encoding import Mode
from examples.lock_service.operations import (
    TTL_MS_MIN,
    Acquire,
    Answer,
    Ask,
    Grant,
    Lease,
    Open,
    Operation,
    Queued,
    Release,
)

SCHEDULES, PARTS = 10_000, 4
CLIENTS, ROUNDS = 3, 2
PAUSE_MS_MAX = 3 * TTL_MS_MIN


@dataclass(frozen=True)
class Said:
    client_id: bytes
    payload: bytes
    time_ms: int


@dataclass
class Counter:
    """The resource: one number, and what it knows of tokens."""

    fenced: bool
    number: int = 0
    written: int = 0
    refused: int = 0
    fences: Fences = field(default_factory=Fences)

    def read(self, token: int) -> int:
        if self.fenced:
            self.fences.marks["count"] = self.fences.read("count", token)
        return self.number

    def write(self, token: int, number: int) -> None:
        if self.fenced:
            self.fences.marks["count"] = self.fences.write("count", Mode.EXCLUSIVE, token)
        self.number = number
        self.written += 1


class Schedule:
    """One run of all clients; the seed decides every pause."""

    def __init__(self, seed: int, *, fenced: bool = True) -> None:
        self._dice = Random(seed)
        self._machine = LockMachine()
        self._now = 1_000_000
        self._plan: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.counter = Counter(fenced)
        for number in range(CLIENTS):
            client = bytes([number]) * 32
            self._later(lambda client=client: self._begin(client, ROUNDS))
        while self._plan:
            self._now, _, act = heapq.heappop(self._plan)
            act()

    def _later(self, act: Callable[[], None], least_ms: int = 0) -> None:
        """After a pause: mostly a short one, now and then one that is longer than the lease."""
        pause = self._dice.randrange(PAUSE_MS_MAX if self._dice.random() < 0.2 else TTL_MS_MIN // 10)
        self._count += 1
        heapq.heappush(self._plan, (self._now + least_ms + pause, self._count, act))

    def _say(self, client: bytes, operation: Operation) -> Answer:
        return operations.decode_answer(
            self._machine.apply(Said(client, operations.encode(operation), self._now))
        )

    def _begin(self, client: bytes, rounds: int) -> None:
        if rounds:
            session = self._count.to_bytes(16, "big")
            assert isinstance(self._say(client, Open(session, TTL_MS_MIN)), Lease)
            operation = Acquire(session, Mode.EXCLUSIVE, 10 * PAUSE_MS_MAX, "count")
            self._later(lambda: self._wait(client, session, operation, rounds))

    def _wait(self, client: bytes, session: bytes, operation: Acquire | Ask, rounds: int) -> None:
        match self._say(client, operation):
            case Grant(_, _, token):
                self._later(lambda: self._read(client, session, token, rounds))
            case Queued():
                again = Ask(session, "count")
                self._later(lambda: self._wait(client, session, again, rounds), TTL_MS_MIN // 10)
            case _:  # the session was over before it had the lock
                self._begin(client, rounds)

    def _read(self, client: bytes, session: bytes, token: int, rounds: int) -> None:
        try:
            number = self.counter.read(token)
        except StaleToken:
            self.counter.refused += 1
            return self._begin(client, rounds)
        return self._later(lambda: self._write(client, session, token, number + 1, rounds))

    def _write(self, client: bytes, session: bytes, token: int, number: int, rounds: int) -> None:
        try:
            self.counter.write(token, number)
        except StaleToken:
            self.counter.refused += 1
            return self._begin(client, rounds)
        self._say(client, Release(session, token, "count"))
        return self._begin(client, rounds - 1)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_update_is_lost_whoever_is_paused(part: int) -> None:
    refused = 0
    for seed in range(part * SCHEDULES // PARTS, (part + 1) * SCHEDULES // PARTS):
        counter = Schedule(seed).counter
        assert counter.number == counter.written == CLIENTS * ROUNDS, f"Schedule({seed})"
        refused += counter.refused
    assert refused > SCHEDULES // PARTS // 10  # or nothing was at stake


def test_without_tokens_updates_are_lost() -> None:
    lost = 0
    for seed in range(200):
        counter = Schedule(seed, fenced=False).counter
        lost += counter.number < counter.written
    assert lost > 20
