"""Members whose identity is or was in doubt: since when, why, and until when.

An alarm begins when a link is refused, and ends with that member's next good handshake. For an hour it is
still told in the status, as one that has ended. The operator's word that it has been seen takes it out of the
status at once; nothing else depends on it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

ENDED_SHOWN_MS = 3_600_000
ENDED_MAX = 64
"""Alarms that have ended and are still told; the log file has all."""


@dataclass(slots=True)
class Alarm:
    """Times are in milliseconds since 1970; ``times``: how often it was raised."""

    member: int
    reason: str
    since_ms: int
    times: int = 1
    ended_ms: int | None = None
    acknowledged: bool = False


class Alarms:
    """One standing alarm of each member at most, and the latest that have ended."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """``now`` in seconds since 1970."""
        self._now = now
        self._standing: dict[int, Alarm] = {}
        self._ended: deque[Alarm] = deque(maxlen=ENDED_MAX)

    def raised(self, member: int, reason: str) -> None:
        """A link to this member was refused; for the same reason again, it is the same alarm."""
        alarm = self._standing.get(member)
        if alarm is not None and alarm.reason == reason:
            alarm.times += 1
            return
        self.ended(member)
        self._standing[member] = Alarm(member, reason, self._time())

    def ended(self, member: int) -> Alarm | None:
        """It has greeted as a correct member does; the alarm that ends by this."""
        alarm = self._standing.pop(member, None)
        if alarm is not None:
            alarm.ended_ms = self._time()
            self._ended.append(alarm)
        return alarm

    def acknowledge(self) -> None:
        """The operator has seen all of them."""
        for alarm in self.all():
            alarm.acknowledged = True

    def told(self, member: int) -> str:
        """Why it is in doubt, or was within the last hour; empty if it is not, or if that has been seen.

        Of two machines with one identity the one that goes on greets well, and an alarm that ended with that
        must not go by unseen.
        """
        ended = (alarm for alarm in reversed(self._ended) if alarm.member == member)
        alarm = self._standing.get(member) or next(ended, None)
        if alarm is None or alarm.acknowledged:
            return ""
        if alarm.ended_ms is None:
            return alarm.reason
        if self._time() - alarm.ended_ms > ENDED_SHOWN_MS:
            return ""
        return (
            f"{alarm.reason} (ended {datetime.fromtimestamp(alarm.ended_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ})"
        )

    def all(self) -> list[Alarm]:
        """Those that have ended and those that stand, by the time at which they began."""
        return sorted([*self._ended, *self._standing.values()], key=lambda alarm: alarm.since_ms)

    def _time(self) -> int:
        return round(1000 * self._now())
