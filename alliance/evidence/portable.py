"""Evidence as a file: what convicts a member or client, for anybody who has the alliance's alliance.toml.

The file holds the signed bytes themselves and no more than is needed to judge them, which ``verdict`` does.
docs/concepts/evidence.md gives the format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from alliance.errors import InvalidEvidence
from alliance.proofs import jsonform
from fab_paxos.evidence import (
    BrokenLog,
    Evidence,
    Repetition,
    TwoNewViews,
    TwoProposals,
    TwoReports,
    TwoStatements,
    TwoSubmissions,
    WrongNewView,
)
from fab_paxos.messages import Accepted, NewView, Propose, Report
from fab_paxos.selection import ReportedEntry
from quorum import Context, NewViewStatement, ProposeStatement, ReportStatement, VoteStatement
from quorum.statement import PREFIX
from quorum.tags import tag_name
from verifiable_log.batch import Batch
from verifiable_log.placement import Placement
from verifiable_log.submission import Submission, SubmissionHeader

FORMAT = "alliance-evidence/3"
_FORMATS_BEFORE = ("alliance-evidence/1", "alliance-evidence/2")
EVIDENCE_BYTES_MAX = 8 * 1024 * 1024
"""Room for the Reports of the largest alliance, or for two submissions of the largest size."""

STATEMENTS_MAX = 2
"""More than a contradiction needs would only cost the judge time."""

TWO_STATEMENTS = "two-statements"
BROKEN_LOG = "broken-log"
REPETITION = "repetition"
TWO_NEW_VIEWS = "two-new-views"
WRONG_NEW_VIEW = "wrong-new-view"
TWO_REPORTS = "two-reports"
TWO_SUBMISSIONS = "two-submissions"
BESIDES: Mapping[str, tuple[str, ...]] = {
    TWO_STATEMENTS: (),
    BROKEN_LOG: ("peaks",),
    REPETITION: ("places",),
    TWO_NEW_VIEWS: (),
    WRONG_NEW_VIEW: ("reports", "vector"),
    TWO_REPORTS: ("reports",),
    TWO_SUBMISSIONS: (),
}
"""The kinds, and what each of their files holds besides the signed statements."""


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """A statement, in the bytes that the culprit signed."""

    statement: bytes
    signature: bytes

    @property
    def tag(self) -> str:
        """What the statement is, by the name of its tag; for people, since the bytes say it themselves."""
        return tag_name(self.statement[len(PREFIX)]) if len(self.statement) > len(PREFIX) else ""


@dataclass(frozen=True, slots=True)
class PortableEvidence:
    """One piece of evidence. Not verified, whatever it says; ``verify`` does that.

    ``reports`` are (member, body of its Report), ``vector`` that of a NewView, ``peaks`` the frontier before
    a proposal, ``places`` where the log holds two submissions.
    """

    context: Context
    kind: str
    culprit: str
    statements: tuple[SignedBytes, ...]
    reports: tuple[tuple[int, bytes], ...] = ()
    vector: tuple[bytes, ...] = ()
    peaks: tuple[bytes, ...] = ()
    places: tuple[tuple[Placement, SubmissionHeader], ...] = ()

    # -- JSON ----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_dict(self) -> dict[str, Any]:
        besides = {
            "reports": [{"member": member, "body": body.hex()} for member, body in self.reports],
            "vector": [digest.hex() for digest in self.vector],
            "peaks": [peak.hex() for peak in self.peaks],
            "places": [
                jsonform.write_placement(place) | {"submission": header.encode().hex()}
                for place, header in self.places
            ],
        }
        return {
            "format": FORMAT,
            "alliance_id": self.context.alliance_id.hex(),
            "epoch": self.context.epoch,
            "kind": self.kind,
            "culprit": self.culprit,
            "statements": [
                {"tag": signed.tag, "statement": signed.statement.hex(), "signature": signed.signature.hex()}
                for signed in self.statements
            ],
            **{key: besides[key] for key in BESIDES[self.kind]},
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> PortableEvidence:
        """Reads evidence without believing it; raises InvalidEvidence when it is none."""
        if len(text) > EVIDENCE_BYTES_MAX:
            raise InvalidEvidence(f"larger than {EVIDENCE_BYTES_MAX} bytes: this is no evidence")
        try:
            table = jsonform.parse(text)
        except (ValueError, RecursionError) as error:
            raise InvalidEvidence(f"this is no evidence, or it is truncated: {str(error)[:200]}") from None
        said = table.get("format") if isinstance(table, dict) else None
        if said in _FORMATS_BEFORE:
            raise InvalidEvidence(
                f"evidence of the format '{said}', which earlier versions of alliance wrote: this one reads"
                f" '{FORMAT}' alone; check it with the version that wrote it"
            )
        if said != FORMAT:
            raise InvalidEvidence(f"this is no evidence: it is a JSON object with the format '{FORMAT}'")
        if not isinstance(table.get("kind"), str) or table["kind"] not in BESIDES:
            raise InvalidEvidence("evidence of a kind that this version does not know: it was altered")
        try:
            evidence = cls._from_dict(table)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidEvidence(f"a field is missing or wrong: {str(error)[:200]}") from None
        if not 1 <= len(evidence.statements) <= STATEMENTS_MAX or evidence.to_dict() != table:
            raise InvalidEvidence("not in the form in which evidence is written: it was altered")
        return evidence

    @classmethod
    def _from_dict(cls, table: dict[str, Any]) -> PortableEvidence:
        besides = {key: jsonform.items(table, key) for key in BESIDES[table["kind"]]}
        if not isinstance(table["culprit"], str):
            raise ValueError("'culprit' is not a string")
        return cls(
            Context(jsonform.octets(table["alliance_id"]), jsonform.whole(table, "epoch")),
            table["kind"],
            table["culprit"],
            tuple(
                SignedBytes(jsonform.octets(signed["statement"]), jsonform.octets(signed["signature"]))
                for signed in jsonform.items(table, "statements")
            ),
            tuple(
                (jsonform.whole(report, "member"), jsonform.octets(report["body"]))
                for report in besides.get("reports", ())
            ),
            tuple(map(jsonform.octets, besides.get("vector", ()))),
            tuple(map(jsonform.octets, besides.get("peaks", ()))),
            tuple(
                (
                    jsonform.read_placement(place),
                    SubmissionHeader.decode(jsonform.octets(place["submission"])),
                )
                for place in besides.get("places", ())
            ),
        )


# -- from the engine's evidence --------------------------------------------------------------------------


class DecidedLog(Protocol):
    """``History`` is one: the slots up to ``slot``, and paths to the roots of longer logs."""

    @property
    def slot(self) -> int: ...
    def batch(self, slot: int) -> Batch: ...
    def path_beyond(self, slot: int, later: Sequence[bytes]) -> tuple[bytes, ...]: ...


def export(
    context: Context, culprit: str, evidence: Evidence | TwoSubmissions, log: DecidedLog
) -> PortableEvidence:
    """The engine's evidence in the form that others can check; a Repetition is completed from the log.

    Raises LookupError when the log does not have what is needed.
    """
    if isinstance(evidence, TwoSubmissions):
        context = Context(context.alliance_id, 0)  # in which clients sign

    def made(kind: str, *said: _Said, **besides: Any) -> PortableEvidence:
        statements = tuple(_signed(context, message) for message in said)
        return PortableEvidence(context, kind, culprit, statements, **besides)

    match evidence:
        case TwoStatements(first, second):
            return made(TWO_STATEMENTS, first, second)
        case TwoProposals(first, second):
            return made(TWO_STATEMENTS, first, second)
        case BrokenLog(before, frontier, after):
            proposals = (after,) if before is None else (before, after)
            return made(BROKEN_LOG, *proposals, peaks=frontier.peaks)
        case Repetition(propose):
            return made(REPETITION, propose, places=tuple(_places(evidence, log)))
        case TwoNewViews(one, other):
            return made(TWO_NEW_VIEWS, one, other)
        case WrongNewView(new_view):
            reports = tuple((member, report.body) for member, report in new_view.reports)
            return made(WRONG_NEW_VIEW, new_view, reports=reports, vector=new_view.vector)
        case TwoReports(member, before, after):
            return made(TWO_REPORTS, before, after, reports=((member, before.body), (member, after.body)))
        case TwoSubmissions(this, that):
            return made(TWO_SUBMISSIONS, this, that)


_Said: TypeAlias = Propose | Accepted | NewView | Report | ReportedEntry | Submission
"""What a party has signed; of an entry it is the leader of its view."""


def _signed(context: Context, message: _Said) -> SignedBytes:
    match message:
        case ReportedEntry(view=view, slot=slot, batch_digest=digest, root=root, signature=signature):
            return SignedBytes(ProposeStatement(view, slot, digest, root).encode(context), signature)
        case Propose(view, slot, batch, root, signature):
            return SignedBytes(ProposeStatement(view, slot, batch.digest, root).encode(context), signature)
        case Accepted(view, slot, root, signature):
            return SignedBytes(VoteStatement(view, slot, root).encode(context), signature)
        case Report(view):
            return SignedBytes(ReportStatement(view, message.body_digest).encode(context), message.signature)
        case NewView(view):
            return SignedBytes(NewViewStatement(view, message.digest).encode(context), message.signature)
        case Submission():
            return SignedBytes(message.statement().encode(context), message.signature)


def _places(evidence: Repetition, log: DecidedLog) -> Iterator[tuple[Placement, SubmissionHeader]]:
    """Where the number was used first, and where the proposal uses it again."""
    propose = evidence.propose
    repeated = propose.batch.submissions[evidence.index]
    later = evidence.digests[max(0, log.slot - evidence.base) :]
    batch = evidence.batch if evidence.batch is not None else log.batch(evidence.slot)
    key = (repeated.client_id, repeated.client_seq)
    first = next((i for i, s in enumerate(batch.submissions) if (s.client_id, s.client_seq) == key), None)
    if first is None:
        raise LookupError(f"slot {evidence.slot} does not hold the number")
    for slot, held, index in (
        (evidence.slot, batch, first),
        (propose.slot, propose.batch, evidence.index),
    ):
        leaves = held.tree()
        path = leaves.inclusion_proof(index, leaves.size)
        log_path = log.path_beyond(slot, later)
        placement = Placement(slot, index, leaves.size, held.time_ms, path, log_path)
        yield placement, held.submissions[index].header()
