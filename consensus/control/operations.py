"""The operations of which changes are made: what operators approve together, on named rows.

Encodings, each after its number as u8::

    1 PutMember      member row | proof[64]             adds a member, or replaces the row of its name
    2 DropMember     name text
    3 Suspend        name text
    4 Reinstate      name text
    5 PutOperator    operator row | proof[64]           adds an organisation, or replaces its key
    6 DropOperator   organisation text
    7 PutPolicy      policy row
    8 SetSystem      profile u8 | faulty_max u8
    9 NewKeys        transcript[32] | dealing blob

A proof is a new key's signature on ``draft.key_message``, 64 zero bytes where the row keeps its key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from consensus.control.directory import Refused
from consensus.control.draft import Draft
from consensus.control.encoding import MalformedControl, Reader, blob, text, u8
from consensus.control.rows import (
    NAME_BYTES_MAX,
    SIGNATURE_BYTES,
    MemberRow,
    OperatorRow,
    PolicyRow,
    Role,
    key_id,
)
from quorum import PROFILES
from verifiable_log.limits import COMMAND_BYTES_MAX

NO_PROOF = bytes(SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class PutMember:
    """A member that is new, or another row for the name. ``row`` is whole: nothing of the old one stays."""

    row: MemberRow
    proof: bytes = NO_PROOF

    def encode(self) -> bytes:
        return u8(1) + self.row.encode() + self.proof

    @classmethod
    def read(cls, reader: Reader) -> PutMember:
        return cls(MemberRow.read(reader), reader.fixed(SIGNATURE_BYTES))

    @property
    def name(self) -> str:
        return self.row.name

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        old = draft.members.get(self.name)
        if self.row.organisation not in draft.operators:
            raise Refused(
                f"'{self.row.organisation}' has no operator: add one by a change of the policy first"
            )
        if old is not None and old.organisation != self.row.organisation:
            raise Refused(
                f"'{self.name}' belongs to '{old.organisation}': remove it, and add it under another name"
            )
        if old is None or old.identity != self.row.identity:
            draft.require_new_key(self.row.identity, self.row.organisation, Role.MEMBER, self.proof)
        elif self.proof != NO_PROOF:
            raise Refused(f"'{self.name}' keeps its key, which needs no proof")
        if old is not None and old.identity != self.row.identity:
            draft.burnt.add(old.client_id)
        draft.require_certificate(self.name, self.row.identity, self.row.certificate)
        draft.require_receiver(self.row)
        draft.members[self.name] = self.row


@dataclass(frozen=True, slots=True)
class DropMember:
    """A member leaves. Its organisation keeps its operator and its clients."""

    name: str

    def encode(self) -> bytes:
        return u8(2) + text(self.name)

    @classmethod
    def read(cls, reader: Reader) -> DropMember:
        return cls(reader.text(NAME_BYTES_MAX))

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        draft.burnt.add(draft.member(self.name).client_id)
        del draft.members[self.name]
        draft.suspended.discard(self.name)


@dataclass(frozen=True, slots=True)
class Suspend:
    """A member leads no more; what it votes and signs still counts."""

    name: str

    def encode(self) -> bytes:
        return u8(3) + text(self.name)

    @classmethod
    def read(cls, reader: Reader) -> Suspend:
        return cls(reader.text(NAME_BYTES_MAX))

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        draft.member(self.name)
        if self.name in draft.suspended:
            raise Refused(f"'{self.name}' is suspended already")
        draft.suspended.add(self.name)


@dataclass(frozen=True, slots=True)
class Reinstate:
    """A suspended member leads again."""

    name: str

    def encode(self) -> bytes:
        return u8(4) + text(self.name)

    @classmethod
    def read(cls, reader: Reader) -> Reinstate:
        return cls(reader.text(NAME_BYTES_MAX))

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        if self.name not in draft.suspended:
            raise Refused(f"'{self.name}' is not suspended")
        draft.suspended.remove(self.name)


@dataclass(frozen=True, slots=True)
class PutOperator:
    """An organisation that is new, or another key for one."""

    row: OperatorRow
    proof: bytes

    def encode(self) -> bytes:
        return u8(5) + self.row.encode() + self.proof

    @classmethod
    def read(cls, reader: Reader) -> PutOperator:
        return cls(OperatorRow.read(reader), reader.fixed(SIGNATURE_BYTES))

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        organisation = self.row.organisation
        draft.require_new_key(self.row.key, organisation, Role.OPERATOR, self.proof)
        if (old := draft.operators.get(organisation)) is not None:
            draft.burnt.add(key_id(old.key))
        draft.operators[organisation] = self.row


@dataclass(frozen=True, slots=True)
class DropOperator:
    """An organisation leaves, and its clients with it. Its members must have left before."""

    organisation: str

    def encode(self) -> bytes:
        return u8(6) + text(self.organisation)

    @classmethod
    def read(cls, reader: Reader) -> DropOperator:
        return cls(reader.text(NAME_BYTES_MAX))

    def apply(self, draft: Draft) -> None:
        """Raises Refused."""
        if self.organisation not in draft.operators:
            raise Refused(f"there is no organisation '{self.organisation}'")
        if any(row.organisation == self.organisation for row in draft.members.values()):
            raise Refused(f"'{self.organisation}' runs a member: remove that first")
        draft.burnt.add(key_id(draft.operators.pop(self.organisation).key))
        for row in list(draft.clients.values()):
            if row.live and row.organisation == self.organisation:
                draft.remove_client(row)


@dataclass(frozen=True, slots=True)
class PutPolicy:
    """Another policy."""

    row: PolicyRow

    def encode(self) -> bytes:
        return u8(7) + self.row.encode()

    @classmethod
    def read(cls, reader: Reader) -> PutPolicy:
        return cls(PolicyRow.read(reader))

    def apply(self, draft: Draft) -> None:
        draft.policy = self.row


@dataclass(frozen=True, slots=True)
class SetSystem:
    """Another profile, or another number of tolerated faults."""

    profile: str
    faulty_max: int

    def encode(self) -> bytes:
        return u8(8) + u8(PROFILES.index(self.profile)) + u8(self.faulty_max)

    @classmethod
    def read(cls, reader: Reader) -> SetSystem:
        return cls(PROFILES[reader.number(1, len(PROFILES) - 1)], reader.number(1))

    def apply(self, draft: Draft) -> None:
        draft.profile, draft.faulty_max = self.profile, self.faulty_max


@dataclass(frozen=True, slots=True)
class NewKeys:
    """New public keys in place of all present ones, of which nothing is handed on.

    ``transcript`` is the digest of the new keys (``consensus.control.transcript``). ``dealing`` holds them,
    and each member's shares, sealed to its receiver key; it is not looked into here.
    """

    transcript: bytes
    dealing: bytes

    def encode(self) -> bytes:
        return u8(9) + self.transcript + blob(self.dealing)

    @classmethod
    def read(cls, reader: Reader) -> NewKeys:
        return cls(reader.fixed(32), reader.blob(COMMAND_BYTES_MAX))

    def apply(self, draft: Draft) -> None:
        """The rows stay as they are."""


ChangeOperation: TypeAlias = (
    PutMember
    | DropMember
    | Suspend
    | Reinstate
    | PutOperator
    | DropOperator
    | PutPolicy
    | SetSystem
    | NewKeys
)
_READERS: tuple[Callable[[Reader], ChangeOperation], ...] = (
    PutMember.read,
    DropMember.read,
    Suspend.read,
    Reinstate.read,
    PutOperator.read,
    DropOperator.read,
    PutPolicy.read,
    SetSystem.read,
    NewKeys.read,
)
OF_THE_POLICY = (PutOperator, DropOperator, PutPolicy)
"""These have a kind of change of their own."""


def read_operation(reader: Reader) -> ChangeOperation:
    """Raises MalformedControl."""
    number = reader.number(1)
    if not 1 <= number <= len(_READERS):
        raise MalformedControl(f"a change has no operation of number {number}")
    return _READERS[number - 1](reader)
