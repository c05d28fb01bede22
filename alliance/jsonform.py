"""Fields of JSON from outside: hex digits, whole numbers, lists. Each raises ValueError or KeyError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def octets(value: object) -> bytes:
    """Bytes, written as hex digits."""
    if not isinstance(value, str):
        raise ValueError("what should be hex digits is no text")
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
