"""Wrong versions of what binds a member over its lives and epochs: what it said before it caught up, leapt
over what others decided, restarted, or went from one epoch to the next."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_LOG = "fab_paxos.uncertified_log:UncertifiedLog"
_CATCH_UP = "fab_paxos.flows.catch_up"
_RECORD = "alliance.storage.journal_epochs:EpochRecord"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "lives", edits)


CATCHING_UP = (
    _bug(
        "who has caught up votes on slots on which it had voted",
        at(f"{_LOG}._cut", "self.muted_up_to = max(self.muted_up_to, self.tip)", "pass"),
    ),
    _bug(
        "a member votes again where it is to be silent",
        at("fab_paxos.acceptor:Acceptor.latest", " or entry.slot <= self._log.muted_up_to", ""),
    ),
    _bug(
        "a leader whose log was exchanged proposes on",
        at("fab_paxos.proposer:Proposer.propose", "not log.muted_up_to\n        and ", ""),
    ),
    _bug(
        "a restart forgets on which slots it is to be silent",
        at("fab_paxos.rooms:restore", "log.muted_up_to = state.muted_up_to", "pass"),
    ),
    _bug(
        "a leap forgets on which slots it is to be silent",
        at(
            f"{_CATCH_UP}:_install",
            "SnapshotRecord(checkpoint, brought.certificate, log.muted_up_to)",
            "SnapshotRecord(checkpoint, brought.certificate, 0)",
        ),
    ),
    _bug(
        "a frame's cut forgets on which slots it is to be silent",
        at(
            "fab_paxos.catch_up:CatchUp.take",
            "TruncateRecord(slot - 1, self._log.muted_up_to)",
            "TruncateRecord(slot - 1, 0)",
        ),
    ),
)

SWITCHING = (
    _bug(
        "the journal does not say that another epoch has begun",
        at(f"{_RECORD}.enter", "epoch=membership.epoch", "epoch=position.epoch"),
    ),
    _bug(
        "the journal does not say where the epoch begins",
        at(f"{_RECORD}.enter", "start=membership.start", "start=position.start"),
    ),
    _bug(
        "the log of an epoch before goes on where another was certified",
        at("alliance.storage.journal:Journal._enter", "if checkpoint.slot > position.proven:", "if False:"),
    ),
    _bug(
        "clients' windows do not go over",
        at(
            "alliance.storage.journal_replay:replay",
            "windows = ClientWindows.read(checkpoint.snapshot.client_items, checkpoint.snapshot.places)",
            "if checkpoint.slot != position.start: windows = ClientWindows.read("
            "checkpoint.snapshot.client_items, checkpoint.snapshot.places)",
        ),
    ),
    _bug(
        "the control state stays in the epoch that has ended",
        at("fab_paxos.control:after", "return control.next_epoch()", "return control"),
    ),
    _bug(
        "certificates of another epoch pass",
        at(
            "quorum.certificate:QuorumCertificate.verify",
            "if self.epoch != context.epoch:",
            "if False:",
            "self.statement.encode(context)",
            "self.statement.encode(type(context)(context.alliance_id, self.epoch))",
        ),
    ),
    _bug(
        "suspended members lead",
        at(
            "quorum.system:QuorumSystem.leader",
            "self.leaders[view % len(self.leaders)] if self.leaders else view % self.member_count",
            "view % self.member_count",
        ),
    ),
)

LIVES = (*CATCHING_UP, *SWITCHING)
