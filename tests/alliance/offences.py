"""One offence of each kind, committed with real keys: what the engine would hand over as evidence."""

from __future__ import annotations

from dataclasses import replace

from alliance.evidence import portable as kinds
from alliance.storage.history import History
from fab_paxos.evidence import (
    BrokenLog,
    Evidence,
    Repetition,
    TwoNewViews,
    TwoReports,
    TwoStatements,
    TwoSubmissions,
    WrongNewView,
)
from fab_paxos.messages import NewView, Propose, Report
from fab_paxos.selection import ReportedEntry
from quorum import NewViewStatement, ProposeStatement, ReportStatement
from tests.alliance.farm import Farm
from verifiable_log import Batch
from verifiable_log.merkle import EMPTY, Frontier, MerkleLog, slot_leaf

LEADER, VIEW = 2, 8  # 8 mod 6


def propose(
    farm: Farm, slot: int, batch: Batch, root: bytes, signer: int = LEADER, view: int = VIEW
) -> Propose:
    statement = ProposeStatement(view, slot, batch.digest, root).encode(farm.config.context)
    return Propose(view, slot, batch, root, farm.members[signer].signing_key.sign(statement))


def report(farm: Farm, member: int, *entries: ReportedEntry, view: int = VIEW) -> Report:
    unsigned = Report(view, None, entries)
    statement = ReportStatement(view, unsigned.body_digest).encode(farm.config.context)
    return replace(unsigned, signature=farm.members[member].signing_key.sign(statement))


def new_view(
    farm: Farm, reports: tuple[tuple[int, Report], ...], *vector: bytes, signer: int = LEADER
) -> NewView:
    unsigned = NewView(VIEW, reports, vector)
    statement = NewViewStatement(VIEW, unsigned.digest).encode(farm.config.context)
    return replace(unsigned, signature=farm.members[signer].signing_key.sign(statement))


def story(farm: Farm, slots: int) -> tuple[list[Batch], list[Frontier]]:
    """Batches of two submissions, and the frontiers before and after them."""
    batches, frontiers = [], [EMPTY]
    for slot in range(1, slots + 1):
        batches.append(Batch.of([farm.submission(2 * slot), farm.submission(2 * slot + 1)]))
        frontiers.append(frontiers[-1].append(slot_leaf(slot, batches[-1].digest)))
    return batches, frontiers


def history(batches: list[Batch]) -> History:
    log = MerkleLog()
    for slot, batch in enumerate(batches, 1):
        log.append(slot_leaf(slot, batch.digest))
    told = History(None, log, None)  # type: ignore[arg-type]
    told._recent.update(enumerate(batches, 1))
    return told


def repetition(farm: Farm, decided: int, slot: int, of: int) -> tuple[Repetition, History]:
    """A proposal for ``slot`` that repeats one of slot ``of``; the history knows ``decided`` slots."""
    batches, frontiers = story(farm, slot - 1)
    again = Batch.of([farm.submission(900), batches[of - 1].submissions[1]])
    root = frontiers[-1].append(slot_leaf(slot, again.digest)).root
    base = max(0, decided - 2)
    digests = (*(batch.digest for batch in batches[base:]), again.digest)
    held = batches[of - 1] if of > base else None
    evidence = Repetition(propose(farm, slot, again, root), 1, of, held, base, digests)
    return evidence, history(batches[:decided])


def offences(farm: Farm) -> dict[str, tuple[str, Evidence | TwoSubmissions, History]]:
    """By kind: whose, what, and the history that completes it."""
    batches, frontiers = story(farm, 5)
    nothing = history([])
    first = propose(farm, 4, batches[3], frontiers[4].root)
    vote = farm.accepted(VIEW, 4, b"a" * 32, LEADER)
    wrong = propose(farm, 5, batches[4], b"w" * 32)
    entry = ReportedEntry(3, 1, b"d" * 32)
    reports = tuple((member, report(farm, member, entry)) for member in range(5))
    two = (farm.submission(7, b"to Alice"), farm.submission(7, b"to Bob"))
    again, decided = repetition(farm, 6, 9, 3)
    ours, theirs = new_view(farm, reports), new_view(farm, reports[1:], b"x" * 32)
    return {
        kinds.TWO_STATEMENTS: ("member-3", TwoStatements(first, vote), nothing),
        kinds.BROKEN_LOG: ("member-3", BrokenLog(first, frontiers[4], wrong), nothing),
        kinds.REPETITION: ("member-3", again, decided),
        kinds.TWO_NEW_VIEWS: ("member-3", TwoNewViews(ours, theirs), nothing),
        kinds.WRONG_NEW_VIEW: ("member-3", WrongNewView(ours), nothing),
        kinds.TWO_REPORTS: (
            "member-5",
            TwoReports(4, reports[4][1], report(farm, 4, replace(entry, view=0))),
            nothing,
        ),
        kinds.TWO_SUBMISSIONS: ("client-1", TwoSubmissions(*two), nothing),
    }
