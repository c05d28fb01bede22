"""Judging evidence: is this signed by its culprit, and can no correct party have signed it?

``verify`` believes nothing of what it is given but the alliance.toml, which must come from somebody whom the
judge trusts. fab_paxos/evidence.py argues, kind by kind, why a correct party is never convicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature

from alliance.config.file import AllianceConfig
from alliance.config.parties import Party
from alliance.errors import InvalidEvidence
from alliance.evidence import portable as kinds
from alliance.evidence.portable import PortableEvidence, SignedBytes
from fab_paxos.evidence import disagree
from fab_paxos.messages import NewView, Report
from fab_paxos.rule import vector_of
from fab_paxos.selection import InvalidSelection
from quorum import (
    Context,
    NewViewStatement,
    ProposeStatement,
    ReportStatement,
    SubmissionStatement,
    VoteStatement,
)
from quorum.statement import PREFIX
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf

Statement: TypeAlias = (
    ProposeStatement | VoteStatement | ReportStatement | NewViewStatement | SubmissionStatement
)
_STATEMENTS: dict[int, type[Statement]] = {
    kind.TAG: kind
    for kind in (ProposeStatement, VoteStatement, ReportStatement, NewViewStatement, SubmissionStatement)
}


@dataclass(frozen=True, slots=True)
class Conviction:
    """Who is convicted (a member's or client's name), and of what; ``text`` says it in one line."""

    culprit: str
    is_client: bool
    kind: str
    text: str


def verify(config: AllianceConfig, evidence: PortableEvidence) -> Conviction:
    """Convicts, or raises InvalidEvidence. ``config`` must come from somebody whom the judge trusts.

    It is that of the epoch of the evidence (``alliance.storage.epochs``): members change. A client signs for
    the alliance, and not for its members of the day: evidence against one is of epoch 0, and any config is
    good that knows it.
    """
    is_client = evidence.kind == kinds.TWO_SUBMISSIONS
    if evidence.context != Context(config.alliance_id, 0 if is_client else config.epoch):
        raise InvalidEvidence(
            f"it is of another alliance or epoch than '{config.name}': name the folder of the alliance whose"
            f" id begins {evidence.context.alliance_id.hex()[:16]}"
        )
    parties: tuple[Party, ...] = config.clients if is_client else config.members
    names = [party.name for party in parties]
    if evidence.culprit not in names:
        raise InvalidEvidence(
            f"alliance.toml knows no {'client' if is_client else 'member'} of the culprit's name"
        )
    culprit = names.index(evidence.culprit)
    for signed in evidence.statements:
        try:
            parties[culprit].identity_key.verify(signed.signature, signed.statement)
        except InvalidSignature:
            raise InvalidEvidence(f"not signed by {evidence.culprit}: it was altered") from None
    statements = tuple(opened(config.context, signed.statement) for signed in evidence.statements)
    try:
        text = _JUDGES[evidence.kind](config, culprit, evidence, statements)
    except ValueError as error:
        raise InvalidEvidence(f"its parts do not fit together: {str(error)[:200]}") from None
    return Conviction(evidence.culprit, is_client, evidence.kind, f"{evidence.culprit} {text}")


def opened(context: Context, statement: bytes) -> Statement:
    """The statement that was signed; raises InvalidEvidence."""
    kind = _STATEMENTS.get(statement[len(PREFIX)]) if len(statement) > len(PREFIX) else None
    head = len(context.frame(0, b""))
    if kind is None or len(statement) != head + kind.LAYOUT.size:
        tag = SignedBytes(statement, b"").tag
        raise InvalidEvidence(f"a signed statement is of no known form: {tag or 'it has no tag'}")
    found = kind(*kind.LAYOUT.unpack(statement[head:]))
    if found.encode(context) != statement:
        raise InvalidEvidence("a signed statement is of another alliance or epoch")
    return found


# -- the judges: each says what is proven, or raises ---------------------------------------------

_Judge: TypeAlias = Callable[[AllianceConfig, int, PortableEvidence, tuple[Statement, ...]], str]


def _two_statements(
    config: AllianceConfig, culprit: int, _: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    told = [said for said in statements if isinstance(said, ProposeStatement | VoteStatement)]
    if len(told) != 2 or len(statements) != 2:
        raise InvalidEvidence("it does not hold two statements about a slot")
    first, second = told
    if (first.view, first.slot) != (second.view, second.slot) or not _differ(first, second):
        raise InvalidEvidence("the two statements do not contradict each other")
    names = []
    for said in told:
        if isinstance(said, ProposeStatement):
            _require_leader(config, culprit, said.view)
        names.append("proposed" if isinstance(said, ProposeStatement) else "accepted")
    return (
        f"{names[0]} one log and {names[1]} another for slot {first.slot} of view {first.view}:"
        f" root {first.root.hex()[:16]}… and root {second.root.hex()[:16]}…"
    )


def _differ(first: ProposeStatement | VoteStatement, second: ProposeStatement | VoteStatement) -> bool:
    """In the log, or in the batch: Reports of profile lean bring proposals whose roots nobody has checked."""
    if isinstance(first, ProposeStatement) and isinstance(second, ProposeStatement):
        return (first.batch_digest, first.root) != (second.batch_digest, second.root)
    return first.root != second.root


def _broken_log(
    config: AllianceConfig, culprit: int, evidence: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    proposals = _proposals(config, culprit, statements)
    after = proposals[-1]
    frontier = EMPTY
    if len(proposals) == 2:
        before = proposals[0]
        frontier = Frontier.from_parts(before.slot, evidence.peaks)
        if before.view != after.view or frontier.root != before.root:
            raise InvalidEvidence("the log before is not the one that was proposed")
    elif len(proposals) != 1 or evidence.peaks:
        raise InvalidEvidence("it does not hold a proposal and the one before")
    if after.slot != frontier.size + 1:
        raise InvalidEvidence("the proposals are not of two slots that follow each other")
    if frontier.append(slot_leaf(after.slot, after.batch_digest)).root == after.root:
        raise InvalidEvidence("the proposed root is right")
    return f"proposed slot {after.slot} of view {after.view} with a root that its own log does not have"


def _repetition(
    config: AllianceConfig, culprit: int, evidence: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    proposals = _proposals(config, culprit, statements)
    if len(proposals) != 1 or len(evidence.places) != 2:
        raise InvalidEvidence("it does not hold a proposal and two places in its log")
    (propose,) = proposals
    (earlier, first), (later, second) = evidence.places
    for place, header in evidence.places:
        if place.root(header, propose.slot) != propose.root:
            raise InvalidEvidence("a submission is not in the log that was proposed")
    if later.slot != propose.slot or (earlier.slot, earlier.index) == (later.slot, later.index):
        raise InvalidEvidence("the proposal does not repeat anything")
    if (first.client_id, first.client_seq) != (second.client_id, second.client_seq):
        raise InvalidEvidence("the submissions are not of one number of one client")
    return (
        f"proposed number {second.client_seq} of client {second.client_id.hex()[:16]}… in slot"
        f" {propose.slot} of view {propose.view}, though its log holds it in slot {earlier.slot}"
    )


def _two_new_views(
    config: AllianceConfig, culprit: int, _: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    match statements:
        case (NewViewStatement(view, one), NewViewStatement(same, other)) if view == same and one != other:
            _require_leader(config, culprit, view)
            return f"opened view {view} with two different NewViews"
    raise InvalidEvidence("it does not hold two NewViews of one view")


def _wrong_new_view(
    config: AllianceConfig, culprit: int, evidence: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    match statements:
        case (NewViewStatement(view, digest),):
            _require_leader(config, culprit, view)
        case _:
            raise InvalidEvidence("it does not hold one NewView")
    if any(member >= config.system.member_count for member, _ in evidence.reports):
        raise InvalidEvidence("a Report is of a member whom alliance.toml does not know")
    reports = tuple((member, Report.of_body(view, body)) for member, body in evidence.reports)
    if NewView(view, reports, evidence.vector).digest != digest:
        raise InvalidEvidence("the Reports and the vector are not those of the NewView")
    members = [member for member, _ in reports]
    try:
        implied = vector_of(config.system, reports, config.start)
    except InvalidSelection:
        implied = None
    distinct = all(one < other for one, other in pairwise(members))
    if distinct and implied == evidence.vector:
        raise InvalidEvidence("the NewView follows from its Reports")
    return f"opened view {view} with a NewView that does not follow from its own Reports"


def _two_reports(
    _: AllianceConfig, culprit: int, evidence: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    if len(statements) != 2 or len(evidence.reports) != 2:
        raise InvalidEvidence("it does not hold two Reports")
    reports = []
    for statement, (member, body) in zip(statements, evidence.reports, strict=True):
        if not isinstance(statement, ReportStatement) or member != culprit:
            raise InvalidEvidence("a signed statement is not a Report of the culprit")
        reports.append(Report.of_body(statement.view, body))
        if reports[-1].body_digest != statement.body_digest:
            raise InvalidEvidence("a Report is not the one that was signed")
    first, second = reports
    if first.view != second.view or not disagree(first, second):
        raise InvalidEvidence("the two Reports can both be true")
    return f"reported two different entries for one slot on entering view {first.view}"


def _two_submissions(
    config: AllianceConfig, culprit: int, _: PortableEvidence, statements: tuple[Statement, ...]
) -> str:
    match statements:
        case (SubmissionStatement(one, seq, body), SubmissionStatement(other, same, another)):
            if one == other == config.clients[culprit].client_id and seq == same and body != another:
                return f"signed two different submissions under its number {seq}"
    raise InvalidEvidence("it does not hold two submissions under one number of this client")


def _proposals(
    config: AllianceConfig, culprit: int, statements: tuple[Statement, ...]
) -> list[ProposeStatement]:
    proposals = [statement for statement in statements if isinstance(statement, ProposeStatement)]
    if not proposals or len(proposals) != len(statements):
        raise InvalidEvidence("a signed statement is not a proposal")
    for proposal in proposals:
        _require_leader(config, culprit, proposal.view)
    return proposals


def _require_leader(config: AllianceConfig, culprit: int, view: int) -> None:
    if config.system.leader(view) != culprit:
        raise InvalidEvidence(f"the culprit does not lead view {view}")


_JUDGES: Mapping[str, _Judge] = {
    kinds.TWO_STATEMENTS: _two_statements,
    kinds.BROKEN_LOG: _broken_log,
    kinds.REPETITION: _repetition,
    kinds.TWO_NEW_VIEWS: _two_new_views,
    kinds.WRONG_NEW_VIEW: _wrong_new_view,
    kinds.TWO_REPORTS: _two_reports,
    kinds.TWO_SUBMISSIONS: _two_submissions,
}
