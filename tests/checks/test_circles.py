"""No circle of imports, not even one for types alone: each module can be read with what lies below it."""

from __future__ import annotations

from collections.abc import Iterator

import grimp
import pytest

PACKAGES = ("alliance", "consensus", "fab_paxos", "quorum", "shoup_rsa", "verifiable_log")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_of_a_package_import_each_other_in_one_direction(
    graph: grimp.ImportGraph, package: str
) -> None:
    own = {module for module in graph.modules if module.partition(".")[0] == package}
    arrows = {module: graph.find_modules_directly_imported_by(module) & own for module in own}
    assert list(circles(arrows)) == []


def test_a_circle_is_found() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == [["a", "b", "c"]]


def circles(arrows: dict[str, set[str]]) -> Iterator[list[str]]:
    """The groups of modules that reach each other.

    Tarjan, "Depth-first search and linear graph algorithms", 1972.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(arrows[module]):
            if other not in number:
                yield from visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[-len(group) :]
            if len(group) > 1:
                yield sorted(group)

    for module in sorted(arrows):
        if module not in number:
            yield from visit(module)
