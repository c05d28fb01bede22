"""The one door through which randomness enters: the operating system's generator, by `secrets`.

Functions that need random numbers take a `RandomBelow` and default to `random_below`. Only tests pass
anything else: a predictable dealer or proof gives the key away.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

RandomBelow = Callable[[int], int]
"""Given a positive bound, a uniform integer of [0, bound), without bias."""


def random_below(bound: int) -> int:
    """A uniform integer of [0, bound). Rejection sampling inside: no bias towards small values."""
    return secrets.randbelow(bound)


def random_bytes(length: int) -> bytes:
    """`length` uniform bytes: salts and nonces of sealed key shares."""
    return secrets.token_bytes(length)


_process = object()


def _renew_process() -> None:
    global _process
    _process = object()


# The only use of `os` in this package: a child process must not use the random numbers of its parent.
os.register_at_fork(after_in_child=_renew_process)


def this_process() -> object:
    """A mark that is the same object within a process, and another one in a child that it forks.

    Random numbers that are kept for later are kept with the mark, and thrown away where it is another.
    """
    return _process
