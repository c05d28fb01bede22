"""The gate: bytes of a peer or client become a verified message, or a refusal. Nothing else gets in.

The sender is the identity of the channel (mTLS, pinned). Here the author's signatures are checked: the
leader's on a proposal (any member may relay it), the acceptor's on its Accepted, the client's on each
submission, the quorum's on a certificate. What the log says of a message is the engine's to judge.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.keys.ed25519 import InvalidSignature, verify
from alliance.server.kept_votes import KeptVotes
from alliance.server.latest_statements import LatestStatements
from alliance.wire import peer_messages
from alliance.wire.bounds import Malformed, OverLimit
from fab_paxos.events import Received
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    Forward,
    Message,
    NewView,
    Progress,
    Propose,
    Report,
)
from fab_paxos.report_evidence import MissingEvidence, signed_entries
from fab_paxos.selection import ReportedEntry
from quorum import (
    IndividualStatement,
    InvalidCertificate,
    NewViewStatement,
    ProposeStatement,
    QuorumCertificate,
    ReportStatement,
    VoteStatement,
)
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.submission import InvalidSubmission, Submission

KNOWN_SUBMISSIONS_MAX = 4096
"""Verified submissions: one that comes from its client and again in a proposal costs once."""


KNOWN_PROPOSALS_MAX = 1024
"""Verified proposals of Reports, which many of them name: each costs once."""


class Cause(Enum):
    """Why a message was refused, in classes that are worth counting apart."""

    FORM = "form"
    """Bytes that are no message, or one whose parts do not fit together."""
    LIMIT = "limit"
    """Too long or too many."""
    SIGNATURE = "signature"
    """Not signed by the member that is said to have made it."""
    CERTIFICATE = "certificate"
    """No quorum of this alliance and epoch signed it."""
    EVIDENCE = "evidence"
    """A Report with an entry that no correct member could have accepted, or that it does not prove."""
    CLIENT = "client"
    """A submission that its client did not sign."""
    STRANGER = "stranger"
    """A submission of a client that is not known here: whoever sent it may know more of the log."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that a correct member would not have sent. ``reason`` is one line and holds no secret."""

    sender: int
    reason: str
    cause: Cause


