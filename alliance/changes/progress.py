"""How far the change is that will end the epoch, as the control state has it, and the news of each slot.

Of a full change: who has dealt, who of the members to come is ready, and until when the attempt has time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alliance.changes.operations import Names, in_words
from consensus.control import ControlState
from consensus.control.edits import EditOperation
from consensus.control.operations import ChangeOperation
from consensus.control.record import Phase
from consensus.limits import ATTEMPTS_MAX, DEADLINE_SLOTS


def in_lines(operations: Sequence[EditOperation | ChangeOperation], names: Names) -> list[str]:
    """The operations of a change for people, one line each; none is a refresh."""
    return [in_words(one, names) for one in operations] or ["all members get new shares of the same keys"]


@dataclass(frozen=True, slots=True)
class Progress:
    """``attempt`` counts from 1 to ATTEMPTS_MAX; it has time until both ``deadline_slot`` and, of agreed
    time, ``deadline_ms`` are over. ``dealt`` of the members of now and ``ready`` of those to come are in the
    order of the log. ``end`` is the last slot of the epoch, once that is known.
    """

    epoch: int
    slot: int
    phase: Phase
    digests: tuple[str, ...]
    operations: tuple[str, ...]
    attempt: int
    deadline_slot: int
    deadline_ms: int
    dealt: tuple[str, ...]
    dealers: int
    ready: tuple[str, ...]
    readies: int
    aborts: tuple[str, ...]
    aborting: int
    end: int | None

    @classmethod
    def of(cls, state: ControlState) -> Progress | None:
        """None while no such change is approved."""
        under_way, active, policy = state.under_way, state.active, state.directory.policy
        if not under_way:
            return None
        words = [line for approved in under_way for line in in_lines(approved.change.operations, {})]
        return cls(
            state.epoch,
            state.slot,
            state.phase,
            tuple(one.change_id.hex() for one in under_way),
            tuple(words),
            active.attempt + 1 if active else 0,
            active.began_slot + DEADLINE_SLOTS if active else 0,
            active.began_ms + 1000 * policy.attempt_seconds if active else 0,
            tuple(one.member for one in active.dealings) if active else (),
            state.directory.system.decision if active and active.new_keys is None else 0,
            tuple(one.member for one in active.readies if one.transcript == active.agreed[0])
            if active
            else (),
            state.target.system.report if active else 0,
            active.aborts if active else (),
            state.approve,
            state.end,
        )

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "epoch": self.epoch,
            "slot": self.slot,
            "phase": self.phase.value,
            "digests": list(self.digests),
            "operations": list(self.operations),
            "attempt": self.attempt,
            "attempts_max": ATTEMPTS_MAX,
            "deadline_slot": self.deadline_slot,
            "deadline_ms": self.deadline_ms,
            "dealt": list(self.dealt),
            "dealers_needed": self.dealers,
            "ready": list(self.ready),
            "ready_needed": self.readies,
            "aborts": list(self.aborts),
            "aborts_needed": self.aborting,
            "end": self.end,
        }


def news(before: ControlState, after: ControlState) -> list[str]:
    """What has come of the change under way between two slots of the log, one line each."""
    if after.epoch != before.epoch:
        return [f"epoch {after.epoch} has begun, behind slot {after.start}"]
    told = _of_opened(before, after)
    was, now = Progress.of(before), Progress.of(after)
    if now is None:
        return [*told, "the change is given up: the epoch goes on as it was"] if was is not None else told
    if was is None:
        told.append(f"approved: {'; '.join(now.operations)}")
    if was is not None and now.attempt > was.attempt > 0:
        told.append(f"attempt {was.attempt} took too long: attempt {now.attempt} of {ATTEMPTS_MAX} begins")
        was = None
    dealt, ready, aborts = (was.dealt, was.ready, was.aborts) if was is not None else ((), (), ())
    for at, name in enumerate(now.dealt, 1):
        if name not in dealt:
            told.append(f"{name} has dealt: {counted(at, now.dealers)}")
    for at, name in enumerate(now.ready, 1):
        if name not in ready:
            told.append(f"{name} is ready: {counted(at, now.readies)}")
    told += [f"{name} wants it to end" for name in now.aborts if name not in aborts]
    if now.end is not None and before.end is None:
        told.append(f"scheduled: the epoch ends with slot {now.end}")
    return told


def counted(there: int, needed: int) -> str:
    """Of those that it takes: all of them may come, and are welcome."""
    return f"{there} of {needed}" if there <= needed else f"{there}, of whom {needed} are enough"


def _of_opened(before: ControlState, after: ControlState) -> list[str]:
    known = {one.change_id: one for one in before.opened}
    told = []
    for one in after.opened:
        old = known.get(one.change_id)
        if old is None:
            told.append(f"'{one.propose.signer}' proposes {one.change_id.hex()[:16]}")
        approvals = old.approvals if old is not None else ()
        told += [
            f"'{name}' approves of {one.change_id.hex()[:16]}: {at} of {after.needed(one.change)}"
            for at, name in enumerate(one.approvals, 1)
            if name not in approvals
        ]
    begun = {one.change_id for one in after.under_way}
    there = {one.change_id for one in after.opened} | begun
    told += [f"{key.hex()[:16]} is open no more" for key in known if key not in there]
    return told


def nothing_left(state: ControlState) -> bool:
    """Whether nothing is on its way, neither open nor approved nor waiting to be in effect."""
    return not (state.opened or state.under_way or state.revisions or state.end is not None)
