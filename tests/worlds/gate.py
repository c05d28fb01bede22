"""The gate's duties in a world without signatures: nobody speaks in another's name.

Whatever a member says about itself goes on record when it leaves it. A message that carries the word of
others (a relayed proposal, a NewView's Reports) is dropped unless they said exactly that. Certificates are
verified, submissions must be some client's, and the form is that of the wire: the product's codec.
"""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

from alliance.wire import peer_messages
from alliance.wire.bounds import Malformed
from fab_paxos.evidence import disagree
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    Endorsed,
    Forward,
    Message,
    NewView,
    Progress,
    Propose,
    Report,
)
from fab_paxos.report_evidence import MissingEvidence, signed_entries
from fab_paxos.selection import ReportedEntry
from quorum import InvalidCertificate, QuorumCertificate, QuorumSystem, Scheme, SubmissionStatement
from tests.worlds.require import require
from verifiable_log import Batch, Submission
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame


class Dropped(Exception):
    """What no correct member says, or what its alleged author never said."""


class Gate:
    def __init__(self, system: QuorumSystem, scheme: Scheme) -> None:
        self._system = system
        self.start = 0
        self._scheme = scheme
        self._said: set[tuple[object, ...]] = set()
        self._submissions: set[bytes] = set()
        self._contents: set[SubmissionStatement] = set()
        self._reports: dict[tuple[int, int], list[Report]] = {}
        self._roots: dict[tuple[object, ...], bytes] = {}
        self.mark = 0  # a checksum of what went through last, but for its share: proofs are random

    def signed(self, submission: Submission) -> Submission:
        """With its client's signature."""
        return submission

    def follow(self, other: Gate, start: int) -> None:
        """The gate of the epoch behind ``start``: clients are who they were."""
        self.start = start
        self._submissions |= other._submissions
        self._contents |= other._contents

    def know(self, submission: Submission) -> None:
        """A client signed this."""
        self._submissions.add(submission.encoded)
        self._contents.add(submission.statement())

    def knows(self, statement: SubmissionStatement) -> bool:
        return statement in self._contents

    def has_said(self, *word: object) -> bool:
        """Whether it is on record: member, kind, and what else was said."""
        return word in self._said

    def pass_on(self, sender: int, message: Message, *, honest: bool) -> Message:
        """What a member says, as its receivers' engines get it; raises Dropped."""
        return self.admit(sender, self.seal(sender, message, honest=honest))

    def seal(self, sender: int, message: Message, *, honest: bool) -> Message:
        """The message with its author's signature, if the sender is its author; that goes on record."""
        match message:
            case Propose(view, slot, batch, root) if self._system.leader(view) == sender:
                self._record(sender, "propose", view, slot, batch.digest, root)
                if honest:
                    self._one_word(("word", sender, view, slot), root)
                return replace(message, signature=signature(sender))
            case Accepted(view, slot, root):
                self._record(sender, "accepted", view, slot, root)
                if honest:  # and a proposal is the leader's vote
                    self._one_word(("word", sender, view, slot), root)
                return replace(message, signature=signature(sender))
            case Report(view):
                if honest:
                    earlier = self._reports.setdefault((sender, view), [])
                    require(not any(disagree(one, message) for one in earlier), "two Reports disagree")
                    earlier.append(message)
                return self._sealed_report(sender, message)
            case NewView(view, reports) if self._system.leader(view) == sender:
                own = tuple((m, self._sealed_report(m, r) if m == sender else r) for m, r in reports)
                self._record(sender, "new view", view, message.digest)
                if honest:
                    self._one_word(("new view", sender, view), message.digest)
                return replace(message, reports=own, signature=signature(sender))
            case Endorsed(endorsement):
                return Endorsed(replace(endorsement, member=sender))  # as the channel knows it
            case _:
                return message

    def admit(self, sender: int, message: Message) -> Message:
        """The message as its receiver's engine gets it; raises Dropped."""
        try:
            data = peer_messages.encode(message)
            self.mark = crc32(_without_share(message) or data)
            message = peer_messages.decode(sender, data)
        except (Malformed, ValueError) as error:
            raise Dropped(f"malformed: {error}") from None
        match message:
            case Propose(view, slot, batch, root):
                self._check_said(self._system.leader(view), "propose", view, slot, batch.digest, root)
                self._check_batch(batch)
            case Certified(certificate):
                self._check_certificate(certificate)
            case LogFrame(_, batches, certificate, _):
                self._check_certificate(certificate)
                for batch in batches:
                    self._check_batch(batch)
            case Batches(batches):
                for batch in batches:
                    self._check_batch(batch)
            case Forward(submissions):
                self._check_batch(Batch.of(submissions))
            case Progress(base=base, certificate=certificate):
                self._check_certificate(certificate)
                if base is not None:
                    self._check_certificate(base)
            case Offer(checkpoint=checkpoint, certificate=certificate):
                self._check_certificate(checkpoint)
                self._check_certificate(certificate)
            case Report():
                self._check_report(sender, message)
            case NewView(view, reports):
                self._check_said(self._system.leader(view), "new view", view, message.digest)
                for member, report in reports:
                    self._check_report(member, report)
            case _:
                pass
        return message

    # -- who said what -------------------------------------------------------------------------------

    def _sealed_report(self, member: int, report: Report) -> Report:
        self._record(member, "report", report.view, report.body_digest)
        entries = tuple(self._sealed_entry(member, entry) for entry in report.entries)
        return replace(report, entries=entries, signature=signature(member))

    def _sealed_entry(self, member: int, entry: ReportedEntry) -> ReportedEntry:
        if not entry.root or entry.signature or self._system.leader(entry.view) != member:
            return entry
        self._record(member, "propose", entry.view, entry.slot, entry.batch_digest, entry.root)
        return replace(entry, signature=signature(member))

    def _record(self, *word: object) -> None:
        self._said.add(word)

    def _check_said(self, *word: object) -> None:
        if word not in self._said:
            raise Dropped(f"member {word[0]} never said {word[1:3]}")

    def _one_word(self, about: tuple[object, ...], word: bytes) -> None:
        first = self._roots.setdefault(about, word)
        require(first == word, f"a correct member contradicts itself: {about}")

    def _check_report(self, member: int, report: Report) -> None:
        self._check_said(member, "report", report.view, report.body_digest)
        if report.base is not None:
            self._check_certificate(report.base)
        if self._system.lean:
            self._check_evidence(report)

    def _check_evidence(self, report: Report) -> None:
        try:
            signed = list(signed_entries(self._system, report, self.start))
        except MissingEvidence as error:
            raise Dropped(str(error)) from None
        for opening in report.openings:
            for certificate in filter(None, (opening.base, opening.certificate)):
                self._check_certificate(certificate)
        for leader, entry in signed:
            self._check_said(leader, "propose", entry.view, entry.slot, entry.batch_digest, entry.root)

    def _check_batch(self, batch: Batch) -> None:
        if any(submission.encoded not in self._submissions for submission in batch.submissions):
            raise Dropped("a submission that no client signed")

    def _check_certificate(self, certificate: QuorumCertificate) -> None:
        try:
            certificate.verify(self._scheme)
        except InvalidCertificate as error:
            raise Dropped("a certificate that is none") from error


def _without_share(message: Message) -> bytes:
    statement = message.endorsement.statement if isinstance(message, Endorsed) else None
    return bytes([statement.TAG]) + statement.fields() if statement is not None else b""


def signature(member: int) -> bytes:
    return (b"signed by %d" % member).ljust(64)
