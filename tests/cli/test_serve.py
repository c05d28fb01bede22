"""``alliance serve``: the ready line, a clean end, and every way in which it must not start."""

from __future__ import annotations

import datetime
import functools
import json
import signal
import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.cli.demo.cluster import free_addresses
from alliance.config.control import at, founded
from alliance.keys import folder as keys
from alliance.keys import revision
from alliance.storage.journal import Journal
from tests.alliance.newcomers import newcomer
from tests.cli.conftest import Run
from tests.worlds.processes import (
    PASSPHRASE,
    STOP_SECONDS,
    Cluster,
    ServerProcess,
    command,
    environment,
    first_line,
    started,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_listens_and_ends_cleanly(home: Cluster, number: signal.Signals) -> None:
    with home:
        server = home.launch("member-2")
        event = server.await_ready()
        address = home.config.members[1].address
        assert event == {"event": "ready", "member": "member-2", "address": address, "pid": server.pid}
        assert server.stop(number) == 0
        assert "Traceback" not in server.stderr()
        assert "ERROR" not in server.stderr()


def test_it_can_listen_elsewhere(home: Cluster) -> None:
    (address,) = free_addresses(1)
    with home:
        server = home.launch("member-1", "--listen", address)
        assert server.await_ready()["address"] == address


def test_what_it_logs_holds_no_passphrase(cluster: Cluster) -> None:
    assert PASSPHRASE not in cluster.logs()
    for name in cluster.names:
        arguments = Path(f"/proc/{cluster.servers[name].pid}/cmdline").read_bytes()
        assert PASSPHRASE.encode() not in arguments


def _refused(run: Run, folder: Path, *arguments: str, **options: str) -> tuple[int, str]:
    result = run("serve", folder, *arguments, **options)
    assert result.out == b""
    assert result.error.startswith("alliance: ")
    return result.code, result.error


def test_wrong_folders(inside: Run, home: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    for folder, says in [
        (tmp_path / "nowhere", "name a folder that 'alliance init' made"),
        (tmp_path, "alliance.toml does not exist"),
        (home.folder, "is no member's folder"),
        (home.client_folder("client-1"), "is a client's folder"),
        (file, "is not a folder"),
    ]:
        code, error = _refused(inside, folder)
        assert code == 2
        assert says in error


def test_a_wrong_address_to_listen_on(inside: Run, home: Cluster) -> None:
    for address in ("7400", "localhost", "localhost:", "localhost:x", "localhost:70000", ":7400"):
        code, error = _refused(inside, home.member("member-1"), "--listen", address)
        assert code == 2
        assert "write --listen HOST:PORT" in error


def test_a_wrong_passphrase(inside: Run, home: Cluster) -> None:
    code, error = _refused(inside, home.member("member-1"), passphrase="guess")
    assert code == 2
    assert "wrong passphrase" in error
    assert not (home.member("member-1") / "journal.sqlite").exists()


@pytest.mark.parametrize(
    "name", ["identity.pem", "tls.pem", "sealing-0.0.pem", "share-0.0-agreement.pem", "share.current"]
)
def test_missing_unreadable_damaged_and_foreign_keys(inside: Run, home: Cluster, name: str) -> None:
    folder = home.member("member-1")
    path = folder / name
    path.unlink()
    code, error = _refused(inside, folder)
    assert code == 2
    assert f"{name} is missing: " in error
    assert "from a backup" in error or "from one backup" in error
    path.mkdir()  # unreadable to everybody, also to root
    code, error = _refused(inside, folder)
    assert code == 2
    assert f"{name} cannot be read" in error
    path.rmdir()
    path.write_bytes(b"no key\n")
    code, error = _refused(inside, folder)
    assert code == 2
    assert name in error
    if name == "share.current":  # the same for everybody
        return
    path.write_bytes((home.member("member-2") / name).read_bytes())
    code, error = _refused(inside, folder)
    assert code == 2
    assert "are not those of 'member-1'" in error or "do not belong together" in error


def test_a_folder_of_an_earlier_version_and_one_without_shares(inside: Run, home: Cluster) -> None:
    folder = home.member("member-1")
    (folder / "share.current").unlink()
    for path in (*folder.glob("sealing-*.pem"), *folder.glob("share-*.pem")):
        path.unlink()
    code, error = _refused(inside, folder)
    assert code == 2
    assert "holds no share of the alliance's keys: restore share.current, sealing-*.pem" in error
    (folder / "share.pem").write_bytes(b"-----BEGIN SHOUP RSA KEY SHARE-----\n")
    code, error = _refused(inside, folder)
    assert code == 2
    assert "share.pem is as an earlier version wrote it" in error
    assert "create a new alliance" in error


def test_a_member_that_is_none_any_more_is_told_so(inside: Run, home: Cluster) -> None:
    """Somebody else has its name now. Its journal says that it was there."""
    folder, config = home.member("member-1"), home.config
    begun, other = founded(config), newcomer("member-1").party
    first, *others = begun.directory.members
    certificate = other.certificate.public_bytes(Encoding.DER)
    bare = {"receiver": b"", "receiver_signature": bytes(64)}
    row = replace(first, identity=other.identity, certificate=certificate, **bare)
    rows = replace(begun.directory, members=(row, *others))
    now = at(config, replace(begun, directory=rows, epoch=1, start=5, slot=5))
    with closing(Journal(folder / "journal.sqlite", config.alliance_id, "member-1")) as journal:
        journal.begin(b"s" * 32)
    revision.keep(folder, now)
    for _ in range(2):
        code, error = _refused(inside, folder)
        assert code == 10
        assert "member-1 takes no part in epoch 1: it has stopped, its key shares are erased" in error
    assert not list(folder.glob("share*"))


def test_a_port_that_is_taken(alliance: Run, home: Cluster) -> None:
    host, port = home.config.members[0].address.split(":")
    with socket.create_server((host, int(port))):
        code, error = _refused(alliance, home.member("member-1"))
    assert code == 2
    assert f"{host}:{port} cannot be listened on" in error
    assert "--listen HOST:PORT" in error


def test_a_second_process_on_the_same_journal(alliance: Run, cluster: Cluster) -> None:
    code, error = _refused(alliance, cluster.member("member-4"))
    assert code == 4
    assert "is this member already running?" in error
    assert cluster.servers["member-4"].running


def test_the_journal_of_another_member_and_of_another_alliance(
    alliance: Run, home: Cluster, stranger: Cluster
) -> None:
    with home:
        home.launch("member-1").await_ready()
        home.stop("member-1")
    for folder in (home.member("member-2"), stranger.member("member-1")):
        taken = [folder / name for name in ("journal.sqlite", "journal.started")]
        for path in taken:
            path.write_bytes((home.member("member-1") / path.name).read_bytes())
        before = [path.read_bytes() for path in taken]
        code, error = _refused(alliance, folder)
        assert code == 4
        assert "is of another member or another alliance: do not mix their folders" in error
        assert [path.read_bytes() for path in taken] == before
        for path in taken:
            path.unlink()


def test_a_journal_that_is_none(alliance: Run, home: Cluster) -> None:
    journal = home.member("member-1") / "journal.sqlite"
    journal.write_bytes(b"this is no database, but it is long enough to look at\n" * 100)
    code, error = _refused(alliance, home.member("member-1"))
    assert code == 4
    assert "journal.sqlite" in error
    assert journal.read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "test"', 'name = "other"', "was altered"),
        (
            "faulty_max = 1",
            "faulty_max = 1\nfaulty_maxx = 1",
            "unknown key 'faulty_maxx'; did you mean 'faulty_max'?",
        ),
        ("faulty_max = 1", "faulty_max = 2", "11 members"),
        ("faulty_max = 1", "", "'faulty_max' is missing"),
        ("format = 2", "format = 99", "format 99"),
        ("[[members]]", "[[members]", "is not TOML"),
        ('agreement_key = "', 'agreement_key = "AAAA', "agreement_key"),
    ],
)
def test_an_altered_alliance_toml(inside: Run, home: Cluster, old: str, new: str, says: str) -> None:
    path = home.member("member-1") / "alliance.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, error = _refused(inside, home.member("member-1"))
    assert code == 2
    assert says in error


