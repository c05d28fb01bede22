"""How a full change hands the keys on: dealings, readies, deadlines.

Nobody judges a dealing here: whether it is right takes seconds of computing, and follows from the log. The
new members who are ready say by which dealings they are, with the digest ``transcript``. Of ``report`` new
members that name the same one, n' - 2f' at least are correct, and have computed it and hold their shares. The
slot of the last of these readies fixes the end of the epoch.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import Deal, Ready
from consensus.control.directory import Refused
from consensus.control.draft import Verify, trust
from consensus.control.encoding import u64
from consensus.control.pending import ActiveChange, ApprovedChange, PostedDealing, PostedReady, Transcript
from consensus.control.record import Record
from consensus.control.rows import MemberRow
from consensus.limits import (
    ATTEMPTS_MAX,
    DEADLINE_SLOTS,
    DEALT_MEMBERS_MAX,
    OVERLOOKED_MS,
    RECOVERY_ATTEMPT,
    WINDOW_SLOTS,
)

State = TypeVar("State", bound=Record)

DAY_MS = 24 * 3600 * 1000


def deal(state: State, command: Deal) -> State:
    """A member's dealing for the attempt under way. Raises Refused."""
    active = _attempt(state, command)
    if active.new_keys is not None:
        raise Refused("the change brings new keys: nobody hands the present ones on")
    if state.end is not None:
        raise Refused("enough members are ready already")
    if any(one.member == command.signer for one in active.dealings):
        raise Refused(f"'{command.signer}' has dealt already, and the first dealing counts")
    posted = PostedDealing(command.signer, state.slot, command.dealing)
    return replace(state, active=replace(active, dealings=(*active.dealings, posted)))


def epoch_of(state: Record, command: Deal | Ready) -> int:
    """The epoch whose members deal, or have dealt to who is late."""
    if state.transcript is not None and isinstance(command, Ready) and _is_late(state, command):
        return state.transcript.epoch
    return state.epoch


def receiver_of(state: Record, command: Ready) -> MemberRow:
    """The row whose identity signs this command. Raises Refused."""
    if _is_late(state, command):
        return state.directory.member(command.signer)
    _attempt(state, command)
    return state.target.member(command.signer)


def ready(state: State, command: Ready, verify: Verify) -> State:
    """A member of the next epoch, or one of this epoch that was away, has its shares. Raises Refused."""
    row = receiver_of(state, command)
    if not command.receiver or command.receiver == row.receiver:
        raise Refused("who is ready names another receiver key, for the next time")
    row = replace(row, receiver=command.receiver, receiver_signature=command.receiver_signature)
    state.key_rules(verify).require_receiver(row)
    if state.transcript is not None and _is_late(state, command):
        return _late(state, state.transcript, command, row)
    active, target = _attempt(state, command), state.target
    if any(one.member == command.signer for one in active.readies):
        raise Refused(f"'{command.signer}' is ready already")
    if active.new_keys is not None:
        if command.transcript != active.new_keys.transcript:
            raise Refused("these are not the keys that the change brings")
    elif len(active.dealings) < state.directory.system.decision:
        raise Refused("too few members have dealt for anybody to have shares")
    keys = command.receiver, command.receiver_signature
    posted = PostedReady(command.signer, state.slot, command.transcript, *keys, command.shares)
    active = replace(active, readies=(*active.readies, posted))
    state = replace(state, active=active)
    if state.end is None and active.agreed[1] >= target.system.report:
        return replace(state, scheduled=(active.approved,), end=state.slot + WINDOW_SLOTS)
    return state


def pass_time(state: State) -> State:
    """What comes of the slot and the agreed time alone: an attempt's deadline, a refresh that is due."""
    if state.end is not None:
        return state
    active = state.active
    if active is not None:
        over = state.slot >= active.began_slot + DEADLINE_SLOTS
        if not over or state.time_ms < active.began_ms + _attempt_ms(state):
            return state
        if active.attempt + 1 == ATTEMPTS_MAX:
            return replace(state, active=None, dealt_ms=state.time_ms)
        again = ActiveChange(active.approved, state.slot, state.time_ms, active.attempt + 1, active.aborts)
        return replace(state, active=again)
    if state.dealt_ms == 0:
        return replace(state, dealt_ms=state.time_ms) if state.time_ms else state
    days = state.directory.policy.refresh_days
    if days and state.time_ms >= state.dealt_ms + days * DAY_MS and not refresh_hindrance(state):
        return _refresh(state)
    return state


