"""A member that is killed while it goes from one epoch to the next, at any step: its folder is all it has.

What lost power leaves of the single steps is tried where they are made: in test_epoch_entry.py and
test_journal_epochs.py of tests/alliance/storage, and in tests/alliance/resharing/test_kills.py.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import AllianceError, JournalError, NoLongerMember
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.resharing import process
from alliance.server import server as server_module
from alliance.server.server import Server
from alliance.storage.journal import Journal
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.server.passage import NEW, OLD, Ending, InProcess, Peer, ending, go_over, started


def require_over(home: Path, server: Server, end: Ending) -> None:
    """It is in epoch 1, has opened its new shares, and has no others."""
    config, signer = server.term.config, server.term.signer
    assert (config.epoch, server._journal.epoch, config.dealing) == (1, 1, 1)
    assert (home / FILE).read_text() == config.to_toml()
    assert (shares.current(home), shares.pieces(home)) == (NEW, (NEW,))
    assert isinstance(signer, InProcess)
    assert signer.endorser.key == config.key == end.proof.keys[0]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes, and nobody to wait for. What a file says is read once: the same text says the same."""
    monkeypatch.setattr(AllianceConfig, "from_toml", staticmethod(functools.cache(AllianceConfig.from_toml)))
    monkeypatch.setattr("alliance.server.term.Signer", InProcess)
    monkeypatch.setattr(server_module, "SignerProcess", NoProcess)


class NoProcess:
    """In place of the next epoch's signer: when it is to begin, the folder is that epoch's."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder, self.epoch = folder, epoch

    def unseal_ahead(self, *_: object) -> None: ...

    def begin(self, _: bytes) -> None:
        assert f"epoch = {self.epoch}\n" in (self.folder / FILE).read_text()
        assert shares.pieces(self.folder) == (shares.current(self.folder),)
        BEGUN.append(self.epoch)

    def close(self) -> None: ...


BEGUN: list[int] = []

Contents = dict[str, bytes]


def contents(folder: Path) -> Contents:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


STEPS = (
    *((os, name) for name in ("fsync", "fdatasync", "replace", "unlink", "mkdir", "pwrite")),
    *((Journal, name) for name in ("append", "begin", "keep", "save")),
)
"""All by which a folder changes."""


@contextmanager
def before_each(do: Callable[[Any], None]) -> Iterator[None]:
    """Does something before each of them, with whose it is. Nothing waits for a disk meanwhile."""

    def watched(owner: Any, call: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            do(owner)
            return call(*arguments, **named)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for owner, name in STEPS:
            patch.setattr(owner, name, watched(owner, getattr(owner, name)))
        yield


@dataclass
class Cuts:
    """What a kill leaves at each step: the folder, and what others have heard by then."""

    home: Path
    peer: Peer
    left: list[tuple[Contents, Peer]] = field(default_factory=list)
    _seen: set[frozenset[tuple[str, bytes]]] = field(default_factory=set)

    def __call__(self, _: object = None) -> None:
        found = contents(self.home)
        about = frozenset({*found.items(), ("heard", bytes([len(self.peer.heard)]))})
        if about not in self._seen:
            self._seen.add(about)
            self.left.append((found, self.peer.copy()))

    def folders(self, under: Path) -> Iterator[tuple[Path, Peer]]:
        for number, (found, peer) in enumerate(self.left):
            folder = under / f"cut-{number}"
            for name, data in found.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(0o600)
            yield folder, peer


@dataclass(frozen=True)
class Stage:
    """How far a folder has come, as its files say: the journal's epoch is not among them."""

    dealt: bool
    """Its shares for the next epoch are there."""
    renamed: bool
    """alliance.toml is that of the next epoch."""
    counting: Generation | None
    erased: bool
    """None of the shares of the epoch before is there, or a piece of one."""
    spoken: int
    """The last epoch in which it has said anything."""

    @classmethod
    def of(cls, folder: Path, peer: Peer) -> Stage:
        pieces = shares.pieces(folder)
        epoch = AllianceConfig.from_toml((folder / FILE).read_text()).epoch
        there = NEW in shares.generations(folder)
        return cls(there, epoch == 1, shares.current(folder), OLD not in pieces, peer.epoch)


STAGES = (
    Stage(dealt=False, renamed=False, counting=OLD, erased=False, spoken=0),
    Stage(dealt=True, renamed=False, counting=OLD, erased=False, spoken=0),
    Stage(dealt=True, renamed=True, counting=OLD, erased=False, spoken=0),
    Stage(dealt=True, renamed=True, counting=NEW, erased=False, spoken=0),
    Stage(dealt=True, renamed=True, counting=NEW, erased=True, spoken=0),
    Stage(dealt=True, renamed=True, counting=NEW, erased=True, spoken=1),
)
"""In the order in which they come."""


