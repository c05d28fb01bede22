"""The site loads nothing from elsewhere: a script, style, font or picture of another host fails the build."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?![^>]*rel=[\"']canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|(?:url\(|@import )[\"']?(?:https?:)?//[^)\s]+"
)


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for match in LOADED.finditer(path.read_text("utf-8")):
                raise ExtensionError(f"{path.relative_to(app.outdir)} loads from another host: {match[0]}")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
