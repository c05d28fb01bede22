"""Docstrings are plain text with `code` and indented examples; Sphinx reads reStructuredText.

What would mean something else there is escaped, so a docstring is shown as it is written and cannot break the
build.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx

_CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
_MARKUP = re.compile(r"([\\*_|<>:])")
_ITEM = re.compile(r"(?:[*-]|\d+\.) ")
_RULE = re.compile(r"[-=]{3,}")


def to_rst(docstring: str) -> list[str]:
    """The lines of a docstring, which begin at its margin, as reStructuredText that shows the same."""
    lines: list[str] = []
    paragraphs = [
        list(group) for blank, group in groupby(docstring.splitlines(), lambda s: not s.strip()) if not blank
    ]
    for paragraph in paragraphs:
        if _is_code(paragraph):
            lines += ["::", "", *(f"    {line}" for line in paragraph)]
        elif len(paragraph) > 1 and _RULE.fullmatch(paragraph[1]):
            lines += [f"**{paragraph[0]}**", *_code_or_text(paragraph[2:])]
        else:
            lines += _text(paragraph)
        lines.append("")
    return lines


def _is_code(paragraph: list[str]) -> bool:
    return all(line.startswith((" ", "::")) for line in paragraph)


def _code_or_text(paragraph: list[str]) -> list[str]:
    """What stands directly below an underlined heading: items, or columns of words."""
    if not paragraph:
        return []
    if _ITEM.match(paragraph[0]):
        return ["", *_text(paragraph)]
    return ["", "::", "", *(f"    {line}" for line in paragraph)]


def _text(paragraph: list[str]) -> list[str]:
    """A paragraph, or a list whose items may go over several lines."""
    lines: list[str] = []
    for line in paragraph:
        item = _ITEM.match(line)
        if item and lines:
            lines.append("")
        mark = item[0] if item else ""
        lines.append(mark + _escape(line[len(mark) :]))
    return lines


def _escape(line: str) -> str:
    """Everything outside of code is only text; a paragraph that ends with two colons keeps one of them."""
    parts = _CODE.split(re.sub(r"::$", ":", line))
    return "".join(
        f"``{part.strip('`')}``" if _CODE.fullmatch(part) else _MARKUP.sub(r"\\\1", part) for part in parts
    )


def _process(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = to_rst("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