class Gate:
    """``admit`` never raises on account of outside bytes."""

    def __init__(self, config: AllianceConfig) -> None:
        self._config = config
        self._context = config.context
        self._scheme = config.scheme
        self._member_keys = [member.identity_key.public_bytes_raw() for member in config.members]
        self._client_keys: dict[bytes, bytes] = {}
        self.learn({client.client_id: client.identity for client in config.clients})
        # What was signed, and the signature: together they say all of a submission.
        self._known: OrderedDict[tuple[bytes, int, bytes, bytes], None] = OrderedDict()
        self._proposals: OrderedDict[tuple[ProposeStatement, bytes], None] = OrderedDict()
        self._certificate: QuorumCertificate | None = None
        self.latest = LatestStatements(len(config.members), config.epoch)
        self.votes = KeptVotes(config.epoch, config.system.one_correct)
        self._counts: Counter[tuple[int, Cause]] = Counter()

    def learn(self, keys: Mapping[bytes, bytes]) -> None:
        """What is signed with these keys, by client id, is taken, too.

        Nothing is forgotten: whether a client is admitted in a slot is the engine's to judge, and what one
        signed that is removed may be in the log.
        """
        self._client_keys |= keys

    @property
    def counts(self) -> Mapping[tuple[int, Cause], int]:
        """How many messages were refused, by sender and cause: as many numbers at most as pairs."""
        return dict(self._counts)

    def admit(self, sender: int, data: bytes, arrived_ms: int | None = None) -> Received | Rejected:
        """Everything that ``sender`` said, verified, or why not. ``arrived_ms``: as in Received."""
        admission = self.admission(sender, data, arrived_ms)
        while True:
            try:
                next(admission)
            except StopIteration as end:
                result: Received | Rejected = end.value
                return result

    def admission(
        self, sender: int, data: bytes, arrived_ms: int | None = None
    ) -> Generator[None, None, Received | Rejected]:
        """What ``admit`` does, in small steps: a message may hold thousands of signatures."""
        try:
            message = peer_messages.decode(sender, data)
            yield from self._verify(sender, message)
        except _Unverified as error:
            return self._refuse(sender, error.cause, error)
        except OverLimit as error:
            return self._refuse(sender, Cause.LIMIT, error)
        except Malformed as error:
            return self._refuse(sender, Cause.FORM, error)
        return Received(sender, message, arrived_ms)

    def _refuse(self, sender: int, cause: Cause, error: Exception) -> Rejected:
        self._counts[sender, cause] += 1
        return Rejected(sender, str(error), cause)

    def admit_submission(self, client_id: bytes, encoded: bytes) -> Submission:
        """A client's own submission; raises InvalidSubmission with a reason for the client."""
        submission = Submission.decode(encoded)
        if submission.client_id != client_id:
            raise InvalidSubmission("the submission is of another client than the channel")
        try:
            self._verify_submission(submission)
        except _Unverified as error:
            raise InvalidSubmission(str(error)) from None
        return submission

    def _verify(self, sender: int, message: Message) -> Iterator[None]:
        match message:
            case Propose():
                yield from self._verify_propose(message)
            case Accepted(view, slot, root, signature):
                vote = VoteStatement(view, slot, root)
                self._verify_member(sender, signature, vote)
                self.votes.note(sender, vote, signature)
            case Certified(certificate) | LogFrame(certificate=certificate):
                self._verify_certificate(certificate)
            case Forward(submissions):
                for submission in submissions:
                    self._verify_submission(submission)
                    yield
            case Batches(batches):
                for batch in batches:
                    for submission in batch.submissions:
                        self._verify_submission(submission)
                        yield
            case Progress(base=base, certificate=certificate):
                self._verify_certificate(certificate)
                if base is not None:
                    self._verify_certificate(base)
            case Offer(checkpoint=checkpoint, certificate=certificate):
                self._verify_certificate(checkpoint)
                self._verify_certificate(certificate)
            case Report():
                yield from self._verify_report(sender, message)
            case NewView():
                yield from self._verify_new_view(message)
            case _:
                pass

    def _verify_propose(self, propose: Propose) -> Iterator[None]:
        leader = self._config.system.leader(propose.view)
        statement = ProposeStatement(propose.view, propose.slot, propose.batch.digest, propose.root)
        self._verify_member(leader, propose.signature, statement)
        for submission in propose.batch.submissions:
            self._verify_submission(submission)
            yield

    def _verify_report(self, member: int, report: Report) -> Iterator[None]:
        statement = ReportStatement(report.view, report.body_digest)
        self._verify_member(member, report.signature, statement)
        if report.base is not None:
            self._verify_certificate(report.base)
        if self._config.system.lean:
            yield from self._verify_evidence(report)
        elif report.openings or any(entry.signature for entry in report.entries):
            raise _Unverified(Cause.FORM, "a Report with evidence, which profile classic does not have")

    def _verify_evidence(self, report: Report) -> Iterator[None]:
        """Of profile lean: each entry was given by its view's NewView, or proposed by its leader."""
        try:
            signed = list(signed_entries(self._config.system, report, self._config.start))
        except MissingEvidence as error:
            raise _Unverified(Cause.EVIDENCE, str(error)) from None
        for opening in report.openings:
            for certificate in filter(None, (opening.base, opening.certificate)):
                self._verify_certificate(certificate)
                yield
        for leader, entry in signed:
            statement = ProposeStatement(entry.view, entry.slot, entry.batch_digest, entry.root)
            key = (statement, entry.signature)
            if key not in self._proposals:
                self._verify_member(leader, entry.signature, statement)
                self._proposals[key] = None
                if len(self._proposals) > KNOWN_PROPOSALS_MAX:
                    self._proposals.popitem(last=False)
                yield

    def _verify_new_view(self, new_view: NewView) -> Iterator[None]:
        leader = self._config.system.leader(new_view.view)
        statement = NewViewStatement(new_view.view, new_view.digest)
        self._verify_member(leader, new_view.signature, statement)
        for member, report in new_view.reports:
            if member >= len(self._member_keys):
                raise _Unverified(Cause.SIGNATURE, f"a Report of an unknown member, {member + 1}")
            yield from self._verify_report(member, report)
            yield

    def _verify_member(self, member: int, signature: bytes, statement: IndividualStatement) -> None:
        try:
            verify(self._member_keys[member], signature, statement.encode(self._context))
        except InvalidSignature:
            raise _Unverified(Cause.SIGNATURE, f"not signed by member {member + 1}") from None
        self.latest.note(member, statement, signature)

    def _verify_submission(self, submission: Submission) -> None:
        signature = submission.signature
        known = (submission.client_id, submission.client_seq, submission.body_digest, signature)
        if known in self._known:
            return
        key = self._client_keys.get(submission.client_id)
        if key is None:
            raise _Unverified(
                Cause.STRANGER, "a submission of a client that this alliance has never admitted"
            )
        try:
            verify(key, signature, submission.statement().encode(self._context))
        except InvalidSignature:
            raise _Unverified(Cause.CLIENT, "a submission not signed by its client") from None
        self._known[known] = None
        if len(self._known) > KNOWN_SUBMISSIONS_MAX:
            self._known.popitem(last=False)

    def _verify_certificate(self, certificate: QuorumCertificate) -> None:
        if certificate == self._certificate:
            return
        try:
            certificate.verify(self._scheme)
        except InvalidCertificate as error:
            raise _Unverified(Cause.CERTIFICATE, f"an invalid certificate: {error}") from None
        self._certificate = certificate


