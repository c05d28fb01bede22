"""The small language of the explorer: logs are strings of letters, and everything else follows from them.

``"A"`` and ``"B"`` are batches of one submission each, ``"-"`` is the NOOP. ``"AB"`` is the log whose slot 1
holds A and whose slot 2 holds B; it has one root, and that has one name. What members say is told in such
names, so that a state prints, and a schedule can be read and replayed.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from fab_paxos.messages import NewView, Progress, Report
from fab_paxos.selection import ReportedEntry
from quorum import (
    AcceptedStatement,
    Endorsement,
    JointStatement,
    QuorumCertificate,
    QuorumSystem,
    SuspectStatement,
    combine,
)
from tests.worlds.cluster import submission
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme
from verifiable_log import Batch
from verifiable_log.batch import NOOP
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf

SLOTS_MAX = 3
BATCHES = {
    "A": Batch.of([submission(1, 0, b"A")]),
    "B": Batch.of([submission(2, 0, b"B")]),
    "-": NOOP,
}
NAMES = {batch.digest: letter for letter, batch in BATCHES.items()}

Certified = tuple[int, str]
"""A decision certificate: view and log."""

Content = tuple[Certified | None, tuple[tuple[int, int, str], ...]]
"""A Report: its base, and (slot, view, letter) of each entry."""

NewViewName = tuple[int, Certified | None, str]
"""What a NewView opens: view, base, and the letters above it. That is all that its followers do with it."""


@cache
def frontier(log: str) -> Frontier:
    if not log:
        return EMPTY
    return frontier(log[:-1]).append(slot_leaf(len(log), BATCHES[log[-1]].digest))


_LOGS = {
    frontier("".join(log)).root: "".join(log)
    for length in range(SLOTS_MAX + 1)
    for log in product("AB-", repeat=length)
}


def log_of(root: bytes) -> str:
    """The name of a root; one that nobody should ever see has no other name than its own."""
    return _LOGS.get(root, f"?{root.hex()[:8]}")


def letter_of(digest: bytes) -> str:
    return NAMES.get(digest, f"?{digest.hex()[:8]}")


def logs(letters: str, slots: int) -> list[str]:
    """What a leader may propose, up to so many slots: no letter twice."""
    found = [""]
    for log in found:
        found += [log + letter for letter in letters if letter not in log and len(log) < slots]
    return found[1:]


def accepted(name: Certified) -> AcceptedStatement:
    view, log = name
    return AcceptedStatement(view, len(log), frontier(log).root)


def certificate(system: QuorumSystem, statement: JointStatement) -> QuorumCertificate:
    """Made of the first members' shares; as with RSA, the signature does not tell whose they were."""
    text = statement.encode(CONTEXT)
    shares = [
        Endorsement(statement, member, StandInEndorser(member).endorse(text, proven=False))
        for member in range(system.decision)
    ]
    return combine(StandInScheme(system.decision), shares)


def decision_certificate(system: QuorumSystem, name: Certified) -> QuorumCertificate:
    return certificate(system, accepted(name))


def election_proof(system: QuorumSystem, view: int) -> QuorumCertificate:
    return certificate(system, SuspectStatement(view - 1))


def name_of(base: QuorumCertificate | None) -> Certified | None:
    if base is None or not isinstance(base.statement, AcceptedStatement):
        return None
    return base.statement.view, log_of(base.statement.root)


def content_of(report: Report) -> Content:
    entries = tuple((e.slot, e.view, letter_of(e.batch_digest)) for e in report.entries)
    return name_of(report.base), entries


def report(system: QuorumSystem, view: int, content: Content) -> Report:
    base, entries = content
    return Report(
        view,
        decision_certificate(system, base) if base is not None else None,
        tuple(ReportedEntry(slot, at, BATCHES[letter].digest) for slot, at, letter in entries),
        b"signed by the reporter",
    )


def name_new_view(new_view: NewView | Progress) -> NewViewName:
    letters = "".join(letter_of(digest) for digest in new_view.vector)
    return new_view.view, name_of(new_view.base), letters


def opens_with(name: NewViewName) -> str:
    """The log of a member that has carried out this NewView."""
    _, base, letters = name
    return (base[1] if base is not None else "") + letters
