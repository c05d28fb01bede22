"""What was fixed when an alliance was created, and gives it its identifier for ever.

Members, keys and addresses change; the table ``[founding]`` of alliance.toml is kept as it was.
What it may say beyond what this version can do (other engines, weights) has the one value that is supported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from alliance.config.fields import hexed, only, tables, value
from alliance.config.framing import framed, u32
from alliance.config.parties import read_key, read_name
from alliance.errors import ConfigError
from quorum import QuorumSystem, UnsatisfiableSizes

AGREEMENT = "agreement"
"""What nobody may call a further key: the one that decides signs nothing else."""
KEYS_MAX = 17
"""The agreement key and sixteen more."""
ENGINE, VOTES, WEIGHT = "fab_paxos", "signed", 1
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_KEY_ID_BYTES = 32
_DOMAIN = b"alliance/v2 founding\x00"


@dataclass(frozen=True, slots=True)
class FoundingMember:
    """A member of the first epoch. ``identity`` is its Ed25519 public key, 32 bytes."""

    name: str
    organisation: str
    identity: bytes


@dataclass(frozen=True, slots=True)
class FoundingRecord:
    """``created`` is a time such as 2026-01-31T12:00:00Z.

    ``operators`` are (organisation, Ed25519 public key, 32 bytes), one for each organisation that runs a
    member; ``keys`` are (purpose, key id, 32 bytes), the agreement key first.
    """

    name: str
    created: str
    system: QuorumSystem
    members: tuple[FoundingMember, ...]
    operators: tuple[tuple[str, bytes], ...]
    keys: tuple[tuple[str, bytes], ...]

    @property
    def alliance_id(self) -> bytes:
        """SHA-256 over the domain and all fields, each with its length as u32 before it, lists with their
        count: docs/reference/formats.md has the order.
        """
        sizes = (self.system.member_count, self.system.faulty_max)
        parts = [self.name.encode(), self.created.encode()]
        parts += [ENGINE.encode(), self.system.profile.encode(), VOTES.encode(), *map(u32, sizes)]
        parts.append(u32(len(self.members)))
        for member in self.members:
            parts += [member.name.encode(), member.organisation.encode(), u32(WEIGHT), member.identity]
        for pairs in (self.operators, self.keys):
            parts.append(u32(len(pairs)))
            for name, content in pairs:
                parts += [name.encode(), content]
        return sha256(_DOMAIN + framed(*parts)).digest()

    def to_lines(self) -> list[str]:
        """The table in TOML; ``from_table`` gives back an equal value."""
        lines = [
            "",
            "# Fixed when the alliance was created: alliance_id is the digest of this table.",
            "[founding]",
            f'name = "{self.name}"',
            f'created = "{self.created}"',
            f'engine = "{ENGINE}"',
            f'profile = "{self.system.profile}"',
            f'votes = "{VOTES}"',
            f"faulty_max = {self.system.faulty_max}",
        ]
        for name, key_id in self.keys:
            lines += ["", "[[founding.keys]]", f'name = "{name}"', f'key_id = "{key_id.hex()}"']
        for name, key in self.operators:
            lines += ["", "[[founding.organisations]]", f'name = "{name}"', f'operator = "{key.hex()}"']
        for member in self.members:
            lines += ["", "[[founding.members]]", f'name = "{member.name}"']
            lines += [f'organisation = "{member.organisation}"', f"weight = {WEIGHT}"]
            lines += [f'identity = "{member.identity.hex()}"']
        return lines

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> FoundingRecord:
        """Raises ConfigError."""
        only(table, _KEYS, where)
        for key, supported in (("engine", ENGINE), ("votes", VOTES)):
            _require(value(table, key, str, where), supported, key, where)
        created = value(table, "created", str, where)
        if not CREATED.fullmatch(created):
            raise ConfigError(f"{where}: 'created' must be a time like 2026-01-31T12:00:00Z")
        members = tuple(_member(entry, f"{where}.members") for entry in tables(table, "members", where))
        operators = tuple(_operator(entry, where) for entry in tables(table, "organisations", where))
        organisations = [name for name, _ in operators]
        if sorted({member.organisation for member in members}) != sorted(organisations):
            raise ConfigError(f"{where}: list each organisation that runs a member, once, and no other")
        distinct("founding members", "name", (member.name for member in members))
        keys = [*(member.identity for member in members), *(key for _, key in operators)]
        distinct("identities or operators", "key", keys)
        try:
            faulty_max, profile = value(table, "faulty_max", int, where), value(table, "profile", str, where)
            system = QuorumSystem(len(members), faulty_max, profile)
        except UnsatisfiableSizes as error:
            raise ConfigError(f"{where}: {error}") from None
        return cls(read_name(table, where), created, system, members, operators, _key_ids(table, where))


def distinct(kind: str, attribute: str, values: Iterable[object]) -> None:
    """Raises ConfigError when one is there twice."""
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise ConfigError(f"alliance.toml: two {kind} have the same {attribute}")


_KEYS = (
    "name",
    "created",
    "engine",
    "profile",
    "votes",
    "faulty_max",
    "keys",
    "organisations",
    "members",
)


def _member(table: Mapping[str, Any], where: str) -> FoundingMember:
    only(table, ("name", "organisation", "weight", "identity"), where)
    _require(value(table, "weight", int, where), WEIGHT, "weight", where)
    organisation = read_name(table, where, "organisation")
    return FoundingMember(read_name(table, where), organisation, read_key(table, "identity", where))


def _operator(table: Mapping[str, Any], where: str) -> tuple[str, bytes]:
    where = f"{where}.organisations"
    only(table, ("name", "operator"), where)
    return read_name(table, where), read_key(table, "operator", where)


def _key_ids(table: Mapping[str, Any], where: str) -> tuple[tuple[str, bytes], ...]:
    where, found = f"{where}.keys", []
    for entry in tables(table, "keys", where):
        only(entry, ("name", "key_id"), where)
        key_id = hexed(entry, "key_id", _KEY_ID_BYTES, where)
        found.append((read_name(entry, where), key_id))
    if not found or found[0][0] != AGREEMENT or len(found) > KEYS_MAX:
        raise ConfigError(f"{where}: the first is '{AGREEMENT}', and there are at most {KEYS_MAX}")
    distinct("keys of [founding]", "name", (name for name, _ in found))
    distinct("keys of [founding]", "key_id", (key_id for _, key_id in found))
    return tuple(found)


def _require(found: object, supported: object, key: str, where: str) -> None:
    if found != supported:
        raise ConfigError(f"{where}: this version supports {key} = {supported!r} only, not {found!r:.80}")
