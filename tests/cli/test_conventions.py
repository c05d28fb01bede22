"""What all commands have in common: help that teaches, JSON errors, exit codes, speed, and quiet ends."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alliance.cli import wants_json
from alliance.cli.output import shown
from alliance.version import VERSION
from tests.cli.conftest import RUN_SECONDS, Run
from tests.worlds.processes import Cluster, command, environment, started

COMMANDS = [
    "demo",
    "init",
    "request",
    "join",
    "ceremony plan",
    "ceremony deal",
    "ceremony open",
    "ceremony finish",
    "serve",
    "status",
    "propose",
    "listen",
    "verify",
    "verify-evidence",
    "receipt export",
    "rekey",
    "renew",
    "change address",
    "change policy",
    "change approve",
    "change abort",
    "change propose",
    "change simulate",
    "change show",
    "client add",
    "client remove",
    "client rotate",
    "client limit",
    "member add",
    "member replace",
    "member remove",
    "member resize",
    "member suspend",
    "member reinstate",
    "operator key",
    "operator add",
    "operator rotate",
    "operator remove",
    "refresh",
    "epochs",
    "sign jwt",
    "sign x509",
    "sign ca",
    "sign ssh",
    "sign serve",
    "sign audit",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_by_examples_and_lists_the_exit_codes(inside: Run, name: str) -> None:
    result = inside(*name.split(), "--help")
    assert result.code == 0
    assert f"$ alliance {name}" in result.text
    assert "Exit codes" in result.text
    assert "--output" in result.text


def test_help_lists_every_command(inside: Run) -> None:
    result = inside("--help")
    assert result.code == 0
    assert all(f"│ {name.split()[0]} " in result.text for name in COMMANDS)
    assert "interrupted" in result.text


def test_no_command_at_all_shows_the_help_and_is_an_error(inside: Run) -> None:
    result = inside()
    assert result.code == 2
    assert "Usage" in result.text


def test_version(inside: Run) -> None:
    assert inside("--version").text == f"alliance {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'; see 'alliance --help'"),
        (["init"], "Missing argument 'DIR'; see 'alliance init --help'"),
        (["listen", "x", "--from", "0"], "'--from'"),
        (["verify", "r.json"], "Missing option '--key'"),
        (["verify-evidence", "e.json"], "Missing option '--alliance'"),
        (["status", "x", "-o", "xml"], "xml"),
        (["serve", "x", "--frob"], "--frob"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(inside: Run, arguments: list[str], says: str) -> None:
    result = inside(*arguments)
    assert (result.code, result.out) == (2, b"")
    assert result.error.startswith("alliance: ")
    assert says in result.error


def test_errors_are_json_when_json_was_asked_for_even_if_the_arguments_do_not_parse(inside: Run) -> None:
    for arguments in (["status", "nowhere", "-o", "json"], ["init", "--output=json"]):
        result = inside(*arguments)
        error = json.loads(result.error)
        assert (result.code, result.out) == (2, b"")
        assert error["exit_code"] == 2
        assert error["error"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("status x -o json", True),
        ("status x -ojson", True),
        ("status x --output json", True),
        ("-o json", True),
        ("status x -o text", False),
        ("status x -o", False),
        ("propose x -- -o json", False),
        ("", False),
    ],
)
def test_json_is_recognised_in_raw_arguments(arguments: str, expected: bool) -> None:
    assert wants_json(arguments.split()) is expected


@pytest.mark.parametrize(
    ("arguments", "waits_not_for"),
    [
        (["--help"], "grpc cryptography shoup_rsa alliance.config.file"),
        (["verify", "--key", "none.pem", "none.json"], "grpc alliance.server.server"),
        (["verify-evidence", "e.json", "--alliance", "none"], "grpc alliance.server.server"),
    ],
)
def test_help_and_verification_are_quick(arguments: list[str], waits_not_for: str) -> None:
    program = (
        "import sys; from alliance.cli import run; run(sys.argv[1:]);"
        f" sys.exit(not sys.modules.keys().isdisjoint({waits_not_for.split()}))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_program_beside_a_clone_finds_the_package_and_not_the_clones_folder(tmp_path: Path) -> None:
    (tmp_path / "alliance").mkdir()
    (tmp_path / "program.py").write_text("import alliance; alliance.connect")
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_nobody_reads_any_more_and_nobody_complains(cluster: Cluster, alliance: Run) -> None:
    folder = cluster.client_folder("client-1")
    # More than a pipe holds, so that the writer surely finds it closed.
    assert alliance("propose", folder, "-", stdin=b"x" * 100_000 + b"\n" + b"y" * 100_000).code == 0
    with started(command("listen", folder), env=environment()) as reader:
        reader.stdout.read(1)
        reader.stdout.close()
        assert reader.wait(RUN_SECONDS) == 0
        assert reader.stderr.read() == b""


HARMFUL = b"\x1b]0;owned\x07\x1b[2J\nforged line\r\x9b31m \xe2\x80\xae\xff \\ gr\xc3\xbcn"
HARMLESS = r"\x1b]0;owned\x07\x1b[2J\nforged line\r\x9b31m \u202e\xff \ gr\u00fcn".replace(
    r"\u00fc", "\u00fc"
)


def test_a_terminal_is_not_driven_by_the_commands_of_others(cluster: Cluster, alliance: Run) -> None:
    with cluster.client("client-2") as client:
        slot = client.propose(HARMFUL).slot
    cluster.await_level(*cluster.names)
    arguments = ("listen", cluster.client_folder("client-1"), "--from", str(slot), "--count", "1")
    assert alliance(*arguments).out == HARMFUL + b"\n"
    controller, terminal = pty.openpty()
    utf8 = {"PYTHONIOENCODING": "utf-8"}
    with started(command(*arguments), stdout=terminal, env=environment() | utf8) as listener:
        os.close(terminal)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the other side has ended
            while part := os.read(controller, 4096):
                seen += part
        assert listener.wait(RUN_SECONDS) == 0
    os.close(controller)
    assert seen.decode() == HARMLESS + "\r\n"


@pytest.mark.parametrize(
    "starter", [[], ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]], ids=["heard", "ignored"]
)
def test_interruption_is_one_line_and_exit_code_130(
    cluster: Cluster, alliance: Run, starter: list[str]
) -> None:
    """Also where SIGINT was ignored at the start, as it is in a background job of a script."""
    folder = cluster.client_folder("client-1")
    place = json.loads(alliance("propose", folder, "something to hear", "-o", "json").text)
    listening = command("listen", folder, "--follow", "--from", str(place["last_slot"]))
    with started([*starter, *listening], env=environment()) as listener:
        listener.stdout.read(1)
        listener.send_signal(signal.SIGINT)
        _, said = listener.communicate(timeout=RUN_SECONDS)
    assert (listener.returncode, said) == (130, b"alliance: interrupted\n")


@pytest.mark.parametrize(
    ("command_bytes", "expected"),
    [
        (b"open the gate", '"open the gate"'),
        (b"", '""'),
        (b'say "no"\\', r'"say \"no\"\\"'),
        (b"\x1b[31mred\x07", r'"\x1b[31mred\x07"'),
        (b"a\nb", r'"a\nb"'),
        ("grün €".encode(), '"grün €"'),
        ("\u202eevil".encode(), r'"\u202eevil"'),
        (b"\xff\xfe", r'"\xff\xfe"'),
        (b"x" * 72, '"' + "x" * 72 + '"'),
        (b"x" * 1000, '"' + "x" * 72 + '"… (1,000 bytes)'),
    ],
)
def test_commands_are_shown_so_that_they_cannot_harm_a_terminal(command_bytes: bytes, expected: str) -> None:
    assert shown(command_bytes) == expected
