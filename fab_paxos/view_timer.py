"""How long a member waits for its leader: the view timer, its doubling and its reset."""

from __future__ import annotations

from collections.abc import Hashable

from fab_paxos.effects import Effect, SetTimer, Timer

TIMEOUT_DOUBLINGS_MAX = 6
"""A time-out of half a second grows to 32 s at most: views that fail must not come ever more rarely."""


class ViewTimer:
    """Runs while something is due, and begins anew with every step forward.

    The time-out doubles while views end without a decision that was due, so that it outgrows any delay of
    the network, and returns to its base with the first decision of a view (docs/concepts/protocol.md,
    section 9, step 1).
    """

    def __init__(self, base_seconds: float, decided: int) -> None:
        self._base_seconds = base_seconds
        self._decided_on_entry = decided
        self._doublings = 0
        self._due = True
        # What was the case when the timer was set; None while there is nothing to wait for.
        self._awaited: Hashable = None

    def watch(self, due: bool, progress: Hashable, decided: int, out: list[Effect]) -> None:
        """At the end of a turn: whether something is ``due``, and what there is of ``progress``."""
        self._due = due
        if not due:
            self._awaited = None
        elif self._awaited != progress:
            if decided > self._decided_on_entry:
                self._doublings = 0
            self._awaited = progress
            out.append(SetTimer(Timer.VIEW, self._base_seconds * 2**self._doublings))

    def expired(self, progress: Hashable) -> bool:
        """The timer fired: True when nothing has moved since it was set."""
        waited_in_vain = self._awaited is not None and self._awaited == progress
        self._awaited = None  # so that it is set again if something is still due when the turn ends
        return waited_in_vain

    def enter_view(self, decided: int) -> None:
        """A view ends; it counts against the network's delays if something was due and nothing decided.

        A leader that resigns while nothing waits makes nobody wait longer for the next ones.
        """
        if self._due and decided == self._decided_on_entry:
            self._doublings = min(self._doublings + 1, TIMEOUT_DOUBLINGS_MAX)
        self._decided_on_entry = decided
