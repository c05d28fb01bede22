"""What an entry of a Report must come with in profile lean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Progress, Report
from fab_paxos.report_evidence import MissingEvidence, signed_entries
from fab_paxos.selection import ReportedEntry
from quorum import AcceptedStatement, ProgressStatement, QuorumCertificate, QuorumSystem
from quorum.system import LEAN

FOUR = QuorumSystem(4, 1, LEAN)
VIEW = 9
A, B, ROOT, SIGNATURE = b"a" * 32, b"b" * 32, b"r" * 32, b"s" * 64


def decision(slot: int) -> QuorumCertificate:
    return QuorumCertificate(0, AcceptedStatement(0, slot, bytes(32)), b"joint")


def opening(view: int, base: int, *vector: bytes) -> Progress:
    unproven = QuorumCertificate(0, ProgressStatement(view, bytes(32)), b"joint")
    progress = Progress(view, bytes(32), decision(base) if base else None, vector, unproven)
    return replace(
        progress, certificate=QuorumCertificate(0, ProgressStatement(view, progress.digest), b"joint")
    )


def given(slot: int, view: int, digest: bytes) -> ReportedEntry:
    return ReportedEntry(slot, view, digest)


def proposed(slot: int, view: int, digest: bytes) -> ReportedEntry:
    return ReportedEntry(slot, view, digest, ROOT, SIGNATURE)


def signed(report: Report) -> list[tuple[int, int]]:
    return [(leader, entry.slot) for leader, entry in signed_entries(FOUR, report, 0)]


def refuse(report: Report, match: str) -> None:
    with pytest.raises(MissingEvidence, match=match):
        signed(report)


def test_lean_entry_of_vector_versus_signed() -> None:
    """What the NewView gives needs no signature; what lies above is signed by the leader of its view."""
    five = opening(5, 2, A, B)
    entries = (given(3, 5, A), given(4, 5, B), proposed(5, 5, A), proposed(6, 0, A))
    assert signed(Report(VIEW, decision(2), entries, openings=(five,))) == [(1, 5), (0, 6)]
    for wrong, match in (
        (proposed(3, 5, B), "not what view 5 began with"),  # signed, but against the vector
        (given(3, 5, B), "not what view 5 began with"),
        (given(5, 5, A), "not signed"),
        (given(6, 0, A), "not signed"),
    ):
        refuse(Report(VIEW, decision(2), (wrong,), openings=(five,) if wrong.view else ()), match)
    late = opening(5, 3, A)
    refuse(Report(VIEW, decision(2), (proposed(3, 5, A),), openings=(late,)), "not what view 5 began with")


def test_lean_report_without_evidence() -> None:
    """Every view from 1 on comes with its own opening, whose certificate is that of its NewView."""
    five, six = opening(5, 0, A), opening(6, 0, A)
    refuse(Report(VIEW, None, (proposed(2, 5, A),)), "one progress certificate for each view")
    refuse(Report(VIEW, None, (proposed(2, 5, A),), openings=(six,)), "one progress certificate")
    refuse(Report(VIEW, None, (proposed(2, 0, A),), openings=(five,)), "one progress certificate")
    anothers = replace(five, certificate=six.certificate)
    refuse(Report(VIEW, None, (given(1, 5, A),), openings=(anothers,)), "not that of its NewView")
    longer = replace(five, vector=(A, B))
    refuse(Report(VIEW, None, (given(2, 5, B),), openings=(longer,)), "not that of its NewView")
    assert signed(Report(VIEW, None, ())) == []


def test_lean_far_slot() -> None:
    """A window above the Report's own base, and no slot more."""
    last = 7 + WINDOW_SLOTS
    assert signed(Report(VIEW, decision(7), (proposed(last, 0, A),))) == [(0, last)]
    refuse(Report(VIEW, decision(7), (proposed(last + 1, 0, A),)), "beyond its window")
    refuse(Report(VIEW, None, (proposed(last, 0, A),)), "beyond its window")


def test_evidence_is_no_part_of_what_a_report_says() -> None:
    """A leader signs its own proposals when a Report leaves: the Report is the same before and after."""
    bare = Report(VIEW, None, (ReportedEntry(1, 0, A, ROOT),))
    full = Report(VIEW, None, (proposed(1, 0, A),), openings=(opening(5, 0, A),))
    assert bare == full
    assert bare.body == full.body
    assert Report.of_body(VIEW, full.body) == full
