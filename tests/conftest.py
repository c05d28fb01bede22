"""What holds for all tests: random examples replay, a busy machine is no failure, and no servers idle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "alliance",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("alliance")


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tests that share the running alliance of their folder come last there: it runs no longer than they do.

    Six servers without work take a tenth of a core.
    """
    folders: dict[Path, int] = {}
    for item in items:
        folders.setdefault(item.path.parent, len(folders))
    items.sort(key=lambda item: (folders[item.path.parent], "cluster" in item.fixturenames))
