"""Histories of the lock service and of the store, while members crash, are cut off, and one lies."""

from __future__ import annotations

import json
from random import Random

import pytest

from alliance.execution import Command
from alliance.testing import Call, Simulation
from examples.kv.store import Store
from examples.lock_service import APPLICATION, LockMachine, operations
from examples.lock_service.encoding import Mode
from examples.lock_service.operations import (
    Acquire,
    Ask,
    Close,
    Grant,
    Listing,
    Open,
    Release,
    Renew,
)
from examples.lock_service.operations import Operation as LockOperation
from tests.examples import lock_twin
from tests.examples.linearizability import Operation, in_real_time, linearizable

HISTORIES = 10
OPERATIONS = 300
CLIENTS = 5
KEYS = ("a", "b", "c")


def operation(call: Call) -> Operation:
    assert call.returned is not None
    assert call.answer is not None
    return Operation(call.invoked, call.returned, call.payload, call.answer)


class Crowd:
    """Clients that each do one thing after another, in a world that falls apart meanwhile."""

    def __init__(self, world: Simulation, dice: Random) -> None:
        self.world = world
        self.dice = dice
        self.names = [f"client-{number}" for number in range(CLIENTS)]
        self._last: dict[str, Call] = {}

    def idle(self) -> str | None:
        free = [name for name in self.names if name not in self._last or self._last[name].outcome is not None]
        return self.dice.choice(free) if free else None

    def do(self, name: str, payload: bytes, *, query: bool = False) -> None:
        self._last[name] = self.world.submit(payload, client=name, query=query)

    def suffer(self) -> None:
        """Some time passes, and now and then something happens."""
        if self.dice.random() < 0.05:
            self.world.turmoil(self.dice.uniform(0.2, 4.0))
        elif self.dice.random() < 0.05:
            self.world.heal()
        else:
            self.world.run(self.dice.uniform(0.0, 0.08))


# -- the key-value store --------------------------------------------------------------------------------


def register(value: bytes, asked: bytes) -> tuple[bytes, bytes]:
    """One key of the store, the dumb way; values are the JSON that it answers with."""
    match asked.split(b" ", 2):
        case [b"set", _, fresh]:
            return value, json.dumps(fresh.decode()).encode()
        case [b"delete", _]:
            return value, b"null"
    return value, value


def store_history(machine: type[Store], seed: int, operations: int) -> list[Call]:
    """All calls, in the order of the log."""
    dice = Random(seed)
    with Simulation(machine, seed=seed, liars=[f"member-{1 + seed % 6}"], loss=0.05) as world:
        crowd = Crowd(world, dice)
        while len(world.calls) < operations:
            name, key = crowd.idle(), dice.choice(KEYS)
            if name is not None:
                asked = dice.choice([f"set {key} {len(world.calls)}", f"delete {key}", key, key])
                crowd.do(name, asked.encode(), query=asked == key)
            crowd.suffer()
        world.settle()
        return world.ordered()


def explained(calls: list[Call]) -> bool:
    """Whether one order explains the answers, key by key."""
    for key in KEYS:
        of_key = [operation(call) for call in calls if key.encode() in call.payload.split(b" ")[:2]]
        if not linearizable(of_key, b"null", register):
            return False
    return True


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_the_store_is_linearizable(seed: int) -> None:
    calls = store_history(Store, seed, OPERATIONS)
    assert len(calls) == OPERATIONS
    assert in_real_time([operation(call) for call in calls])
    assert explained(calls)


class Lagging(Store):
    """Every member answers alike, and queries from the state before the last command."""

    before = "{}"

    def apply(self, command: Command) -> bytes:
        self.before = json.dumps(self.values, sort_keys=True)
        return super().apply(command)

    def query(self, query: bytes) -> bytes:
        return json.dumps(json.loads(self.before).get(query.decode())).encode()

    def snapshot(self) -> bytes:
        return json.dumps([self.before, super().snapshot().decode()]).encode()

    def restore(self, snapshot: bytes) -> None:
        self.before, values = json.loads(snapshot)
        super().restore(values.encode())


