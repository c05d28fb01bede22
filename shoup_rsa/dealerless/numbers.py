"""Numbers of fixed lengths in bytes and back, strictly: one encoding a value, nothing out of range."""

from __future__ import annotations

from collections.abc import Iterable


class Malformed(Exception):
    """Bytes that no honest party sends at this point. The text says what is wrong with them."""


def pack(numbers: Iterable[int], width: int) -> bytes:
    """Big-endian, each of `width` bytes."""
    return b"".join([number.to_bytes(width, "big") for number in numbers])


def unpack(data: bytes, width: int, bound: int) -> list[int]:
    """All numbers of the data, whose length is a multiple of the width. Raises Malformed at the bound."""
    numbers = [int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]
    if numbers and max(numbers) >= bound:
        raise Malformed("a number is out of range")
    return numbers


def check_length(data: bytes, length: int) -> None:
    """Raise Malformed for another length."""
    if len(data) != length:
        raise Malformed(f"it has {len(data)} bytes, not {length}")
