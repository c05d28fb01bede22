"""The examples in the documents are run; shell lines that need a person are at least read."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from alliance.cli.app import app
from alliance.proofs.receipt import Receipt
from tests.docs.conftest import Archive
from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, commands, prose
from tests.worlds.executors import Executors, give_addresses
from tests.worlds.processes import Cluster, environment

CALLS = commands("alliance")


@pytest.mark.parametrize(("where", "arguments"), CALLS, ids=[f"{n}-{w}" for n, (w, _) in enumerate(CALLS)])
def test_a_shell_example_names_commands_and_options_that_exist(where: str, arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    given: set[str] = set()
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        subcommands = getattr(command, "commands", {})
        if word.startswith("-") and word != "-":
            option = next((p for p in command.params if word in (*p.opts, *p.secondary_opts)), None)
            assert option is not None or word in ("--help", "-h"), f"{where}: no option {word}"
            if option is not None and not option.is_flag:
                assert waiting, f"{where}: {word} lacks its value"
                waiting.pop(0)
            given.add(word)
        elif subcommands:
            assert word in subcommands, f"{where}: no command {word}"
            command, given = subcommands[word], set()
    if where.endswith(tuple("0123456789")):  # a line of a block is complete, a mention in a sentence is not
        for parameter in command.params:
            if parameter.required and parameter.param_type_name == "option":
                assert given & set(parameter.opts), f"{where}: {parameter.opts} is missing"


def test_there_are_shell_examples_of_every_command() -> None:
    root: Any = typer.main.get_command(app)
    shown = {arguments[0] for _, arguments in CALLS if arguments}
    assert set(root.commands) - {"demo"} <= shown


def test_the_make_targets_that_are_mentioned_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        named = set(re.findall(r"`make ([a-z-]+)`", prose(document)))
        named |= set(re.findall(r"^    make ([a-z-]+)", text, re.M))
        assert named <= targets


def test_the_tests_that_are_named_as_evidence_exist() -> None:
    named = [path for document in DOCUMENTS for path in re.findall(r"pytest (tests/\S+?)`", prose(document))]
    assert len(named) >= 5
    for path in named:
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("document", ["development/planted_bugs.md", "concepts/promises.md"])
def test_the_tests_that_are_named_by_their_functions_exist(document: str) -> None:
    """Those that found planted bugs, and those of what is promised."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    named = set(re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", text))
    assert len(named) > 50
    for path, name in named:
        held = (ROOT / "tests" / path).read_text("utf-8")
        assert not name or f"def {name}(" in held, f"{path}::{name}"


