"""What the operator of an organisation changes alone: its members' addresses, and its own clients.

Encodings, each after its number as u8::

    1 SetAddress     member text | address text | applications list of (name text | address text)
    2 AddClient      name text | identity[32] | certificate blob | role u8 | waiting u16 | bytes u32
                     | proof[64]
    3 RemoveClient   client_id[32]
    4 LimitClient    client_id[32] | waiting u16 | bytes u32

A client's key is rotated by a RemoveClient and an AddClient of the same name in one edit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from consensus.control.directory import Refused
from consensus.control.draft import Draft
from consensus.control.encoding import MalformedControl, Reader, blob, text, u8
from consensus.control.rows import (
    ADDRESS_BYTES_MAX,
    KEY_BYTES,
    NAME_BYTES_MAX,
    NO_LIMITS,
    SIGNATURE_BYTES,
    ClientLimits,
    ClientRow,
    MemberRow,
    Role,
    check_party,
    check_places,
    encode_applications,
    read_applications,
    read_role,
)
from consensus.limits import CERTIFICATE_BYTES_MAX


class Editing:
    """Of one organisation. ``frozen``: members that an approved change names, whose rows stay as they are."""

    def __init__(self, draft: Draft, organisation: str, frozen: frozenset[str]) -> None:
        self.draft, self.organisation, self.frozen = draft, organisation, frozen
        live = [row for row in draft.clients.values() if row.live]
        self.names = {row.name for row in live}
        self.owned = sum(row.organisation == organisation for row in live)

    def own_member(self, name: str) -> MemberRow:
        """Raises Refused."""
        row = self.draft.member(name)
        if row.organisation != self.organisation:
            raise Refused(f"member '{name}' belongs to '{row.organisation}'")
        if name in self.frozen:
            raise Refused(f"a change of '{name}' is under way: wait for its end, or abort it")
        return row

    def own_client(self, client_id: bytes) -> ClientRow:
        """Raises Refused."""
        row = self.draft.client(client_id)
        if row.organisation != self.organisation:
            raise Refused(f"client '{row.name}' belongs to '{row.organisation}'")
        return row


@dataclass(frozen=True, slots=True)
class SetAddress:
    """Where a member and its applications answer from now on."""

    member: str
    address: str
    applications: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_places(self.address, self.applications)

    def encode(self) -> bytes:
        return u8(1) + text(self.member) + text(self.address) + encode_applications(self.applications)

    @classmethod
    def read(cls, reader: Reader) -> SetAddress:
        return cls(reader.text(NAME_BYTES_MAX), reader.text(ADDRESS_BYTES_MAX), read_applications(reader))

    def apply(self, editing: Editing) -> None:
        """Raises Refused."""
        row = editing.own_member(self.member)
        changed = replace(row, address=self.address, applications=self.applications)
        editing.draft.members[self.member] = changed


@dataclass(frozen=True, slots=True)
class AddClient:
    """``proof`` is the new key's signature on ``draft.key_message``."""

    name: str
    identity: bytes
    certificate: bytes
    proof: bytes
    role: Role = Role.USER
    limits: ClientLimits = NO_LIMITS

    def __post_init__(self) -> None:
        check_party(self.name, self.identity, self.certificate)

    def encode(self) -> bytes:
        party = text(self.name) + self.identity + blob(self.certificate)
        return u8(2) + party + u8(self.role) + self.limits.encode() + self.proof

    @classmethod
    def read(cls, reader: Reader) -> AddClient:
        name, identity = reader.text(NAME_BYTES_MAX), reader.fixed(KEY_BYTES)
        certificate, role = reader.blob(CERTIFICATE_BYTES_MAX), read_role(reader)
        limits = ClientLimits.read(reader)
        return cls(name, identity, certificate, reader.fixed(SIGNATURE_BYTES), role, limits)

    def apply(self, editing: Editing) -> None:
        """Raises Refused."""
        draft, organisation = editing.draft, editing.organisation
        if self.role is not Role.USER:
            raise Refused("an organisation gives its clients the role of a user and no other")
        if self.name in editing.names:
            raise Refused(f"there is a client '{self.name}' already")
        if editing.owned >= draft.policy.clients_max:
            raise Refused(
                f"the policy gives each organisation {draft.policy.clients_max} clients: remove one"
            )
        draft.require_new_key(self.identity, organisation, self.role, self.proof)
        draft.require_certificate(self.name, self.identity, self.certificate)
        row = ClientRow(self.name, organisation, self.identity, self.certificate, self.role, self.limits)
        draft.clients[row.client_id] = replace(row, from_slot=draft.effective + 1)
        editing.names.add(self.name)
        editing.owned += 1


@dataclass(frozen=True, slots=True)
class RemoveClient:
    """Its key is never admitted again."""

    client_id: bytes

    def encode(self) -> bytes:
        return u8(3) + self.client_id

    @classmethod
    def read(cls, reader: Reader) -> RemoveClient:
        return cls(reader.fixed(32))

    def apply(self, editing: Editing) -> None:
        """Raises Refused."""
        row = editing.own_client(self.client_id)
        editing.draft.remove_client(row)
        editing.names.remove(row.name)
        editing.owned -= 1


@dataclass(frozen=True, slots=True)
class LimitClient:
    """How much of a client's work may wait at a member."""

    client_id: bytes
    limits: ClientLimits

    def encode(self) -> bytes:
        return u8(4) + self.client_id + self.limits.encode()

    @classmethod
    def read(cls, reader: Reader) -> LimitClient:
        return cls(reader.fixed(32), ClientLimits.read(reader))

    def apply(self, editing: Editing) -> None:
        """Raises Refused."""
        row = editing.own_client(self.client_id)
        editing.draft.clients[self.client_id] = replace(row, limits=self.limits)


EditOperation: TypeAlias = SetAddress | AddClient | RemoveClient | LimitClient
_READERS: dict[int, Callable[[Reader], EditOperation]] = {
    1: SetAddress.read,
    2: AddClient.read,
    3: RemoveClient.read,
    4: LimitClient.read,
}


def read_edit(reader: Reader) -> EditOperation:
    """Raises MalformedControl."""
    number = reader.number(1)
    if number not in _READERS:
        raise MalformedControl(f"an organisation has no edit of number {number}")
    return _READERS[number](reader)
