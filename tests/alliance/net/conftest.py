"""What the tests of the network stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alliance.doors import ME
from tests.alliance.farm import Chain
from tests.alliance.network import Office


@pytest.fixture
def office(tmp_path: Path, chain: Chain) -> Iterator[Office]:
    """The services of the member ME, with its journal."""
    office = Office(tmp_path / "journal.sqlite", chain, ME)
    yield office
    office.journal.close()
