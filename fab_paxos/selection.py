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

from quorum import Quorums
from quorum.faults import mask_of
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


def select(
    system: Quorums, reports: Sequence[tuple[int, Sequence[ReportedEntry]]], base: int
) -> tuple[bytes, ...]:
    """The batch digests that a new view must begin with, for the slots from ``base + 1`` on.

    ``reports`` are (member, entries) of distinct members that ``system`` selects from, n - f of them where
    members are counted; each slot at most once a member. Slots above the last forced one are free; a free
    slot below it becomes a NOOP. Raises InvalidSelection for other members, a member that reports twice, or
    a slot that is reported twice by one member.
    """
    reported = reporters(system, [member for member, _ in reports])
    named: dict[int, dict[bytes, int]] = {}
    for member, entries in reports:
        seen: set[int] = set()
        for entry in entries:
            if entry.slot in seen:
                raise InvalidSelection(f"slot {entry.slot} is reported twice by one member")
            seen.add(entry.slot)
            if entry.slot > base:
                digests = named.setdefault(entry.slot, {})
                digests[entry.batch_digest] = digests.get(entry.batch_digest, 0) | 1 << member
    forced: dict[int, bytes] = {}
    for slot, digests in named.items():
        for digest, members in digests.items():
            if system.forces(members, reported):  # at most one: the system's third fact
                forced[slot] = digest
    highest = max(forced, default=base)
    return tuple(forced.get(slot, NOOP.digest) for slot in range(base + 1, highest + 1))


def reporters(system: Quorums, members: Sequence[int]) -> int:
    """The set of these members. Raises InvalidSelection unless ``system`` selects from their Reports."""
    mask = mask_of(members)
    if mask.bit_count() != len(members):
        raise InvalidSelection("a member reports twice")
    if not system.selects(mask):
        raise InvalidSelection(f"Reports of {len(members)} members are not those that a view may start from")
    return mask
