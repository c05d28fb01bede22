"""Several key files replaced as one: wherever it ends, a reader finds all old ones or all new ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from alliance.keys import files
from tests.alliance.keys.failing import FailingOs, Killed

OLD = {f"{name}.pem": b"old " + name.encode() for name in ("identity", "share", "tls")}
NEW = {name: content.replace(b"old", b"new") for name, content in OLD.items()}
STEPS_MAX = 100


def _folder(path: Path) -> Path:
    path.mkdir()
    for name, content in OLD.items():
        (path / name).write_bytes(content)
    return path


def _current(folder: Path) -> dict[str, bytes]:
    return {name: files.current(folder / name).read_bytes() for name in OLD}


def _replace(folder: Path) -> None:
    with files.locked(folder):
        files.replace_together(folder, NEW)


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), Killed()], ids=["fails", "killed"]
)
def test_all_or_none_before_and_after_the_next_one_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    seen = []
    for step in range(STEPS_MAX):
        folder = _folder(tmp_path / str(step))
        failing = FailingOs(failure, after=step)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", failing)
            try:
                _replace(folder)
            except (OSError, Killed):
                assert failing.failed
        found = _current(folder)
        assert found in (OLD, NEW), f"step {step}"
        for again in range(STEPS_MAX):  # and the next one to open it is killed, too, at each of its steps
            interrupted = FailingOs(Killed(), after=again)
            with monkeypatch.context() as patch:
                patch.setattr(files, "os", interrupted)
                try:
                    files.settle(folder)
                except Killed:
                    assert _current(folder) == found
            if not interrupted.failed:
                break
        files.settle(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == found
        seen.append(found)
        if not failing.failed:
            break
    assert seen[0] == OLD
    assert seen[-1] == NEW
    assert seen == sorted(seen, key=lambda found: found == NEW)  # there is one step at which it changes


def test_a_file_that_is_a_mount_of_its_own_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path / "home")
    before = (folder / "share.pem").stat().st_ino
    replace = os.replace

    def busy(source: Any, target: Any) -> None:
        if Path(target).name == "share.pem":
            raise OSError(errno.EBUSY, "Device or resource busy")
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    _replace(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == NEW
    assert (folder / "share.pem").stat().st_ino == before


def test_a_folder_that_cannot_be_written_any_more_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path / "home")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Read-only"):
        _replace(folder)
    files.settle(folder)
    assert files.is_committed(folder)
    assert _current(folder) == NEW


def test_what_is_replaced_is_overwritten_unless_it_is_somebody_elses_too(tmp_path: Path) -> None:
    """A file of a backup that is linked into the folder, or the other way round, stays as it was."""
    folder = _folder(tmp_path / "home")
    (tmp_path / "backup").write_bytes(OLD["share.pem"])
    (folder / "share.pem").unlink()
    (folder / "share.pem").symlink_to(tmp_path / "backup")
    os.link(folder / "tls.pem", tmp_path / "snapshot")
    with (folder / "identity.pem").open("rb") as replaced:
        _replace(folder)
        assert replaced.read() == bytes(len(OLD["identity.pem"]))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == NEW
    assert (tmp_path / "backup").read_bytes() == OLD["share.pem"]
    assert (tmp_path / "snapshot").read_bytes() == OLD["tls.pem"]


def test_what_others_have_put_there_is_taken_away_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """Whoever hands out a folder could else overwrite any file of the one who opens it, or stop him."""
    folder, precious = _folder(tmp_path / "home"), tmp_path / "precious"
    precious.write_bytes(b"data")
    precious.chmod(0o400)
    (folder / "tls.pem.next").symlink_to(precious)
    os.link(precious, folder / "share.pem.next")
    os.mkfifo(folder / "identity.pem.next")
    files.settle(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == OLD
    assert (precious.read_bytes(), precious.stat().st_mode & 0o777) == (b"data", 0o400)


def test_what_is_erased_is_overwritten_in_every_place_that_is_linked(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    os.link(tmp_path / "secret", tmp_path / "snapshot")
    (tmp_path / "secret").chmod(0o400)
    (tmp_path / "link").symlink_to(tmp_path / "snapshot")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    files.erase(tmp_path / "link")
    files.erase(tmp_path / "dangling")
    assert (tmp_path / "secret").read_bytes() == bytes(6)
    files.erase(tmp_path / "secret")
    files.erase(tmp_path / "secret")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]
