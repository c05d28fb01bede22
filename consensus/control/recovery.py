"""When more members are lost than the log can do without: the operators' act, by which the rest goes on.

Nothing can be decided any more, so nothing of this is a command in the log. Operators say, outside of it and
as many of them as approve a change, that their epoch is over behind the last slot that is known to be
certified, and what becomes of its members; the shares are handed on as in any full change. From the state at
that slot, the act, and what was dealt, ``recover`` computes the state at the end of the epoch as if the log
had ended it there: whoever has the three computes the same. What it computes is certified like every end of
an epoch, by ``decision`` shares of the keys, and the act stays in the state for ever.

Encodings::

    act         "alliance-control-recovery/1" 00 | slot u64 | root[32] | survivors list of text | change
    approval    organisation text | signature[64]
    recovery    act blob | approvals list | transcript[32]

The change is a full one that expires with ``slot``, at the agreed time 0. An operator signs the CONTROL
statement of ``H("alliance-control/1" 00 | 07 | organisation text | act)``: 07 is the kind of no command, so
nobody takes the one for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import MAGIC
from consensus.control.directory import Directory, Refused
from consensus.control.draft import Verify
from consensus.control.encoding import MalformedControl, Reader, blob, listed, text, u8, u64
from consensus.control.operations import ChangeOperation
from consensus.control.pending import ActiveChange, ApprovedChange, PostedDealing, read_names, write_names
from consensus.control.policy import approvals_needed
from consensus.control.rows import NAME_BYTES_MAX, ORGANISATIONS_MAX, SIGNATURE_BYTES
from consensus.limits import RECOVERIES_MAX, RECOVERY_ATTEMPT
from quorum import Context, ControlStatement
from verifiable_log.limits import COMMAND_BYTES_MAX

if TYPE_CHECKING:
    from consensus.control.record import Record

    State = TypeVar("State", bound=Record)

_DOMAIN = b"alliance-control-recovery/1\x00"
_KIND = 7
_ACT_BYTES_MAX = COMMAND_BYTES_MAX


@dataclass(frozen=True, slots=True)
class RecoveryAct:
    """Behind ``slot``, where the log has this Merkle ``root``, the epoch is over, and ``change`` is carried
    out.

    ``survivors``, in alphabetical order, are the members that have shown their logs, of which the longest one
    is taken.
    """

    slot: int
    root: bytes
    survivors: tuple[str, ...]
    change: Change

    @classmethod
    def of(
        cls, state: Record, root: bytes, survivors: Iterable[str], operations: tuple[ChangeOperation, ...]
    ) -> RecoveryAct:
        """An act on the state at the last slot, where the log has this root."""
        base = base_digest(state.directory, operations)
        change = Change(ChangeKind.FULL, state.epoch, base, state.slot, 0, operations)
        return cls(state.slot, root, tuple(sorted(set(survivors))), change)

    def encode(self) -> bytes:
        head = _DOMAIN + u64(self.slot) + self.root + write_names(self.survivors)
        return head + self.change.encode()

    @classmethod
    def decode(cls, encoded: bytes) -> RecoveryAct:
        """Raises MalformedControl."""
        reader = Reader(encoded)
        if reader.fixed(len(_DOMAIN)) != _DOMAIN:
            raise MalformedControl("it does not begin as an act of recovery")
        act = cls(reader.number(8), reader.fixed(32), read_names(reader), Change.read(reader))
        reader.end()
        return act

    @property
    def digest(self) -> bytes:
        """32 bytes, which operators compare, and by which the change is known."""
        return sha256(self.encode()).digest()

    def message(self, alliance_id: bytes, organisation: str) -> bytes:
        """What the operator of an organisation signs to approve of it."""
        said = sha256(MAGIC + u8(_KIND) + text(organisation) + self.encode()).digest()
        return ControlStatement(said).encode(Context(alliance_id, 0))


@dataclass(frozen=True, slots=True)
class RecoveryApproval:
    """One operator's signature on an act."""

    organisation: str
    signature: bytes

    def encode(self) -> bytes:
        return text(self.organisation) + self.signature

    @classmethod
    def read(cls, reader: Reader) -> RecoveryApproval:
        return cls(reader.text(NAME_BYTES_MAX), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class Recovery:
    """An act that was carried out. ``transcript`` is the digest of the keys that were dealt by it."""

    act: RecoveryAct
    approvals: tuple[RecoveryApproval, ...]
    transcript: bytes

    @property
    def epoch(self) -> int:
        """The epoch that ended by it."""
        return self.act.change.from_epoch

    def encode(self) -> bytes:
        return blob(self.act.encode()) + listed(one.encode() for one in self.approvals) + self.transcript

    @classmethod
    def read(cls, reader: Reader) -> Recovery:
        act = RecoveryAct.decode(reader.blob(_ACT_BYTES_MAX))
        return cls(act, reader.listed(RecoveryApproval.read, ORGANISATIONS_MAX), reader.fixed(32))


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
    if act != RecoveryAct.of(state, act.root, act.survivors, change.operations):
        raise Refused("the act is not on the members, operators and policy of this log")
    if not set(act.survivors) <= {row.name for row in state.directory.members}:
        raise Refused("a survivor is no member")
    if len(act.survivors) >= system.decision:
        raise Refused(
            f"{len(act.survivors)} of {system.member_count} members are there, and {system.decision} decide:"
            " start them, and change the alliance by its own decision"
        )
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


def recover(state: State, recovery: Recovery, dealings: Sequence[PostedDealing], verify: Verify) -> State:
    """The state at the end of the epoch, which is at its last slot.

    That the dealings are right, and ``transcript`` of their keys, takes computing: whoever gives a share of
    the next membership has done it. Raises Refused, or MalformedControl.
    """
    act = recovery.act
    require_act(state, act, verify)
    require_approvals(state, act, recovery.approvals, verify)
    require_dealers(state, dealings)
    approved = ApprovedChange(act.digest, act.change, state.slot)
    active = ActiveChange(approved, state.slot, state.time_ms, RECOVERY_ATTEMPT, dealings=tuple(dealings))
    return replace(
        forsake(state),
        end=state.slot,
        active=active,
        scheduled=(approved,),
        recoveries=(*state.recoveries, recovery),
    )
