"""What an entry of a Report must come with in profile lean, where one Report can fix a slot.

A correct member accepts, in a view, what the view's NewView gives and then what its leader proposes. So an
entry of view ``w`` is valid iff

* ``w`` is 0 and the leader of view 0 has signed it; or
* the progress certificate of ``w`` is with the Report, and its NewView names the entry; or
* that certificate is there, the slot lies above what its NewView names, and the leader of ``w`` has signed
  the entry.

A progress certificate is one a view: two quorums share correct members, and none endorses two NewViews.
"""

from __future__ import annotations

from collections.abc import Iterator

from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Progress, Report, slot_of_base, top_of
from fab_paxos.selection import ReportedEntry
from quorum import ProgressStatement, Quorums


class MissingEvidence(ValueError):
    """A Report with an entry that no correct member could have accepted, or does not prove."""


def signed_entries(system: Quorums, report: Report, start: int) -> Iterator[tuple[int, ReportedEntry]]:
    """(leader, entry) for each entry that bears a signature, which is still to be checked.

    ``start`` is the last slot of the epoch before, and the base where there is no certificate.
    So are the certificates of ``report.openings``; that they are those of their NewViews is checked here.
    Raises MissingEvidence.
    """
    openings = {opening.view: opening for opening in report.openings}
    if sorted(openings) != sorted({entry.view for entry in report.entries if entry.view}):
        raise MissingEvidence("a Report does not have one progress certificate for each view that it names")
    for opening in report.openings:
        if opening.certificate.statement != ProgressStatement(opening.view, opening.digest):
            raise MissingEvidence(f"the certificate for view {opening.view} is not that of its NewView")
    for entry in report.entries:
        if not 0 < entry.slot - slot_of_base(report.base, start) <= WINDOW_SLOTS:
            raise MissingEvidence(f"slot {entry.slot} of a Report lies beyond its window")
        if _given(entry, openings.get(entry.view), start):
            continue
        if not entry.signature:
            raise MissingEvidence(f"slot {entry.slot} of a Report is not signed by its leader")
        yield system.leader(entry.view), entry


def _given(entry: ReportedEntry, opening: Progress | None, start: int) -> bool:
    """Whether the view's NewView gives the slot. Raises MissingEvidence when it gives another batch."""
    if opening is None or entry.slot > top_of(opening, start):
        return False
    base = slot_of_base(opening.base, start)
    if entry.slot <= base or opening.given(entry.slot, start) != entry.batch_digest:
        raise MissingEvidence(f"slot {entry.slot} of a Report is not what view {entry.view} began with")
    return True
