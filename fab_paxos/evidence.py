"""What convicts: statements of one party, signed by it, that no correct party signs together, or at all.

Everything here is proof for a third party who knows the members' public keys and nothing else; what only
makes its witness suspicious (a log that differs, an unsigned message, a share) is a Blame without evidence.
Why a correct member never stands accused is argued kind by kind, and in docs/concepts/evidence.md as a whole:

* ``TwoStatements``: a member proposes and accepts one root for a slot of a view. It journals that before it
  says so, and a member whose log was exchanged for a proven one says nothing any more, in that view, about
  slots that it had accepted before (``UncertifiedLog.muted_up_to``).
* ``BrokenLog``: a leader's proposals of one view continue each other, for the same reason.
* ``Repetition``: a leader proposes only what its log does not hold, and the root names that log.
* ``TwoNewViews``: a leader journals the digest of its NewView before it sends it.
* ``WrongNewView``: the vector is a function of the Reports, and both are under the leader's signature.
* ``TwoReports``: after the fence nothing is accepted in an earlier view, so a slot above the base has one
  entry or, where a certificate has overruled it, none. Reports that merely differ prove nothing.
* ``TwoProposals``: as ``TwoStatements``; in profile lean Reports bring them, without the batches.
* ``TwoSubmissions``: a client uses each of its numbers once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fab_paxos.messages import Accepted, NewView, Propose, Report, slot_of_base
from fab_paxos.selection import ReportedEntry
from verifiable_log.batch import Batch
from verifiable_log.merkle import Frontier
from verifiable_log.submission import Submission


@dataclass(frozen=True, slots=True)
class TwoStatements:
    """Two roots for one slot of one view; a leader's Propose counts as its Accepted."""

    first: Propose | Accepted
    second: Propose | Accepted


@dataclass(frozen=True, slots=True)
class BrokenLog:
    """The log up to ``before``, whose frontier is ``frontier``, and ``after`` do not make the proposed root.

    ``before`` is the leader's own proposal for the slot before, and None for slot 1.
    """

    before: Propose | None
    frontier: Frontier
    after: Propose


@dataclass(frozen=True, slots=True)
class Repetition:
    """``propose`` holds, at ``index``, a number of a client that the log holds already, in ``slot``.

    ``digests`` are those of the slots from ``base + 1`` to the proposed one. ``batch`` is that of ``slot``,
    and None when the slot is certified and out of the engine's memory: then the history has it.
    """

    propose: Propose
    index: int
    slot: int
    batch: Batch | None
    base: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TwoNewViews:
    first: NewView
    second: NewView


@dataclass(frozen=True, slots=True)
class WrongNewView:
    new_view: NewView


@dataclass(frozen=True, slots=True)
class TwoReports:
    """Of one member for one view; ``disagree`` says what is wrong with them."""

    member: int
    first: Report
    second: Report


@dataclass(frozen=True, slots=True)
class TwoProposals:
    """Two batches that the leader of their view proposed for their slot: entries with its signatures."""

    first: ReportedEntry
    second: ReportedEntry


@dataclass(frozen=True, slots=True)
class TwoSubmissions:
    """Two contents under one number of a client: evidence against the client."""

    first: Submission
    second: Submission


Evidence: TypeAlias = (
    TwoStatements | BrokenLog | Repetition | TwoNewViews | WrongNewView | TwoReports | TwoProposals
)


def disagree(first: Report, second: Report) -> bool:
    """Whether two Reports name different entries for a slot above both their bases.

    A base may grow between two Reports, and a certificate may make entries void: so the rest may differ.
    """
    base = max(slot_of_base(first.base, 0), slot_of_base(second.base, 0))
    entries = {entry.slot: entry for entry in first.entries if entry.slot > base}
    return any(entries.get(entry.slot, entry) != entry for entry in second.entries)
