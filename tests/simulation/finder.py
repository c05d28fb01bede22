"""Looks for a planted bug with everything the simulator has; says what found it first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from types import ModuleType

from tests.simulation import test_evidence, test_scenarios, test_scenarios_more
from tests.simulation.campaign import campaign
from tests.simulation.planted import planted

CONTROL = "test_24_one_liar_too_many_is_detected"


def scenarios() -> Iterator[tuple[str, Callable[[], None]]]:
    """The named ones, but for the control, which expects a disagreement itself."""
    modules: tuple[ModuleType, ...] = (test_scenarios, test_scenarios_more, test_evidence)
    for module in modules:
        for name, function in vars(module).items():
            if name.startswith("test_") and name != CONTROL and not signature(function).parameters:
                yield name, function


def found_by(name: str, seeds: int, sooner: str | None = None) -> str | None:
    """The first seed or else the first scenario that fails with this bug, and its complaint.

    ``sooner`` names a scenario to be tried before all others.
    """
    with planted(name):
        if sooner is not None:
            try:
                dict(scenarios())[sooner]()
            except Exception as error:
                return f"{sooner}: {error}"
        for seed in range(seeds):
            try:
                campaign(seed)
            except Exception as error:
                return f"seed {seed}: {error}"
        for scenario, run in scenarios():
            try:
                run()
            except Exception as error:
                return f"{scenario}: {error}"
    return None


def scenarios_that_find(name: str) -> list[str]:
    finders = []
    with planted(name):
        for scenario, run in scenarios():
            try:
                run()
            except Exception:
                finders.append(scenario)
    return finders
