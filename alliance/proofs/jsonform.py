"""JSON from outside, in one spelling: text, hex digits, base64, whole numbers, lists, places in the log.

What has two spellings is read differently by different programs, and compared wrongly by those that compare
bytes. Reading raises ValueError or KeyError.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from verifiable_log.merkle_tree import HASH_SIZE
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


def base64(data: bytes) -> str:
    """Bytes as ``packed`` reads them."""
    return b64encode(data).decode("ascii")


def packed(value: object) -> bytes:
    """Bytes in base64 (RFC 4648, section 4), padded, and nothing between its digits."""
    if not isinstance(value, str):
        raise ValueError("what should be base64 is not a string")
    data = b64decode(value, validate=True)
    if base64(data) != value:
        raise ValueError("base64 is written with padding, and its unused bits are 0")
    return data


def hash_string(hashes: Iterable[bytes]) -> str:
    """Hashes of 32 bytes as ``packed_hashes`` reads them."""
    return base64(b"".join(hashes))


def packed_hashes(value: object) -> tuple[bytes, ...]:
    """Hashes of 32 bytes each, end to end in base64."""
    data = packed(value)
    if len(data) % HASH_SIZE:
        raise ValueError(f"a list of hashes has {HASH_SIZE} bytes for each of them")
    return tuple([data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)])


def items(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table[key]
    if not isinstance(value, list):
        raise ValueError(f"'{key}' is no list")
    return value


def path(table: Mapping[str, Any], key: str) -> tuple[bytes, ...]:
    """The hashes of a Merkle path."""
    return tuple(map(octets, items(table, key)))


def whole(table: Mapping[str, Any], key: str, end: int = 2**62) -> int:
    """A number from 0 to below ``end``; slots, views and indices are no larger than 2^62-1."""
    value = table[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < end:
        raise ValueError(f"'{key}' is not a whole number")
    return value


def write_placement(place: Placement) -> dict[str, Any]:
    return {
        "slot": place.slot,
        "position": place.index,
        "batch_size": place.batch_size,
        "time_ms": place.time_ms,
        "batch_path": hash_string(place.batch_path),
        "log_path": hash_string(place.log_path),
    }


def read_placement(table: Mapping[str, Any]) -> Placement:
    """What ``write_placement`` wrote, among other fields."""
    return Placement(
        whole(table, "slot"),
        whole(table, "position"),
        whole(table, "batch_size"),
        whole(table, "time_ms"),
        packed_hashes(table["batch_path"]),
        packed_hashes(table["log_path"]),
    )
