"""Examples are what a user would write: they import alliance, or shoup_rsa, and nothing between the two."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BELOW = {"fab_paxos", "quorum", "tests"}


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: str(path.relative_to(EXAMPLES))
)
def test_an_example_imports_one_package_of_ours(path: Path) -> None:
    imported = set()
    for statement in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(statement, ast.Import):
            imported |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0
            imported.add(statement.module or "")
    packages = {name.partition(".")[0] for name in imported}
    assert not packages & BELOW
    assert not packages >= {"alliance", "shoup_rsa"}, "shoup_rsa is used on its own, or below alliance"
    assert not any(name.startswith("alliance.pb") for name in imported)
