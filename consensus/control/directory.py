"""All rows together, as they are at one slot, and the questions that are asked of them.

``config`` is what members sign at the end of an epoch and at a revision: the public part of the state, for
whoever meets the alliance. Its digest is::

    config_digest  = H(06 | config)
    config         = alliance_id[32] | epoch u64 | dealing u64 | revision u64 | start u64 | transcript[32]
                     | profile u8 | faulty_max u8 | members list | suspended list of text | operators list
                     | policy | H(07 | clients)
    clients        = count u32 | client rows, in order of client ids

Clients come by their digest: whoever asks for the members need not carry some thousand rows of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from consensus.control.encoding import MalformedControl, listed, text, u8, u32
from consensus.control.policy import approvals_needed
from consensus.control.rows import FOREVER, ORGANISATIONS_MAX, ClientRow, MemberRow, OperatorRow, PolicyRow
from consensus.limits import CLIENT_IDS_MAX
from quorum import PROFILES, QuorumSystem, UnsatisfiableSizes


class Refused(ValueError):
    """A command has no effect; the text says why, for people."""


def config_digest(config: bytes) -> bytes:
    """``H(06 | config)``: 06 keeps it apart from what else is hashed."""
    return sha256(b"\x06" + config).digest()


@dataclass(frozen=True)
class Directory:
    """Members in the order of their numbers, operators by organisation, clients by client_id.

    ``suspended`` names members that do not lead, in alphabetical order. ``clients`` is never changed: another
    directory has another one. Raises MalformedControl when rows contradict each other.
    """

    profile: str
    faulty_max: int
    members: tuple[MemberRow, ...]
    operators: tuple[OperatorRow, ...]
    policy: PolicyRow
    clients: Mapping[bytes, ClientRow]
    suspended: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        organisations = [row.organisation for row in self.operators]
        if not organisations or organisations != sorted(set(organisations)):
            raise MalformedControl(
                "operators are listed by organisation, each once, and there is one at least"
            )
        names = [row.name for row in self.members]
        if len(set(names)) != len(names):
            raise MalformedControl("two members have one name")
        if len(organisations) > ORGANISATIONS_MAX or len(self.clients) > CLIENT_IDS_MAX:
            raise MalformedControl(
                f"an alliance has at most {ORGANISATIONS_MAX} organisations and {CLIENT_IDS_MAX} clients"
            )
        approvals_needed(len(organisations), self.policy.faulty)
        if not {row.organisation for row in self.members} <= set(organisations):
            raise MalformedControl("a member belongs to an organisation without an operator")
        suspended = list(self.suspended)
        if suspended != sorted(set(suspended) & set(names)) or len(suspended) > self.faulty_max:
            raise MalformedControl("at most faulty_max members are suspended, listed by name")
        try:
            self.system  # noqa: B018
        except UnsatisfiableSizes as error:
            raise MalformedControl(str(error)) from None

    @property
    def system(self) -> QuorumSystem:
        return QuorumSystem(len(self.members), self.faulty_max, self.profile)

    @cached_property
    def members_by_id(self) -> Mapping[bytes, MemberRow]:
        """By the ids under which they submit."""
        return {row.client_id: row for row in self.members}

    @cached_property
    def departures(self) -> Mapping[int, Sequence[bytes]]:
        """The clients that go, by the slot from which on they are not admitted."""
        slots: dict[int, list[bytes]] = {}
        for client_id, row in self.clients.items():
            if not row.live:
                slots.setdefault(row.until_slot, []).append(client_id)
        return slots

    @cached_property
    def first_departure(self) -> int:
        """The lowest of those slots."""
        return min(self.departures, default=FOREVER)

    @cached_property
    def encoded_clients(self) -> bytes:
        """All rows of clients, by client_id: kept, as there may be thousands and they seldom change."""
        return encode_clients(row for _, row in sorted(self.clients.items()))

    def member(self, name: str) -> MemberRow:
        """Raises Refused."""
        for row in self.members:
            if row.name == name:
                return row
        raise Refused(f"there is no member '{name}'")

    def operator(self, organisation: str) -> OperatorRow:
        """Raises Refused."""
        for row in self.operators:
            if row.organisation == organisation:
                return row
        raise Refused(f"there is no organisation '{organisation}'")

    def with_member(self, row: MemberRow) -> Directory:
        """The directory with this row in place of the one of its name."""
        return replace(self, members=tuple(row if old.name == row.name else old for old in self.members))

    def config_tail(self, slot: int) -> bytes:
        """``config`` from ``profile`` on, with the clients that are admitted behind ``slot``."""
        clients = [row for _, row in sorted(self.clients.items()) if row.admitted(slot + 1)]
        return self.encode_rows() + sha256(b"\x07" + encode_clients(clients)).digest()

    def encode_rows(self) -> bytes:
        """All but the clients."""
        return (
            u8(PROFILES.index(self.profile))
            + u8(self.faulty_max)
            + listed(row.encode() for row in self.members)
            + listed(text(name) for name in self.suspended)
            + listed(row.encode() for row in self.operators)
            + self.policy.encode()
        )


def encode_clients(rows: Iterable[ClientRow]) -> bytes:
    parts = [row.encode() for row in rows]
    return u32(len(parts)) + b"".join(parts)
