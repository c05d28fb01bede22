"""The lock service as processes: six servers, four executors, holders that are killed, and a resource."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alliance import cli
from alliance.config.file import ATTESTATION
from alliance.proofs.receipt import load_public_key
from examples.lock_service import LockRefused, LockTaken, Ticket, sync
from examples.lock_service.commands import PROGRAM, app
from tests.worlds.executors import Executors
from tests.worlds.processes import (
    PASSPHRASE,
    READY_SECONDS,
    STOP_SECONDS,
    Cluster,
    environment,
    first_line,
    started,
)

MODULE = "examples.lock_service"
EXECUTORS = ("member-2", "member-3", "member-4", "member-5")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = environment() | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def executors(cluster: Cluster) -> Iterator[Executors]:
    with Executors(cluster, MODULE) as executors:
        executors.start(*EXECUTORS)
        yield executors


def locks(cluster: Cluster, client: int, ttl_seconds: float = 30.0) -> sync.LockClient:
    folder = cluster.client_folder(f"client-{client}")
    return sync.connect(folder, PASSPHRASE.encode(), ttl_seconds=ttl_seconds)


def words(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", MODULE, *map(str, arguments)]


def done(*arguments: str | Path, stdin: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    result = subprocess.run(
        words(*arguments), input=stdin, capture_output=True, cwd=ROOT, env=ENVIRONMENT, timeout=READY_SECONDS
    )
    assert result.returncode == code, result.stderr
    return result


@contextlib.contextmanager
def ready(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """A process and its first line, parsed; it is killed in the end, and what it runs hears of it."""
    with started(words(*arguments), cwd=ROOT, env=ENVIRONMENT, stderr=None) as process:
        yield process, json.loads(first_line(process))


def test_a_holder_that_is_killed_is_followed_and_its_token_is_stale(
    cluster: Cluster, executors: Executors, tmp_path: Path
) -> None:
    """The story of the demo: the next one has a higher token, and the resource refuses the old one."""
    first, second = (cluster.client_folder(f"client-{number}") for number in (1, 2))
    keep = f"cp $LOCK_TICKET {tmp_path}/old.json && echo {{}} && exec cat"
    holding = ("lock", first, "reports/today", "--ttl", "2", "--", "sh", "-c", keep)
    key = cluster.folder / "public-attestation.pem"
    files = ("resource", tmp_path / "files", "--key", key, "--listen", "127.0.0.1:0")
    with ready(*files) as (_, served), ready(*holding) as (holder, _):
        url = f"http://{served['address']}"
        write = ("write", url, "reports/today", "--ticket")
        done(*write, tmp_path / "old.json", stdin=b"by the first\n")
        holder.send_signal(signal.SIGKILL)
        holder.wait(STOP_SECONDS)
        executors.kill(EXECUTORS[0])
        script = f"cp $LOCK_TICKET {tmp_path}/new.json && {' '.join(words(*write))} $LOCK_TICKET"
        done("lock", second, "reports/today", "--", "sh", "-c", script, stdin=b"by the second\n")
        stale = done(*write, tmp_path / "old.json", stdin=b"late\n", code=6)
        assert b"is stale" in stale.stderr
        read = done("read", url, "reports/today", "--ticket", tmp_path / "new.json")
        assert read.stdout == b"by the second\n"
    executors.start(EXECUTORS[0])
    public = load_public_key(cluster.config.purpose_key(ATTESTATION).to_pem())
    old, new = (
        Ticket.from_json((tmp_path / f"{age}.json").read_text()).verify(public) for age in ("old", "new")
    )
    assert old.name == new.name == "reports/today"
    assert old.token < new.token


def test_the_library_waits_in_line_and_says_why_not(cluster: Cluster, executors: Executors) -> None:
    with locks(cluster, 1) as anna, locks(cluster, 2) as bert:
        with anna.lock("gate") as held:
            with pytest.raises(LockTaken, match="others hold 'gate'"):
                bert.acquire("gate", wait=0)
            with pytest.raises(LockRefused, match="already"):
                anna.acquire("gate")
            (view,) = bert.locks()
            assert (view.name, [token for _, token, _ in view.holders]) == ("gate", [held.token])
        with bert.lock("gate") as later:
            assert later.token > held.token
        with anna.lock("reading", shared=True) as one, bert.lock("reading", shared=True, wait=0) as other:
            assert one.token < other.token
            with pytest.raises(LockTaken), anna.lock("gate"), bert.lock("gate", wait=0):
                raise AssertionError
        for name in ("", "with blanks", "x" * 129, "/x", "ä"):
            with pytest.raises(LockRefused, match="a name has"):
                anna.acquire(name)


def test_the_command_line_passes_codes_on(cluster: Cluster, executors: Executors) -> None:
    folder = cluster.client_folder("client-1")
    assert done("lock", folder, "gate", "--", "sh", "-c", "exit 7", code=7).stdout == b""
    with ready("lock", folder, "gate", "-o", "json") as (holder, held):
        done("lock", cluster.client_folder("client-2"), "gate", "--wait", "0", "--", "true", code=6)
        listed = json.loads(done("list", folder, "-o", "json").stdout)
        assert listed["holders"][0] | {"expires_ms": 0} == {
            "client": "client-1",
            "token": held["token"],
            "expires_ms": 0,
        }
        holder.terminate()
        assert holder.wait(STOP_SECONDS) == 0
    assert done("list", folder).stdout == b""


def test_executors_that_end_and_come_back_remember(cluster: Cluster, executors: Executors) -> None:
    """SIGTERM to three of four, and all of them must answer afterwards: the fourth is killed."""
    with locks(cluster, 1) as anna, locks(cluster, 2) as bert:
        with anna.lock("gate") as held:
            for name in EXECUTORS[:3]:
                executors.stop(name)
                assert (cluster.member(name) / "lock.state").stat().st_size > 0
            executors.kill(EXECUTORS[3])
            executors.start(*EXECUTORS[:3])
            with pytest.raises(LockTaken):
                bert.acquire("gate", wait=0)
        with bert.lock("gate") as later:
            assert later.token > held.token
    executors.start(EXECUTORS[3])


def test_wrong_usage_is_one_line(cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = str(cluster.client_folder("client-1"))
    for arguments in (
        ["lock", folder, "gate", "--ttl", "0.1"],
        ["lock", str(tmp_path), "gate"],
        ["resource", str(tmp_path / "files"), "--key", str(tmp_path / "none.pem")],
        ["resource", str(tmp_path / "files"), "--key", "x", "--listen", "nowhere"],
        ["write", "nowhere", "gate", "--ticket", "x"],
    ):
        assert cli.run(arguments, app, PROGRAM) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["serve", "lock", "list", "resource", "write", "read"])
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"], app, PROGRAM) == 0
    text = capsys.readouterr().out
    assert f"$ {PROGRAM} {name}" in text
    assert "Exit codes" in text