class Seal:
    """The gate's counterpart: signs what this member says under its own name, just before it leaves."""

    def __init__(self, config: AllianceConfig, member: int, key: Ed25519PrivateKey) -> None:
        self._context = config.context
        self._system = config.system
        self._member = member
        self._key = key

    def close(self, message: Message) -> bytes:
        """The message's bytes; signed if this member is its author and it is not signed yet."""
        match message:
            case Propose(view, slot, batch, root, b"") if self._system.leader(view) == self._member:
                statement = ProposeStatement(view, slot, batch.digest, root)
                message = Propose(view, slot, batch, root, self._key.sign(statement.encode(self._context)))
            case Accepted(view, slot, root, b""):
                vote = VoteStatement(view, slot, root)
                message = Accepted(view, slot, root, self._key.sign(vote.encode(self._context)))
            case Report(signature=b""):
                message = self._sign_report(message)
            case NewView(view, reports, _, b"") if self._system.leader(view) == self._member:
                signed = tuple((m, self._sign_report(r) if m == self._member else r) for m, r in reports)
                opening = NewViewStatement(view, message.digest)
                signature = self._key.sign(opening.encode(self._context))
                message = replace(message, reports=signed, signature=signature)
            case _:
                pass
        return peer_messages.encode(message)

    def _sign_report(self, report: Report) -> Report:
        statement = ReportStatement(report.view, report.body_digest)
        entries = tuple(self._sign_entry(entry) if entry.root else entry for entry in report.entries)
        return replace(report, entries=entries, signature=self._key.sign(statement.encode(self._context)))

    def _sign_entry(self, entry: ReportedEntry) -> ReportedEntry:
        """A proposal of our own is signed as it was when it left."""
        if entry.signature or self._system.leader(entry.view) != self._member:
            return entry
        statement = ProposeStatement(entry.view, entry.slot, entry.batch_digest, entry.root)
        return replace(entry, signature=self._key.sign(statement.encode(self._context)))


class _Unverified(Exception):
    """A signature that is not the author's."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
