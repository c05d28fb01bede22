"""Done, but nobody took the report: an exit code of its own, and standard error says what was done."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alliance import cli
from alliance.cli import propose
from alliance.cli.demo.cluster import free_addresses
from alliance.errors import ConfigError
from alliance.keys import folder as keys
from tests.cli.conftest import RUN_SECONDS, Result, Run
from tests.worlds.founding import cheaply
from tests.worlds.processes import PASSPHRASE, Cluster, command, environment, started

NOT_REPORTED = 9
FULL = ["sh", "-c", 'exec "$@" >/dev/full', "sh"]
CLOSED = ["sh", "-c", 'exec "$@" >&-', "sh"]
SHELLS = {"full": FULL, "closed": CLOSED}
Unheard = Callable[..., Result]


@pytest.fixture(params=["full", "closed", "gone"])
def unheard(request: pytest.FixtureRequest) -> Unheard:
    """Runs a command whose standard output is full, closed, or a pipe that nobody reads."""

    def run(*arguments: str | Path, **extra: str) -> Result:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [*SHELLS.get(request.param, []), *command(*arguments)],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=subprocess.PIPE,
                env={**environment(), **extra},
                timeout=RUN_SECONDS,
            )
        finally:
            os.close(writer)
        return Result(done.returncode, b"", done.stderr.decode())

    return run


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_ordered_says_where_on_standard_error(
    unheard: Unheard, cluster: Cluster, alliance: Run, form: str
) -> None:
    folder = cluster.client_folder("client-1")
    result = unheard("propose", folder, "told to nobody", "-o", form)
    assert result.code == NOT_REPORTED
    told = re.search(r"ordered: slot (\d+), position \d+, command 0; but this could not", result.error)
    assert told is not None, result.error
    assert ('"exit_code": 9' in result.error) == (form == "json")
    cluster.await_level(*cluster.names)
    heard = alliance("listen", folder, "--from", told[1], "--count", "1")
    assert heard.out == b"told to nobody\n"


def test_a_receipt_that_cannot_be_kept_does_not_hide_the_place(
    inside: Run, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise ConfigError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr(propose, "write_file", full)
    result = inside("propose", cluster.client_folder("client-1"), "x", "--receipt", tmp_path / "r.json")
    assert result.code == NOT_REPORTED
    assert result.text.startswith("ordered: slot ")
    assert "receipt" not in result.text
    assert "ordered: slot " in result.error
    assert "No space left" in result.error


def test_a_changed_passphrase(unheard: Unheard, home: Cluster) -> None:
    folder = home.client_folder("client-1")
    result = unheard("rekey", folder, ALLIANCE_NEW_PASSPHRASE="mine alone")
    assert result.code == NOT_REPORTED
    assert "2 key files of client-1 open with the new passphrase only; but" in result.error
    keys.load_credentials(folder, home.config.clients[0], b"mine alone")


def test_an_exported_receipt_and_a_checked_one(unheard: Unheard, cluster: Cluster, tmp_path: Path) -> None:
    receipt = tmp_path / "r.json"
    with cluster.client("client-1") as client:
        receipt.write_text(client.propose(b"x").to_json())
    parts = [tmp_path / "M.bin", tmp_path / "S.bin"]
    key = ("--key", cluster.folder / "public.pem")
    exported = unheard("receipt", "export", receipt, "--message", parts[0], "--signature", parts[1], *key)
    assert exported.code == NOT_REPORTED
    assert f"{parts[0]} and {parts[1]} are written; but" in exported.error
    assert all(part.stat().st_size for part in parts)
    # Nothing was done but to report: that has failed then, unless the reader was content.
    checked = unheard("verify", *key, receipt)
    if "Bad file" in exported.error or "No space" in exported.error:
        assert (checked.code, checked.error[:10]) == (1, "alliance: ")
    else:
        assert (checked.code, checked.err) == (0, "")


def test_a_reader_that_goes_early_has_read_enough(cluster: Cluster, founded: Cluster) -> None:
    """Whether its going is noticed, too, is a matter of timing: the exit code is not."""
    folder = cluster.client_folder("client-1")
    for arguments, code in (
        (("listen", folder), 0),
        (("listen", folder, "-o", "json"), 0),
        (("status", folder), 0),
        (("status", founded.client_folder("client-1")), 5),
    ):
        reader, writer = os.pipe()
        os.close(reader)
        with started(command(*arguments), stdout=writer, env=environment()) as listing:
            os.close(writer)
            assert listing.stderr is not None
            said = listing.stderr.read()
            assert listing.wait(RUN_SECONDS) == code
        assert len(said.splitlines()) == (1 if code else 0), said


class _Full(io.TextIOBase):
    """Standard output on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_new_alliance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", PASSPHRASE)
    with cheaply(), monkeypatch.context() as bent:
        bent.setattr(sys, "stdout", _Full())
        bent.setattr(sys, "stderr", said)
        code = cli.run(["init", str(tmp_path / "farm")])
    assert code == NOT_REPORTED
    assert said.getvalue() == (
        f"alliance: 'alliance' is created in {tmp_path / 'farm'}; but this could not be reported:"
        " No space left on device\n"
    )
    assert (tmp_path / "farm" / "alliance.toml").exists()


@pytest.mark.parametrize("shell", [FULL, CLOSED], ids=["full", "closed"])
def test_a_server_lives_though_nobody_hears_that_it_listens(home: Cluster, shell: list[str]) -> None:
    (address,) = free_addresses(1)
    serving = command("serve", home.member("member-1"), "--listen", address)
    with started([*shell, *serving], env=environment()) as server:
        assert server.stderr is not None
        assert any(b"standard output does not take it" in line for line in server.stderr)
        server.send_signal(signal.SIGTERM)
        server.stderr.read()
        assert server.wait(RUN_SECONDS) == 0


def test_talk_that_nobody_hears_changes_nothing(cluster: Cluster) -> None:
    proposing = command("propose", cluster.client_folder("client-1"), "x")
    for redirection in ("2>/dev/full", "2>&-", "<&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirection}', "sh", *proposing],
            stdout=subprocess.PIPE,
            env=environment(),
            timeout=RUN_SECONDS,
        )
        assert done.returncode == 0, redirection
        assert done.stdout.startswith(b"ordered: slot ")
