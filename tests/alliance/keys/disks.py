"""Folders cut short at every step: what a kill, or lost power, leaves of them."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from alliance.keys import files
from tests.alliance.keys.failing import FailingOs, Killed

Content = dict[str, bytes]
"""A folder: what is in which file."""
STEPS_MAX = 200
_Seen = set[frozenset[tuple[str, bytes]]]


@dataclass
class _File:
    synced: bytes = b""
    written: bytes = b""

    @property
    def left(self) -> tuple[bytes, ...]:
        """What lost power may leave: what was not synced may be there, or half of it, or not."""
        half = len(self.written) // 2
        torn = self.written[:half] + self.synced[half:]
        return (self.synced, torn, self.written) if self.synced != self.written else (self.synced,)


_Change = tuple[str, str, _File]
"""(old name or nothing, new name or nothing, file)."""


@dataclass
class RecordingOs(FailingOs):
    """Ends with ``Killed`` after so many steps, and knows what is then left of a folder.

    ``deleted`` is what every file held when it was deleted, or when another one was moved over it, as the
    disk had it and as it was written: what may be found again.
    """

    folder: Path
    after: int
    deleted: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Killed(), after=self.after)
        self._opened: dict[int, Path] = {}
        self._names = {name: _File(data, data) for name, data in content(self.folder).items()}
        self._durable = dict(self._names)
        self._pending: list[_Change] = []  # changes of names since the folder was synced

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor: int = self._counted(os.open)(path, flags, mode)
        self._opened[descriptor] = Path(path)
        if flags & os.O_CREAT and Path(path).name not in self._names:
            self._names[Path(path).name] = made = _File()
            self._pending.append(("", Path(path).name, made))
        return descriptor

    def fsync(self, descriptor: int) -> None:
        self._counted(os.fsync)(descriptor)
        path = self._opened[descriptor]
        if path == self.folder:
            self._durable, self._pending = dict(self._names), []
        else:
            self._names[path.name].synced = path.read_bytes()

    def replace(self, source: Path, target: Path) -> None:
        old = target.read_bytes() if target.exists() else b""
        self._counted(os.replace)(source, target)
        if target.name in self._names:
            self._delete(target.name, old)
        moved = self._names.pop(source.name)
        self._names[target.name] = moved
        self._pending.append((source.name, target.name, moved))

    def unlink(self, path: Path) -> None:
        old = path.read_bytes()
        self._counted(os.unlink)(path)
        self._pending.append((path.name, "", self._delete(path.name, old)))

    def _delete(self, name: str, written: bytes) -> _File:
        file = self._names.pop(name)
        file.written = written
        self.deleted += [file.synced, file.written]
        return file

    def remains(self) -> Iterator[Content]:
        """What a kill leaves at the step where this has ended, and then what lost power may leave.

        Of the changes of names that were not synced that may be all, with what was written to files or half
        of it; or the first ones, or all but one.
        """
        killed = content(self.folder)
        yield killed
        for name, file in self._names.items():
            file.written = killed[name]
        yield from self._with([self._pending], lambda file: file.left)
        every = range(len(self._pending) + 1)
        yield from self._with((self._pending[:end] for end in every), lambda file: [file.synced])
        others = (self._pending[:at] + self._pending[at + 1 :] for at in every)
        yield from self._with(others, lambda file: [file.synced])

    def _with(
        self, survive: Iterable[list[_Change]], left: Callable[[_File], Sequence[bytes]]
    ) -> Iterator[Content]:
        for changes in survive:
            names = dict(self._durable)
            for old, new, file in changes:
                names.pop(old, None)
                if new:
                    names[new] = file
            for each in itertools.product(*(left(file) for file in names.values())):
                yield dict(zip(names, each, strict=True))


def content(folder: Path) -> Content:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def put(found: Content, folder: Path) -> Path:
    """A new folder with this content."""
    folder.mkdir()
    for name, data in found.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o600)
    return folder


def ends(folder: Path, action: Callable[[Path], None]) -> Iterator[Path]:
    """What is left of copies of a folder, wherever the action ends in them; and at last what it does."""
    seen: _Seen = set()
    for step in range(STEPS_MAX):
        disk, left = _cut(folder, action, step)
        yield from _folders(folder, left, seen)
        if not disk.failed:
            assert step > 3
            return
    raise AssertionError(f"more than {STEPS_MAX} steps")


def done(folder: Path, action: Callable[[Path], None]) -> Iterator[Path]:
    """What lost power leaves of a copy of a folder, right after the action has returned."""
    disk, left = _cut(folder, action, 10_000)
    assert not disk.failed
    yield from _folders(folder, left, set())


def _cut(folder: Path, action: Callable[[Path], None], step: int) -> tuple[RecordingOs, list[Content]]:
    work = Path(shutil.copytree(folder, folder.parent / "work"))
    disk = RecordingOs(work, step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", disk)
        try:
            action(work)
        except Killed:
            assert disk.failed
    left = list(disk.remains())
    shutil.rmtree(work)
    return disk, left


def _folders(folder: Path, left: list[Content], seen: _Seen) -> Iterator[Path]:
    for found in left:
        if (items := frozenset(found.items())) not in seen:
            seen.add(items)
            yield put(found, folder.parent / f"left-{uuid4().hex}")
