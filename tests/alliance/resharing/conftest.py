"""Towns whose members work at once, on disks that do not make them wait."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alliance.resharing import process, work
from quorum import QuorumSystem
from quorum.redistribution import Judgement, Redistribution
from tests.alliance.resharing.town import RECEIVER_BITS, Town, working
from tests.shoup_rsa.board import receiver

Found = Callable[..., Town]


PERFORM, JUDGE = process.perform, Redistribution.judge


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, cheap_scrypt: None) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(process, "perform", working)
    numbers = itertools.count(100)
    monkeypatch.setattr(work, "next_receiver_bits", lambda _keys: RECEIVER_BITS)
    monkeypatch.setattr(work, "generate_receiver", lambda bits: receiver(bits, next(numbers)))


@pytest.fixture(autouse=True)
def judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All members judge alike, so the first one does it for all: it takes longer than all else."""
    verdicts = dict[bytes, Judgement]()

    def once(redistribution: Redistribution, posted: list[tuple[int, bytes]]) -> Judgement:
        about = redistribution.digest + b"".join(dealing for _, dealing in posted)
        return verdicts.get(about) or verdicts.setdefault(about, JUDGE(redistribution, posted))

    monkeypatch.setattr(Redistribution, "judge", once)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """found(system, composite=False): an alliance with so many members."""

    def founding(system: QuorumSystem, **more: object) -> Town:
        return Town(tmp_path, system, **more)  # type: ignore[arg-type]

    return founding


@pytest.fixture
def whole() -> object:
    """What does tasks outside of these tests."""
    return PERFORM
