"""The architecture of this package, as a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import shoup_rsa

SOURCES = sorted(Path(shoup_rsa.__file__).parent.rglob("*.py"))
FORBIDDEN = {
    "asyncio",
    "time",
    "random",
    "socket",
    "threading",
    "logging",
    "grpc",
    "google",
    "alliance",
}
ONLY_IN = {
    "gmpy2": {"numbers", "powers", "products"},
    "ctypes": {"libcrypto"},
    "sympy": set(),
    "secrets": {"_entropy"},
    "os": {"_entropy"},  # to notice a fork
    "Crypto": {"public_key", "storage"},
    "cryptography": {"private_key"},
    "jwt": set(),
    "shoup_rsa.private_key": set(),  # the door that needs cryptography, and is opened by its own name
}


def imported(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add((node.module or "").split(".")[0])
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_module_meets_no_world_and_stays_small(source: Path) -> None:
    names = imported(source)
    assert not names & FORBIDDEN
    for name, modules in ONLY_IN.items():
        assert name not in names or source.stem in modules, f"{name} is imported in {source.stem}"
    text = source.read_text()
    assert text.count("\n") < 300
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), "safety checks raise: python -O drops assertions"
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 70, f"{node.name} is too long"
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_one_door() -> None:
    assert shoup_rsa.__all__ == sorted(shoup_rsa.__all__)
    for name in shoup_rsa.__all__:
        assert hasattr(shoup_rsa, name)
    assert "Protocol 1: s_i = f(i). Protocol 2: s_i = f(i) / Delta" in (shoup_rsa.__doc__ or "")
    assert (Path(shoup_rsa.__file__).parent / "py.typed").exists()
