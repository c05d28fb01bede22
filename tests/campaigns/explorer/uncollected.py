"""Searches keep everything they find, and make no cycles: the collector would walk over all of it in vain."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles; twice as fast where millions of objects stay alive."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
