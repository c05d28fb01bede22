"""The rule of profile classic that picks safe values for a new view from what members report.

The source is docs/concepts/protocol.md, section 9.1.

A value that may have been decided in any earlier view was accepted by so many correct members that at
least ``forcing`` of any ``report`` Reports name it, and no second value of the slot can reach that number.
Digests are counted across the views in which they were accepted: counting pairs of view and digest would
lose a value whose supporters re-accepted it at different times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from quorum import QuorumSystem
from verifiable_log.batch import NOOP


@dataclass(frozen=True, slots=True)
class ReportedEntry:
    """The reporter accepted ``batch_digest`` at ``slot``, most recently in ``view``.

    In profile lean ``root`` and ``signature`` are those of the leader's proposal; both are empty where the
    NewView of ``view`` gave the slot. They prove themselves, and are no part of what the reporter says.
    """

    slot: int
    view: int
    batch_digest: bytes
    root: bytes = field(default=b"", compare=False)
    signature: bytes = field(default=b"", compare=False)


class InvalidSelection(ValueError):
    """The Reports do not allow a selection."""


def select(system: QuorumSystem, reports: Sequence[Sequence[ReportedEntry]], base: int) -> tuple[bytes, ...]:
    """The batch digests that a new view must begin with, for the slots from ``base + 1`` on.

    ``reports`` holds the entries of exactly ``system.report`` distinct members, each slot at most once a
    member. Slots above the last forced one are free; a free slot below it becomes a NOOP. Raises
    InvalidSelection for any other number of Reports or a slot that is reported twice.
    """
    if len(reports) != system.report:
        raise InvalidSelection(f"{system.report} Reports are needed, not {len(reports)}")
    counts: dict[int, dict[bytes, int]] = {}
    for entries in reports:
        seen: set[int] = set()
        for entry in entries:
            if entry.slot in seen:
                raise InvalidSelection(f"slot {entry.slot} is reported twice by one member")
            seen.add(entry.slot)
            if entry.slot > base:
                digests = counts.setdefault(entry.slot, {})
                digests[entry.batch_digest] = digests.get(entry.batch_digest, 0) + 1
    forced: dict[int, bytes] = {}
    for slot, digests in counts.items():
        for digest, count in digests.items():
            if count >= system.forcing:  # at most one: 2 * forcing > report
                forced[slot] = digest
    highest = max(forced, default=base)
    return tuple(forced.get(slot, NOOP.digest) for slot in range(base + 1, highest + 1))
