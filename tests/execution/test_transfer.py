"""A snapshot from others: whoever lies, stalls or forgets what it had costs time, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from alliance.execution import snapshot_folder, state_bytes
from alliance.execution import transfer as module
from alliance.execution.others import Others, SaidSnapshot, SaidSnapshots
from alliance.execution.runner import RunnerState
from alliance.execution.snapshot_folder import SnapshotFolder
from alliance.execution.transfer import AHEAD, Chunk, Transfer
from quorum import SnapshotStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.execution.snapshots import certified, keep, states

Source = Callable[[int, Chunk], Awaitable[Chunk | None]]
"""What a member makes of a request for the chunk of an index."""


@pytest.fixture(autouse=True)
def _small_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (state_bytes, snapshot_folder):
        monkeypatch.setattr(where, "CHUNK_BYTES", 128)
    monkeypatch.setattr(module, "HEDGE_SECONDS", 0.01)


@pytest.fixture(scope="module")
def reached() -> list[RunnerState]:
    return states(4)


async def honest(index: int, chunk: Chunk) -> Chunk | None:
    await asyncio.sleep(0)  # a round trip
    return chunk


async def absent(index: int, chunk: Chunk) -> Chunk | None:
    return None


async def stalling(index: int, chunk: Chunk) -> Chunk | None:
    await asyncio.Event().wait()
    return chunk


def lying(how: Callable[[Chunk], Chunk]) -> Source:
    async def lie(index: int, chunk: Chunk) -> Chunk | None:
        return how(chunk)

    return lie


class Sources:
    """The other executors: what they have is in one folder."""

    def __init__(self, farm: Farm, folder: SnapshotFolder, *kinds: Source) -> None:
        self.members = list(range(1, len(kinds) + 1))
        self.asked: list[tuple[int, int]] = []
        self.under_way = self.most_under_way = 0
        self.offers: list[SaidSnapshot] = []
        self._folder = folder
        self._kinds = kinds

    def name(self, member: int) -> str:
        return f"member-{member + 1}"

    async def snapshots(self, member: int, *, proven: bool = False) -> SaidSnapshots:
        told = [
            SaidSnapshot(held.certificate.epoch, held.statement, held.certificate.signature)
            for held in self._folder.certified
            if held.certificate is not None
        ]
        return SaidSnapshots((), (*self.offers, *told))

    async def chunk(
        self, member: int, statement: SnapshotStatement, index: int, seconds: float
    ) -> Chunk | None:
        self.asked.append((member, index))
        held = self._folder.get(statement.slot)
        if held is None:
            return None
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._kinds[member - 1](index, self._folder.chunk(held, index))
        finally:
            self.under_way -= 1


class Scene:
    def __init__(self, farm: Farm, tmp_path: Path) -> None:
        self.farm = farm
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        self.theirs, self.mine = (
            SnapshotFolder(tmp_path / name, "kv", lambda: farm.config.attestation) for name in ("a", "b")
        )
        self.theirs.load()
        self.mine.load()

    def fetch(self, run: Run, *kinds: Source, beyond: int = 0) -> tuple[int, Sources]:
        sources = Sources(self.farm, self.theirs, *kinds)
        return self.fetch_from(run, sources, beyond), sources

    def fetch_from(self, run: Run, sources: Sources, beyond: int = 0) -> int:
        held = run(Transfer(self.mine, cast(Others, sources)).fetch(beyond))
        return 0 if held is None else int(held.slot)


@pytest.fixture
def scene(farm: Farm, tmp_path: Path) -> Scene:
    return Scene(farm, tmp_path)


def test_the_newest_certified_one_comes_with_some_chunks_on_the_way(
    scene: Scene, reached: list[RunnerState], run: Run
) -> None:
    for state in reached[1:3]:
        keep(scene.farm, scene.theirs, state)
    scene.theirs.add(scene.theirs.write(reached[3]))
    slot, sources = scene.fetch(run, honest)
    assert slot == 3
    (held,) = scene.mine.certified
    assert scene.mine.read(held) == reached[2]
    assert sources.asked == [(1, index) for index in range(held.tree.size)]
    assert 1 < sources.most_under_way <= AHEAD < held.tree.size
    assert scene.fetch(run, honest, beyond=3)[0] == 0


@pytest.mark.parametrize(
    "how",
    [
        lambda chunk: (bytes([chunk[0][0] ^ 1]) + chunk[0][1:], chunk[1]),
        lambda chunk: (chunk[0], tuple(bytes(32) for _ in chunk[1])),
        lambda chunk: (chunk[0], chunk[1][:-1]),
        lambda chunk: (b"", ()),
        lambda chunk: (chunk[0] + bytes(1000), chunk[1]),
        lambda chunk: (chunk[0], chunk[1] * 20),
        lambda chunk: (chunk[0], tuple(digest[:5] for digest in chunk[1])),
    ],
    ids=["altered", "other path", "cut path", "empty", "long", "long path", "short hashes"],
)
def test_who_lies_is_named_and_asked_no_more(
    scene: Scene,
    reached: list[RunnerState],
    run: Run,
    caplog: pytest.LogCaptureFixture,
    how: Callable[[Chunk], Chunk],
) -> None:
    keep(scene.farm, scene.theirs, reached[2])
    slot, sources = scene.fetch(run, lying(how), lying(how), honest)
    assert slot == 3
    for liar in (1, 2):
        assert len([index for member, index in sources.asked if member == liar]) <= AHEAD
        assert caplog.text.count(f"member-{liar + 1}: it sends another snapshot") == 1
    assert scene.mine.read(scene.mine.certified[0]) == reached[2]
    assert scene.fetch(run, lying(how), beyond=2)[0] == 0, "liars alone bring nothing, and end"


def test_who_stalls_is_asked_after_the_others(scene: Scene, reached: list[RunnerState], run: Run) -> None:
    keep(scene.farm, scene.theirs, reached[2])
    slot, sources = scene.fetch(run, stalling, absent, honest)
    assert slot == 3
    count = scene.mine.certified[0].tree.size
    assert len([index for member, index in sources.asked if member == 1]) < count
    assert sources.under_way == 0


def test_a_source_that_forgets_it_in_the_middle_is_left_and_the_next_goes_on(
    scene: Scene, reached: list[RunnerState], run: Run
) -> None:
    async def forgetting(index: int, chunk: Chunk) -> Chunk | None:
        return chunk if index < 3 else None

    keep(scene.farm, scene.theirs, reached[2])
    assert scene.fetch(run, forgetting)[0] == 0
    slot, sources = scene.fetch(run, honest)
    assert slot == 3
    assert min(sources.asked) == (1, 3)


def test_what_is_half_there_comes_before_what_is_newer_if_it_still_can(
    scene: Scene, reached: list[RunnerState], run: Run
) -> None:
    async def forgetting(index: int, chunk: Chunk) -> Chunk | None:
        return chunk if index < 3 else None

    keep(scene.farm, scene.theirs, reached[1])
    assert scene.fetch(run, forgetting)[0] == 0
    keep(scene.farm, scene.theirs, reached[2])
    slot, sources = scene.fetch(run, honest)
    assert (slot, min(sources.asked)) == (2, (1, 3))
    assert scene.fetch(run, forgetting, beyond=2)[0] == 0
    scene.theirs.discard(3)
    keep(scene.farm, scene.theirs, reached[3])
    slot, sources = scene.fetch(run, honest, beyond=2)
    assert (slot, min(sources.asked)) == (4, (1, 0))


def test_no_certificate_but_the_alliances_brings_anything(
    scene: Scene, reached: list[RunnerState], run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A liar offers a newer one that nobody signed, and one of another application."""
    held = keep(scene.farm, scene.theirs, reached[1])
    assert held.certificate is not None
    newer = replace(held.statement, slot=9)
    other = replace(held.statement, slot=8, application=bytes(32))
    signed = certified(scene.farm, other)
    sources = Sources(scene.farm, scene.theirs, honest)
    sources.offers = [
        SaidSnapshot(0, newer, held.certificate.signature),
        SaidSnapshot(0, newer, b"x"),
        SaidSnapshot(signed.epoch, other, signed.signature),
        SaidSnapshot(7, held.statement, held.certificate.signature),
    ]
    assert scene.fetch_from(run, sources) == 2
    assert caplog.text.count("member-2: an invalid certificate of a snapshot") == 4
