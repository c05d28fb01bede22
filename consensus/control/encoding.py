"""Canonical bytes, big-endian: each value has one encoding, and what is read is all there is.

Texts are printable ASCII after their length as u16, byte strings come after their length as u32, lists after
their count as u16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")


class MalformedControl(ValueError):
    """Bytes that are no command, row or state; the text says what is wrong with them."""


def u8(number: int) -> bytes:
    return number.to_bytes(1, "big")


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def text(value: str) -> bytes:
    """At most 65,535 ASCII characters."""
    return u16(len(value)) + value.encode("ascii")


def blob(value: bytes) -> bytes:
    return u32(len(value)) + value


def listed(values: Iterable[bytes]) -> bytes:
    """Encodings, after their count."""
    parts = list(values)
    return u16(len(parts)) + b"".join(parts)


class Reader:
    """Takes values from the front of bytes. Every method raises MalformedControl."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fixed(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise MalformedControl("it ends too early")
        self._at += length
        return taken

    def number(self, length: int, high: int | None = None) -> int:
        """An unsigned number of so many bytes; at most ``high``."""
        found = int.from_bytes(self.fixed(length), "big")
        if high is not None and found > high:
            raise MalformedControl(f"a number is {found}, more than {high}")
        return found

    def text(self, length_max: int) -> str:
        length = self.number(2, length_max)
        found = self.fixed(length).decode("latin-1")
        if not (found.isascii() and found.isprintable()):
            raise MalformedControl("a text is not printable ASCII")
        return found

    def blob(self, length_max: int) -> bytes:
        return self.fixed(self.number(4, length_max))

    def listed(self, read: Callable[[Reader], Value], count_max: int) -> tuple[Value, ...]:
        return tuple([read(self) for _ in range(self.number(2, count_max))])

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise MalformedControl(f"{len(self._data) - self._at} bytes too many")
