"""Changes of who takes part: operations that operators approve together, and what they saw when they did.

Encoding::

    change    kind u8 | from_epoch u64 | base[32] | expires_slot u64 | expires_ms u64 | operations list

``base`` binds the rows as they were: ``base_digest``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from consensus.control.directory import Directory, Refused
from consensus.control.draft import Draft
from consensus.control.encoding import MalformedControl, Reader, listed, text, u8, u64
from consensus.control.operations import (
    NO_PROOF,
    OF_THE_POLICY,
    ChangeOperation,
    DropMember,
    NewKeys,
    PutMember,
    Reinstate,
    SetSystem,
    Suspend,
    read_operation,
)
from consensus.control.rows import MemberRow
from consensus.limits import DEALT_MEMBERS_MAX, OPERATIONS_MAX
from quorum import PROFILES


class ChangeKind(IntEnum):
    """POLICY: operators and policy, at once. LIGHT: another epoch, the same shares. FULL: with new ones."""

    POLICY = 1
    LIGHT = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of the rows. It counts in ``from_epoch`` alone, and while ``base`` is right.

    Void after slot ``expires_slot``, and after ``expires_ms`` of agreed time, unless it is approved by then.
    """

    kind: ChangeKind
    from_epoch: int
    base: bytes
    expires_slot: int
    expires_ms: int
    operations: tuple[ChangeOperation, ...]

    def encode(self) -> bytes:
        head = (
            u8(self.kind) + u64(self.from_epoch) + self.base + u64(self.expires_slot) + u64(self.expires_ms)
        )
        return head + listed(operation.encode() for operation in self.operations)

    @classmethod
    def read(cls, reader: Reader) -> Change:
        """Raises MalformedControl."""
        number = reader.number(1)
        if number not in set(ChangeKind):
            raise MalformedControl(f"there is no kind {number} of changes")
        numbers = reader.number(8), reader.fixed(32), reader.number(8), reader.number(8)
        return cls(ChangeKind(number), *numbers, reader.listed(read_operation, OPERATIONS_MAX))

    @property
    def named(self) -> frozenset[str]:
        """The members whose rows it touches."""
        return _named(self.operations)

    @property
    def only_suspends(self) -> bool:
        """It takes the lead from members and does nothing else: one correct operator is enough for that."""
        light = self.kind is ChangeKind.LIGHT and bool(self.operations)
        return light and all(isinstance(operation, Suspend) for operation in self.operations)

    @property
    def new_rows(self) -> tuple[MemberRow, ...]:
        """Its members' rows that have new identities."""
        puts = (one for one in self.operations if isinstance(one, PutMember))
        return tuple(one.row for one in puts if one.proof != NO_PROOF)

    @property
    def new_keys(self) -> frozenset[bytes]:
        """Digests of the identities in these."""
        return frozenset(row.client_id for row in self.new_rows)

    @property
    def new_public_keys(self) -> NewKeys | None:
        """The operation by which the alliance gets other public keys; None: it keeps those that it has."""
        return next((one for one in self.operations if isinstance(one, NewKeys)), None)

    def carry_out(self, draft: Draft) -> Directory:
        """What the rows become. Raises Refused, or MalformedControl when they do not fit together."""
        before = dict(draft.members)
        for operation in self.operations:
            self._require_kind(operation, before)
            operation.apply(draft)
        after = draft.finish()
        if not self.operations and self.kind is not ChangeKind.FULL:
            raise Refused("the change changes nothing")
        if sum(isinstance(one, NewKeys) for one in self.operations) > 1:
            raise Refused("the alliance gets new public keys once by one change")
        if self.kind is ChangeKind.FULL:
            if len(after.members) > DEALT_MEMBERS_MAX:
                raise Refused(f"keys are handed on to at most {DEALT_MEMBERS_MAX} members")
            without = [row.name for row in after.members if not row.receiver]
            if without:
                raise Refused(f"no receiver key, without which nobody deals to them: {', '.join(without)}")
        return after

    def _require_kind(self, operation: ChangeOperation, before: dict[str, MemberRow]) -> None:
        of_the_policy = isinstance(operation, OF_THE_POLICY)
        if of_the_policy is not (self.kind is ChangeKind.POLICY):
            raise Refused("operators and policy have a kind of change of their own, with nothing else in it")
        resizes = isinstance(operation, DropMember | SetSystem | NewKeys)
        if isinstance(operation, PutMember):
            resizes = operation.name not in before
        if resizes and self.kind is ChangeKind.LIGHT:
            raise Refused("members come and go, and sizes change, by a full change: the keys are handed on")


def _named(operations: Iterable[ChangeOperation]) -> frozenset[str]:
    return frozenset(
        one.name for one in operations if isinstance(one, PutMember | DropMember | Suspend | Reinstate)
    )


def base_digest(directory: Directory, operations: Iterable[ChangeOperation]) -> bytes:
    """SHA-256 of what operators approve on: whom the operations touch, policy, operators and sizes::

        "alliance-control-base/1" 00 | touched list | operators list | policy | profile u8 | faulty_max u8
        touched   name text | 00, or 01 | suspended u8 | organisation text | identity[32]

    What an organisation changes alone, such as an address, is not in it: nobody holds the others up by that.
    """
    rows = {row.name: row for row in directory.members}
    parts = []
    for name in sorted(_named(operations)):
        row, there = rows.get(name), u8(0)
        if row is not None:
            there = u8(1) + u8(name in directory.suspended) + text(row.organisation) + row.identity
        parts.append(text(name) + there)
    sizes = u8(PROFILES.index(directory.profile)) + u8(directory.faulty_max)
    operators = listed(row.encode() for row in directory.operators)
    body = listed(parts) + operators + directory.policy.encode() + sizes
    return sha256(b"alliance-control-base/1\x00" + body).digest()
