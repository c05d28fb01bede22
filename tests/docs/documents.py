"""Reading the documentation: its files, blocks, tables, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "protos" / "README.md",
    *sorted((ROOT / "examples").glob("*/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_CODE = re.compile(r"`([^`\n]+)`")
_OPERATORS = {"|", "||", "&", "&&", ";", ";;", ">", ">>", "<", "(", ")"}


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` counts from 1."""

    document: Path
    line: int
    language: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """All fenced blocks of these languages, in all documents."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match["language"] in languages:
                indent = len(match["indent"])
                body = "".join(line[indent:] for line in match["body"].splitlines(keepends=True))
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(document, line, match["language"], body))
    return found


def prose(document: Path) -> str:
    """The text without its fenced blocks and without lines indented as code."""
    text = _FENCE.sub("", document.read_text("utf-8"))
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("    "))


def links(document: Path) -> list[str]:
    return _LINK.findall(prose(document))


def anchors(document: Path) -> set[str]:
    """The anchors that the headings of a document get on the usual forges."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(document: Path) -> Iterator[list[list[str]]]:
    """The tables of a document: rows of cells, the heading first, code marks removed."""
    rows: list[list[str]] = []
    for line in [*prose(document).splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
            if not all(set(cell) <= {"-", ":"} and cell for cell in cells):
                rows.append(cells)
        elif rows:
            yield rows
            rows = []


def table(document: Path, *heading: str) -> list[list[str]]:
    """The rows below this heading. Raises LookupError unless one table has it."""
    found = [rows[1:] for rows in tables(document) if rows[0] == list(heading)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} tables of {document.name} have the heading {heading}")
    return found[0]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """(where, arguments) of every call of a program in shell blocks, unit files and code marks."""
    found = []
    for block in blocks("sh", "ini"):
        for line in block.body.replace("\\\n", " ").splitlines():
            found += [(block.name, call) for call in _calls(program, line)]
    for document in DOCUMENTS:
        for code in _CODE.findall(prose(document)):
            if code.startswith(f"{program} ") and "->" not in code:
                found += [(f"{document.relative_to(ROOT)}: {code}", call) for call in _calls(program, code)]
    return found


def _calls(program: str, line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.replace("…", ""), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    call: list[str] | None = None
    for token in [*lexer, ";"]:
        if token in _OPERATORS:
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(token)
        elif token.rpartition("/")[2].removeprefix("ExecStart=") == program:
            call = []
