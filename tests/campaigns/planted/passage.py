"""Wrong versions of passing from log to log and from leader to leader: checkpoints, progress, pace."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_CATCH_UP = "fab_paxos.flows.catch_up"
_CHECKPOINTS = "fab_paxos.checkpoint:Checkpoints"
_OFFER = "verifiable_log.checkpoint_offer:"
_PACE = "fab_paxos.leader_monitor:LeaderMonitor"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "passage", edits)


CHECKPOINTS = [
    _bug(
        "an undecided log is endorsed as a checkpoint",
        at("fab_paxos.snapshots:Snapshots.newest", " if slot <= decided", ""),
    ),
    _bug(
        "the snapshot of a log that was cut stays",
        at("fab_paxos.uncertified_log:UncertifiedLog._cut", "self.snapshots.drop_above(slot)", "pass"),
    ),
    _bug(
        "a checkpoint is stable before its log is proven",
        at(f"{_CHECKPOINTS}.on_certificate", "statement.slot > certified or ", ""),
    ),
    _bug(
        "a stable checkpoint is not journalled",
        at(
            f"{_CHECKPOINTS}.on_saved",
            "out.append(Persist(CheckpointRecord(saved), lazily=True))",
            "pass",
        ),
    ),
    _bug(
        "what is to be retained is pruned",
        at(
            f"{_CHECKPOINTS}.on_saved",
            "self.pruned = slot - self._retain_slots",
            "self.pruned = slot",
        ),
    ),
    _bug(
        "the number of clients is not bound",
        at("verifiable_log.state_writer:StateDigest.value", 'self.count.to_bytes(8, "big") + ', ""),
    ),
    _bug(
        "the state of an offer is not compared with its certificate",
        at(f"{_OFFER}offered_frontier", "state_digest(offer.leaves) != statement.state_digest", "False"),
    ),
    _bug(
        "an offer need not lead to its decision certificate",
        at(
            f"{_OFFER}offered_frontier",
            "root_from_cover(frontier, newest.slot, offer.cover) != newest.root",
            "False",
        ),
    ),
    _bug(
        "a part of a state is not compared with its leaves",
        at(
            f"{_OFFER}check_part",
            "if not hashes or hashes != leaves[part.first : end]:",
            "if not hashes:",
        ),
    ),
    _bug(
        "a part of a state is as large as its clients' items let it be",
        at("verifiable_log.checkpoint_offer:check_part", "+ item_bytes_max <", "+ 4096 <"),
    ),
    _bug(
        "an offer is taken from whoever was not asked",
        at(f"{_CATCH_UP}:on_offer", "if rooms.catch_up.was_asked(sender):", "if True:"),
    ),
    _bug(
        "a leap is not journalled",
        at(
            f"{_CATCH_UP}:_install",
            "out.append(Persist(SnapshotRecord(checkpoint, brought.certificate, log.muted_up_to)))",
            "pass",
        ),
    ),
    _bug(
        "a leap does not bring the clients' windows",
        at("fab_paxos.uncertified_log:UncertifiedLog.install_snapshot", "self.windows = windows", "pass"),
    ),
]

PROGRESS = [
    _bug(
        "a progress certificate serves for any NewView",
        at(
            "fab_paxos.view_change:ViewChange.on_progress",
            "progress.certificate.statement != ProgressStatement(",
            "None is ProgressStatement(",
        ),
    ),
    _bug(
        "a NewView that came with its certificate is not journalled",
        at(
            "fab_paxos.view_change:ViewChange.on_progress",
            "out.append(Persist(NewViewRecord(self._view, digest)))",
            "pass",
        ),
    ),
    _bug(
        "a progress certificate overrules the NewView that was kept",
        at("fab_paxos.view_change:ViewChange.on_progress", "elif self._digest != digest:", "elif False:"),
    ),
    _bug(
        "the progress of an earlier view is still wanted",
        at("fab_paxos.view_change:ViewChange.enter_view", "self.joint_signing.drop()", "pass"),
    ),
    _bug(
        "who comes late asks one member at a time for batches",
        at("fab_paxos.view_change:ViewChange.ask", "1 if known else self._least(holders)", "1"),
    ),
    _bug(
        "a Report may name what only a certificate proved",
        at("fab_paxos.uncertified_log:UncertifiedLog.accepted_above", "if slot < proven:", "if False:"),
    ),
]

PACE = [
    _bug(
        "a leader just within the time-out is not slow",
        at(f"{_PACE}._is_slow", "median(newest) > self._late_seconds", "False"),
    ),
    _bug(
        "the fastest leader sets the norm",
        at(f"{_PACE}._norm", "if self._system.has_correct(fastest):", "if fastest:"),
    ),
    _bug(
        "a leader is compared with itself",
        at(f"{_PACE}._norm", "if leader != self._leader:", "if True:"),
    ),
    _bug(
        "a large batch is late like a small one",
        at(f"{_PACE}.on_decided", " - (self._ordered - ordered)", ""),
    ),
    _bug(
        "what is passed over is not timed",
        at(f"{_PACE}.on_decided", " or seconds > self._late_seconds", ""),
    ),
    _bug(
        "each slot of a leader is timed anew",
        at(
            f"{_PACE}.watch",
            "self._timed is not None and waiting.is_waiting(self._timed[0])",
            "self._timed is not None and False",
        ),
    ),
    _bug(
        "leaders are replaced for their pace without end",
        at(f"{_PACE}.too_slow", " or self._system.has_correct(mask_of(self._slow))", ""),
    ),
    _bug(
        "who was slow once is slow for ever",
        at(f"{_PACE}.too_slow", "self._slow.discard(self._leader)", "pass"),
    ),
    _bug(
        "nobody's tenure ends",
        at(
            f"{_PACE}.over_tenure",
            "decided - self._entered_at >= self._tenure_slots or self._busy_beats >= self._tenure_beats",
            "False",
        ),
    ),
    _bug(
        "a client that is left out is not missed",
        at(
            "fab_paxos.flows.suspect:on_heartbeat",
            "if rooms.proposer.overlooked >= rooms.config.overlooked_heartbeats and not rooms.log.complete:",
            "if False:",
        ),
    ),
]

SHARES = [
    _bug(
        "a share is taken again from who sent a bad one",
        at("fab_paxos.share_collector:ShareCollector.add", "member in self._reputation.blamed or ", ""),
    ),
    _bug(
        "a member that never proves its shares spoils every certificate",
        at(
            "fab_paxos.share_collector:ShareCollector._combine",
            "and not (self._patient and self._reputation.is_doubtful(member))",
            "",
        ),
    ),
]

PASSAGE = [*CHECKPOINTS, *PROGRESS, *PACE, *SHARES]