async def start_again(home: Path, end: Ending, heard: Peer) -> int:
    """With nothing but the folder; it gets over. The epoch that it has started in."""
    async with started(home) as server:
        epoch = server.term.config.epoch
        assert epoch == server._journal.epoch
        if not epoch:
            await heard.greeted_by(server)
            await go_over(server, end)
        require_over(home, server, end)
        await heard.greeted_by(server)
        return epoch


def test_epoch_kill_at_every_point(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is killed it starts again, in the epoch that its journal is in, and says nothing that does
    not go with what it has said; and it gets over, with the new shares and without the old ones."""
    end = ending(farm, long_chain)
    monkeypatch.setattr(process, "perform", end.perform)
    home, peer = end.begin(tmp_path / "home"), Peer(farm, end.voted())
    cuts = Cuts(home, peer)
    BEGUN.clear()

    async def whole() -> None:
        async with started(home) as server:
            await peer.greeted_by(server)
            with before_each(cuts):
                await go_over(server, end)
                await peer.greeted_by(server)
                cuts()
            require_over(home, server, end)

    run(whole())
    assert BEGUN == [1]
    stages, epochs = list[Stage](), list[int]()
    for left, heard in cuts.folders(tmp_path):
        stages.append(Stage.of(left, heard))
        epochs.append(run(start_again(left, end, heard)))
    assert [one for at, one in enumerate(stages) if one not in stages[:at]] == [*STAGES]
    assert epochs == sorted(epochs)
    enters = epochs.index(1)
    assert {STAGES[1]} == {*stages[enters - 1 : enters + 1]}, "the journal is not what decides"


@dataclass
class Full:
    """A disk that takes nothing any more, after so many steps."""

    left: int
    peer: Peer
    said: int | None = None
    """How often the peer had been spoken to when it failed."""

    def __call__(self, owner: Any) -> None:
        self.left -= 1
        if self.left < 0:
            self.said = len(self.peer.heard) if self.said is None else self.said
            raise OSError(errno.ENOSPC, "no space left") if owner is os else JournalError("it is not written")


@pytest.mark.campaign
def test_epoch_disk_full_at_every_point(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member ends, and says nothing more; when there is room again, it starts and gets over."""
    end = ending(farm, long_chain)
    monkeypatch.setattr(process, "perform", end.perform)
    begun, epochs = end.begin(tmp_path / "home"), list[int]()

    async def full(home: Path, peer: Peer, disk: Full) -> None:
        async with started(home) as server:
            await peer.greeted_by(server)
            with before_each(disk), suppress(AllianceError):
                async with asyncio.timeout(10):
                    await go_over(server, end)
                    await peer.greeted_by(server)
                assert disk.said is None
            assert disk.said in (None, len(peer.heard))

    for step in range(200):
        home, peer = tmp_path / f"full-{step}", Peer(farm, end.voted())
        shutil.copytree(begun, home)
        disk = Full(step, peer)
        run(full(home, peer, disk))
        epochs.append(run(start_again(home, end, peer)))
        if disk.said is None:
            break
    assert epochs == sorted(epochs)
    assert 10 < epochs.index(1) < len(epochs) - 10


def test_epoch_removed_member_is_killed_at_every_point(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes part in the epoch that it knows to be over, or has no shares any more: never neither."""
    end = ending(farm, long_chain, leaves=True)
    monkeypatch.setattr(process, "perform", end.perform)
    home, peer = end.begin(tmp_path / "home"), Peer(farm, end.voted())
    cuts = Cuts(home, peer)

    async def stays(*_: object) -> None:
        """Until others have gone over."""
        assert shares.pieces(home) == ()
        cuts()

    async def leave(folder: Path, watch: Callable[[Any], None]) -> bool:
        """Whether it has taken part before."""
        took_part = False

        async def serve() -> None:
            nonlocal took_part
            async with started(folder) as server:
                took_part = True
                await Peer(farm, end.voted()).greeted_by(server)
                with before_each(watch):
                    await go_over(server, end)

        with pytest.raises(NoLongerMember, match="takes no part in epoch 1"):
            await serve()
        assert shares.pieces(folder) == ()
        assert config_file.load(folder).epoch == 1
        return took_part

    monkeypatch.setattr(server_module, "passed_on", stays)
    assert run(leave(home, cuts))
    monkeypatch.setattr(server_module, "passed_on", lambda *_: asyncio.sleep(0))
    took_part = [run(leave(left, lambda _: None)) for left, _ in cuts.folders(tmp_path)]
    assert took_part == sorted(took_part, reverse=True)
    assert {*took_part} == {True, False}