def test_an_alliance_toml_that_is_missing_or_binary(inside: Run, home: Cluster) -> None:
    path = home.member("member-1") / "alliance.toml"
    path.write_bytes(b"\xff\xfe\x00")
    code, error = _refused(inside, home.member("member-1"))
    assert (code, "cannot be read" in error) == (2, True)
    path.unlink()
    code, error = _refused(inside, home.member("member-1"))
    assert (code, "does not exist" in error) == (2, True)


def test_a_clock_that_is_slow(inside: Run, home: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC)
    bent = functools.partial(keys.load_credentials, now=lambda: then)
    monkeypatch.setattr(keys, "load_credentials", bent)
    code, error = _refused(inside, home.member("member-1"))
    assert (code, "set the clock" in error) == (2, True)
    result = inside("status", home.client_folder("client-1"))
    assert (result.code, "set the clock" in result.error) == (2, True)


def test_the_ready_line_for_people(home: Cluster) -> None:
    words = command("serve", home.member("member-1"), "--log-level", "error")
    with started(words, env=environment(), start_new_session=True) as server:
        line = first_line(server).decode()
        server.terminate()
        assert server.wait(STOP_SECONDS) == 0
    assert line == f"ready: member-1 listens on {home.config.members[0].address}, pid {server.pid}\n"


def test_errors_are_json_for_programs(alliance: Run, home: Cluster) -> None:
    result = alliance("serve", home.member("member-1"), "-o", "json", passphrase="guess")
    assert result.code == 2
    assert json.loads(result.error)["exit_code"] == 2


def test_a_failing_server_is_reported_by_the_fixture(home: Cluster) -> None:
    server = ServerProcess(home.member("member-1"), passphrase="guess")
    with pytest.raises(AssertionError, match="wrong passphrase"):
        server.await_ready()
    server.close()
