"""A page for each public package, and links to it from signatures.

The packages are those that docs/reference/api.md lists. Types in signatures lead to the door through which a
program imports them; other types are plain text, and so is a link to a folder of the sources.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from docutils.nodes import Element, document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment

_LISTED = re.compile(r"^   ([a-z_.]+)$", re.MULTILINE)


def _write_pages(app: Sphinx) -> None:
    """One page for each listed package: what it defines, or what its ``__all__`` lists."""
    reference = Path(app.confdir) / "reference"
    (reference / "api").mkdir(exist_ok=True)
    for name in _LISTED.findall((reference / "api.md").read_text("utf-8")):
        imported = "   :imported-members:\n" if hasattr(importlib.import_module(name), "__all__") else ""
        directive = f".. automodule:: {name}\n   :members:\n{imported}"
        text = f"{name}\n{'=' * len(name)}\n\n{directive}"
        page = reference / "api" / f"{name}.rst"
        if not page.exists() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")


def _door(domain: PythonDomain, target: str) -> str | None:
    """The documented name of what is written as alliance.client.client.Client, or as Client alone."""
    last = target.rpartition(".")[2]
    named = [name for name in domain.objects if name.rpartition(".")[2] == last]
    return min(named, key=len) if named and (len(named) == 1 or _same(named)) else None


def _same(names: list[str]) -> bool:
    def found(name: str) -> object:
        module, _, attribute = name.rpartition(".")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError):
            return name

    return all(found(name) is found(names[0]) for name in names)


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    if node.get("refdomain") == "py":
        domain = env.domains.python_domain
        door = _door(domain, node["reftarget"])
        if door is None:
            return content
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", door, node, content)
    return None


def _unlink_folders(app: Sphinx, doctree: document) -> None:
    page = Path(app.env.doc2path(app.env.docname))
    for node in list(doctree.findall(pending_xref)):
        if node.get("reftype") == "myst" and (page.parent / node["reftarget"]).is_dir():
            node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write_pages)
    app.connect("doctree-read", _unlink_folders)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
