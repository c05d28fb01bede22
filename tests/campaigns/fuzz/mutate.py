"""Nearly valid inputs: mutations that know the structure of what they spoil, and some that do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

INTERESTING = (
    0,
    1,
    2,
    5,
    6,
    7,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    257,
    2**31,
    2**32 - 1,
    2**62,
    2**64 - 1,
)
GROWTH_BYTES_MAX = 64 * 1024

Mutator = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""(dice, an input, others to borrow from) -> another input."""


def of_bytes(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Bits, pieces and numbers, without any knowledge."""
    mutant = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 8))):
        at = dice.randrange(len(mutant) + 1)
        match dice.randrange(7):
            case 0 if at < len(mutant):
                mutant[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(mutant):
                mutant[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            case 2:
                del mutant[at : at + dice.choice((1, 2, 4, 8, 32, 64, 1000))]
            case 3:
                mutant[at:at] = dice.randbytes(dice.choice((1, 2, 4, 8, 32)))
            case 4:
                mutant[at:at] = mutant[at : at + dice.choice((1, 4, 32, 64, 200))]
            case 5:
                size = dice.choice((1, 2, 4, 8))
                number = dice.choice(INTERESTING) & (256**size - 1)
                mutant[at : at + size] = number.to_bytes(size, dice.choice(("big", "little")))
            case _:
                other = dice.choice(others)
                begin = dice.randrange(len(other) + 1)
                mutant[at:] = (
                    other[begin:] if dice.random() < 0.5 else other[begin : begin + 64] + mutant[at:]
                )
    return bytes(mutant[:GROWTH_BYTES_MAX])


def of_message(kind: Any) -> Mutator:
    """Fields of a protobuf message, however deep, changed, doubled, left out or borrowed."""

    def mutate(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
        if dice.random() < 0.15:
            return of_bytes(dice, data, others)
        wire, donor = kind(), kind()
        wire.ParseFromString(data)
        donor.ParseFromString(dice.choice(others))
        for _ in range(dice.choice((1, 1, 2, 3))):
            _change(dice, wire, donor)
        return bytes(wire.SerializeToString()[:GROWTH_BYTES_MAX])

    return mutate


def _change(dice: Random, wire: Any, donor: Any) -> None:
    fields = [field for field, _ in wire.ListFields()]
    if not fields or dice.random() < 0.05:
        wire.MergeFrom(donor)
        return
    field = dice.choice(fields if dice.random() < 0.9 else list(wire.DESCRIPTOR.fields))
    if dice.random() < 0.1:
        wire.ClearField(field.name)
    elif field.is_repeated:
        _change_many(dice, getattr(wire, field.name), getattr(donor, field.name), field)
    elif field.message_type is not None:
        _change(dice, getattr(wire, field.name), getattr(donor, field.name))
    elif dice.random() < 0.3:
        setattr(wire, field.name, getattr(donor, field.name))
    else:
        setattr(wire, field.name, _scalar(dice, field, getattr(wire, field.name)))


def _change_many(dice: Random, held: Any, donors: Any, field: Any) -> None:
    values = list(held)
    match dice.randrange(6):
        case 0 if values:
            values.insert(dice.randrange(len(values)), dice.choice(values))
        case 1 if values:
            del values[dice.randrange(len(values))]
        case 2:
            dice.shuffle(values)
        case 3 if len(donors):
            values.insert(dice.randrange(len(values) + 1), dice.choice(donors))
        case _ if values and field.message_type is not None:
            _change(
                dice,
                dice.choice(values),
                dice.choice(donors) if len(donors) else field.message_type._concrete_class(),
            )
            return
        case _ if values:
            at = dice.randrange(len(values))
            values[at] = _scalar(dice, field, values[at])
    copies = [value.SerializeToString() for value in values] if field.message_type is not None else values
    del held[:]
    for value in copies:
        if field.message_type is not None:
            held.add().ParseFromString(value)
        else:
            held.append(value)


def _scalar(dice: Random, field: Any, value: Any) -> Any:
    if isinstance(value, bytes):
        return of_bytes(dice, value, [value, bytes(32)])
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value[: dice.randrange(len(value) + 1)] + "x"
    bits = {field.CPPTYPE_UINT64: 64, field.CPPTYPE_ENUM: 31}.get(field.cpp_type, 32)
    largest = 2**bits - 1
    return min(max(dice.choice((value + 1, value - 1, value ^ 1, dice.choice(INTERESTING))), 0), largest)


def of_json(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Values and keys of a JSON object."""
    if dice.random() < 0.15:
        return of_bytes(dice, data, others)
    table, donor = json.loads(data), json.loads(dice.choice(others))
    for _ in range(dice.choice((1, 1, 2))):
        key = dice.choice(list(table))
        if dice.random() < 0.2:
            table[key] = donor.get(key)
        elif dice.random() < 0.05:
            del table[key]
            if not table:
                break
        else:
            table[key] = _json_value(dice, table[key])
    return json.dumps(table).encode()


def _json_value(dice: Random, value: Any) -> Any:
    if isinstance(value, dict) and value:
        key = dice.choice(list(value))
        return value | {key: _json_value(dice, value[key])}
    if isinstance(value, list) and value:
        values = list(value)
        at = dice.randrange(len(values))
        match dice.randrange(4):
            case 0:
                del values[at]
            case 1:
                values.insert(at, values[at])
            case 2:
                dice.shuffle(values)
            case _:
                values[at] = _json_value(dice, values[at])
        return values
    if isinstance(value, str) and value:
        at = dice.randrange(len(value))
        return dice.choice(
            (value[:at], value[:at] + dice.choice("0123456789abcdefgz\u0660 ") + value[at + 1 :], value * 2)
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return dice.choice(
            (value + 1, value - 1, -value, float(value), str(value), dice.choice(INTERESTING), 10**30)
        )
    return dice.choice((None, True, [], {}, "", "00", 0, 1.5, [None], [[]]))
