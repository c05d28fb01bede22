"""Packages above alliance bring commands and demos of their own, by entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from alliance.cli import plugins
from tests.cli.conftest import Run
from tests.worlds.processes import environment

MODULE = """
from dataclasses import dataclass
import typer
from alliance.cli.demo.run import Figures, Run

app = typer.Typer()

@app.command(help="Greet somebody.")
def greet(whom: str) -> None:
    print(f"hello, {whom}")

@dataclass
class ShortFigures(Figures):
    PARTS = ("servers", "openssl")

class Short(Run):
    def __init__(self, *made):
        super().__init__(*made)
        self.figures = ShortFigures(len(self.names), self.config.system.faulty_max)

    async def live(self, first, second):
        self.receipts.append(await first.propose(b"brought from outside"))

"""
# The command line, but what it founds is founded at once.
CHEAPLY = """
from alliance.cli import main
from tests.worlds.founding import cheaply
with cheaply():
    main()
"""
ENTRIES = """
[alliance.commands]
greet = brought_module:app
broken = brought_module:nothing

[alliance.demos]
short = brought_module:Short
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package that offers a command, a broken one, and a demo."""
    (tmp_path / "brought_module.py").write_text(MODULE)
    info = tmp_path / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return tmp_path


def alliance(
    site: Path, *arguments: str, program: Sequence[str] = ("-m", "alliance")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_command_of_another_package_is_one_of_alliance(site: Path) -> None:
    done = alliance(site, "greet", "world")
    assert (done.returncode, done.stdout) == (0, "hello, world\n")
    listed = alliance(site, "--help")
    assert listed.returncode == 0
    assert "Greet somebody." in listed.stdout
    assert "Cannot be loaded." in listed.stdout
    assert "Usage: alliance greet" in alliance(site, "greet", "--help").stdout


def test_a_command_that_cannot_be_loaded_says_so_in_one_line(site: Path) -> None:
    done = alliance(site, "broken")
    assert done.returncode == 2
    assert done.stderr.startswith("alliance: 'broken' of the package brought cannot be loaded")
    assert done.stderr.count("\n") == 1


def test_own_commands_do_not_look_for_others(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That reads the metadata of every installed package: 30 ms in each command."""
    looked: list[str] = []
    monkeypatch.setattr(plugins, "_entries", lambda group: looked.append(group) or ())
    assert inside("verify", "--help").code == 0
    assert not looked
    assert inside("frobnicate").code == 2
    assert looked == [plugins.COMMANDS]


def test_a_demo_of_another_package_runs_on_an_alliance_made_for_it(site: Path) -> None:
    done = alliance(site, "demo", "short", "-o", "json", program=("-c", CHEAPLY))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["openssl"] is True


def test_an_unknown_demo_tells_which_there_are(site: Path) -> None:
    done = alliance(site, "demo", "long")
    assert done.returncode == 2
    assert "no installed package has a demo 'long'; there is: short" in done.stderr


def test_the_options_of_the_own_demo_are_not_for_others(site: Path) -> None:
    assert "belong to the demo without a name" in alliance(site, "demo", "short", "--attack", "slow").stderr
