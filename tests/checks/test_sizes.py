"""Nothing is too long to be read at one go, and the top floor of alliance holds doors alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("alliance", "consensus", "fab_paxos", "quorum", "shoup_rsa", "verifiable_log", "examples")
MODULE_LINES_MAX, FUNCTION_LINES_MAX = 350, 70
MODULES = sorted(
    path.relative_to(ROOT)
    for package in PRODUCT
    for path in (ROOT / package).rglob("*.py")
    if "pb" not in path.relative_to(ROOT).parts
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_and_no_function_is_too_long(module: Path) -> None:
    text = (ROOT / module).read_text("utf-8")
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {f.name for f in functions if (f.end_lineno or 0) - f.lineno >= FUNCTION_LINES_MAX}
    assert not too_long


def test_the_top_floor_of_alliance_holds_doors_alone() -> None:
    assert {path.stem for path in (ROOT / "alliance").glob("*.py")} == {
        "__init__",
        "__main__",
        "errors",
        "sync",
        "version",
    }
