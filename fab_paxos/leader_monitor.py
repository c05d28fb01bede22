"""How fast a leader must be: one that holds everything back to just under the time-out is replaced, too.

A decision is late when work waited for it longer than half the time-out, unless the batch is so large that a
slow machine needs that long. When decisions are late again and again, the leader is suspected; unless more
leaders than may be faulty were late: then it is the network, or the machines, and another leader is no help.
An optional cap on tenure replaces every leader after so many slots.
"""

from __future__ import annotations

from collections.abc import Hashable

from fab_paxos.effects import Effect, SetTimer, Timer
from quorum import QuorumSystem
from verifiable_log.batch import Entry

SUBMISSIONS_PER_SECOND = 1000
BYTES_PER_SECOND = 4 * 1024 * 1024
"""The pace that is excused: what a slow machine with all members on it orders."""

LATE_WEIGHT = 2
"""So many heartbeats in which all came promptly make up for a late decision."""

LATE_MAX = 10
"""Late decisions, net of prompt beats, until a leader is suspected; at its next turn half, then a quarter."""

REHABILITATION_BEATS = 40
"""Heartbeats of prompt decisions, after which a leader that once was late is as good as any."""

STRIKES_MAX = 2


class LeaderMonitor:
    """Watches one leader at a time; remembers of each whether it was late when it led last."""

    def __init__(
        self, system: QuorumSystem, me: int, view: int, decided: int, timeout: float, tenure_slots: int | None
    ) -> None:
        """``timeout`` is the view time-out in seconds."""
        self._system = system
        self._me = me
        self._patient_seconds = timeout / 2
        self._tenure_slots = tenure_slots
        self._strikes: dict[int, int] = {}  # of those who were late when last measured
        self._awaited: Hashable = None
        self._late = False
        self.enter_view(view, decided)

    def enter_view(self, view: int, decided: int) -> None:
        self._leader = self._system.leader(view)
        self._entered_at = decided
        self._score = 0
        self._prompt_beats = 0
        self._awaited = None
        self._late = False
        self._beat = (False, False)  # since the last heartbeat: something was decided; something was late

    def watch(self, due: bool, progress: Hashable, out: list[Effect]) -> None:
        """At the end of a turn: whether work is ``due``, and what of ``progress`` there is."""
        if not due or self._leader == self._me:
            self._awaited = None
        elif self._awaited != progress:
            self._awaited, self._late = progress, False
            out.append(SetTimer(Timer.LEADER_PACE, self._patient_seconds))

    def on_time(self, progress: Hashable) -> None:
        """The timer fired: what was awaited when it was set is late if it is still awaited."""
        self._late = self._awaited is not None and self._awaited == progress

    def on_decided(self, entry: Entry) -> None:
        """What was awaited has come, or part of it: in time, too late, or late and excused by its size."""
        late, self._late = self._late, False
        submissions = entry.batch.submissions
        size = sum(len(submission.encoded) for submission in submissions)
        seconds = len(submissions) / SUBMISSIONS_PER_SECOND + size / BYTES_PER_SECOND
        if late and seconds < self._patient_seconds:
            self._score += LATE_WEIGHT
            self._beat = (True, True)
        else:
            self._beat = (True, self._beat[1])

    def on_heartbeat(self) -> None:
        """Counted by time and not by decisions: a late leader could split its batch into many prompt ones."""
        decided, late = self._beat
        self._beat = (False, False)
        if late:
            self._prompt_beats = 0
        elif decided:
            self._score = max(0, self._score - 1)
            self._prompt_beats += 1
            if self._prompt_beats >= REHABILITATION_BEATS:
                self._strikes.pop(self._leader, None)

    def too_slow(self) -> bool:
        """Whether the leader is to be suspected for its pace; True once a view."""
        strikes = min(self._strikes.get(self._leader, 0), STRIKES_MAX)
        if self._score < LATE_WEIGHT * LATE_MAX >> strikes:
            return False
        self._score = 0
        self._strikes[self._leader] = strikes + 1
        return len(self._strikes) <= self._system.faulty_max

    def over_tenure(self, decided: int) -> bool:
        """Whether the leader has led for as many slots as any may."""
        return self._tenure_slots is not None and decided - self._entered_at >= self._tenure_slots
