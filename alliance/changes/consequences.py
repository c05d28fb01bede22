"""What a change that operators decide together asks for, and what it makes safe or unsafe, for people.

Who must approve, who must be up while the keys are handed on, how many members may be faulty before and
behind it, and what to beware of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alliance.config.fault_tolerance import FaultTolerance, differences
from consensus.control import ControlState
from consensus.control.changes import Change, ChangeKind
from consensus.control.commands import Propose
from consensus.control.directory import Directory
from consensus.control.operations import DropOperator, PutOperator
from consensus.control.policy import approvals_needed


@dataclass(frozen=True, slots=True)
class Consequences:
    """``epoch`` is the one that begins with it, None if none does.

    ``approvals``: so many of ``operators`` have to approve. ``leaders``: who leads then, in turn.
    ``dealers``: so many of the members of now must be up to hand the keys on, ``ready``: so many of those to
    come, and of the ``newcomers`` so many at least; 0 where no keys are handed on.
    """

    kind: ChangeKind
    epoch: int | None
    approvals: int
    operators: tuple[str, ...]
    leaders: tuple[str, ...]
    survives: str
    dealers: int
    ready: int
    newcomers: tuple[str, ...]
    newcomers_ready: int
    warnings: tuple[str, ...]
    new_keys: bool = False
    differences: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: ControlState, proposal: Propose, after: Directory) -> Consequences:
        """``after``: the rows when it is in effect."""
        change, now, system = proposal.change, state.directory, after.system
        full = change.kind is ChangeKind.FULL
        known = {row.identity for row in now.members}
        newcomers = tuple(row.name for row in after.members if row.identity not in known)
        staying = len(after.members) - len(newcomers)
        return cls(
            change.kind,
            None if change.kind is ChangeKind.POLICY else state.epoch + 1,
            state.needed(change),
            tuple(row.organisation for row in now.operators),
            tuple(row.name for row in after.members if row.name not in after.suspended),
            _tolerance(after).summary(),
            now.system.decision if full and not change.new_public_keys else 0,
            system.report if full else 0,
            newcomers,
            max(0, system.report - staying) if full else 0,
            tuple(_warnings(state, change, after)),
            change.new_public_keys is not None,
            tuple(differences(_tolerance(now), _tolerance(after))),
        )

    def lines(self) -> list[str]:
        """For people."""
        told = [f"  approve: {self.approvals} of {', '.join(self.operators)}"]
        if self.epoch is not None:
            how = _WITH_NEW_KEYS if self.new_keys else _HOW[self.kind]
            told.append(f"  begins epoch {self.epoch}, {how}")
            told += [f"  survives: {self.survives}", *(f"    {one}" for one in self.differences)]
            told += [f"  leads, in turn: {', '.join(self.leaders)}"]
        if self.ready:
            new = ""
            if self.newcomers_ready:
                new = f", {self.newcomers_ready} at least of {', '.join(self.newcomers)} among them"
            dealers = (
                f"{self.dealers} of the members of now, to hand the keys on; and " if self.dealers else ""
            )
            told.append(f"  must be up: {dealers}{self.ready} of those to come, to take them{new}")
        return [*told, *(f"  beware: {one}" for one in self.warnings)]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": self.kind.name.lower(),
            "epoch": self.epoch,
            "approvals_needed": self.approvals,
            "operators": list(self.operators),
            "leaders": list(self.leaders),
            "survives": self.survives,
            "differences": list(self.differences),
            "dealers_needed": self.dealers,
            "ready_needed": self.ready,
            "newcomers": list(self.newcomers),
            "newcomers_needed": self.newcomers_ready,
            "new_keys": self.new_keys,
            "warnings": list(self.warnings),
        }


_HOW = {ChangeKind.LIGHT: "with the shares that there are", ChangeKind.FULL: "with new shares of all keys"}

_WITH_NEW_KEYS = "with other public keys, and shares of them"


def _tolerance(directory: Directory) -> FaultTolerance:
    members = tuple((row.name, row.organisation) for row in directory.members)
    return FaultTolerance(directory.system, members)


def _warnings(state: ControlState, change: Change, after: Directory) -> list[str]:
    if change.kind is ChangeKind.POLICY:
        return _of_the_policy(change, after)
    told = []
    if change.only_suspends and state.active is not None and state.end is None:
        told.append("the change under way, whose keys are being handed on, begins anew in the next epoch")
    elif not change.only_suspends and (state.active is not None or state.end is not None):
        told.append(
            "another change is under way: this one waits for it, and is void when that begins an epoch;"
            " 'alliance change show' tells of it"
        )
    if change.kind is ChangeKind.FULL:
        told += _of_members(state, change, after)
    if not after.faulty_max:
        told.append("no member may be faulty: one that is down halts the alliance")
    return told


def _of_the_policy(change: Change, after: Directory) -> list[str]:
    operators, faulty = len(after.operators), after.policy.faulty
    needed = approvals_needed(operators, faulty)
    told = [
        f"of {operators} operators then {needed} approve a change: when more than {operators - needed} of"
        " their keys are lost, members, operators and policy stay as they are for ever"
    ]
    if any(isinstance(one, PutOperator) for one in change.operations):
        told.append("a key that an organisation had before is never admitted again, nor what it has approved")
    told += [
        f"the clients of '{one.organisation}' go with it, and their keys never come back"
        for one in change.operations
        if isinstance(one, DropOperator)
    ]
    return told


def _of_members(state: ControlState, change: Change, after: Directory) -> list[str]:
    now, quorum = state.directory, state.directory.system.decision
    keys, names = {row.identity for row in after.members}, {row.name for row in after.members}
    gone = [row.name for row in now.members if row.name not in names]
    replaced = [row.name for row in now.members if row.name in names and row.identity not in keys]
    told = []
    if gone:
        told.append(
            f"{', '.join(gone)}: whoever of them is up stays up until epoch {state.epoch + 1} has begun,"
            " which 'alliance epochs' tells; until then the others may need it"
        )
    if replaced:
        told.append(
            f"{', '.join(replaced)}: the new server begins with an empty folder of its own; never start the"
            " old folder again, nor a backup of it: until the epoch begins its share still counts as that of"
            " a faulty member"
        )
    leaving = [*replaced, *gone]
    if len(now.members) - len(leaving) < quorum:
        told.append(
            f"{quorum} members must hand the keys on, and without {', '.join(leaving)} there are not so many:"
            " change fewer of them at a time, or be sure that enough of them are up"
        )
    f = now.faulty_max
    if change.new_public_keys is not None:
        return [*told, *_of_new_keys(quorum)]
    told.append(
        f"until all old shares are erased, {quorum} of them in one hand are the private key: those of whoever"
        f" is faulty, {f}, and on the disks of whoever sleeps, {f}, make {2 * f}"
    )
    told.append("backups of share files undo the erasure: keep none, or erase them when the epoch begins")
    return told


def _of_new_keys(quorum: int) -> list[str]:
    return [
        "whoever made the new keys could have kept them: approve only if you trust that dealer's machine",
        "whoever checks receipts and signatures needs the new public keys for what comes after; what was"
        " signed before stays under the old ones",
        f"{quorum} old shares in one hand can still sign another membership, for whoever has not followed"
        " this one: tell clients and newcomers the new key's fingerprint by another way",
    ]
