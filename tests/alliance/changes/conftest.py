"""A fresh log for each test."""

from __future__ import annotations

import pytest

from tests.alliance.changes.operators import Operators
from tests.alliance.changes.paper import Paper
from tests.alliance.farm import PASSPHRASE, Farm


@pytest.fixture
def paper(farm: Farm) -> Paper:
    return Paper.of(farm.config, farm.folder, PASSPHRASE)


@pytest.fixture
def operators(farm: Farm) -> Operators:
    return Operators.of(farm)
