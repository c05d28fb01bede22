"""``alliance rekey``: the folder's keys change hands, all of them or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alliance.config.file import ATTESTATION
from alliance.keys import folder as keys
from alliance.keys.shares import load_endorser
from tests.cli.conftest import Run
from tests.worlds.processes import PASSPHRASE, Cluster


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("kind", "files"), [("members/member-2", 5), ("clients/client-1", 2)])
def test_only_the_new_passphrase_opens_the_keys(
    inside: Run, home: Cluster, tmp_path: Path, kind: str, files: int
) -> None:
    folder = home.folder / kind
    (tmp_path / "new").write_bytes(b"mine alone\n")
    result = inside("rekey", folder, "--new-passphrase-file", tmp_path / "new", "-o", "json")
    assert result.code == 0
    assert json.loads(result.text) == {
        "folder": str(folder),
        "name": kind.split("/")[1],
        "key_files": files,
    }
    config = home.config
    party = config.members[1] if files == 5 else config.clients[0]
    keys.load_credentials(folder, party, b"mine alone")
    if files == 5:
        load_endorser(folder, config, 1, b"mine alone")
        load_endorser(folder, config, 1, b"mine alone", ATTESTATION)
    assert not list(folder.glob("*.next"))
    again = inside("rekey", folder, "--new-passphrase-file", tmp_path / "new")
    assert again.code == 2
    assert "wrong passphrase" in again.error


def test_the_environment_gives_the_new_one_too(alliance: Run, home: Cluster) -> None:
    result = alliance("rekey", home.client_folder("client-1"), ALLIANCE_NEW_PASSPHRASE="mine alone")
    assert (result.code, result.err) == (0, "")
    assert result.text == "2 key files of client-1 open with the new passphrase only.\n"


def test_when_it_is_refused_nothing_changes(
    inside: Run, alliance: Run, home: Cluster, tmp_path: Path
) -> None:
    folder = home.member("member-1")
    before = _contents(folder)
    (tmp_path / "new").write_bytes(b"mine alone")
    (tmp_path / "empty").write_bytes(b"")
    new = ("--new-passphrase-file", tmp_path / "new")
    for result, says in [
        (inside("rekey", folder, *new, passphrase="guess"), "wrong passphrase"),
        (inside("rekey", folder, "--new-passphrase-file", tmp_path / "empty"), "empty"),
        (alliance("rekey", folder), "set ALLIANCE_NEW_PASSPHRASE, or use --new-passphrase-file F"),
        (inside("rekey", home.folder, *new), "is no member's or client's folder: name one such as"),
        (inside("rekey", tmp_path, *new), "does not exist"),
    ]:
        assert (result.code, result.out) == (2, b"")
        assert says in result.error
    assert _contents(folder) == before
    keys.load_credentials(folder, home.config.members[0], PASSPHRASE.encode())