def test_a_store_that_lags_behind_is_found() -> None:
    calls = store_history(Lagging, 0, 60)
    assert in_real_time([operation(call) for call in calls])
    assert not explained(calls)


# -- the lock service -----------------------------------------------------------------------------------


def some_operation(dice: Random, session: bytes) -> LockOperation:
    name = dice.choice(["gate", "door"])
    match dice.randrange(9):
        case 0 | 8:
            return Open(session, dice.choice([5_000, 60_000]))
        case 1 | 2:
            mode = dice.choice([Mode.EXCLUSIVE, Mode.EXCLUSIVE, Mode.SHARED])
            return Acquire(session, mode, dice.choice([0, 500, 10_000]), name)
        case 3:
            return Ask(session, name)
        case 4 | 5:
            return Release(session, 0, name)
        case 6:
            return Renew(session)
        case _:
            return dice.choice([Close(session), Listing(""), Listing("")])


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_the_lock_service_is_linearizable(seed: int) -> None:
    """The log is the witness: it contradicts nobody's clock, and the dumb twin answers the same along it."""
    dice = Random(seed)
    world = Simulation(
        LockMachine, seed=seed, liars=[f"member-{1 + seed % 6}"], loss=0.05, application=APPLICATION
    )
    with world:
        crowd = Crowd(world, dice)
        while len(world.calls) < OPERATIONS:
            name = crowd.idle()
            if name is not None:
                session = name.encode().ljust(16, b"\0")
                crowd.do(name, operations.encode(some_operation(dice, session)))
            crowd.suffer()
        world.settle()
        calls = world.ordered()
    assert len(calls) == OPERATIONS
    assert in_real_time([operation(call) for call in calls])
    twin, tokens = lock_twin.State(), set()
    for call in calls:
        outcome = call.outcome
        assert outcome is not None
        expected, twin = lock_twin.step(twin, outcome.client_id, call.payload, outcome.time_ms)
        assert outcome.payload == operations.encode_answer(expected)
        if isinstance(expected, Grant):
            tokens.add(expected.token)
    assert len(tokens) >= 5  # or nothing was at stake


# -- the checkers ---------------------------------------------------------------------------------------


def history(*told: tuple[float, float, bytes, bytes]) -> list[Operation]:
    return [Operation(*one) for one in told]


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ([(0, 1, b"set a 1", b"null"), (2, 3, b"a", b'"1"')], True),
        ([(0, 1, b"set a 1", b"null"), (2, 3, b"a", b"null")], False),  # a stale read
        ([(0, 3, b"set a 1", b"null"), (1, 2, b"a", b"null")], True),  # at the same time
        ([(0, 9, b"set a 1", b"null"), (1, 2, b"a", b'"1"'), (3, 4, b"a", b"null")], False),  # back again
        ([(0, 1, b"set a 1", b"null"), (0, 1, b"set a 2", b"null")], False),  # one write lost
        ([(0, 2, b"set a 1", b'"2"'), (0, 2, b"set a 2", b"null")], True),
        ([(0, 1, b"set a 1", b"null"), (2, 3, b"delete a", b'"1"'), (4, 5, b"a", b'"1"')], False),
    ],
)
def test_the_search_tells_right_from_wrong(
    told: list[tuple[float, float, bytes, bytes]], holds: bool
) -> None:
    assert linearizable(history(*told), b"null", register) is holds


def test_an_order_that_contradicts_a_clock_is_found() -> None:
    first, second, third = history((0, 1, b"", b""), (2, 3, b"", b""), (0, 9, b"", b""))
    assert in_real_time([first, second, third])
    assert in_real_time([third, first, second])
    assert not in_real_time([second, first])
    assert not in_real_time([second, third, first])
