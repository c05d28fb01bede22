"""Reading the journal again while the member runs, a little at a time: bits rot in files that nobody reads.

Every row is held against its seals, and all together against the newest certificate: its root, which a
quorum has signed and every other member knows, must be that of the log in these rows. So one member compares
its disk with all others, without asking them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EPOCH, SHARES
from alliance.storage.journal_openings import OPENINGS
from alliance.storage.journal_records import DAMAGE, unpack_frontier
from quorum import AcceptedStatement, DecisionCertificate, QuorumCertificate
from verifiable_log.merkle import Frontier, slot_leaf

PORTION_SLOTS = 128
PORTION_BYTES = 256 * 1024
"""Of batches; a larger one is a portion of its own. Some milliseconds of work."""
PASS_SECONDS = 600.0
NOTES = ("position", "starts", "checkpoint", "base", OPENINGS, EPOCH, SHARES)


class JournalCheck:
    """One pass after the other over all that the journal keeps, each up to the newest certificate."""

    def __init__(self, journal: Journal, history: History, now: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._history = history
        self._now = now
        self._due = now()
        self._goal: DecisionCertificate | None = None
        self._read = Frontier()
        self._passed: tuple[int, float] | None = None

    @property
    def passed(self) -> tuple[int, float] | None:
        """Up to which slot the newest whole pass went, and how many seconds ago; None before the first."""
        return (self._passed[0], self._now() - self._passed[1]) if self._passed is not None else None

    def portion(self) -> None:
        """Reads on, if a pass is due. Raises JournalError when the journal is damaged."""
        if self._goal is None or self._read.size < self._history.pruned:
            if self._goal is None and self._now() < self._due:
                return
            self._begin()
        if self._goal is None:
            return
        self._read_on(self._goal)
        if self._read.size >= self._goal.slot:
            if self._read.size == self._goal.slot and self._read.root != self._goal.root:
                raise self._journal.damaged(f"its log up to slot {self._read.size} is not the certified one")
            self._passed = (self._read.size, self._now())
            self._goal = None

    def _begin(self) -> None:
        self._due = self._now() + PASS_SECONDS
        self._goal = self._history.certificate
        notes = {key: self._journal.kept(key) for key in NOTES}
        try:
            base = notes["base"]
            self._read = unpack_frontier(base) if base is not None else Frontier()
        except DAMAGE as error:
            raise self._journal.damaged(str(error)) from None

    def _read_on(self, goal: DecisionCertificate) -> None:
        first, size = self._read.size + 1, 0
        for batch in self._journal.batches(first, min(goal.slot, first + PORTION_SLOTS - 1)):
            self._read = self._read.append(slot_leaf(self._read.size + 1, batch.digest))
            size += sum(len(submission.encoded) for submission in batch.submissions)
            if size >= PORTION_BYTES:
                return

    def compare(self, certificate: QuorumCertificate) -> None:
        """A valid certificate that another member has. Raises JournalError when the log here is another one.

        For one slot there is one certified root. With at most ``f`` faulty members a decided slot that has
        another one here was not decided so: this member remembers wrongly.
        """
        if not isinstance(certificate.statement, AcceptedStatement):
            return
        theirs = DecisionCertificate.of(certificate)
        ours = self._history.root(theirs.slot)
        if ours is not None and ours != theirs.root:
            raise self._journal.damaged(
                f"slot {theirs.slot} is certified with another log than the one that is decided here"
            )
