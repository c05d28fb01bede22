"""The state of the log at the slots of checkpoints, as this member's accepted log has it.

Written down a little in each turn (``verifiable_log.state_writer``): whatever this member says in between
waits for a few items and never for all clients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fab_paxos.limits import SNAPSHOT_ITEMS_PER_TURN
from verifiable_log.limits import STATE_ITEMS_MAX
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Snapshot
from verifiable_log.state_writer import StateWriter

_Value = TypeVar("_Value")


class Snapshots:
    """Those that are whole, the one that is being written, and those that wait for what decisions bring."""

    def __init__(self) -> None:
        self._whole: dict[int, Snapshot] = {}
        self._begun: tuple[Frontier, StateWriter] | None = None
        self._written: dict[int, tuple[Frontier, StateWriter]] = {}  # their control items are missing
        self._control: dict[int, tuple[bytes, ...] | None] = {}

    def begin(self, frontier: Frontier, writer: StateWriter, control: tuple[bytes, ...] | None = ()) -> None:
        """The next one. Who comes so far before the last one is whole is catching up: that one is first.

        ``control``: the items behind those of clients; None: they ``join`` when the slot is decided.
        """
        while self._begun is not None:
            self._write(STATE_ITEMS_MAX)
        self._begun = (frontier, writer)
        self._control[frontier.size] = control
        self.go_on()

    def go_on(self) -> bool:
        """Writes a little more; whether one has become whole by it."""
        return self._write(SNAPSHOT_ITEMS_PER_TURN)

    def _write(self, items: int) -> bool:
        if self._begun is None or not self._begun[1].go_on(items):
            return False
        slot = self._begun[0].size
        self._written[slot], self._begun = self._begun, None
        return self._finish(slot)

    def _finish(self, slot: int) -> bool:
        control = self._control.get(slot)
        if control is None or slot not in self._written:
            return False
        frontier, writer = self._written.pop(slot)
        del self._control[slot]
        self._whole[slot] = Snapshot.of(frontier, writer.whole(control))
        return True

    def awaits(self, slot: int) -> bool:
        """Whether the control items of this slot are wanted."""
        return slot in self._control and self._control[slot] is None

    def join(self, slot: int, control: tuple[bytes, ...]) -> None:
        """The control items of a slot that is decided."""
        self._control[slot] = control
        self._finish(slot)

    def is_writing(self, slot: int) -> bool:
        """Whether the one of this slot will be whole in some turns."""
        return self._begun is not None and self._begun[0].size == slot

    def newest(self, decided: int) -> Snapshot | None:
        """The newest whole one of the log up to ``decided``."""
        return self._whole.get(max((slot for slot in self._whole if slot <= decided), default=0))

    def get(self, slot: int) -> Snapshot | None:
        return self._whole.get(slot)

    def drop_to(self, slot: int) -> None:
        """Those up to ``slot`` are not needed any more."""
        self._retain(lambda at: at > slot)

    def drop_above(self, slot: int) -> None:
        """Those above ``slot`` are of entries that have left the log."""
        self._retain(lambda at: at <= slot)

    def _retain(self, holds: Callable[[int], bool]) -> None:
        self._whole = _those(self._whole, holds)
        self._written = _those(self._written, holds)
        self._control = _those(self._control, holds)
        if self._begun is not None and not holds(self._begun[0].size):
            self._begun = None


def _those(slots: dict[int, _Value], holds: Callable[[int], bool]) -> dict[int, _Value]:
    return {slot: value for slot, value in slots.items() if holds(slot)}
