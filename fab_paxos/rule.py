"""What the profiles of an alliance select a new view's slots by: the seam between classic and lean.

Which Reports a leader opens its view with, and what follows from them. How a view is opened is
``view_change`` in both, with what profile lean does otherwise in ``lean_view_change``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fab_paxos.lean_selection import EquivocatorReports, select_lean
from fab_paxos.messages import Report, slot_of_base
from fab_paxos.selection import select
from quorum import Quorums

Reports: TypeAlias = tuple[tuple[int, Report], ...]
"""(member, Report), by member."""


def vector_of(system: Quorums, reports: Reports, start: int) -> tuple[bytes, ...]:
    """What a NewView with exactly these Reports begins with, above their highest base.

    ``start`` is the last slot of the epoch before, and the base of a Report without a certificate.
    Raises InvalidSelection when the profile does not allow them together.
    """
    base = max((slot_of_base(report.base, start) for _, report in reports), default=start)
    entries = [(member, report.entries) for member, report in reports]
    if system.lean:
        return select_lean(system, entries, base)
    return select(system, entries, base)


def choose(system: Quorums, me: int, reports: Mapping[int, Report], start: int) -> Reports | None:
    """The Reports to open the view with, of those that the leader ``me`` holds; None while it takes more.

    In profile lean its own is among them, so that nothing below its own certificate matters, and those of
    members that proposed two batches for a slot are not.
    """
    if not system.lean:
        members = _enough(system, sorted(reports))
        return _picked(reports, members) if members is not None else None
    trusted = sorted(reports, key=lambda member: (member != me, member))
    while me in trusted and (members := _enough(system, trusted)) is not None:
        picked = _picked(reports, sorted(members))
        try:
            vector_of(system, picked, start)
        except EquivocatorReports as proven:
            trusted.remove(proven.member)
        else:
            return picked
    return None


def _enough(system: Quorums, members: list[int]) -> list[int] | None:
    """The first of these, so many that a view may start from their Reports; None while it takes more."""
    mask = 0
    for count, member in enumerate(members, 1):
        mask |= 1 << member
        if system.reports(mask):
            return members[:count]
    return None


def _picked(reports: Mapping[int, Report], members: list[int]) -> Reports:
    return tuple((member, reports[member]) for member in members)