def refresh_hindrance(state: Record) -> str:
    """Why shares are not refreshed although the policy wants it, for people; empty where nothing is wrong.

    As soon as that is over, a refresh that is due begins.
    """
    directory = state.directory
    if not directory.policy.refresh_days:
        return ""
    without = [row.name for row in directory.members if not row.receiver]
    if without:
        return f"no receiver key of {', '.join(without)}: their own operators set them"
    if len(directory.members) > DEALT_MEMBERS_MAX:
        return f"shares are dealt to at most {DEALT_MEMBERS_MAX} members: change the policy"
    return ""


def _attempt_ms(state: Record) -> int:
    """How long an attempt has, in agreed time: as the policy says, or longer, where f leaders in a row could
    overlook it and the one after them has to order it yet."""
    leaders = state.directory.faulty_max + 2
    return max(1000 * state.directory.policy.attempt_seconds, leaders * OVERLOOKED_MS)


def dealt(state: State, ended: Record) -> State:
    """The next epoch ``state``, with what was dealt in the one that ended: receiver keys and transcript."""
    active, target = ended.dealt_for, ended.target
    digest, _ = active.agreed
    if active.attempt == RECOVERY_ATTEMPT:
        digest = ended.recoveries[-1].transcript
    readies = {one.member: one for one in active.readies if one.transcript == digest}
    directory = state.directory
    for row in directory.members:
        if (one := readies.get(row.name)) is not None:
            directory = directory.with_member(
                replace(row, receiver=one.receiver, receiver_signature=one.receiver_signature)
            )
    receivers = tuple((row.name, row.receiver) for row in target.members)
    dealers, dealings = tuple(row.name for row in ended.directory.members), active.dealings
    if active.new_keys is not None:
        dealers, dealings = (), (PostedDealing("", active.approved.slot, active.new_keys.dealing),)
    transcript = Transcript(
        active.approved.change_id,
        active.attempt,
        ended.epoch,
        digest,
        dealers,
        receivers,
        dealings,
        tuple(sorted(readies)),
    )
    return replace(
        state,
        directory=directory,
        dealing=ended.dealing + 1,
        dealt_ms=state.time_ms,
        transcript=None if len(readies) == len(receivers) else transcript,
        transcript_digest=digest,
        key_changes=ended.key_changes + (active.new_keys is not None),
    )


def restart(state: State, carried: ApprovedChange) -> State:
    """A change that a suspension has ended begins again in the next epoch, unless it is impossible there."""
    try:
        state.carry_out([carried.change], trust)
    except ValueError:
        return state
    again = replace(carried, slot=state.slot)
    return replace(state, active=ActiveChange(again, state.slot, state.time_ms))


def _attempt(state: Record, command: Deal | Ready) -> ActiveChange:
    active = state.active
    if active is None or active.approved.change_id != command.change_id:
        raise Refused(f"no change {command.change_id.hex()[:16]} is under way")
    if active.attempt != command.attempt:
        raise Refused(f"attempt {active.attempt} is under way, and not {command.attempt}")
    return active


def _is_late(state: Record, command: Ready) -> bool:
    last = state.transcript
    return last is not None and (last.change_id, last.attempt) == (command.change_id, command.attempt)


def _late(state: State, last: Transcript, command: Ready, row: MemberRow) -> State:
    old = state.directory.member(row.name)
    if (row.name, old.receiver) not in last.receivers or row.name in last.ready:
        raise Refused(f"nothing was dealt to '{row.name}' that it has not answered")
    if command.transcript != last.digest:
        raise Refused("these are not the dealings by which the others have their shares")
    if state.active is not None or row.name in state.frozen:
        raise Refused("a change is under way, which deals to the receiver key of now: keep that key")
    done = {*last.ready, row.name} >= {name for name, _ in last.receivers}
    last = replace(last, ready=tuple(sorted({*last.ready, row.name})))
    directory = state.directory.with_member(row)
    return replace(state, directory=directory, transcript=None if done else last)


def _refresh(state: State) -> State:
    change = Change(
        ChangeKind.FULL, state.epoch, base_digest(state.directory, ()), state.slot, state.time_ms, ()
    )
    digest = sha256(b"alliance-control-refresh/1\x00" + u64(state.epoch) + u64(state.slot)).digest()
    approved = ApprovedChange(digest, change, state.slot)
    return replace(state, active=ActiveChange(approved, state.slot, state.time_ms))
