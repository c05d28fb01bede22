"""JSON from outside, in one spelling: text, hex digits, whole numbers, lists, places in the log.

What has two spellings is read differently by different programs, and compared wrongly by those that compare
bytes. Reading raises ValueError or KeyError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from verifiable_log.placement import Placement


def parse(text: str | bytes) -> Any:
    """JSON in UTF-8 without a byte order mark, each key of an object once, numbers finite.

    Raises ValueError, or RecursionError for what is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_not_finite)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def octets(value: object) -> bytes:
    """Bytes, written as hex digits in lower case, two a byte, and nothing between them."""
    if not isinstance(value, str):
        raise ValueError("what should be hex digits is not a string")
    data = bytes.fromhex(value)
    if data.hex() != value:
        raise ValueError("hex digits are written in lower case and without spaces")
    return data


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
