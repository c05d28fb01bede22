"""File descriptors of this process: how many it may have, and how many it has."""

from __future__ import annotations

import contextlib
import os

FEW = 0.8
"""With more than this part of them in use, it is time to say so."""

UNBOUNDED = 2**31

FOLDER = "/proc/self/fd"

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]


def limit() -> int:
    """How many there may be; no bound where nobody says."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else -1
    return soft if 0 <= soft < UNBOUNDED else UNBOUNDED


def listed() -> list[int]:
    """Those that there are. Raises OSError, also where nobody says."""
    return [int(name) for name in os.listdir(FOLDER)]


def in_use() -> int:
    """How many there are; 0 where nobody says."""
    try:
        return len(listed())
    except OSError:
        return 0


def raise_limit() -> int:
    """To as many as the system lets this process have without asking anybody; the new limit."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with contextlib.suppress(OSError, ValueError):  # some systems say there is no bound, and have one
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()
