"""The traps of keys that live: each number of the design is there once, with tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, table

PAGE = ROOT / "docs" / "development" / "key_traps.md"
LATER = "not in this version"
TRAPS = ("number", "trap", "what must hold", "tests")
FINDINGS = ("finding", "rule", "tests")


@pytest.mark.parametrize(("heading", "last", "later"), [(TRAPS, 22, set()), (FINDINGS, 12, {11})])
def test_every_number_has_its_tests(heading: tuple[str, ...], last: int, later: set[int]) -> None:
    rows = table(PAGE, *heading)
    assert [int(row[0]) for row in rows] == list(range(1, last + 1))
    assert {int(row[0]) for row in rows if row[-1] == LATER} == later
    for number, *_, tests in rows:
        for name in [] if tests == LATER else tests.split(", "):
            path, _, function = name.partition("::")
            assert f"def {function}(" in (ROOT / "tests" / path).read_text("utf-8"), f"{number}: {name}"


def test_tests_that_bear_a_number_stand_in_its_row() -> None:
    rows = {int(row[0]): row[-1] for row in table(PAGE, *TRAPS)}
    seen = 0
    for path in (
        "shoup_rsa/test_hiding.py",
        "shoup_rsa/test_key_traps.py",
        "shoup_rsa/test_composite.py",
        "alliance/keys/test_shares.py",
    ):
        for name, number in re.findall(
            r"def (test_trap_(\d\d)_\w+)\(", (ROOT / "tests" / path).read_text("utf-8")
        ):
            assert f"{path}::{name}" in rows[int(number)]
            seen += 1
    assert seen >= 20
