"""Bugs, planted one at a time: small wrong versions of the product that its tests must find.

A bug is a place and an exchange of a few words of its source, so that it lives here and not in the product.
When the code has changed and the words are no longer there, planting fails and says so.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any


class NotPlanted(RuntimeError):
    """The place or the words of a bug are not in the code."""


@dataclass(frozen=True)
class Edit:
    """In the source of ``where`` ("module:Class.method" or "module:function") some words become others."""

    where: str
    exchanges: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bug:
    """``part`` says who searches for it (``finder.SEARCHES``). ``harmless``: why nothing finds it."""

    name: str
    part: str
    edits: tuple[Edit, ...]
    harmless: str = ""


def at(where: str, old: str, new: str, *more: str) -> Edit:
    """``more`` are further pairs of old and new words in the same place."""
    words = (old, new, *more)
    return Edit(where, tuple(zip(words[::2], words[1::2], strict=True)))


@contextmanager
def in_place(bug: Bug) -> Iterator[None]:
    """The product with this bug. Raises NotPlanted."""
    with ExitStack() as stack:
        for edit in bug.edits:
            function = _function(edit.where)
            # It stays the same object: whoever imported it, or keeps it in a table, has the bug, too.
            stack.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = _altered(function, edit)
        yield


def _function(where: str) -> FunctionType:
    module_name, _, path = where.partition(":")
    held: Any = import_module(module_name)
    try:
        for name in path.split("."):
            held = vars(held)[name]
    except KeyError:
        raise NotPlanted(f"there is no {where}") from None
    match held:
        case property():
            held = held.fget
        case cached_property():
            held = held.func
        case classmethod() | staticmethod():
            held = held.__func__
    held = inspect.unwrap(held)
    if not isinstance(held, FunctionType):
        raise NotPlanted(f"{where} is no function")
    return held


def _altered(function: FunctionType, edit: Edit) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in edit.exchanges:
        if source.count(old) != 1:
            raise NotPlanted(f"{edit.where} has {source.count(old)} times, not once: {old}")
        source = source.replace(old, new)
    tree = ast.parse(source)
    (definition,) = tree.body
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        raise NotPlanted(f"{edit.where} is no plain function")
    definition.decorator_list.clear()
    names: dict[str, Any] = {}
    flags = sys.modules["__future__"].annotations.compiler_flag
    code = compile(tree, f"<planted in {edit.where}>", "exec", flags=flags, dont_inherit=True)
    exec(code, function.__globals__, names)  # noqa: S102
    altered: CodeType = names[definition.name].__code__
    return altered
