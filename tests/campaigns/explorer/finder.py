"""Looks for a bug with a small run of the explorer, or of twins: for whoever plants bugs.

Both work on the product as it is in this process, and answer with what is broken, or None.
"""

from __future__ import annotations

from tests.campaigns.explorer.instance import Instance
from tests.campaigns.explorer.search import Search
from tests.campaigns.explorer.twins import Twins, scenario
from tests.campaigns.explorer.uncollected import uncollected

SMALL = (
    Instance(3, (3, 9), news=1),
    Instance(1, (0, 1), news=1),
    Instance(3, (3, 9), restarts=1, news=1),
    Instance(1, (0, 1), restarts=1, news=1),
)
"""The liar leads both views, or the second one; then the same with one crash."""


def explore(states: int) -> str | None:
    """Visits up to so many states of each of four small instances: some 3,000 a second at the least."""
    for instance in SMALL:
        try:
            with uncollected():
                violation = Search(instance).run(states).violation
        except Exception as error:  # a bug in what the menu asks of the product
            violation = f"{type(error).__name__}: {error}"
        if violation is not None:
            return f"explorer, {instance}: {violation}"
    return None


def run_twins(scenarios: int) -> str | None:
    """Runs the first so many scenarios: some 300 a second."""
    twins = Twins()
    with uncollected():
        for number in range(scenarios):
            try:
                twins.run(scenario(number))
            except Exception as error:
                return f"twins, scenario {number}: {type(error).__name__}: {error}"
    return None
