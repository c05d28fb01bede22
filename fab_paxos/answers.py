"""What members get of this one for asking: small questions have large answers, so their bytes are counted.

A member that catches up asks one question after another, of one peer after another, and is answered as fast
as it takes the answers. One that asks for the sake of asking gets no more than that.
"""

from __future__ import annotations

from fab_paxos.limits import ANSWER_BYTES_PER_BEAT
from fab_paxos.messages import Fetch, FetchBatches, FetchState, Message, NewView, Progress, Report
from verifiable_log.batch import Batch
from verifiable_log.limits import BATCH_BYTES_MAX

ANSWER_BYTES_MIN = 4096
"""What an answer counts at least: reading, encoding and sending it costs that much."""

REPORTED_BYTES = 48
"""An entry of a Report; a digest costs less."""


class Answers:
    """For each peer the bytes since the last heartbeat, and its newest question that is still to be answered.

    Memory: a number and a small message for each member.
    """

    def __init__(self) -> None:
        self._given: dict[int, int] = {}
        self._waiting: dict[int, Message] = {}

    def may(self, peer: int, question: Fetch | FetchState | FetchBatches | None = None) -> bool:
        """Whether ``peer`` is to be answered now. If not, its newest question waits for the heartbeat."""
        if self._given.get(peer, 0) < ANSWER_BYTES_PER_BEAT:
            return True
        if question is not None:
            self._waiting[peer] = question
        return False

    def charge(self, peer: int, size: int) -> None:
        """An answer of about ``size`` bytes goes to ``peer``."""
        self._given[peer] = self._given.get(peer, 0) + max(size, ANSWER_BYTES_MIN)

    def on_heartbeat(self) -> list[tuple[int, Message]]:
        """Everybody may ask again; the questions that waited."""
        waiting = sorted(self._waiting.items())
        self._given.clear()
        self._waiting.clear()
        return waiting


FRAME_BYTES = BATCH_BYTES_MAX
"""A log frame, of which the engine does not know how much it will hold."""


def batch_bytes(batch: Batch) -> int:
    """About as many bytes as it has on the wire, or what it costs at least."""
    return max(ANSWER_BYTES_MIN, sum(len(submission.encoded) for submission in batch.submissions))


def size_of(opening: NewView | Progress) -> int:
    """About as many bytes as it has on the wire."""
    reports = opening.reports if isinstance(opening, NewView) else ()
    return 32 * len(opening.vector) + sum(_report_bytes(report) for _, report in reports)


def _report_bytes(report: Report) -> int:
    """With its evidence, in profile lean."""
    evidence = sum(len(entry.root) + len(entry.signature) for entry in report.entries)
    return REPORTED_BYTES * len(report.entries) + evidence + sum(map(size_of, report.openings))
