"""How fast a leader must be: one that holds everything back to just under the time-out is replaced, too.

One submission at a time of this member's own clients is timed, from when it is seen to wait until it is
decided: however a slow leader cuts its batches, what is in them has waited. What was ordered meanwhile is
allowed for, at the pace of a slow machine. The median is compared with what other leaders took when they led
last: with the (f + 1)-th smallest of their medians, so that neither f liars that serve a few clients very
fast nor f slow ones set the norm. Waiting longer than half the time-out is slow whatever others did.

When more leaders than may be faulty were slow, it is the network, or the machines, and another leader is no
help. Every tenure ends, so that there are leaders to compare.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Protocol

from quorum import Quorums
from quorum.faults import mask_of
from verifiable_log.batch import Entry

SUBMISSIONS_PER_SECOND = 1000
BYTES_PER_SECOND = 4 * 1024 * 1024
"""The pace that is excused: what a slow machine with all members on it orders."""

DECISIONS_MIN = 64
"""Timed decisions until a leader is compared with others; so many of the newest are kept."""

LATE_DECISIONS_MIN = 5
"""Timed decisions until a leader is compared with half the time-out, by the median of twice as many. They are
few because that takes seconds, and one hasty member moves nobody."""

NORM_FACTOR = 4
"""Leaders sit in different places: so many times slower than the norm is still as it should be."""

SECONDS_MIN = 0.020
"""Nobody is slow who takes no longer than this: a pause of any machine."""

Name = tuple[bytes, int]
"""A submission: its client and number."""


class Waiting(Protocol):
    """What clients of this member wait for; or all: a slot, whose name has no client."""

    def is_waiting(self, name: Name) -> bool: ...

    def newest_of(self, turn: int) -> Name | None:
        """What waits of one client, another one for each ``turn``."""
        ...


class LeaderMonitor:
    """Watches one leader at a time; remembers how long each let work wait when it led last.

    Times are milliseconds of this member's clock: when it is set, one decision of many is mistimed.
    """

    def __init__(
        self,
        system: Quorums,
        me: int,
        view: int,
        decided: int,
        *,
        timeout: float,
        tenure_slots: int,
        tenure_beats: float,
    ) -> None:
        """``timeout`` is the view time-out in seconds."""
        self._system = system
        self._me = me
        self._late_seconds = timeout / 2
        self._tenure_slots = tenure_slots
        self._tenure_beats = tenure_beats
        self._medians: dict[int, float] = {}  # seconds, of each leader's last tenure that was long enough
        self._slow: set[int] = set()  # who was slow when last measured
        self._ordered = 0.0  # seconds that a slow machine needs for all that was decided since the start
        self._turn = 0
        self._begin(view, decided)

    def _begin(self, view: int, decided: int) -> None:
        self._leader = self._system.leader(view)
        self._entered_at = decided
        self._waits: deque[float] = deque(maxlen=DECISIONS_MIN)
        self._timed: tuple[Name, int, float] | None = None  # since when, and what was ordered until then
        self._told = False
        self._busy_beats = 0
        self._busy = False  # something was decided since the last heartbeat

    def enter_view(self, view: int, decided: int) -> None:
        if len(self._waits) == DECISIONS_MIN:
            self._medians[self._leader] = median(self._waits)
        self._begin(view, decided)

    # -- timing --------------------------------------------------------------------------------------

    def watch(self, active: bool, waiting: Waiting, now_ms: int) -> None:
        """At the end of a turn: something that waits is timed, if the leader has its NewView (``active``)."""
        if self._timed is not None and waiting.is_waiting(self._timed[0]):
            return
        self._timed = None
        if active and self._leader != self._me:
            name = waiting.newest_of(self._turn)
            if name is not None:
                self._turn += 1
                self._timed = name, now_ms, self._ordered

    def on_decided(self, entry: Entry, now_ms: int) -> None:
        submissions = entry.batch.submissions
        size = sum(len(submission.encoded) for submission in submissions)
        self._ordered += len(submissions) / SUBMISSIONS_PER_SECOND + size / BYTES_PER_SECOND
        self._busy = True
        if self._timed is None:
            return
        name, since_ms, ordered = self._timed
        seconds = (now_ms - since_ms) / 1000 - (self._ordered - ordered)
        client_id, client_seq = name
        here = any(one.client_seq == client_seq and one.client_id == client_id for one in submissions)
        here = here or (not client_id and client_seq == entry.slot)
        # Late already while others' work is done: it may never come.
        if here or seconds > self._late_seconds:
            self._timed = None
            self._waits.append(max(0.0, seconds))

    def on_heartbeat(self) -> None:
        """Tenure is counted in heartbeats in which something was decided: nobody is replaced for idling."""
        self._busy_beats += self._busy
        self._busy = False

    # -- judging -------------------------------------------------------------------------------------

    def too_slow(self) -> bool:
        """Whether the leader is to be suspected for its pace; True once a view."""
        if not self._is_slow():
            if len(self._waits) == DECISIONS_MIN:
                self._slow.discard(self._leader)
            return False
        self._slow.add(self._leader)
        if self._told or self._system.has_correct(mask_of(self._slow)):
            return False
        self._told = True
        return True

    def _is_slow(self) -> bool:
        waits = list(self._waits)
        newest = waits[-2 * LATE_DECISIONS_MIN :]
        if len(newest) >= LATE_DECISIONS_MIN and median(newest) > self._late_seconds:
            return True
        norm = self._norm()
        if len(waits) < DECISIONS_MIN or norm is None:
            return False
        return median(waits) > max(SECONDS_MIN, NORM_FACTOR * norm)

    def _norm(self) -> float | None:
        """Seconds; None until so many other leaders were measured that a correct one is among them."""
        fastest = 0
        others = sorted((seconds, leader) for leader, seconds in self._medians.items())
        for seconds, leader in others:
            if leader != self._leader:
                fastest |= 1 << leader
                if self._system.has_correct(fastest):
                    return seconds
        return None

    def over_tenure(self, decided: int) -> bool:
        """Whether the leader has led for as long as any may; one that nobody could follow leads on."""
        led = decided - self._entered_at >= self._tenure_slots or self._busy_beats >= self._tenure_beats
        return led and self._system.member_count > 1