def test_every_promise_names_its_test() -> None:
    text = (ROOT / "docs" / "concepts" / "promises.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and line != "| promise | test |"]
    assert len(rows) > 30
    assert [row for row in rows if "`" not in row.rstrip("| ").rpartition("| ")[2]] == []


# -- receipts.md, which needs no server --------------------------------------------------------------


def test_the_shell_examples_of_receipts_md_do_what_they_say(archive: Archive, tmp_path: Path) -> None:
    receipt = archive.at(3, 4, 1)
    (tmp_path / "farm").mkdir()
    (tmp_path / "farm" / "public.pem").write_bytes(archive.public_pem)
    (tmp_path / "receipt.json").write_text(receipt.to_json())
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    output = ""
    for block in blocks("sh"):
        if block.document.name == "receipts.md":
            done = shell(block.body, tmp_path)
            assert done.returncode == 0, f"{block.name}: {done.stderr}"
            output += done.stdout
    assert 'proven: "slot 3, submission 4, command 1"' in output
    assert "verified: slot 3, position 4, command 1: b'slot 3, submission 4, command 1'\n" in output
    assert "\nVerified OK\n" in output
    assert receipt.key_fingerprint in output
    assert (tmp_path / "M.bin").read_bytes() == receipt.message


# -- against real servers ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An alliance of six in a folder ``farm``, all of them serving."""
    with Cluster.found(tmp_path_factory.mktemp("examples") / "farm") as cluster:
        give_addresses(cluster, "kv")
        (cluster.folder.parent / "examples").symlink_to(ROOT / "examples")
        cluster.start()
        yield cluster


def test_the_examples_of_the_readme_do_what_they_say(running: Cluster) -> None:
    """In the order in which they stand there, as a reader would."""
    folder = running.folder.parent
    here = [block for block in blocks("python", "sh") if block.document.name == "README.md"]
    asynchronous, synchronous = (block for block in here if block.language == "python")
    assert python(asynchronous, folder) == "ordered at slot 1\n1 client-1 b'open the gate'\n"
    assert python(synchronous, folder) == "2 client-2 b'close the gate'\n"
    assert Receipt.from_json((folder / "receipt.json").read_bytes()).command == b"close the gate"
    (by_shell,) = (block for block in here if "alliance listen" in block.body)
    done = shell(by_shell.body, folder)
    assert done.returncode == 0, done.stderr
    assert _without_digests(done.stdout) == _without_digests(_shown_after(by_shell))


@pytest.mark.parametrize(
    "block",
    [block for block in blocks("python") if block.document.name not in ("README.md", "tutorial.md")],
    ids=lambda block: block.name,
)
def test_the_python_examples_run(running: Cluster, block: Block) -> None:
    output = python(block, running.folder.parent)
    for expected in re.findall(r"print\(.*\)  # (\(.*\))$", block.body, re.M):
        assert expected in output
    if "health" in block.body:
        assert output == "".join(f"{name} SERVING\n" for name in running.names)


def test_the_tutorial_does_what_it_says(running: Cluster, tmp_path: Path) -> None:
    store, test, client = (block for block in blocks("python") if block.document.name == "tutorial.md")
    (tmp_path / "store.py").write_text(store.body)
    (tmp_path / "test_store.py").write_text(test.body)
    done = shell("python -m pytest -q -p no:cacheprovider test_store.py", tmp_path)
    assert "1 passed" in done.stdout, done.stdout
    (serve,) = (block for block in blocks("sh") if block.document.name == "tutorial.md")
    assert "for number in 1 2 3;" in serve.body
    with Executors(running, "examples.kv") as executors:
        executors.start("member-1", "member-2", "member-3")
        assert python(client, running.folder.parent) == "b'\"green\"'\n"
        asked = shell("python -m examples.kv get farm/clients/client-1 colour", running.folder.parent)
        assert json.loads(asked.stdout)["value"] == "green", asked.stderr


def test_the_readmes_of_the_examples_do_what_they_say(running: Cluster) -> None:
    """The lock service's own tests run its services, and a program that holds a lock."""
    (broadcast,) = (b for b in blocks("sh") if b.document == ROOT / "examples" / "broadcast" / "README.md")
    done = shell(broadcast.body, running.folder.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the gate is open"
    (locks,) = (b for b in blocks("sh") if b.document == ROOT / "examples" / "lock_service" / "README.md")
    for line in (*broadcast.body.splitlines(), *locks.body.splitlines()):
        assert "python -m examples." in line


def test_the_lines_of_the_demo_are_those_that_it_prints() -> None:
    """Each is one of its sentences, with names and figures put in; the demo itself is run by tests/cli."""
    (shown,) = (b.body for b in blocks("text") if b.document == ROOT / "README.md" and b.body.startswith("✓"))
    lines = [line.removeprefix("✓ ") for line in shown.splitlines()]
    assert len(lines) == 8
    sentences = [
        sentence
        for path in (ROOT / "alliance" / "cli" / "demo").glob("*.py")
        for sentence in _sentences(ast.parse(path.read_text("utf-8")))
    ]
    for line in lines:
        assert any(re.fullmatch(sentence, line) for sentence in sentences), line
    assert not any(re.fullmatch(sentence, "all 5 praise member-2: yes") for sentence in sentences)


def _sentences(module: ast.Module) -> Iterator[str]:
    """The texts of a module as patterns, open where values are put in; none that is hardly any text."""
    for node in ast.walk(module):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        words = [str(part.value) if isinstance(part, ast.Constant) else None for part in parts]
        if sum(len(word or "") for word in words) >= len("openssl: "):
            yield "".join(".+" if word is None else re.escape(word) for word in words)


def python(block: Block, folder: Path) -> str:
    """Runs a block as a program; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", block.body],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{block.name}: {done.stderr}"
    return done.stdout


def _shown_after(block: Block) -> str:
    """The output that a document shows for a block: the next one of text."""
    return next(b.body for b in blocks("text") if b.document == block.document and b.line > block.line)


def _without_digests(text: str) -> str:
    """On one line, because documents are wrapped; and without the time at which it was run."""
    line = re.sub(r"[0-9a-f]{16}…", "0…", " ".join(text.split()))
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC", "then", line)


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs shell lines as a reader would, with this environment's programs first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**environment(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
