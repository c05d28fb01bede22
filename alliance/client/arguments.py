"""What callers hand in, checked by name before anything is done with it."""

from __future__ import annotations

import math

SLOT_MAX = 2**64 - 1


def command_bytes(command: object, name: str = "command") -> bytes:
    """A copy: what the caller writes into its buffer later is not signed. Raises TypeError."""
    if not isinstance(command, bytes | bytearray | memoryview):
        raise TypeError(f"{name} must be bytes, not {type(command).__name__}")
    return bytes(command)


def seconds(timeout: object, name: str = "timeout") -> float:
    """Raises TypeError for what is no number, ValueError for NaN."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(timeout).__name__}")
    if math.isnan(timeout):
        raise ValueError(f"{name} must be a number of seconds, not NaN")
    return timeout


def slot(start: object, name: str = "start") -> int:
    """Raises TypeError for what is no integer, ValueError for one that no slot has."""
    if isinstance(start, bool) or not isinstance(start, int):
        raise TypeError(f"{name} must be the number of a slot, not {type(start).__name__}")
    if not 1 <= start <= SLOT_MAX:
        raise ValueError(f"{name} must be the number of a slot, 1 to 2^64-1")
    return start
