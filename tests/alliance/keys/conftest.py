"""A member's folder; and disks that do not make its tests wait: ``RecordingOs`` tests what is synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alliance.keys import shares
from tests.alliance.farm import PASSPHRASE
from tests.alliance.keys.generations import OLD, endorsers


@pytest.fixture(autouse=True)
def quick_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of folders are brought to an end here, and a real disk takes milliseconds for each file."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def home(tmp_path: Path, cheap_scrypt: None) -> Path:
    """A folder with shares of the first epoch."""
    folder = tmp_path / "home"
    folder.mkdir()
    shares.write_shares(folder, 0, endorsers(OLD), PASSPHRASE)
    return folder
