"""Which submissions a subscriber has seen, so that one that a liar repeats in the log is not a message twice.

The log of the alliance may hold a submission again: the members know and ignore it, by the sequence numbers
that they have seen of each client, and so does a listener from where it began. One that begins anew in the
middle has to remember, or it takes an old submission for a new one. This is the same rule
(docs/concepts/protocol.md, section 12), kept in a form that a cursor can store.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from alliance import LogEntry

CLIENT_WINDOW = 1024
"""Sequence numbers that are remembered for each client, as in the protocol; older ones have expired."""


@dataclass(frozen=True, slots=True)
class Use:
    """A client's number was used at this place; its numbers up to ``floor`` have expired."""

    client: str
    client_seq: int
    slot: int
    position: int
    floor: int


@dataclass(slots=True)
class _Window:
    floor: int = -1
    used: dict[int, tuple[int, int]] = field(default_factory=dict)


class Seen:
    """Memory is bounded by the number of clients: see CLIENT_WINDOW."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def restore(self, use: Use) -> None:
        """As it was stored."""
        window = self._windows.setdefault(use.client, _Window())
        window.floor = use.floor
        window.used[use.client_seq] = (use.slot, use.position)

    def admit(self, entry: LogEntry) -> tuple[bool, Use | None]:
        """Whether the command counts, and what is new to be stored. Asked in the order of the log."""
        window = self._windows.setdefault(entry.client, _Window())
        here = entry.slot, entry.position
        used = window.used.get(entry.client_seq)
        if used is not None:
            return used == here, None  # further commands of one submission are at one place
        if entry.client_seq <= window.floor:
            return False, None
        floor = max(window.floor, entry.client_seq - CLIENT_WINDOW)
        if floor > window.floor:
            window.used = {seq: at for seq, at in window.used.items() if seq > floor}
            window.floor = floor
        window.used[entry.client_seq] = here
        return True, Use(entry.client, entry.client_seq, *here, floor)
