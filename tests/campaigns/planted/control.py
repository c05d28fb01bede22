"""Wrong versions of the control state: who may change what, when it counts, and what is kept of it."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, at


def _bug(name: str, where: str, *exchanges: str) -> Bug:
    return Bug(name, "control", (at(f"consensus.control.{where}", *exchanges),))


CONTROL = [
    _bug(
        "a certificate may be anything",
        "draft:KeyRules.require_certificate",
        "if not own or not",
        "if False and not",
    ),
    _bug(
        "own row edits another row",
        "edits:Editing.own_member",
        "row.organisation != self.organisation",
        "row.organisation not in self.draft.operators",
    ),
    _bug(
        "an operator removes another organisation's client",
        "edits:Editing.own_client",
        "row.organisation != self.organisation",
        "not row.live",
    ),
    _bug(
        "own row may give any role",
        "edits:AddClient.apply",
        "self.role is not Role.USER",
        "self.role is None",
    ),
    _bug(
        "own-row edit voids approvals",
        "changes:base_digest",
        "text(row.organisation) + row.identity",
        "text(row.organisation) + row.identity + text(row.address)",
    ),
    _bug(
        "approval of another membership counts",
        "operating:_require_base",
        "change.base != base_digest(state.directory, change.operations)",
        "False",
    ),
    _bug(
        "approval of another epoch counts",
        "operating:_require_base",
        "change.from_epoch != state.epoch",
        "change.from_epoch < 0",
    ),
    _bug("suspend counts f", "policy:suspensions_needed", "faulty + 1", "max(faulty, 1)"),
    _bug(
        "a bare majority approves", "policy:approvals_needed", "(operators + faulty) // 2", "operators // 2"
    ),
    _bug(
        "operators that went still count",
        "operating:_with",
        "state.accounts.keys() & {*organisations, one}",
        "{*organisations, one}",
    ),
    _bug(
        "the signature of a command is not checked",
        "state:ControlState._command",
        "if not verify",
        "if False and not verify",
    ),
    _bug(
        "a new key proves nothing",
        "draft:KeyRules.require_proof",
        "not self.verify",
        "False and not self.verify",
    ),
    _bug(
        "a key comes back",
        "draft:Draft.require_new_key",
        "digest in self._keys.past or digest in self.burnt",
        "False",
    ),
    _bug(
        "the key of who is to come is free",
        "draft:Draft.require_new_key",
        "digest in self._keys.reserved",
        "False",
    ),
    _bug(
        "a command that was refused may be repeated",
        "state:ControlState._command",
        "return state, command, str(error)",
        "return self, command, str(error)",
    ),
    _bug("a client is admitted at once", "edits:AddClient.apply", "draft.effective + 1", "0"),
    _bug("a client is removed at once", "draft:Draft.remove_client", "self.effective + 1", "0"),
    _bug(
        "a client of the last window is admitted before the end",
        "record:Record.effective_from_now",
        "min(ahead, self.end)",
        "min(ahead, self.end - 1)",
    ),
    _bug(
        "the row of a removed client goes too early",
        "state:ControlState._forget_clients",
        "row.until_slot + WINDOW_SLOTS <= self.slot",
        "row.until_slot <= self.slot",
    ),
    _bug(
        "READY is not needed", "dealing:ready", "active.agreed[1] >= target.system.report", "active.readies"
    ),
    _bug(
        "readies for different dealings count together",
        "dealing:ready",
        "active.agreed[1] >=",
        "len(active.readies) >=",
    ),
    _bug(
        "the old members' number of readies is enough",
        "dealing:ready",
        "target.system.report",
        "state.directory.system.report",
    ),
    _bug(
        "the last dealing of a member counts",
        "dealing:deal",
        "any(one.member == command.signer for one in active.dealings)",
        "False",
    ),
    _bug(
        "transcript pruned", "dealing:dealt", "None if len(readies) == len(receivers) else transcript", "None"
    ),
    _bug(
        "a late ready takes the key that is dealt to",
        "dealing:_late",
        "state.active is not None or row.name in state.frozen",
        "False",
    ),
    _bug(
        "slots alone end an attempt",
        "dealing:pass_time",
        "if not over or state.time_ms",
        "if not over and state.time_ms",
    ),
    _bug(
        "a suspension forgets the change that it ended",
        "operating:_suspend",
        "None if state.active is None else state.active.approved",
        "None",
    ),
    _bug(
        "a suspension in the last window moves the end",
        "operating:_suspend",
        "scheduled=(*state.scheduled, approved)",
        "end=state.slot + 128, scheduled=(*state.scheduled, approved)",
    ),
    _bug(
        "a policy may leave an approved change impossible",
        "operating:_with_policy",
        "except ValueError:\n            return None",
        "except ValueError:\n            return state",
    ),
    _bug(
        "a member that leaves may submit",
        "operations:DropMember.apply",
        "draft.burnt.add(draft.member(self.name).client_id)",
        "draft.member(self.name)",
    ),
    _bug(
        "the control item forgets what is past",
        "items:_encode",
        "*sorted(record.past)",
        "*sorted(record.past)[:0]",
    ),
    _bug(
        "every control command of a submission counts",
        "state:ControlState._submission",
        "if not outcomes",
        "if True",
    ),
    _bug(
        "an operator edits as often as it likes",
        "operating:charge",
        "not account.has_room(state.slot, state.time_ms)",
        "False",
    ),
]
