"""How this member's clock stands to the others': an estimate, from the clocks that their Status tells.

Nothing that is decided depends on it. It is there to be told: a member whose own clock is wrong finds the
time stamps of every leader wrong, and its operator is to learn which of the two it is.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from statistics import median_low

from alliance.config.file import AllianceConfig

log = logging.getLogger("alliance.server")

SAMPLES = 8
"""Of each peer's clock; the one that was under way the shortest counts, so queues and pauses do not."""

REPEAT_SECONDS = 60.0


class PeerClocks:
    """What peers' clocks showed; in memory bounded by the number of members."""

    def __init__(self, config: AllianceConfig) -> None:
        self._drift_ms = 1000 * config.timing.clock_drift_seconds
        # Of more than half of these the clock is told truly, whatever ``f`` of them say.
        self._needed = 2 * config.system.faulty_max + 1
        self._ahead: dict[int, deque[int]] = {}
        self._warned: float | None = None

    def note(self, peer: int, clock_ms: int, arrived_ms: int) -> None:
        """``peer`` says what its clock showed; when that came, ours showed ``arrived_ms``."""
        self._ahead.setdefault(peer, deque(maxlen=SAMPLES)).append(arrived_ms - clock_ms)
        self._tell()

    def lost(self, peer: int) -> None:
        """The link is down: what it said gets old."""
        self._ahead.pop(peer, None)

    @property
    def ahead_ms(self) -> int | None:
        """How far this member's clock is ahead of the median of its peers', in milliseconds.

        Negative: behind. It is too high by as long as a Status is under way. None: too few peers are there.
        """
        if len(self._ahead) < self._needed:
            return None
        return median_low(min(samples) for samples in self._ahead.values())

    @property
    def is_wrong(self) -> bool:
        """Whether it differs by more than half of what stamps may."""
        ahead = self.ahead_ms
        return ahead is not None and abs(ahead) > self._drift_ms / 2

    def _tell(self) -> None:
        ahead, now = self.ahead_ms, time.monotonic()
        if ahead is None:
            return
        if not self.is_wrong:
            if self._warned is not None:
                log.info("this machine's clock agrees with the other members' again")
            self._warned = None
        elif self._warned is None or now - self._warned >= REPEAT_SECONDS:
            self._warned = now
            log.warning(
                "this machine's clock is %.1f s %s the other members' (their median): set it right; a member"
                " whose clock is %g s off does not vote in time",
                abs(ahead) / 1000,
                "ahead of" if ahead > 0 else "behind",
                self._drift_ms / 1000,
            )
