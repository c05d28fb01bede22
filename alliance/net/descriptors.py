"""File descriptors of this process: how many it may have, and how many it has."""

from __future__ import annotations

import os

FEW = 0.8
"""With more than this part of them in use, it is time to say so."""

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]


def limit() -> int:
    """How many there may be; 0 where nobody says."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else 0


def in_use() -> int:
    """How many there are; 0 where nobody says."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def raise_limit() -> int:
    """To as many as the system lets this process have without asking anybody; the new limit."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()
