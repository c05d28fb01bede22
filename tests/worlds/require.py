"""``assert`` for modules that pytest does not rewrite: it also holds under ``python -O``."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
