"""Judges recorded histories: is there one order of the operations that explains all answers?

``linearizable`` searches for one (Wing and Gong, 1993, with memory of what was tried), knowing nothing of the
alliance. ``witnessed`` is for long histories: it takes the order of the log for a witness, and checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Operation:
    """``answer`` came at ``returned``. Two operations are in order if one returned before the other began."""

    invoked: float
    returned: float
    asked: bytes
    answer: bytes


def linearizable(
    operations: Sequence[Operation],
    state: State,
    step: Callable[[State, bytes], tuple[bytes, State]],
) -> bool:
    """``step`` is the sequential machine: from a state and what is asked to the answer and the next state."""
    history = sorted(operations, key=lambda operation: operation.invoked)
    everything = (1 << len(history)) - 1
    tried: set[tuple[int, State]] = set()
    waiting = [(0, state)]
    while waiting:
        done, state = waiting.pop()
        if done == everything:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        left = [at for at in range(len(history)) if not done >> at & 1]
        first_return = min(history[at].returned for at in left)
        for at in left:
            if history[at].invoked > first_return:
                break
            answer, after = step(state, history[at].asked)
            if answer == history[at].answer:
                waiting.append((done | 1 << at, after))
    return False


def in_real_time(operations: Sequence[Operation]) -> bool:
    """Whether an order, as given, contradicts nobody's clock."""
    earliest_later = float("inf")
    for operation in reversed(operations):
        if earliest_later < operation.invoked:
            return False
        earliest_later = min(earliest_later, operation.returned)
    return True
