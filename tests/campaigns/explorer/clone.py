"""Forking an engine: what can change is copied, what cannot is shared.

Several times as fast as ``copy.deepcopy`` or pickle, which take every batch and certificate apart.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from enum import Enum
from types import FunctionType
from typing import Any, TypeVar

from fab_paxos.rooms import Rooms

Value = TypeVar("Value")
_ATOMS = (int, float, str, bytes, type(None), frozenset, Enum, FunctionType)
_shared: set[type] = set()
_copied: dict[type, tuple[str, ...]] = {}
"""The kinds met so far: of those that are copied, the names of their slots."""


def clone(value: Value) -> Value:
    """A copy that shares with ``value`` atoms and frozen dataclasses: they hold nothing that changes."""
    copy: Value = _clone(value, {})
    return copy


def _clone(value: Any, copies: dict[int, Any]) -> Any:
    kind = type(value)
    slots = _copied.get(kind)
    if slots is None:
        if kind in _shared or _sort_in(kind):
            return value
        slots = _copied[kind]
    found = copies.get(id(value))
    if found is not None:
        return found
    if kind in (dict, OrderedDict):
        copy: Any = kind(
            (key, held if type(held) in _shared else _clone(held, copies)) for key, held in value.items()
        )
    elif kind in (list, tuple, deque):
        copy = kind([one if type(one) in _shared else _clone(one, copies) for one in value])
    elif kind is set:
        copy = set(value)
    else:
        copy = copies[id(value)] = object.__new__(kind)
        for name in slots:
            held = getattr(value, name)
            object.__setattr__(copy, name, held if type(held) in _shared else _clone(held, copies))
        own = getattr(value, "__dict__", None)
        if own:
            copy.__dict__ = {
                name: held if type(held) in _shared else _clone(held, copies) for name, held in own.items()
            }
    copies[id(value)] = copy
    return copy


def _sort_in(kind: type) -> bool:
    """Meets a kind for the first time; True when its values are shared."""
    parameters = getattr(kind, "__dataclass_params__", None)
    frozen = parameters is not None and parameters.frozen and kind is not Rooms  # its rooms change
    if frozen or issubclass(kind, _ATOMS):
        _shared.add(kind)
        return True
    _copied[kind] = tuple(getattr(kind, "__slots__", ()))
    return False
