"""Wrong versions of profile lean.

Not among them, since nothing is lost by them: to count digests also in views below the newest one, to fall
back to lower views when the newest one forces nothing, and to carry out a NewView with all its Reports as the
evidence in place of its progress certificate.
"""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_SYSTEM = "quorum.system:QuorumSystem"
_SELECT = "fab_paxos.lean_selection:select_lean"
_ROOM = "fab_paxos.lean_view_change:LeanViewChange"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(f"lean: {name}", "lean", edits)


LEAN = (
    _bug("decision - 1", at(f"{_SYSTEM}.decision", "(0 if self.lean", "(-2 if self.lean")),
    _bug("forcing + 1", at(f"{_SYSTEM}.forcing", "(1 if self.lean", "(2 if self.lean")),
    _bug("forcing - 1", at(f"{_SYSTEM}.forcing", "(1 if self.lean", "(0 if self.lean")),
    _bug(
        "Reports - 1",
        at(
            f"{_SYSTEM}.report",
            "self.member_count - self.faulty_max",
            "self.member_count - self.faulty_max - self.lean",
        ),
    ),
    _bug("the rule of classic", at("fab_paxos.rule:vector_of", "if system.lean:", "if False:")),
    _bug("the Report of an equivocator counts", at(_SELECT, "if reported >> equivocator & 1:", "if False:")),
    _bug(
        "one Report of a value is not enough",
        at(
            _SELECT,
            "(chosen[slot],) = digests",
            "chosen |= {slot: one for one, some in digests.items() if some.bit_count() >= system.forcing}",
        ),
    ),
    _bug(
        "the oldest view counts",
        at(
            _SELECT,
            "last = max(entry.view for _, entry in told)",
            "last = min(entry.view for _, entry in told)",
        ),
    ),
    _bug(
        "a leader's signature overrules its NewView",
        at(
            "fab_paxos.report_evidence:signed_entries",
            "if _given(entry, openings.get(entry.view), start):",
            "if not entry.signature and _given(entry, openings.get(entry.view), start):",
        ),
    ),
    _bug(
        "the certificate of an opening is another's",
        at(
            "fab_paxos.report_evidence:signed_entries",
            "if opening.certificate.statement != ProgressStatement(opening.view, opening.digest):",
            "if False:",
        ),
    ),
    _bug(
        "a slot may lie two windows away",
        at("fab_paxos.report_evidence:signed_entries", "<= WINDOW_SLOTS", "<= 2 * WINDOW_SLOTS"),
    ),
    _bug(
        "Reports need not ripen",
        at(f"{_ROOM}._ripe", "batch = self._batch(digest)", "return True"),
    ),
    _bug(
        "time stamps of Reports are not compared",
        at(f"{_ROOM}._ripe", " or batch.time_ms > self._acceptor.stamp_max", ""),
    ),
    _bug(
        "what the leader fetched it does not serve",
        at(f"{_ROOM}.served", "self._batch(digest)", "self._log.batch(digest)"),
    ),
    _bug(
        "a newer Report does not replace the older",
        at(
            f"{_ROOM}._takes_the_place",
            "return self._base(report) > self._base(first)",
            "return False",
        ),
    ),
    _bug(
        "the opening of a view is not journalled",
        at(f"{_ROOM}._keep", "out.append(Persist(ProgressRecord(tuple(self._openings.values()))))", "pass"),
    ),
    _bug(
        "openings of earlier views are not kept",
        at(f"{_ROOM}._keep", "if view in named", "if False"),
    ),
    _bug(
        "two proposals in Reports go unnoticed",
        at(f"{_ROOM}._compare", "if first != entry:", "if False:"),
    ),
)
