"""An alliance that has lost two members, made once; with receivers' keys for six, which are quick to make."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from quorum import receivers, redistribution
from tests.alliance.farm import Chain, Farm
from tests.alliance.recovery.wreck import Wreck

MEMBERS = 7


@pytest.fixture(scope="session")
def small_receivers() -> Iterator[None]:
    with (
        patch.object(receivers, "MEMBERS_MAX", MEMBERS),
        patch.object(redistribution, "MEMBERS_MAX", MEMBERS),
    ):
        yield


@pytest.fixture(scope="package")
def wreck(
    farm: Farm, long_chain: Chain, small_receivers: None, tmp_path_factory: pytest.TempPathFactory
) -> Wreck:
    """Not to be finished: tests that do take a copy."""
    return Wreck.of(farm, long_chain, tmp_path_factory.mktemp("wreck"))
