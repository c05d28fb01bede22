"""Wrong versions of how running members go from one epoch to the next, come into one, and leave."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_ARRIVAL = "alliance.server.arrival"
_ENTER = "alliance.server.server:Server._enter"
_SUCCESSION = "alliance.server.succession:Succession"
_SUCCESSOR = "alliance.server.successor:Successor"
_VOUCHER = "alliance.server.vouching:Voucher"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "members", edits)


ENDING = (
    _bug(
        "the share on who follows is given before the end is stable",
        at("alliance.server.revisions:Revisions.stable", "checkpoint.slot == state.slot ==", "state.slot =="),
    ),
    _bug(
        "a member goes over with a log that is decided and not certified",
        at(f"{_SUCCESSION}._stands_at", "slot == end == self._history.certified_slot", "slot == end"),
    ),
    _bug(
        "a member goes over by its own word on who follows",
        at(
            f"{_SUCCESSION}._following",
            "if Published.of(successor).config != proof.membership.config:",
            "if False:",
        ),
    ),
    _bug(
        "a member that cannot tell the keys ends",
        at(f"{_SUCCESSION}._outcome", "return None", "raise"),
    ),
    _bug(
        "the first words of an epoch come before its record",
        at(
            _ENTER,
            "me = successor.enter(self._folder, self._journal, self._credentials.party)",
            "me = before.me",
            "self.term.submit(pending)",
            "self.term.submit(pending)\n"
            "    successor.enter(self._folder, self._journal, self._credentials.party)",
        ),
    ),
    _bug(
        "what clients wait for ends with the epoch",
        at(_ENTER, "self.term.submit(pending)", "pass"),
    ),
    _bug(
        "an older proof takes the place of a newer one",
        at(f"{_VOUCHER}._accept", "if self._has(proof.counters):", "if False:"),
    ),
    _bug(
        "a share is told for whatever is asked",
        at(f"{_VOUCHER}.share", "self._own is not None and (epoch, revision) == self._wanted", "True"),
    ),
    _bug(
        "all of a member's own commands have one number",
        at("alliance.server.own_commands:OwnCommands.submit", "self._sequence.next()", "1"),
    ),
    _bug(
        "what was cut short is not ended at the start",
        at("alliance.storage.epoch_entry:resume", "_finish(folder, config, journal.shares)", "pass"),
    ),
    _bug(
        "in a handshake the epoch before goes on",
        at(
            "alliance.server.incarnation:Incarnation._require_present",
            "if self._journal.epoch != self._config.epoch:",
            "if False:",
        ),
    ),
)

COMING = (
    _bug(
        "a member to be takes the epoch before for its own",
        at(f"{_ARRIVAL}:begin", "max(kept.epoch, first - 1)", "kept.epoch"),
    ),
    _bug(
        "who has slept takes any later epoch, not the newest",
        at(f"{_ARRIVAL}:_newest", "proof.membership.epoch <= least", "proof.membership.epoch <= epoch"),
    ),
    _bug(
        "one member alone may say that nothing is newer",
        at(f"{_ARRIVAL}:_newest", "answered >= config.system.one_correct", "answered"),
    ),
    _bug(
        "how an epoch goes on passes for how it began",
        at(f"{_ARRIVAL}:_file_of", "if proof.membership.revision:", "if False:"),
    ),
    _bug(
        "a checkpoint of another epoch is gone on from",
        at(
            f"{_ARRIVAL}:_record",
            "if (state.alliance_id, state.epoch, state.start, state.slot) != (",
            "if () == (",
        ),
    ),
    _bug(
        "shares of an attempt that has failed count",
        at(f"{_ARRIVAL}:_generation", " and note.transcript == agreed", ""),
    ),
    _bug(
        "slots that were pruned meanwhile are written again",
        at(f"{_SUCCESSOR}.enter", " if entry.slot > journal.pruned", ""),
    ),
    _bug(
        "the slots between come without their certificate",
        at(
            f"{_SUCCESSOR}.enter",
            "before.append(ProvenRecord(self.record.checkpoint.slot, self.record.decision))",
            "pass",
        ),
    ),
    _bug(
        "who was stopped before its first epoch takes part",
        at(f"{_ARRIVAL}:takes_part", "if kept.membership is None and not kept.starts.newest:", "if False:"),
    ),
)

LEAVING = (
    _bug("a removed member leaves at once", at(_ENTER, "await passed_on(self._channels, config)", "pass")),
    _bug(
        "a removed member leaves when a liar says that it is needed no more",
        at("alliance.server.parting:passed_on", "< config.system.one_correct", "< 1"),
    ),
    _bug(
        "a removed member keeps its shares",
        at("alliance.server.successor:place", "shares.erase_all(folder)", "pass"),
    ),
    _bug(
        "a removed member erases its shares before its journal has the end",
        at(
            f"{_SUCCESSOR}.enter",
            "epoch_entry.enter(folder, self.config, self.record, journal, before)",
            "place(folder, self.config, mine)\n"
            "    epoch_entry.enter(folder, self.config, self.record, journal, before)",
        ),
    ),
)

MEMBERS = (*ENDING, *COMING, *LEAVING)
