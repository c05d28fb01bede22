"""The site: it builds without a warning, and has every command, option and public name on it.

Skipped where Sphinx is not installed; `make docs` installs it.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from alliance.cli.app import app
from tests.docs.documents import ROOT
from tests.worlds.processes import environment

pytest.importorskip("sphinx", reason="make docs installs what builds the site")
pytest.importorskip("myst_parser", reason="make docs installs what builds the site")
pytest.importorskip("furo", reason="make docs installs what builds the site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    options = ["-E", "-W", "-n", "-q", "--keep-going", "-c", "docs", "-d", str(out / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, ".", str(out / "html")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    return out / "html"


@pytest.fixture
def extension(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of docs/_ext, by the name that a test is parametrised with."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    return importlib.import_module(request.param)


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


def every_command(command: Any, name: str = "alliance") -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from every_command(below, f"{name} {word}")


def test_every_command_and_option_is_on_the_site(site: Path) -> None:
    text = text_of(site / "docs" / "reference" / "command_line.html")
    found = dict(every_command(typer.main.get_command(app)))
    assert len(found) > 12
    for name, command in found.items():
        optional = any(parameter.param_type_name == "option" for parameter in command.params)
        _, usage, section = text.partition(f"\n{name} {'[OPTIONS]' if optional else 'COMMAND'}")
        assert usage, name
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert parameter.opts[0] in section, f"{name} {parameter.opts[0]}"


def test_every_public_name_is_on_the_site(site: Path) -> None:
    pages = {page.stem: page for page in (site / "docs" / "reference" / "api").glob("*.html")}
    assert len(pages) > 10
    for name, page in pages.items():
        module = importlib.import_module(name)
        html = page.read_text("utf-8")
        for public in set(getattr(module, "__all__", ())) - {"__version__"}:
            here = re.escape(name)
            source = getattr(getattr(module, public), "__module__", name).partition(".")[0]
            home = rf"(?:{here}\.[\w.]+|{source}\.)html#[\w.]+\.{public}"  # below, or where it comes from
            assert re.search(rf'id="{here}\.{public}"|href="{home}"', html), f"{name}.{public}"


def test_the_first_page_leads_to_the_documents(site: Path) -> None:
    (target,) = re.findall(
        r'http-equiv="refresh" content="0; url=([^"]+)"', (site / "index.html").read_text()
    )
    assert (site / target).is_file()
    assert "Read in this order" in text_of(site / target)


@pytest.mark.parametrize("extension", ["plain_docstrings"], indirect=True)
@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("a | b, *c and d_", r"a \| b, \*c and d\_"),
        ("`n` members, ``f`` faults", "``n`` members, ``f`` faults"),
        ("Layout::\n\n    a | b", "Layout\\:\n\n::\n\n        a | b"),
        ("* one\n  goes on\n* two", "* one\n  goes on\n\n* two"),
    ],
)
def test_a_docstring_is_shown_as_it_is_written(extension: ModuleType, docstring: str, shown: str) -> None:
    assert "\n".join(extension.to_rst(docstring)).strip() == shown


@pytest.mark.parametrize("extension", ["self_contained"], indirect=True)
@pytest.mark.parametrize(
    ("html", "loads"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/f.css">', True),
        ("@font-face { src: url(https://fonts.example/f.woff2) }", True),
        ('<script src="../_static/x.js"></script>', False),
        ('<a href="https://etcd.io">etcd</a>', False),
    ],
)
def test_what_is_loaded_from_another_host_is_noticed(extension: ModuleType, html: str, loads: bool) -> None:
    assert bool(extension.LOADED.search(html)) is loads
