"""Every way of spoiling every field of a message, from the protobuf descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from alliance.pb import peer_pb2 as pb

TOO_MANY, TOO_MANY_BYTES, TOO_LONG = 5000, 70_000, 600 * 1024
SPLIT = 12

Path: TypeAlias = tuple[str, ...]
Wire: TypeAlias = Any


def paths(descriptor: Any = pb.PeerMessage.DESCRIPTOR, begin: Path = ()) -> Iterator[Path]:
    """Every field of every message, those of messages within included."""
    for field in descriptor.fields:
        yield (*begin, field.name)
        if field.message_type is not None:
            yield from paths(field.message_type, (*begin, field.name))


def _parent(wire: Wire, path: Path) -> Wire:
    """What holds the field; of what is repeated the first."""
    for name in path[:-1]:
        wire = getattr(wire, name)
        wire = wire[0] if hasattr(wire, "add") else wire
    return wire


def _put(holder: Wire, name: str, value: Any) -> None:
    holder.ClearField(name)
    if isinstance(value, list):
        getattr(holder, name).extend(value)
    elif hasattr(value, "DESCRIPTOR"):
        getattr(holder, name).CopyFrom(value)
    else:
        setattr(holder, name, value)


def spoilt(
    path: Path, true: bytes, others: dict[str, bytes], kind: Any = pb.PeerMessage
) -> Iterator[tuple[str, bytes]]:
    """(way, message): the true message with this one field spoilt; never the true message itself."""
    origin = kind.FromString(true)
    unspoilt = origin.SerializeToString()  # fields may stand in another order in ``true``
    name = path[-1]
    field = _parent(origin, path).DESCRIPTOR.fields_by_name[name]
    value = getattr(_parent(origin, path), name)
    ways = list(_repeated(list(value)) if field.is_repeated else _single(field, value))
    for way, data in others.items():
        other = _parent(kind.FromString(data), path)
        ways.append((way, list(getattr(other, name)) if field.is_repeated else getattr(other, name)))
    for way, changed in ways:
        wire = kind.FromString(true)
        if changed is None:
            _parent(wire, path).ClearField(name)
        else:
            _put(_parent(wire, path), name, changed)
        data = wire.SerializeToString()
        if data != unspoilt:
            yield way, data


def _repeated(values: list[Any]) -> Iterator[tuple[str, Any]]:
    yield "empty", []
    yield "twice", [*values[:1], *values]
    yield "reversed", values[::-1]
    yield "dropped", values[1:]
    if values:
        yield "many", values[:1] * (TOO_MANY_BYTES if isinstance(values[0], bytes) else TOO_MANY)
    if not values or isinstance(values[0], bytes):
        for way, changed in _bytes(values[0] if values else bytes(32)):
            yield way, [changed, *values[1:]]


def _single(field: Any, value: Any) -> Iterator[tuple[str, Any]]:
    if field.message_type is not None:
        yield "empty", None
    elif field.type == field.TYPE_STRING:
        yield from (("empty", ""), ("changed", "two\nlines"), ("huge", value + "x" * TOO_LONG))
    elif field.cpp_type == field.CPPTYPE_STRING:
        yield from _bytes(value or bytes(32))
    elif field.cpp_type == field.CPPTYPE_BOOL:
        yield "changed", not value
    else:
        bits = {field.CPPTYPE_UINT64: 64, field.CPPTYPE_ENUM: 31}.get(field.cpp_type, 32)
        largest = 2**bits - 1
        yield "more", value + 1
        if value:
            yield "less", value - 1
        yield "zero", 0
        yield "largest", largest


def _bytes(value: bytes) -> Iterator[tuple[str, bytes]]:
    for place in {*range(0, len(value), max(len(value) // SPLIT, 1)), max(len(value) - 1, 0)}:
        yield "changed", value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
    yield "cut", value[:-1]
    yield "longer", value + b"\x00"
    yield "empty", b""
    yield "zeros", bytes(len(value))
    yield "huge", value + bytes(TOO_LONG)
