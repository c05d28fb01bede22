"""Wrong versions of blame: a correct member contradicts itself, a liar escapes, a judge convicts wrongly."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_VERDICT = "alliance.evidence.verdict:"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "evidence", edits)


SPEAKING = [
    _bug(
        "exchanged slots are spoken of again",
        at(
            "fab_paxos.uncertified_log:UncertifiedLog._cut",
            "self.muted_up_to = max(self.muted_up_to, self.tip)",
            "pass",
        ),
    ),
    _bug(
        "the silence is forgotten at a restart",
        at("fab_paxos.rooms:restore", "log.muted_up_to = state.muted_up_to", "pass"),
    ),
]

SEEING = [
    _bug(
        "a second vote for a slot takes the place of the first",
        at("fab_paxos.learner:Learner.on_accepted", "if first.root != accepted.root:", "if False:"),
    ),
    _bug(
        "a second proposal for an accepted slot goes unseen",
        at("fab_paxos.acceptor:Acceptor._compare", "or entry.root == propose.root", "or True"),
    ),
    _bug(
        "a second Report goes unseen",
        at("fab_paxos.view_change:ViewChange.on_report", "if disagree(first, report):", "if False:"),
    ),
    _bug(
        "what a certificate put into the log is shown as the leader's word",
        at(
            "fab_paxos.acceptor:Acceptor._blame_for_two",
            "TwoStatements(first, second) if first.signature else None",
            "TwoStatements(first, second)",
        ),
    ),
    _bug(
        "a client's second content for a number goes unseen",
        at(
            "fab_paxos.proposer:_compare",
            "if first.body_digest != second.body_digest:",
            "if False:",
        ),
    ),
]

JUDGING = [
    _bug(
        "a signed word need not be signed",
        at(
            f"{_VERDICT}verify",
            "parties[culprit].identity_key.verify(signed.signature, signed.statement)",
            "pass",
        ),
    ),
    _bug(
        "words of another alliance convict",
        at(
            f"{_VERDICT}verify",
            "if evidence.context != Context(config.alliance_id, 0 if is_client else config.epoch):",
            "if False:",
        ),
        at(f"{_VERDICT}opened", "if found.encode(context) != statement:", "if False:"),
    ),
    _bug(
        "two words on two slots convict",
        at(f"{_VERDICT}_two_statements", "(first.view, first.slot) != (second.view, second.slot) or ", ""),
    ),
    _bug(
        "one word shown twice convicts",
        at(f"{_VERDICT}_two_statements", " or not _differ(first, second)", ""),
    ),
    _bug(
        "a member is convicted of a proposal in another's view",
        at(f"{_VERDICT}_require_leader", "if config.system.leader(view) != culprit:", "if False:"),
    ),
    _bug(
        "a true root convicts",
        at(
            f"{_VERDICT}_broken_log",
            "if frontier.append(slot_leaf(after.slot, after.batch_digest)).root == after.root:",
            "if False:",
        ),
    ),
    _bug(
        "a NewView that follows from its Reports convicts",
        at(f"{_VERDICT}_wrong_new_view", "if distinct and implied == evidence.vector:", "if False:"),
    ),
    _bug(
        "two Reports that agree convict",
        at(f"{_VERDICT}_two_reports", " or not disagree(first, second)", ""),
    ),
]

EVIDENCE = [*SPEAKING, *SEEING, *JUDGING]
