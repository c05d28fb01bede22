"""What the tests of the client stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alliance.client import submitter
from tests.alliance.farm import Chain
from tests.alliance.network import Office


@pytest.fixture
def office(tmp_path: Path, chain: Chain) -> Iterator[Office]:
    """The services of one member, with its journal."""
    office = Office(tmp_path / "journal.sqlite", chain)
    yield office
    office.journal.close()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that brought nothing follow one another without a pause."""
    monkeypatch.setattr(submitter, "PAUSE_SECONDS", 0.001)
