"""What operators' commands do to the record: edits of their own rows, proposals, approvals, aborts.

Each function gives the record after the command, or raises Refused (or MalformedControl, where rows do not
fit together): then nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import Abort, Approve, Edit, Propose
from consensus.control.directory import Directory, Refused
from consensus.control.draft import Draft, Verify
from consensus.control.edits import AddClient, Editing
from consensus.control.pending import ActiveChange, ApprovedChange, OpenChange
from consensus.control.record import Account, Record
from consensus.limits import CLIENT_IDS_MAX, EDITS_MAX, OPEN_CHANGES_MAX, WINDOW_SLOTS

State = TypeVar("State", bound=Record)


def charge(state: State, command: Edit | Propose) -> tuple[State, str]:
    """The record after the command is paid for, and why it goes no further, or nothing.

    Its counter is taken whatever comes of it: nobody repeats it later. So is its part of what an organisation
    may edit: what is refused after long looking costs as much as what is not.
    """
    account, organisation = state.accounts[command.signer], command.signer
    if command.counter != account.counter + 1:
        expected = f"the next command of '{organisation}' has number {account.counter + 1}"
        return state, f"{expected}, this one has {command.counter}"
    account = replace(account, counter=command.counter)
    if not account.has_room(state.slot, state.time_ms):
        refusal = f"'{organisation}' has edited {EDITS_MAX} times lately: wait some minutes"
        return _with_account(state, organisation, account), refusal
    recent = (*account.recent, (state.slot, state.time_ms))[-EDITS_MAX:]
    return _with_account(state, organisation, replace(account, recent=recent)), ""


def edit(state: State, command: Edit, verify: Verify) -> State:
    """An organisation changes its own rows."""
    draft = Draft(state.directory, state.key_rules(verify), state.effective_from_now)
    editing = Editing(draft, command.signer, state.frozen)
    for operation in command.operations:
        operation.apply(editing)
    added = sum(isinstance(operation, AddClient) for operation in command.operations)
    if added:
        state = _add_clients(state, command.signer, added)
    return with_revision(replace(state, directory=draft.finish()))


def propose(state: State, command: Propose, verify: Verify) -> State:
    """An organisation proposes a change, and approves of it."""
    if sum(one.propose.signer == command.signer for one in state.opened) >= OPEN_CHANGES_MAX:
        raise Refused(f"'{command.signer}' has {OPEN_CHANGES_MAX} open changes: abort one")
    change = command.change
    if _expired(state, change):
        raise Refused("the change has expired")
    _require_base(state, change)
    state.carry_out([change], verify)
    opened = OpenChange(command, state.slot, (command.signer,))
    return replace(state, opened=(*state.opened, opened))


def approve(state: State, command: Approve) -> State:
    """An organisation approves of an open change."""
    one = _open(state, command.change_id)
    if command.signer in one.approvals:
        raise Refused(f"'{command.signer}' has approved of it already")
    changed = replace(one, approvals=_with(state, one.approvals, command.signer))
    return replace(state, opened=tuple(changed if other is one else other for other in state.opened))


def abort(state: State, command: Abort) -> State:
    """An organisation withdraws its own open change, or wants one to end that is not scheduled."""
    active = state.active
    if active is not None and active.approved.change_id == command.change_id:
        if state.end is not None:
            raise Refused("the change is scheduled: nobody can stop it")
        if command.signer in active.aborts:
            raise Refused(f"'{command.signer}' has said so already")
        aborts = _with(state, active.aborts, command.signer)
        ended = len(aborts) >= state.approve
        if ended:
            return replace(state, active=None, dealt_ms=state.time_ms)
        return replace(state, active=replace(active, aborts=aborts))
    one = _open(state, command.change_id)
    if command.signer in one.aborts:
        raise Refused(f"'{command.signer}' has said so already")
    aborts = _with(state, one.aborts, command.signer)
    ended = command.signer == one.propose.signer or len(aborts) >= state.approve
    changed = () if ended else (replace(one, aborts=aborts),)
    others = [(other,) if other is not one else changed for other in state.opened]
    return replace(state, opened=tuple(entry for part in others for entry in part))


def settle(state: State, verify: Verify) -> State:
    """Open changes that enough operators approve of begin, as far as they can, in the order of the log."""
    again = True
    while again:
        again = False
        for one in state.opened:
            if len(one.approvals) < state.needed(one.change):
                continue
            approved = ApprovedChange(one.change_id, one.change, state.slot)
            begun = _begin(state, approved, verify)
            if begun is not None:
                state = replace(begun, opened=tuple(other for other in begun.opened if other is not one))
                again = True
                break
    return state


def expire(state: State) -> State:
    """Open changes whose time is over go."""
    if not any(_expired(state, one.change) for one in state.opened):
        return state
    return replace(state, opened=tuple(one for one in state.opened if not _expired(state, one.change)))


def _begin(state: State, approved: ApprovedChange, verify: Verify) -> State | None:
    """The record in which the change has begun, or is given up as impossible. None when it has to wait."""
    change = approved.change
    try:
        _require_base(state, change)
        directory, burnt = state.carry_out([change], verify)
    except ValueError:
        return state
    if change.kind is ChangeKind.POLICY:
        return _with_policy(state, directory, burnt, verify)
    if change.only_suspends:
        return _suspend(state, approved, verify)
    if state.active is not None or state.end is not None:
        return None
    if change.kind is ChangeKind.FULL:
        return replace(state, active=ActiveChange(approved, state.slot, state.time_ms))
    return replace(state, scheduled=(approved,), end=state.slot + WINDOW_SLOTS)


def _with_policy(state: State, directory: Directory, burnt: frozenset[bytes], verify: Verify) -> State | None:
    accounts = {
        row.organisation: state.accounts.get(row.organisation, Account()) for row in directory.operators
    }
    changed = replace(state, directory=directory, accounts=accounts, past=state.past | burnt)
    state = with_revision(changed)
    # What operators have approved of before must still be possible, or the policy waits for its end.
    scheduled = [one.change for one in state.scheduled]
    others = [[one.change] for one in state.under_way if one not in state.scheduled]
    for changes in ([scheduled] if scheduled else []) + others:
        try:
            state.carry_out(changes, verify)
        except ValueError:
            return None
    # They were approved of by other operators, or under another policy.
    return replace(state, opened=tuple(one for one in state.opened if not _void(state, one.change)))


def _suspend(state: State, approved: ApprovedChange, verify: Verify) -> State:
    if state.end is None:
        carried = None if state.active is None else state.active.approved
        return replace(
            state, active=None, carried=carried, scheduled=(approved,), end=state.slot + WINDOW_SLOTS
        )
    try:
        state.carry_out([*(one.change for one in state.scheduled), approved.change], verify)
    except ValueError:
        return state
    return replace(state, scheduled=(*state.scheduled, approved))


def with_revision(state: State) -> State:
    """A further revision, when what was just done is in effect."""
    slots = sorted({*state.revisions, state.effective_from_now})
    return replace(state, revisions=tuple(slots))


def _add_clients(state: State, organisation: str, added: int) -> State:
    account = state.accounts[organisation]
    clients = account.clients + added
    ever = len(state.past) + len(state.directory.clients) + added
    if ever > CLIENT_IDS_MAX or clients > CLIENT_IDS_MAX // len(state.accounts):
        raise Refused(
            f"an alliance has {CLIENT_IDS_MAX} clients in its life, each organisation its part of them"
        )
    return _with_account(state, organisation, replace(account, clients=clients))


def _with_account(state: State, organisation: str, account: Account) -> State:
    return replace(state, accounts={**state.accounts, organisation: account})


def _open(state: Record, change_id: bytes) -> OpenChange:
    for one in state.opened:
        if one.change_id == change_id:
            return one
    raise Refused(f"there is no open change {change_id.hex()[:16]}: it has ended, or begun")


def _expired(state: Record, change: Change) -> bool:
    return state.slot > change.expires_slot or state.time_ms > change.expires_ms


def _void(state: Record, change: Change) -> bool:
    try:
        _require_base(state, change)
    except Refused:
        return True
    return False


def _require_base(state: Record, change: Change) -> None:
    if change.from_epoch != state.epoch:
        raise Refused(f"the change is for epoch {change.from_epoch}, and this is epoch {state.epoch}")
    if change.base != base_digest(state.directory, change.operations):
        raise Refused("whom it changes, the policy or the operators are others by now: propose it anew")


def _with(state: Record, organisations: Iterable[str], one: str) -> tuple[str, ...]:
    """Those of them that have an operator now, and one more."""
    return tuple(sorted(state.accounts.keys() & {*organisations, one}))
