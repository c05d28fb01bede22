"""``alliance.testing``: what it must find, it finds; what is right passes; and a seed is a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count

import pytest

from alliance.execution import Command, Refused, Status
from alliance.testing import Diverged, NotLive, Simulation, simulation
from alliance.testing.application import EPOCH_SECONDS
from examples.kv.store import Store
from tests.docs.documents import ROOT

SEEDS = 6


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_machine_that_is_right_bears_everything(seed: int) -> None:
    members = 6 if seed % 3 else 4  # classic, and lean
    liar = f"member-{seed % members + 1}"
    with Simulation(Store, seed=seed, members=members, liars=[liar], loss=0.1) as world:
        for number in range(40):
            world.submit(b"set k%d %d" % (number % 3, number), client=f"client-{number % 4}")
            world.turmoil(seconds=0.5)
        world.settle()
        assert all(call.answer is not None for call in world.calls)
        last = [world.submit(b"k%d" % key, query=True) for key in range(3)]
        world.settle()
        assert all(call.answer not in (None, b"null") for call in last)
        assert all(call.returned is not None and call.returned > call.invoked for call in world.calls)


class Numbered(Store):
    """Not deterministic: each copy has a number."""

    numbers = count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.numbers)


class AnswersItsNumber(Numbered):
    def apply(self, command: Command) -> bytes:
        return super().apply(command) + b"%d" % self.number


class KeepsItsNumber(Numbered):
    def apply(self, command: Command) -> bytes:
        self.values["number"] = str(self.number)
        return b"ok"


class Forgets(Store):
    """Its snapshots lack something."""

    def restore(self, snapshot: bytes) -> None:
        super().restore(snapshot)
        self.values.pop("k0", None)


class ClocksIn(Store):
    """Its failures leave traces that the snapshot does not show, and its answers do."""

    def __init__(self) -> None:
        super().__init__()
        self.restored = 0

    def restore(self, snapshot: bytes) -> None:
        super().restore(snapshot)
        self.restored += 1

    def query(self, query: bytes) -> bytes:
        return b"%d" % self.restored


@pytest.mark.parametrize("machine", [AnswersItsNumber, KeepsItsNumber, Forgets, ClocksIn])
def test_a_machine_that_is_wrong_is_found(machine: type[Store]) -> None:
    def campaign() -> None:
        for seed in range(10):
            with Simulation(machine, seed=seed) as world:
                for number in range(20):
                    world.submit(b"set k%d %d" % (number % 3, number))
                    world.submit(b"k0", query=True)
                    world.turmoil(seconds=1.0)
                world.settle()

    with pytest.raises(Diverged, match=r"member-\d"):
        campaign()


class Moody(Store):
    def apply(self, command: Command) -> bytes:
        if command.payload == b"time":
            return b"%d" % command.time_ms
        self.values["mood"] = "spoilt"
        if command.payload == b"refuse":
            raise Refused("not today")
        raise KeyError(command.payload)


def test_commands_that_fail_have_an_outcome_and_no_answer() -> None:
    with Simulation(Moody) as world:
        failed, timed = world.submit(b"raise"), world.submit(b"time")
        world.settle()
        assert failed.outcome is not None
        assert (failed.outcome.status, failed.outcome.payload) == (Status.FAILED, b"KeyError")
        assert failed.answer is None
        assert timed.answer is not None
        assert 0 <= int(timed.answer) - 1000 * EPOCH_SECONDS < 2000


def test_a_quorum_goes_on_and_less_than_one_waits() -> None:
    with Simulation(Store, loss=0.0) as world:
        world.partition(["member-6"])
        call = world.submit(b"set k 1")
        world.run(10)
        assert call.answer == b"null"
        world.partition(["member-5", "member-6"])
        waiting = world.submit(b"set k 2")
        world.run(60)
        assert waiting.outcome is None
        world.heal()
        world.run(30)
        assert waiting.answer == b'"1"'


def test_nothing_is_lost_when_all_lose_power() -> None:
    names = [f"member-{number}" for number in range(1, 7)]
    with Simulation(Store, liars=["member-2"]) as world:
        world.submit(b"set k 1")
        world.settle()
        world.crash(*names)
        call = world.submit(b"k", query=True)
        world.run(10)
        assert call.outcome is None
        world.settle()
        assert call.answer == b'"1"'


def test_what_never_ends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SETTLE_SECONDS", 0.01)
    with Simulation(Store) as world:
        world.submit(b"set k 1")
        with pytest.raises(NotLive, match="1 calls have no answer"):
            world.settle()


def test_more_liars_than_faults_are_refused() -> None:
    for liars in (["member-1", "member-2"], ["member-7"]):
        with pytest.raises(ValueError, match="liars"):
            Simulation(Store, liars=liars)


_RUN = """
import json
from alliance.testing import Simulation
from examples.kv.store import Store
with Simulation(Store, seed=7, liars=["member-3"], loss=0.1) as world:
    for number in range(10):
        world.submit(b"set k%d %d" % (number % 3, number), client=f"client-{number % 2}")
        world.turmoil(seconds=1.0)
    world.settle()
    print(json.dumps([(call.invoked, call.returned, call.outcome.slot) for call in world.calls]))
"""


def test_a_seed_is_a_run() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", _RUN],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(json.loads(told[0])) == 10
