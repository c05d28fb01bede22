"""What the engine asks of the alliance's own decisions about itself, which are in the log like all else.

Source: docs/concepts/protocol.md, section 13.1. The value is a function of the decided log, applied slot
by slot when slots are *decided*. What is decided at slot ``s`` changes nothing before slot
``s + WINDOW_SLOTS``, and whoever accepts a slot behind that has decided ``s``: so all who judge a slot judge
it alike.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Protocol, Self

from verifiable_log.batch import Entry


class Control(Protocol):
    """A frozen value. Where there is None in its place nothing is ever changed."""

    @property
    def start(self) -> int:
        """The last slot of the epoch before the one that this speaks of; 0 in the first."""
        ...

    @property
    def end(self) -> int | None:
        """The last slot of that epoch, WINDOW_SLOTS behind the one whose decision set it. It stays when it is
        decided: ``next_epoch`` is for who begins the next one."""
        ...

    @property
    def effective(self) -> int | None:
        """The highest slot at which something that is decided is still to take effect."""
        ...

    @property
    def needs_time(self) -> bool:
        """Whether something has a deadline: time is to pass in the log though nobody submits anything."""
        ...

    @property
    def suspected(self) -> tuple[int, ...]:
        """The numbers of members that are not to lead in the next epoch: nobody waits for them any more."""
        ...

    def admits(self, client_id: bytes, slot: int) -> bool:
        """Whether a submission of this client may be ordered in ``slot``.

        It is asked when the log is decided to ``slot - WINDOW_SLOTS`` or further, and nothing that is decided
        later changes the answer.
        """
        ...

    def departed(self, slot: int) -> Collection[bytes]:
        """Whose numbers are forgotten with ``slot``: clients that are not admitted there or later, nor in any
        slot that may still be replaced when it is accepted. It is asked as ``admits`` is."""
        ...

    def limits(self, client_id: bytes) -> tuple[int, int]:
        """How much of this client waits at one member at most: submissions, and their bytes together."""
        ...

    def organisation(self, client_id: bytes) -> Hashable:
        """Whose client this is: the turns of a leader go round by organisations. Nothing is agreed on it."""
        ...

    def apply(self, entry: Entry) -> tuple[Self, tuple[object, ...]]:
        """The value after one more decided slot, and what became of the commands in it that concern it."""
        ...

    def next_epoch(self) -> Self:
        """The value with which the next epoch begins; ``end`` was applied last."""
        ...

    def items(self) -> tuple[bytes, ...]:
        """All of it, as items of a checkpoint's state: of the kind CONTROL_ITEM, in a fixed order."""
        ...

    def read(self, items: Sequence[bytes]) -> Self:
        """The value that ``items`` wrote down. Raises ValueError when no correct member wrote this."""
        ...


def after(control: Control | None, slot: int, start: int) -> Control | None:
    """What holds with ``slot`` applied, where the epochs up to ``start`` are over."""
    if control is None or control.end is None or control.end > min(slot, start):
        return control
    return control.next_epoch()
