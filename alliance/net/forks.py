"""What a fork leaves of a process: its memory, and none of its threads.

gRPC does not survive that. In the child of a process that had opened a channel, calls hang or abort, even if
the parent had closed it. So a process remembers how often it was forked, and whether that happened too late.
"""

from __future__ import annotations

import os

_count = 0
_used = False
_lost = False


def count() -> int:
    """The forks between this process and the one that began. What noted another number is a copy."""
    return _count


def use_grpc() -> None:
    """To be called before a channel is opened. Raises RuntimeError as ``require_grpc``."""
    global _used
    require_grpc()
    _used = True


def require_grpc() -> None:
    """Raises RuntimeError in a process that was forked when gRPC was in use, or had been."""
    if _lost:
        raise RuntimeError(
            "this process was forked from one that had used gRPC, which does not survive that: fork before"
            " the first call of a client, or start processes by 'spawn' or 'forkserver'"
        )


def _forked() -> None:
    global _count, _lost
    _count += 1
    _lost = _lost or _used


os.register_at_fork(after_in_child=_forked)
