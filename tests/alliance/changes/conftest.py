"""A fresh log for each test."""

from __future__ import annotations

import pytest

from tests.alliance.changes.operators import Operators
from tests.alliance.farm import Farm


@pytest.fixture
def operators(farm: Farm) -> Operators:
    return Operators.of(farm)
