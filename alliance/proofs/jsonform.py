"""Fields of JSON from outside: hex digits, whole numbers, lists, places in the log.

Reading raises ValueError or KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifiable_log.placement import Placement


def octets(value: object) -> bytes:
    """Bytes, written as hex digits."""
    if not isinstance(value, str):
        raise ValueError("what should be hex digits is not a string")
    return bytes.fromhex(value)


def items(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table[key]
    if not isinstance(value, list):
        raise ValueError(f"'{key}' is no list")
    return value


def path(table: Mapping[str, Any], key: str) -> tuple[bytes, ...]:
    """The hashes of a Merkle path."""
    return tuple(map(octets, items(table, key)))


def whole(table: Mapping[str, Any], key: str) -> int:
    """A number from 0 to 2^62-1; slots, views and indices are no larger."""
    value = table[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError(f"'{key}' is not a whole number")
    return value


def write_placement(place: Placement) -> dict[str, Any]:
    return {
        "slot": place.slot,
        "position": place.index,
        "batch_size": place.batch_size,
        "time_ms": place.time_ms,
        "batch_path": [node.hex() for node in place.batch_path],
        "log_path": [node.hex() for node in place.log_path],
    }


def read_placement(table: Mapping[str, Any]) -> Placement:
    """What ``write_placement`` wrote, among other fields."""
    return Placement(
        whole(table, "slot"),
        whole(table, "position"),
        whole(table, "batch_size"),
        whole(table, "time_ms"),
        path(table, "batch_path"),
        path(table, "log_path"),
    )
