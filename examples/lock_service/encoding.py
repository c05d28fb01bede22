"""Bytes taken apart and put together: what commands, answers and the state of the service consist of."""

from __future__ import annotations

import re
import struct
from enum import IntEnum

NAME_MAX = 128
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._/-]{0,%d}" % (NAME_MAX - 1))


class Mode(IntEnum):
    EXCLUSIVE = 1
    SHARED = 2


class Invalid(ValueError):
    """These bytes are no command, answer or state of the lock service."""


class Reader:
    """Takes bytes apart from the front; raises Invalid at the first that does not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def begin(self, magic: bytes) -> None:
        if self.take(len(magic)) != magic:
            raise Invalid("of another service")

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise Invalid("too short")
        self._at += count
        return part

    def u8(self) -> int:
        return self.take(1)[0]

    def u64(self) -> int:
        return int(struct.unpack(">Q", self.take(8))[0])

    def within(self, least: int, most: int, width: int = 8) -> int:
        value = int.from_bytes(self.take(width), "big")
        if not least <= value <= most:
            raise Invalid(f"{value} is not within {least} and {most}")
        return value

    def count(self) -> int:
        """Of things that have a byte each at the least, so that no number makes us work for nothing."""
        return self.within(0, len(self._data) - self._at)

    def name(self, *, empty: bool = False) -> str:
        name = self.take(self.u8())
        if not _NAME.fullmatch(name) and (name or not empty):
            raise Invalid("no name of a lock")
        return name.decode("ascii")

    def mode(self) -> Mode:
        return Mode(self.within(Mode.EXCLUSIVE, Mode.SHARED, width=1))

    def end(self) -> None:
        if self._at != len(self._data):
            raise Invalid("bytes after the end")


def u64(value: int) -> bytes:
    if not 0 <= value < 2**64:
        raise Invalid(f"{value} is out of range")
    return struct.pack(">Q", value)


def text(value: str) -> bytes:
    written = value.encode("utf-8", "surrogateescape")
    if len(written) > 255:
        raise Invalid("a name is too long")
    return bytes([len(written)]) + written
