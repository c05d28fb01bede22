"""Wrong versions of what the log says of the alliance itself, of the end of an epoch, and of what follows."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_LOG = "fab_paxos.uncertified_log:UncertifiedLog"
_ACCEPTOR = "fab_paxos.acceptor:Acceptor"
_PROPOSER = "fab_paxos.proposer:Proposer"
_DUE = "fab_paxos.flows.suspect:_is_due"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "end", edits)


CONTROL = (
    _bug(
        "a state's item about the alliance is written when its slot is accepted",
        at(f"{_LOG}._keep_snapshot", "frontier.size <= self.decided", "True"),
        at(
            f"{_LOG}._apply",
            "self.snapshots.join(entry.slot, control.items())",
            "self.snapshots.join(entry.slot, ())",
        ),
    ),
    _bug(
        "a log frame is applied whole",
        at(
            "fab_paxos.flows.catch_up:on_frame",
            "steps[log.decided + 1 - first : log.reach + 1 - first]",
            "steps[log.decided + 1 - first :]",
        ),
    ),
    _bug(
        "a snapshot brings nothing about the alliance",
        at(f"{_LOG}.install_snapshot", "control = control.read(items)", "pass"),
    ),
    _bug(
        "a client that was removed is accepted",
        at(
            f"{_ACCEPTOR}._accept",
            "if not self._log.admits(propose.slot, propose.batch.submissions):",
            "if False:",
        ),
    ),
    _bug(
        "a leader proposes what clients submit before they are admitted",
        at(f"{_PROPOSER}.propose", "flags = tuple(map(and_, flags, admitted))", "pass"),
    ),
    _bug(
        "what a removed client handed in waits for ever",
        at(f"{_PROPOSER}._hopeless", "if not self._will_be_admitted(submission):", "if False:"),
        at(f"{_PROPOSER}._admit", "if not self._will_be_admitted(submission):", "if False:"),
    ),
    _bug(
        "an idle leader lets no slots pass",
        at(f"{_PROPOSER}._filling", "self._log.tip < self._log.goal or", ""),
    ),
    _bug("slots that are to pass are not due", at(_DUE, " or log.decided < log.goal", "")),
    _bug(
        "a leader may let slots pass as slowly as it likes",
        at(
            f"{_PROPOSER}.newest_of",
            "if waiting is None and self._log.decided < self._log.goal:",
            "if False:",
        ),
    ),
)

END = (
    _bug(
        "alpha is smaller than the window",
        at(f"{_ACCEPTOR}.on_propose", "+ WINDOW_SLOTS", "+ 2 * WINDOW_SLOTS"),
    ),
    _bug(
        "acceptors do not enforce the end",
        at(
            f"{_ACCEPTOR}.on_propose",
            "if self._log.end is not None and propose.slot > self._log.end:",
            "if False:",
        ),
        at(f"{_LOG}.append", "if self.end is not None and slot > self.end:", "if False:"),
    ),
    _bug(
        "the leader does not enforce the end",
        at(f"{_PROPOSER}.propose", "and log.tip != log.end", ""),
        at(f"{_LOG}.append", "if self.end is not None and slot > self.end:", "if False:"),
    ),
    _bug(
        "a checkpoint at the end only where one is due",
        at(f"{_LOG}.append", " or slot == self.end", ""),
    ),
    _bug(
        "a snapshot at the end only when it is accepted",
        at(f"{_LOG}.__init__", "if self.complete:", "if False:"),
    ),
    _bug(
        "the snapshot at the end is not endorsed at a start",
        at("fab_paxos.flows.speak:on_started", "rooms.checkpoints.on_decided(out)", "pass"),
    ),
    _bug(
        "an earlier checkpoint takes the place of that at the end",
        at("fab_paxos.checkpoint:Checkpoints.on_certificate", "if self._log.complete:", "if False:"),
    ),
    _bug("with the last slot decided work is due", at(_DUE, "if log.complete:", "if False:")),
    _bug(
        "lean: Reports of slots beyond the end ripen",
        at(
            "fab_paxos.view_change:ViewChange._within",
            "(self._log.end is None or slot <= self._log.end)",
            "True",
        ),
    ),
    _bug(
        "without a certificate a log is certified to slot 0",
        at("fab_paxos.certifier:Certifier.certified", "else self._log.start", "else 0"),
    ),
    _bug(
        "a Report without a base begins at slot 1",
        at("fab_paxos.messages:slot_of_base", "else start", "else 0"),
    ),
    _bug(
        "slots of an epoch before are served with certificates of this one",
        at(
            "fab_paxos.flows.catch_up:_on_fetch",
            "if first_slot <= certified and rooms.certifier.newest is None:",
            "if False:",
        ),
    ),
)

EPOCHS = (*CONTROL, *END)
