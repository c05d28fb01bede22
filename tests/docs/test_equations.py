"""Beside each equation of the signature scheme stands a function that is there."""

from __future__ import annotations

from functools import reduce
from importlib import import_module

import pytest

from tests.docs.documents import ROOT, table

PAGE = ROOT / "docs" / "reference" / "shoup_rsa.md"


@pytest.mark.parametrize("kind", ["the paper", "Protocol 3", "a redistribution", "a composite key"])
def test_the_functions_of_the_equations_are_in_their_modules(kind: str) -> None:
    rows = table(PAGE, "step", f"equation of {kind}", "function", "module")
    assert len(rows) >= 5
    for step, equation, functions, module in rows:
        assert equation
        for name in functions.split(", "):
            found = reduce(getattr, name.split("."), import_module(module))
            assert found is not None, step
