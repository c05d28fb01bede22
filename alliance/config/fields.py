"""Reading the tables of a TOML file that a person may have written: typed values, and no unknown keys."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from alliance.errors import ConfigError

DOTS_MAX = 128
"""In one line. Reading a dotted key takes the square of its length in time, and the file may be large."""
_KINDS = {int: "a whole number", str: "a string"}


def parse(text: str) -> dict[str, Any]:
    """TOML from outside. Raises ValueError, or RecursionError for what is nested too deeply."""
    if any(line.count(".") > DOTS_MAX for line in text.split("\n")):
        raise ValueError(f"a line has more than {DOTS_MAX} dots")
    return tomllib.loads(text)


def only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raises ConfigError when the table has another key than these."""
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r:.80}{suggest(key, known)}")


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of an error about ``word``: what was probably meant, or nothing."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def value(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """The field, which is an int or a str as ``kind`` says. Raises ConfigError."""
    found = table.get(key)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ConfigError(f"{where}: '{key}' is missing or not {_KINDS[kind]}")
    return found


def texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """The list of strings under this key; empty when there is none. Raises ConfigError."""
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise ConfigError(f"{where}: '{key}' must be a list of texts")
    return tuple(found)


def tables(table: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    """The tables under ``[[key]]``. Raises ConfigError when there is something else."""
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ConfigError(f"{where}: {key} must be a list of tables: write [[{key}]]")
    return found


def hexed(table: Mapping[str, Any], key: str, length: int, where: str) -> bytes:
    """So many bytes in hex. Raises ConfigError."""
    text: str = value(table, key, str, where)
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != length or found.hex() != text:
        raise ConfigError(f"{where}: '{key:.80}' must be {2 * length} hex digits in lower case")
    return found
