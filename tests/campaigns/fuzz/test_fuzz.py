"""The fuzzing itself: every target bears a fixed number of inputs, and none of them is a sham."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns.fuzz import EXECUTIONS_MIN, NAMES
from tests.campaigns.fuzz.run import Outcome, complaint, fuzz
from tests.campaigns.fuzz.targets import Target, found_alliance, targets
from tests.campaigns.planted.bugs import planted

EXECUTIONS = 1000
SLOW = ("change of keys",)
"""It has long keys to decode, two milliseconds each."""
FOUND = {
    "the signature of an Accepted is not checked": "gate",
    "the certificate of a log frame is not checked": "gate",
    "a verified submission is remembered by its number": "gate",
    "a receipt's root is not compared": "receipt",
    "the seal leaves out the view": "journal's row",
    "two words on two slots convict": "evidence",
    "a greeting need not be signed": "handshake",
    "new keys: a share is not checked": "new keys",
    "new keys: their certificate is not verified": "change of keys",
}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    made = targets(*found_alliance(tmp_path_factory.mktemp("fuzz") / "alliance"))
    return {target.name: target for target in made}


def test_every_target_is_run_below(every: dict[str, Target]) -> None:
    assert tuple(every) == NAMES


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.campaign) if name in SLOW else name for name in NAMES]
)
def test_a_target_bears_nearly_valid_inputs(every: dict[str, Target], name: str) -> None:
    target = every[name]
    assert sum(map(target.run, target.corpus)) >= len(target.corpus) // 2
    outcome = fuzz(target, Random(7), 60.0, EXECUTIONS)
    assert not complaint(target, outcome, EXECUTIONS)
    assert 0 < outcome.admitted < EXECUTIONS


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.binary(max_size=300))
def test_a_target_bears_any_bytes(every: dict[str, Target], name: str, data: bytes) -> None:
    every[name].run(data)


@pytest.mark.parametrize(("bug", "name"), FOUND.items())
def test_a_promise_that_is_broken_is_noticed(every: dict[str, Target], bug: str, name: str) -> None:
    with planted(bug):
        outcome = fuzz(every[name], Random(7), 60.0, 20_000)
    assert outcome.broken is not None
    assert complaint(every[name], outcome).startswith(f"{name}: a promise is broken")


def test_a_run_that_fuzzes_next_to_nothing_fails(every: dict[str, Target]) -> None:
    assert "give it more SECONDS" in complaint(every["gate"], Outcome(EXECUTIONS_MIN - 1))
    assert not complaint(every["gate"], Outcome(EXECUTIONS_MIN))


def test_the_same_seed_makes_the_same_inputs(every: dict[str, Target]) -> None:
    target, runs = every["submission"], []
    for _ in range(2):
        dice = Random(3)
        runs.append([target.mutate(dice, target.corpus[0], target.corpus) for _ in range(100)])
    assert runs[0] == runs[1]
