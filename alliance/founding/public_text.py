"""The public files of a founding: how a text from outside becomes what it says, whatever that is.

Each of them has one spelling: what was read and is written again gives the same text. So whoever compares the
SHA-256 of a file has compared everything in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from alliance.config import fields
from alliance.config.bounded import read_file
from alliance.config.parties import NAME
from alliance.errors import ConfigError
from alliance.proofs import jsonform
from quorum.threshold_rsa import InvalidAgreementKey

T = TypeVar("T")


def read_text(path: Path, most: int, what: str, hint: str = "") -> str:
    """The text of a file of at most so many bytes; ``what`` is "a plan", say. Raises ConfigError."""
    try:
        data = read_file(path, most + 1)
        if len(data) > most:
            raise ConfigError(f"{path} is larger than {most} bytes: it is not {what}")
        return data.decode().replace("\r\n", "\n")  # as mail may have it
    except OSError as error:
        raise ConfigError(f"{path} cannot be read as {what}: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} cannot be read as {what}: it is not UTF-8{hint}") from None


def read_toml(text: str, where: str, what: str, form: str, again: str) -> dict[str, Any]:
    """The table of a file of this format; ``again`` is how to get another one. Raises ConfigError."""
    return _table(fields.parse, text, where, what, form, again)


def read_json(
    text: str, where: str, what: str, form: str, most: int, read: Callable[[Mapping[str, Any]], T]
) -> T:
    """What ``read`` makes of the object in a file of this format. Raises ConfigError.

    ``read`` may raise AttributeError, KeyError, TypeError or ValueError, of which InvalidAgreementKey is one.
    """
    if len(text) > most:
        raise ConfigError(f"{where} is larger than {most} bytes: it is no {what}")
    table = _table(jsonform.parse, text, where, what, form, "ask for it anew")
    try:
        return read(table)
    except (AttributeError, KeyError, TypeError, ValueError, InvalidAgreementKey) as error:
        raise ConfigError(f"{where}: a field is missing or wrong: {error}; ask for it anew") from None


def require_unedited(written: str, text: str, where: str, maker: str, again: str) -> None:
    """Raises ConfigError unless what was read is ``written`` as the text was. ``maker``: how it is made."""
    if written != text:
        raise ConfigError(f"{where} is not as {maker}: it was edited; {again}")


def name_of(found: object) -> str:
    """A name or purpose in JSON. Raises ValueError."""
    if not isinstance(found, str) or not NAME.fullmatch(found):
        raise ValueError("a name or purpose is not one of a-z, 0-9 and '-'")
    return found


def _table(
    parse: Callable[[str], Any], text: str, where: str, what: str, form: str, again: str
) -> dict[str, Any]:
    try:
        table = parse(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where} is no {what}, or a truncated one: {again}") from None
    if not isinstance(table, dict) or table.get("format") != form:
        raise ConfigError(f"{where} is no {what} of this version: its format is not '{form}'")
    return table
