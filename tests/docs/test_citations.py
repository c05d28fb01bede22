"""Whoever cites a document of this project cites something that is there, in one form.

The form is ``docs/concepts/protocol.md, section 9.1``, with ``, step 3`` or ``, steps 3 to 6`` where the
section has numbered steps, and ``docs/development/testing.md, scenario 11`` for the scenarios. The path is
that from the root of the repository.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, table

CITATION = re.compile(
    r"(?P<path>docs/[\w/-]+\.md), "
    r"(?:section (?P<section>\d+(?:\.\d+)?)(?:, steps? (?P<steps>\d+(?: (?:to|and) \d+)?))?"
    r"|scenarios? (?P<scenarios>\d+(?: (?:to|and) \d+)?))"
)
NAMED = re.compile(r"\bdocs/[\w/-]+\.md\b")
OTHERS = re.compile(
    r'(?:RFC [\d, ]*\d|X\.690|Shoup|"Practical Threshold Signatures"|Boneh and Franklin),? sections? \d'
)
LOOSE = re.compile(
    r"\b[Ss]ections? \d|"
    r"(?<![.\w])[Pp]rotocol(?:\.md)?`?[,:] (?:\"[A-Z]|view|normal case|persist|who may|catching)|"
    r"\bprotocol\.md`?[,:]"
)
LOOSE_IN_CODE = re.compile(r"(?<!-)\b(?:[Ss]teps?|[Ss]cenarios?) \d|(?<!/)\b(?:protocol|testing)\.md[,:)]")
"""A page may count its own steps; a comment has none of its own."""


def numbers(cited: str | None) -> list[int]:
    """'3', '1 and 2' and '3 to 6' as the numbers that they stand for."""
    ends = [int(number) for number in re.findall(r"\d+", cited or "")]
    return list(range(ends[0], ends[-1] + 1)) if ends else []


def sections(document: Path) -> dict[str, set[int]]:
    """The numbers of a document's sections, each with those of its steps."""
    found: dict[str, set[int]] = {}
    for part in re.split(r"^#+ (?=\d)", document.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        own = re.split(r"^#+ ", part, flags=re.MULTILINE)[0]
        number = own.split()[0].removesuffix(".")
        found[number] = {int(step) for step in re.findall(r"^(\d+)\. ", own.partition("\n")[2], re.MULTILINE)}
    return found


def scenarios(document: Path) -> set[int]:
    return {
        int(n) for row in table(document, "scenario", "tests") for n in re.findall(r"(?:^|· )(\d+) ", row[0])
    }


def complaints(text: str, *, code: bool) -> list[str]:
    """What is cited in a text and is not there, and what is cited in another form than the one above."""
    flat = re.sub(r"\s+(?:# |// )?", " ", text)
    found = [f"{path} is missing" for path in NAMED.findall(flat) if not (ROOT / path).is_file()]
    for citation in CITATION.finditer(flat):
        document = ROOT / citation["path"]
        if not document.is_file():
            continue
        if citation["section"]:
            steps = sections(document).get(citation["section"])
            there = steps is not None and steps.issuperset(numbers(citation["steps"]))
        else:
            there = scenarios(document).issuperset(numbers(citation["scenarios"]))
        if not there:
            found.append(f"{citation[0]} is missing")
    rest = OTHERS.sub("", CITATION.sub("", flat))
    for form in (LOOSE, LOOSE_IN_CODE) if code else (LOOSE,):
        found += [
            f"cited loosely: {rest[max(0, m.start() - 30) : m.end() + 20]}" for m in form.finditer(rest)
        ]
    return found


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="which files are the project's, git knows")
def test_everything_that_is_cited_is_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.proto"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    assert len(paths) > 100
    cited = 0
    for path in paths:
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8")
        cited += len(CITATION.findall(text))
        assert complaints(text, code=path.suffix != ".md") == [], path.relative_to(ROOT)
    assert cited >= 40, "the form of a citation is still known"


def test_the_sections_of_the_protocol_are_counted_in_order() -> None:
    chapter, part, expected = 0, 0, []
    found = list(sections(ROOT / "docs/concepts/protocol.md"))
    for number in found:
        chapter, part = (chapter, part + 1) if "." in number else (chapter + 1, 0)
        expected.append(f"{chapter}.{part}" if part else str(chapter))
    assert found == expected
    assert len(found) > 15


@pytest.mark.parametrize(
    "text",
    [
        "docs/concepts/protocol.md, section 1",
        "(docs/concepts/protocol.md,\n    # section 4.1)",
        "docs/concepts/protocol.md, section 5, step 3.",
        "docs/concepts/protocol.md, section 9, steps 3 to 6",
        "docs/development/testing.md, scenarios 14 and 15",
        "docs/guides/receipts.md has more",
        "RFC 6962, section 2.1, and Shoup, section 2",
        "`--steps 0,2`; part of the protocol: a batch",
    ],
)
def test_the_form_of_a_citation(text: str) -> None:
    assert complaints(text, code=True) == []


@pytest.mark.parametrize(
    "text",
    [
        "docs/concepts/protocol.md, section 99",
        "docs/concepts/protocol.md, section 4.7",
        "docs/concepts/protocol.md, section 5, step 9",
        "docs/concepts/protocol.md, section 9, steps 3 to 9",
        "docs/concepts/protocol.md, section 1, step 1",
        "docs/development/testing.md, scenario 26",
        "docs/development/testing.md, scenarios 24 to 26",
        "docs/development/testing.md, section 10",
        "docs/missing.md, section 1",
        "docs/missing.md has more",
        "protocol, section 7",
        "(docs: protocol, section 3)",
        "Protocol, section 1.",
        "protocol section 9",
        "Protocol, view change, steps 1 and 2.",
        "protocol.md, normal case, step 1",
        "protocol.md, section 4, step 4",
        "protocol.md, view synchronisation: doubling",
        'docs/concepts/protocol.md, "Who may vote"',
        'the same rule (protocol,\n"At most once")',
        "Protocol, persist before you speak",
        "protocol, scenario 12",
        "Scenario 11: one crash",
        "half of all advisories are here (testing.md)",
        "the arguments (section 8)",
    ],
)
def test_what_is_not_there_or_cited_loosely_is_refused(text: str) -> None:
    assert complaints(text, code=True) != []
