"""Wrong versions of what outside bytes meet first: statements, codec, gate, certificates, receipts."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, at


def _bug(name: str, where: str, *exchanges: str, part: str = "gate") -> Bug:
    return Bug(name, part, (at(where, *exchanges),))


_VERIFY = "alliance.server.gate:Gate._verify"

STATEMENTS = [
    _bug(
        "the epoch is left out of the statement",
        "quorum.statement:Context.frame",
        'self.epoch.to_bytes(8, "big")',
        "bytes(8)",
    ),
    _bug(
        "the alliance is left out of the statement",
        "quorum.statement:Context.frame",
        "self.alliance_id +",
        "bytes(32) +",
    ),
    _bug(
        "the purpose is left out of the statement",
        "quorum.statement:Context.frame",
        "bytes([tag])",
        "bytes(1)",
    ),
    _bug(
        "the entries' views are left out of what a reporter signs",
        "fab_paxos.messages:Report.body",
        "e.slot, e.view, e.batch_digest",
        "e.slot, 0, e.batch_digest",
    ),
    _bug(
        "the vector is left out of what a leader signs",
        "fab_paxos.messages:_new_view_digest",
        '[*parts, struct.pack(">I", len(vector)), *vector]',
        "parts",
    ),
]

SIGNATURES = [
    _bug(
        "the signature of a proposal is not checked",
        f"{_VERIFY}_propose",
        "self._verify_member(leader, propose.signature, statement)",
        "pass",
    ),
    _bug(
        "the signature of an Accepted is not checked",
        _VERIFY,
        "self._verify_member(sender, signature, vote)",
        "pass",
    ),
    _bug(
        "the signature of a Report is not checked",
        f"{_VERIFY}_report",
        "self._verify_member(member, report.signature, statement)",
        "pass",
    ),
    _bug(
        "the Reports in a NewView are not checked",
        f"{_VERIFY}_new_view",
        "yield from self._verify_report(member, report)",
        "pass",
    ),
    _bug(
        "the signature of a NewView is not checked",
        f"{_VERIFY}_new_view",
        "self._verify_member(leader, new_view.signature, statement)",
        "pass",
    ),
    _bug(
        "the endorser is taken from the message",
        "alliance.wire.peer_messages:_decode",
        "Endorsed(Endorsement(decode_joint(e.tag, e.fields), sender, share))",
        "Endorsed(Endorsement(decode_joint(e.tag, e.fields), share[0] % 6, share))",
    ),
    _bug(
        "the seal signs other leaders' proposals",
        "alliance.server.gate:Seal.close",
        'case Propose(view, slot, batch, root, b"") if self._system.leader(view) == self._member:',
        'case Propose(view, slot, batch, root, b""):',
    ),
    _bug(
        "the signer endorses two roots for one slot",
        "alliance.server.signer:SigningGuard._keep_to",
        "if self._said.setdefault(about, content) != content:",
        "if False:",
    ),
]

CLIENTS = [
    _bug(
        "clients' signatures in a proposal are not checked",
        f"{_VERIFY}_propose",
        "in propose.batch.submissions:",
        "in ():",
    ),
    _bug(
        "clients' signatures in a Forward are not checked",
        _VERIFY,
        "for submission in submissions:",
        "for submission in ():",
    ),
    _bug(
        "clients' signatures in fetched batches are not checked", _VERIFY, "in batch.submissions:", "in ():"
    ),
    _bug(
        "a verified submission is remembered by its number",
        f"{_VERIFY}_submission",
        "known = (submission.client_id, submission.client_seq, submission.body_digest, signature)",
        'known = (submission.client_id, submission.client_seq, b"", b"")',
    ),
    _bug(
        "a client submits in another's name",
        "alliance.server.gate:Gate.admit_submission",
        "if submission.client_id != client_id:",
        "if False:",
    ),
]

CERTIFICATES = [
    _bug(
        "the progress certificate of a NewView is not checked",
        _VERIFY,
        "base=base, certificate=certificate):\n            self._verify_certificate(certificate)\n",
        "base=base):\n",
    ),
    _bug(
        "the certificate of an offered checkpoint is not checked",
        _VERIFY,
        "self._verify_certificate(checkpoint)",
        "pass",
    ),
    _bug(
        "any certificate passes for a progress certificate",
        "alliance.wire.peer_messages:_decode_progress",
        "if not isinstance(certificate.statement, ProgressStatement):",
        "if False:",
    ),
    _bug(
        "the certificate of a log frame is not checked",
        _VERIFY,
        "Certified(certificate) | LogFrame(certificate=certificate)",
        "Certified(certificate)",
    ),
    _bug(
        "the base of a Report is not checked", f"{_VERIFY}_report", "if report.base is not None:", "if False:"
    ),
    _bug(
        "a certificate of another purpose is a base",
        "alliance.wire.peer_messages:decode_report",
        "decode_decision(wire.base).certificate",
        "decode_certificate(wire.base)",
    ),
    _bug(
        "a verified certificate is remembered by its statement",
        f"{_VERIFY}_certificate",
        "if certificate == self._certificate:",
        "if self._certificate is not None and certificate.statement == self._certificate.statement:",
    ),
    _bug(
        "one member's share counts twice",
        "quorum.scheme:one_statement",
        "if len(by_member) < threshold:",
        "if len(endorsements) < threshold:",
    ),
    _bug(
        "a set of signatures may be too small",
        "quorum.signature_set:SignatureSetScheme.verify",
        " or len(members) != self._threshold",
        "",
        "if len(signature) != expected:",
        "if False:",
    ),
]

BOUNDS = [
    _bug(
        "too many and too long is accepted",
        "alliance.wire.bounds:at_most",
        "if len(held) > most:",
        "if False:",
    ),
    _bug(
        "slots have no upper end",
        "alliance.wire.bounds:checked_slot",
        "if not 1 <= slot <= SLOT_MAX:",
        "if not 1 <= slot:",
    ),
    _bug(
        "entries of a Report come in any order",
        "alliance.wire.peer_messages:decode_report",
        "if any(later <= earlier for earlier, later in pairwise(slots)):",
        "if False:",
    ),
    _bug(
        "a stranger's Report brings the gate down",
        f"{_VERIFY}_new_view",
        "if member >= len(self._member_keys):",
        "if False:",
    ),
    _bug(
        "a NewView may hold Reports of another view",
        "alliance.wire.peer_messages:_new_view",
        "if any(report.view != wire.view for _, report in reports):",
        "if False:",
    ),
    _bug(
        "what is refused is not counted",
        "alliance.server.gate:Gate._refuse",
        "self._counts[sender, cause] += 1",
        "pass",
    ),
]

RECEIPTS = [
    _bug(
        "the number of submissions is not bound",
        "verifiable_log.batch:batch_digest",
        'count.to_bytes(8, "big") + ',
        "",
        part="receipts",
    ),
    _bug(
        "the number of commands is not bound",
        "verifiable_log.command_tree:_bound",
        'count.to_bytes(8, "big") + ',
        "",
        part="receipts",
    ),
    _bug(
        "a group of commands may have any number of them",
        "verifiable_log.command_tree:CommandProof.body_digest",
        "check_hashes(group, size - 1,",
        "check_hashes(group, len(group),",
        part="receipts",
    ),
    _bug(
        "the client's signature is left out of the leaf",
        "verifiable_log.submission:SubmissionHeader.encode",
        "self.signature)",
        "bytes(64))",
        part="receipts",
    ),
    _bug(
        "a client signs for one epoch",
        "quorum.statement:SubmissionStatement.encode",
        "replace(context, epoch=0)",
        "context",
    ),
    _bug(
        "a member's vote counts twice",
        "alliance.proofs.votes:verify_votes",
        "if len({vote.member for vote in votes}) != len(votes):",
        "if False:",
        part="receipts",
    ),
    _bug(
        "the time stamp of a batch is not bound",
        "verifiable_log.batch:batch_digest",
        'time_ms.to_bytes(8, "big") + ',
        "",
        part="receipts",
    ),
    _bug(
        "the slot is left out of the leaf",
        "verifiable_log.merkle:slot_leaf",
        'slot.to_bytes(8, "big") + batch_digest',
        "bytes(8) + batch_digest",
        part="receipts",
    ),
    _bug(
        "a receipt's root is not compared",
        "alliance.proofs.receipt:require_placed",
        "if root != certificate.root:",
        "if False:",
        part="receipts",
    ),
    _bug(
        "a receipt's signature is not checked",
        "alliance.proofs.receipt:Receipt.verify",
        "key.verify(self.signature, self.message, _PADDING, _DIGEST)",
        "pass",
        part="receipts",
    ),
]

WIRE = [*STATEMENTS, *SIGNATURES, *CLIENTS, *CERTIFICATES, *BOUNDS, *RECEIPTS]
