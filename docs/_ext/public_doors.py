"""A page for each public package, and links to it from signatures.

The packages are those that docs/reference/api.md lists. Types in signatures lead to the door through which a
program imports them; other types are plain text, and so is a link to a folder of the sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module as _module
from pathlib import Path
from types import FunctionType

from docutils.nodes import Element, document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment

_LISTED = re.compile(r"^   ([a-z_.]+)$", re.MULTILINE)


def _write_pages(app: Sphinx) -> None:
    """One page for each listed package: what its ``__all__`` lists, or all that it defines."""
    reference = Path(app.confdir) / "reference"
    (reference / "api").mkdir(exist_ok=True)
    names = _LISTED.findall((reference / "api.md").read_text("utf-8"))
    for name in names:
        text = "\n\n".join(_directives(name, names)) + "\n"
        page = reference / "api" / f"{name}.rst"
        if not page.exists() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")


def _directives(name: str, names: list[str]) -> Iterator[str]:
    """The page of one package; what another one lists as well, below it or where it comes from, is linked."""
    module = _module(name)
    public = [each for each in getattr(module, "__all__", ()) if not each.startswith("__")]
    yield f"{name}\n{'=' * len(name)}"
    yield f".. automodule:: {name}" + ("" if public else "\n   :members:")
    for each in public:  # by name, since some are imported only when they are asked for
        thing = getattr(module, each)
        source = getattr(thing, "__module__", "").partition(".")[0]
        homes = [
            n for n in names if n.startswith(f"{name}.") or (n == source and n != name.partition(".")[0])
        ]
        homes = [n for n in homes if thing is getattr(_module(n), each, None)]
        if homes:
            yield f":py:obj:`{name}.{each} <{homes[0]}.{each}>`"
        elif isinstance(thing, FunctionType):
            yield f".. autofunction:: {name}.{each}"
        elif not isinstance(thing, type):
            yield f".. autodata:: {name}.{each}"
        elif issubclass(thing, BaseException):
            yield f".. autoexception:: {name}.{each}\n   :members:\n   :show-inheritance:"
        else:
            yield f".. autoclass:: {name}.{each}\n   :members:"


def _door(domain: PythonDomain, target: str) -> str | None:
    """The documented name of what is written as alliance.client.client.Client, or as Client alone."""
    last = target.rpartition(".")[2]
    named = [name for name in domain.objects if name.rpartition(".")[2] == last]
    return min(named, key=len) if named and (len(named) == 1 or _same(named)) else None


def _same(names: list[str]) -> bool:
    def found(name: str) -> object:
        module, _, attribute = name.rpartition(".")
        try:
            return getattr(_module(module), attribute)
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
