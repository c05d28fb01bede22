"""A tiny real control state: what the engine's tests put into the log in place of an alliance's decisions.

Its commands begin with MAGIC and are one word, signed by nobody: what they say is no subject here, only when
it holds. It keeps more than it needs (how many slots there were, the agreed time), so that two members that
apply other slots, or the same ones at another time, write down something else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fab_paxos.limits import WINDOW_SLOTS
from verifiable_log import Entry
from verifiable_log.limits import POOL_BYTES_MAX, POOL_SUBMISSIONS_MAX
from verifiable_log.ordering_state import CONTROL_ITEM

MAGIC = b"control: "
END, REVISE = MAGIC + b"end", MAGIC + b"revise "
_HEAD = struct.Struct(">BQQQQQQQ")
_CHANGE = struct.Struct(">BQ32sB")


OUT, IN, GONE = range(3)


def ending(epoch: int) -> bytes:
    """The command that ends this epoch; said again in another one it means nothing, unlike END."""
    return END + b" of %d" % epoch


def admit(client_id: bytes, admitted: bool = True) -> bytes:
    """The command that lets a client in, or out."""
    return REVISE + bytes([admitted]) + client_id


def remove(client_id: bytes) -> bytes:
    """The command that lets a client out for ever."""
    return REVISE + bytes([GONE]) + client_id


@dataclass(frozen=True)
class TinyControl:
    """``changes`` are (slot behind which it holds, client, OUT, IN or GONE), in the order decided."""

    alpha: int = WINDOW_SLOTS
    epoch: int = 0
    start: int = 0
    applied: int = 0
    time_ms: int = 0
    end: int | None = None
    changes: tuple[tuple[int, bytes, int], ...] = ()
    ticking: bool = False
    deposed: int | None = None
    share: tuple[int, int] = (POOL_SUBMISSIONS_MAX, POOL_BYTES_MAX)

    @property
    def effective(self) -> int | None:
        pending = [slot for slot, _, _ in self.changes if slot > self.applied]
        return max(pending, default=None)

    def admits(self, client_id: bytes, slot: int) -> bool:
        admitted = IN
        for since, client, answer in self.changes:
            if client == client_id and since < slot:
                admitted = answer
        return admitted == IN

    def departed(self, slot: int) -> tuple[bytes, ...]:
        gone = slot - self.alpha - 1
        return tuple(client for since, client, answer in self.changes if (since, answer) == (gone, GONE))

    def limits(self, client_id: bytes) -> tuple[int, int]:
        return self.share

    def organisation(self, client_id: bytes) -> bytes:
        return client_id

    def apply(self, entry: Entry) -> tuple[TinyControl, tuple[object, ...]]:
        if entry.slot != self.applied + 1 or (self.end is not None and entry.slot > self.end):
            raise AssertionError(f"slot {entry.slot} is applied after slot {self.applied}")
        after, outcomes = (
            replace(self, applied=entry.slot, time_ms=max(self.time_ms, entry.batch.time_ms)),
            [],
        )
        for submission, fresh in zip(entry.batch.submissions, entry.fresh, strict=True):
            for command in submission.commands() if fresh else ():
                if command.startswith(MAGIC):
                    after = after._commanded(command, entry.slot)
                    outcomes.append(command)
        return after, tuple(outcomes)

    def _commanded(self, command: bytes, slot: int) -> TinyControl:
        last = slot + self.alpha
        if command in (END, ending(self.epoch)) and self.end is None:
            return replace(self, end=last)
        if command.startswith(REVISE):
            since = last if self.end is None else min(last, self.end)
            client, answer = command[len(REVISE) + 1 :], command[len(REVISE)]
            if any((client, GONE) == (other, known) for _, other, known in self.changes):
                return self
            return replace(self, changes=(*self.changes, (since, client, answer)))
        return self

    @property
    def needs_time(self) -> bool:
        return self.ticking

    @property
    def suspected(self) -> tuple[int, ...]:
        return (self.deposed,) if self.deposed is not None and self.end is not None else ()

    def items(self) -> tuple[bytes, ...]:
        numbers = (self.alpha, self.epoch, self.start, self.applied, self.time_ms, self.end or 0)
        head = _HEAD.pack(CONTROL_ITEM, *numbers, len(self.changes))
        return (head, *(_CHANGE.pack(CONTROL_ITEM, *one) for one in self.changes))

    def read(self, items: Sequence[bytes]) -> TinyControl:
        """Raises ValueError."""
        try:
            _, alpha, epoch, start, applied, time_ms, end, count = _HEAD.unpack(items[0])
            changes = tuple(_CHANGE.unpack(item)[1:] for item in items[1:])
        except (struct.error, IndexError):
            raise ValueError("no state of this control") from None
        if count != len(changes):
            raise ValueError("a change is missing")
        return TinyControl(
            alpha, epoch, start, applied, time_ms, end or None, changes, self.ticking, self.deposed
        )

    def next_epoch(self) -> TinyControl:
        """With which the next epoch begins, once ``end`` is applied."""
        if self.applied != self.end:
            raise AssertionError(f"the epoch has not ended at slot {self.applied}")
        return replace(self, epoch=self.epoch + 1, start=self.applied, end=None)
