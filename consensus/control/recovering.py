"""What comes of an act of recovery: the state at the end of an epoch that the log could not end.

Nothing of it is a command in the log. From the state at the last certified slot, the act, and what was dealt
by it, ``recover`` computes the state at the end of the epoch as if the log had ended it there: whoever has
the three computes the same. It is certified like every end of an epoch, by ``decision`` shares of the keys,
and the act stays in the state for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.directory import Directory, Refused
from consensus.control.draft import Verify
from consensus.control.operations import ChangeOperation
from consensus.control.pending import ActiveChange, ApprovedChange, PostedDealing
from consensus.control.policy import approvals_needed
from consensus.control.record import Record
from consensus.control.recovery import Recovery, RecoveryAct, RecoveryApproval
from consensus.limits import RECOVERIES_MAX, RECOVERY_ATTEMPT

State = TypeVar("State", bound=Record)


def act_on(
    state: Record, root: bytes, survivors: Iterable[str], operations: tuple[ChangeOperation, ...]
) -> RecoveryAct:
    """An act on the state at the last slot, where the log has this root."""
    base = base_digest(state.directory, operations)
    change = Change(ChangeKind.FULL, state.epoch, base, state.slot, 0, operations)
    return RecoveryAct(state.slot, root, tuple(sorted(set(survivors))), change)


def forsake(state: State) -> State:
    """The state without anything that was on its way: none of it comes, with the epoch over here."""
    return replace(state, opened=(), active=None, scheduled=(), carried=None, revisions=(), end=None)


def require_act(state: Record, act: RecoveryAct, verify: Verify) -> Directory:
    """The rows that the act leads to. Raises Refused, or MalformedControl, when it cannot be done."""
    system, change = state.directory.system, act.change
    if (change.from_epoch, act.slot) != (state.epoch, state.slot):
        raise Refused(
            f"the act is for slot {act.slot} of epoch {change.from_epoch}, and this log is at slot"
            f" {state.slot} of epoch {state.epoch}"
        )
    if act != act_on(state, act.root, act.survivors, change.operations):
        raise Refused("the act is not on the members, operators and policy of this log")
    if not set(act.survivors) <= {row.name for row in state.directory.members}:
        raise Refused("a survivor is no member")
    if len(act.survivors) >= system.decision:
        raise Refused(
            f"{len(act.survivors)} of {system.member_count} members are there, and {system.decision} decide:"
            " start them, and change the alliance by its own decision"
        )
    if change.new_public_keys is not None:
        raise Refused("an act of recovery hands the present keys on: get new ones by a change afterwards")
    if len(state.recoveries) >= RECOVERIES_MAX:
        raise Refused(f"an alliance is recovered {RECOVERIES_MAX} times at most: found another one")
    return forsake(state).carry_out([change], verify)[0]


def require_approvals(
    state: Record, act: RecoveryAct, approvals: Sequence[RecoveryApproval], verify: Verify
) -> None:
    """Raises Refused unless as many operators of now have signed the act as approve a change."""
    named = [one.organisation for one in approvals]
    if named != sorted(set(named)):
        raise Refused("approvals are listed by organisation, each once")
    for one in approvals:
        key = state.directory.operator(one.organisation).key
        if not verify(key, act.message(state.alliance_id, one.organisation), one.signature):
            raise Refused(f"the approval is not signed by the operator of '{one.organisation}'")
    needed = approvals_needed(len(state.directory.operators), state.directory.policy.faulty)
    if len(named) < needed:
        raise Refused(f"{len(named)} operators approve of it, and it takes {needed}")


def require_dealers(state: Record, dealings: Sequence[PostedDealing]) -> None:
    """Raises Refused unless ``decision`` members of now have dealt at least; they are in their own order."""
    numbers = {row.name: number for number, row in enumerate(state.directory.members)}
    dealers = [numbers.get(one.member, -1) for one in dealings]
    if dealers != sorted(set(dealers)) or -1 in dealers or any(one.slot != state.slot for one in dealings):
        raise Refused("dealings are listed by members of this epoch, each once")
    needed = state.directory.system.decision
    if len(dealers) < needed:
        raise Refused(f"{len(dealers)} members have dealt, and it takes {needed}")


def begin(state: State, act: RecoveryAct, approvals: Sequence[RecoveryApproval], verify: Verify) -> State:
    """The state in which shares are dealt: by an act that enough operators have signed.

    Raises Refused, or MalformedControl.
    """
    require_act(state, act, verify)
    require_approvals(state, act, approvals, verify)
    approved = ApprovedChange(act.digest, act.change, state.slot)
    active = ActiveChange(approved, state.slot, state.time_ms, RECOVERY_ATTEMPT)
    return replace(forsake(state), active=active)


def recover(state: State, recovery: Recovery, dealings: Sequence[PostedDealing], verify: Verify) -> State:
    """The state at the end of the epoch, which is at its last slot.

    That the dealings are right, and ``transcript`` of their keys, takes computing: whoever gives a share of
    the next membership has done it. Raises Refused, or MalformedControl.
    """
    require_dealers(state, dealings)
    begun = begin(state, recovery.act, recovery.approvals, verify)
    active = replace(begun.dealt_for, dealings=tuple(dealings))
    scheduled, recoveries = (active.approved,), (*state.recoveries, recovery)
    return replace(begun, end=state.slot, active=active, scheduled=scheduled, recoveries=recoveries)
