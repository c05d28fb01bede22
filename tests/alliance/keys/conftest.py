"""Disks that do not make the tests of files wait; what must be synced is tested by ``RecordingOs``."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def quick_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of folders are brought to an end here, and a real disk takes milliseconds for each file."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
