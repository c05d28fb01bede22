"""What is handed out: a wheel with the packages alone, a source distribution with all that tests need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("alliance", "consensus", "fab_paxos", "quorum", "shoup_rsa", "verifiable_log")
BESIDE = ("benchmarks", "docs", "examples", "protos", "tests")
LEFT_OUT = ("docs/reference/api/", "docs/_build/", "benchmarks/results/")
"""What is generated there, or measured."""

LISTS = """
import sys, setuptools
egg, lib = sys.argv[1:]
setuptools.setup(script_args=["-q", "egg_info", "--egg-base", egg, "build_py", "--build-lib", lib])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """What setuptools puts into the source distribution, and into the wheel."""
    egg, wheel = tmp_path_factory.mktemp("egg"), tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-c", LISTS, egg, wheel], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sources,) = egg.glob("*/SOURCES.txt")
    listed = {str(Path(line)) for line in sources.read_text().splitlines()}
    return listed, {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}


def files(*folders: str) -> set[str]:
    """Those of the source, without what Python and the tests leave behind."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    kept = {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}
    return {name for name in kept if not name.startswith(LEFT_OUT)}


def test_the_wheel_has_the_packages_whole_and_nothing_else(built: tuple[set[str], set[str]]) -> None:
    _, wheel = built
    assert wheel == files(*PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= wheel
    assert {"alliance/hostile/__main__.py", "alliance/pb/client_pb2.pyi"} <= wheel, (
        "the demo and mypy want them"
    )


def test_the_source_distribution_has_what_make_test_needs(built: tuple[set[str], set[str]]) -> None:
    sources, _ = built
    assert files(*PACKAGES, *BESIDE) <= sources
    top = {path.name for path in ROOT.iterdir() if path.is_file() and path.name != ".git"}
    assert {"Makefile", "setup.cfg", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md"} <= top & sources
    assert not {name for name in sources if name.endswith(".pyc")}
