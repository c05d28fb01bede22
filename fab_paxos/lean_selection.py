"""The rule of profile lean that picks safe values for a new view from what members report.

It weighs only what is reported of the highest view in which a slot has any entry: whatever was decided in an
earlier view is what that view began with. Every entry comes with evidence (``report_evidence``), so that one
Report is enough where nothing contradicts it. Two digests of one slot and view are two proposals under the
leader's signature, which prove that it lies: its own Report is then left out, and with one liar less among
the others at least ``forcing`` name what was decided.

The source is docs/concepts/protocol.md, section 9.4; Kuznetsov, Tonkikh & Zhang, "Revisiting Optimal
Resilience of Fast Byzantine Consensus", PODC 2021, for the single instance.
"""

from __future__ import annotations

from collections.abc import Sequence

from fab_paxos.selection import InvalidSelection, ReportedEntry, reporters
from quorum import Quorums
from verifiable_log.batch import NOOP


class EquivocatorReports(InvalidSelection):
    """``member`` led a view in which it proposed two batches for a slot, and is among the reporters."""

    def __init__(self, member: int) -> None:
        super().__init__(f"member {member} made two proposals for a slot: its Report does not count")
        self.member = member


def select_lean(
    system: Quorums, reports: Sequence[tuple[int, Sequence[ReportedEntry]]], base: int
) -> tuple[bytes, ...]:
    """The batch digests that a new view must begin with, for the slots from ``base + 1`` on.

    ``reports`` are (member, entries) of distinct members that ``system`` selects from, n - f of them where
    members are counted; each slot at most once a member. Slots above the last chosen one are free; a free
    slot below it becomes a NOOP. Raises EquivocatorReports when other Reports are needed, and
    InvalidSelection for other members, a member that reports twice, or a slot that is reported twice by one
    member.
    """
    reported = reporters(system, [member for member, _ in reports])
    named: dict[int, list[tuple[int, ReportedEntry]]] = {}
    for member, entries in reports:
        if len({entry.slot for entry in entries}) != len(entries):
            raise InvalidSelection("a slot is reported twice by one member")
        for entry in entries:
            if entry.slot > base:
                named.setdefault(entry.slot, []).append((member, entry))
    chosen: dict[int, bytes] = {}
    for slot, told in sorted(named.items()):
        last = max(entry.view for _, entry in told)
        digests: dict[bytes, int] = {}
        for member, entry in told:
            if entry.view == last:
                digests[entry.batch_digest] = digests.get(entry.batch_digest, 0) | 1 << member
        if len(digests) == 1:
            (chosen[slot],) = digests
            continue
        equivocator = system.leader(last)
        if reported >> equivocator & 1:
            raise EquivocatorReports(equivocator)
        for digest, members in digests.items():
            if system.forces(members, reported, equivocator):  # at most one: the system's third fact
                chosen[slot] = digest
    highest = max(chosen, default=base)
    return tuple(chosen.get(slot, NOOP.digest) for slot in range(base + 1, highest + 1))
