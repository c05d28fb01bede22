"""Wrong versions of the engine. The worlds that search have n-f odd: where it is even two values cannot both
reach ``forcing - 1``, and that one would be no bug."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_DECIDE = "fab_paxos.flows.decide"
_RESTORE = "fab_paxos.rooms:restore"
_PERSIST_ENTRY = "out.append(Persist(EntryRecord(entry)))"


def _bug(name: str, *edits: Edit, harmless: str = "") -> Bug:
    return Bug(name, "engine", edits, harmless)


SIZES = [
    _bug(
        "forcing + 1",
        at("quorum.system:QuorumSystem.forcing", "- 2 * self.faulty_max", "- 2 * self.faulty_max + 1"),
    ),
    _bug(
        "forcing - 1",
        at("quorum.system:QuorumSystem.forcing", "- 2 * self.faulty_max", "- 2 * self.faulty_max - 1"),
    ),
    _bug("decision - 1", at("quorum.system:QuorumSystem.decision", "else 2)) // 2", "else 2)) // 2 - 1")),
    _bug(
        "Reports - 1",
        at(
            "quorum.system:QuorumSystem.report",
            "self.member_count - self.faulty_max",
            "self.member_count - self.faulty_max - 1",
        ),
    ),
    _bug(
        "one more Suspect than may lie is joined",
        at("fab_paxos.election:Election.on_suspect", "_system.joins", "_system.has_correct"),
    ),
]

NORMAL_CASE = [
    _bug(
        "a time stamp of the future is taken",
        at("fab_paxos.acceptor:Acceptor.on_propose", "if ahead_ms > self._drift_ms:", "if False:"),
    ),
    _bug(
        "a time stamp of the past is taken",
        at("fab_paxos.acceptor:Acceptor.on_propose", "if -ahead_ms > self._drift_ms:", "if False:"),
    ),
    _bug(
        "the leader vouches for its own late proposals",
        at(
            "fab_paxos.acceptor:Acceptor.vouched",
            "if self._system.has_correct(mask_of(members)):",
            "if members:",
        ),
    ),
    _bug(
        "time stamps are compared when a proposal is handled",
        at(
            "fab_paxos.replica:Replica.step",
            "rooms.acceptor.now_ms if arrived_ms is None else arrived_ms",
            "rooms.acceptor.now_ms",
        ),
    ),
    _bug(
        "the root of a proposal is not checked",
        at("fab_paxos.acceptor:Acceptor._accept", "if frontier.root != propose.root:", "if False:"),
    ),
    _bug(
        "votes for another log count",
        at(
            "fab_paxos.learner:Learner._count",
            "if self._log.root(accepted.slot) == accepted.root:",
            "if True:",
        ),
    ),
    _bug(
        "votes of another view count",
        at(
            f"{_DECIDE}:on_accepted",
            "if accepted.view == rooms.view:",
            "if True:",
        ),
    ),
    _bug(
        "support of an earlier view counts",
        at(
            "fab_paxos.learner:Learner.enter_view",
            "self._support = [0] * len(self._support)",
            "pass",
            "self._words = [{} for _ in self._words]",
            "pass",
        ),
    ),
    _bug(
        "a slot is said to be accepted before it is journalled",
        at("fab_paxos.acceptor:Acceptor._accept", _PERSIST_ENTRY, "pass"),
    ),
    _bug(
        "a restarted leader proposes something else",
        at("fab_paxos.proposer:Proposer.propose", _PERSIST_ENTRY, "pass"),
    ),
    _bug(
        "a proposal may repeat a submission",
        at(
            "fab_paxos.acceptor:Acceptor._accept",
            "if not all(fresh):",
            "if False:",
        ),
    ),
    _bug(
        "proposals are kept however far ahead",
        at(
            "fab_paxos.acceptor:Acceptor.on_propose",
            "if propose.slot > self._log.base + WINDOW_SLOTS:",
            "if False:",
        ),
    ),
    _bug(
        "a client's window is not rolled back",
        at("fab_paxos.uncertified_log:UncertifiedLog._cut", "self.windows.rollback(slot)", "pass"),
    ),
]

VIEWS = [
    _bug(
        "pairs of view and digest are counted",
        at(
            "fab_paxos.selection:select",
            "digests[entry.batch_digest] = digests.get(entry.batch_digest, 0) | 1 << member",
            "pair = entry.view, entry.batch_digest; digests[pair] = digests.get(pair, 0) | 1 << member",
            "forced[slot] = digest",
            "forced[slot] = digest[1]",
        ),
    ),
    _bug(
        "the lowest base counts",
        at("fab_paxos.rule:vector_of", "base = max(", "base = min("),
    ),
    _bug(
        "gaps of a NewView are closed",
        at(
            "fab_paxos.selection:select",
            "range(base + 1, highest + 1))",
            "range(base + 1, highest + 1) if slot in forced)",
        ),
        harmless="below a forced slot a gap was never decided: any value is safe there",
    ),
    _bug(
        "the fence is not journalled",
        at("fab_paxos.flows.change_view:enter", "out.append(Persist(ViewRecord(view, proof)))", "pass"),
        at(
            "fab_paxos.view_change:ViewChange.on_new_view",
            "out.append(Persist(NewViewRecord(self._view, self._digest)))",
            "pass",
        ),
    ),
    _bug(
        "the NewView's digest is not journalled",
        at(
            "fab_paxos.view_change:ViewChange.on_new_view",
            "out.append(Persist(NewViewRecord(self._view, self._digest)))",
            "pass",
        ),
    ),
    _bug(
        "what a NewView gave is not journalled",
        at("fab_paxos.view_change:ViewChange.carry_out", _PERSIST_ENTRY, "pass"),
    ),
    _bug(
        "the NewView is not recomputed",
        at(
            "fab_paxos.view_change:ViewChange._follows",
            "vector_of(self._system, new_view.reports, self._log.start) == new_view.vector",
            "True",
        ),
    ),
    _bug(
        "a member's Report counts twice",
        at(
            "fab_paxos.view_change:ViewChange.on_report",
            "self._reports.setdefault(member, report)",
            "self._reports[len(self._reports)] = report",
        ),
        at("fab_paxos.view_change:ViewChange._follows", "members != sorted(set(members)) or ", ""),
    ),
    _bug(
        "a second NewView replaces the first",
        at(
            "fab_paxos.view_change:ViewChange.on_new_view",
            "elif self._digest != new_view.digest:",
            "elif False:",
            "self.new_view = new_view\n",
            "self.new_view, self.active = new_view, False\n",
        ),
    ),
    _bug(
        "what was accepted in earlier views is forgotten",
        at(
            "fab_paxos.uncertified_log:UncertifiedLog.enter_view",
            "self._superseded[entry.slot] = entry",
            "pass",
        ),
    ),
    _bug(
        "decided slots without a certificate are not reported",
        at(
            "fab_paxos.uncertified_log:UncertifiedLog.accepted_above",
            "if e.slot > slot)",
            "if e.slot > max(slot, self.decided))",
        ),
    ),
    _bug(
        "proposals are accepted before the NewView",
        at(
            "fab_paxos.acceptor:Acceptor.on_propose",
            "return self.advance(out) if active else []",
            "return self.advance(out)",
        ),
    ),
    _bug(
        "the view of an entry is ignored at a restart",
        at(
            _RESTORE,
            "if entry.view != state.view:",
            "if False:",
            "log.append(entry.view,",
            "log.append(state.view,",
        ),
    ),
    _bug(
        "suspicion drops what was accepted",
        at(
            "fab_paxos.flows.suspect:suspect",
            "rooms.proposer.share_pending(out)",
            "rooms.proposer.share_pending(out); rooms.log._cut(rooms.log.decided)",
        ),
    ),
    _bug(
        "Suspects of others are not joined",
        at(
            "fab_paxos.election:Election.on_suspect",
            "return self._system.joins(mask_of(filter(self._counts, self._newest)))",
            "return False",
        ),
    ),
    _bug(
        "a Suspect that was said once stands for ever",
        at(
            "fab_paxos.election:Election._counts",
            " and self._beats - self._heard[member] < STANDING_BEATS",
            "",
        ),
    ),
    _bug(
        "a Suspect of a view out of reach is joined",
        at("fab_paxos.election:Election._counts", "self.view + self._system.member_count", "2**64"),
    ),
    _bug(
        "the view timer never doubles",
        at(
            "fab_paxos.view_timer:ViewTimer.enter_view",
            "min(self._doublings + 1, TIMEOUT_DOUBLINGS_MAX)",
            "0",
        ),
    ),
]

CERTIFICATES = [
    _bug(
        "a far request makes a member sign the last due slot again",
        at("fab_paxos.certifier:Certifier._has_signed", "mine.slot < slot", "mine.slot != slot"),
    ),
    _bug(
        "a share of an earlier slot never takes the place of a later one",
        at("fab_paxos.joint_signing:JointSigning.share", "not proven or self.mine", "self.mine"),
    ),
    _bug(
        "shares of an earlier view are kept",
        at(
            "fab_paxos.certifier:Certifier.enter_view",
            "self.signing.retain(())",
            "pass",
            "self._wanted = self._due = self._requested = self._overdue = 0",
            "pass",
        ),
    ),
    _bug(
        "a certificate of another log decides ours",
        at(
            f"{_DECIDE}:on_certificate",
            "if rooms.log.root(statement.slot) != statement.root:",
            "if rooms.log.root(statement.slot) is None:",
        ),
    ),
    _bug(
        "the leader keeps certificates from those who got no shares",
        at("fab_paxos.share_recipients:ShareRecipients.certificate", "out.extend(", "_ = list("),
    ),
    _bug(
        "the leader gets no shares if nobody waits beside it",
        at("fab_paxos.share_recipients:ShareRecipients._unattended", "(self._me, leader)", "(self._me,)"),
    ),
    _bug(
        "a share may come from somebody else",
        at("fab_paxos.replica:Replica._endorsed", "if endorsement.member != sender:", "if False:"),
    ),
    _bug(
        "anybody may flag a slot",
        at(
            f"{_DECIDE}:on_certify_request",
            "if request.view == rooms.view and sender == rooms.leader:",
            "if request.view == rooms.view:",
        ),
    ),
]

CATCH_UP = [
    _bug(
        "a log frame needs no proof",
        at(
            "fab_paxos.catch_up:CatchUp.on_frame",
            "root_from_cover(frontier, statement.slot, frame.cover) == statement.root",
            "True",
        ),
    ),
    _bug(
        "a broken cover passes for a proof",
        at("fab_paxos.catch_up:CatchUp.on_frame", "proven = False", "proven = True"),
    ),
    _bug(
        "what is given for asking is not counted",
        at("fab_paxos.answers:Answers.may", "< ANSWER_BYTES_PER_BEAT:", ">= 0:"),
    ),
    _bug(
        "who supplies nothing does not rest",
        at("fab_paxos.catch_up:CatchUp._give_up", "= 1 << self._failures[peer]", "= 0"),
    ),
    _bug(
        "the length of a cover is not checked",
        at(
            "verifiable_log.merkle_proofs:root_from_cover",
            "check_hashes(cover, sum(i & 1 for _, i in way), what)",
            "pass",
        ),
    ),
    _bug(
        "more is taken for proven than a frame brought",
        at(
            "fab_paxos.catch_up:CatchUp.take",
            "ProvenRecord(entries[-1].slot, certificate)",
            "ProvenRecord(getattr(statement, 'slot', 0), certificate)",
        ),
    ),
    _bug(
        "the cut of a replaced log is not journalled",
        at(
            "fab_paxos.catch_up:CatchUp.take",
            "out.append(Persist(TruncateRecord(slot - 1, self._log.muted_up_to)))",
            "pass",
        ),
    ),
    _bug(
        "support for a replaced log still counts",
        at(
            "fab_paxos.learner:Learner.replaced",
            "self._support = [min(support, slot) for support in self._support]",
            "pass",
        ),
    ),
]

ENGINE = [*SIZES, *NORMAL_CASE, *VIEWS, *CERTIFICATES, *CATCH_UP]
