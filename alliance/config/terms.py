"""What alliance.toml says of an epoch or revision after the founding, beside its members and clients.

The table ``[membership]``; a file as it was founded has none. Its ``config_digest`` is that of the canonical
encoding of all that the file says of who takes part (``consensus.control.directory``): what the members have
certified, if the file is what it should be. It tells a file that was altered by mistake; whether the members
have certified it only their certificate tells.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from alliance.config.fields import hexed, only, tables, texts, value
from alliance.config.key_changes import KeyChange
from alliance.config.parties import Client, Member, read_key, read_name
from alliance.config.public_keys import read_public_key
from alliance.config.rows import client_row, member_row
from alliance.errors import ConfigError
from consensus.control.directory import Directory, encode_clients
from consensus.control.encoding import MalformedControl, Reader, u64
from consensus.control.rows import OperatorRow, PolicyRow
from quorum import QuorumSystem, UnsatisfiableSizes
from quorum.threshold_rsa import AgreementKey

DIGEST_BYTES = 32
U64_MAX = 2**64 - 1
_POLICY = {"faulty": 255, "clients_max": 2**16 - 1, "attempt_seconds": 2**32 - 1, "refresh_days": 2**16 - 1}
_KEYS = (
    "profile",
    "faulty_max",
    "start",
    "transcript",
    "suspended",
    "policy",
    "organisations",
    "founding_keys",
    "key_changes",
    "config_digest",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """``start`` is the last slot of the epoch before, ``transcript`` the digest of the dealings (32 bytes).

    ``operators`` are (organisation, Ed25519 public key), by organisation; ``suspended`` are names of members
    that do not lead. ``founding_keys`` are those of dealing 0, in the order of [founding], once there is
    another dealing: they tie its modulus to the alliance_id; and where it is another one since,
    ``key_changes`` do, oldest first.
    """

    system: QuorumSystem
    operators: tuple[tuple[str, bytes], ...]
    policy: PolicyRow
    start: int = 0
    transcript: bytes = bytes(DIGEST_BYTES)
    suspended: tuple[str, ...] = ()
    founding_keys: tuple[AgreementKey, ...] = ()
    key_changes: tuple[KeyChange, ...] = ()

    def directory(self, members: Sequence[Member], clients: Sequence[Client]) -> Directory:
        """All rows together. Raises MalformedControl when they contradict each other."""
        rows = tuple(map(member_row, members))
        operators = tuple(OperatorRow(*pair) for pair in self.operators)
        clients_by_id = {client.client_id: client_row(client) for client in clients}
        system = self.system
        parts = rows, operators, self.policy, clients_by_id, self.suspended
        return Directory(system.profile, system.faulty_max, *parts)

    def to_lines(self, digest: bytes) -> list[str]:
        """The table in TOML."""
        system, policy = self.system, self.policy
        suspended = ", ".join(f'"{name}"' for name in self.suspended)
        lines = [
            "",
            "# Who takes part now, beside members and clients: what the members have certified.",
            "[membership]",
            f'profile = "{system.profile}"',
            f"faulty_max = {system.faulty_max}",
            f"start = {self.start}",
            f'transcript = "{self.transcript.hex()}"',
            f"suspended = [{suspended}]",
            "policy = { " + ", ".join(f"{name} = {getattr(policy, name)}" for name in _POLICY) + " }",
            f'config_digest = "{digest.hex()}"',
        ]
        for key in self.founding_keys:
            encoded = base64.b64encode(key.to_bytes()).decode()
            lines += ["", "[[membership.founding_keys]]", f'key = "{encoded}"']
        for change in self.key_changes:
            encoded = base64.b64encode(change.encode()).decode()
            lines += ["", "[[membership.key_changes]]", f"epoch = {change.epoch}", f'proof = "{encoded}"']
        for name, operator in self.operators:
            lines += ["", "[[membership.organisations]]", f'name = "{name}"']
            lines += [f'operator = "{operator.hex()}"']
        return lines


def canonical(
    alliance_id: bytes, counters: tuple[int, int, int], terms: Terms, directory: Directory
) -> bytes:
    """What members certify, by ``consensus.control.directory``; ``counters`` are epoch, dealing, revision.

    The clients are all those of the directory: alliance.toml lists those that are admitted.
    """
    head = alliance_id + b"".join(map(u64, (*counters, terms.start))) + terms.transcript
    clients = encode_clients(row for _, row in sorted(directory.clients.items()))
    return head + directory.encode_rows() + sha256(b"\x07" + clients).digest()


def read_terms(table: Mapping[str, Any], member_count: int, where: str) -> tuple[Terms, bytes]:
    """With the config_digest that the table names. Raises ConfigError."""
    only(table, _KEYS, where)
    profile, faulty_max = value(table, "profile", str, where), value(table, "faulty_max", int, where)
    try:
        system = QuorumSystem(member_count, faulty_max, profile)
    except UnsatisfiableSizes as error:
        raise ConfigError(f"{where}: {error}") from None
    policy = table.get("policy")
    if not isinstance(policy, dict):
        raise ConfigError(f"{where}: 'policy' is missing or no table")
    only(policy, tuple(_POLICY), where)
    numbers = [count(policy, name, where, high) for name, high in _POLICY.items()]
    try:
        row = PolicyRow(*numbers)
    except MalformedControl as error:
        raise ConfigError(f"{where}: {error}") from None
    terms = Terms(
        system,
        tuple(_operator(entry, where) for entry in tables(table, "organisations", where)),
        row,
        count(table, "start", where),
        hexed(table, "transcript", DIGEST_BYTES, where),
        texts(table, "suspended", where),
        tuple(read_public_key(entry, "key", where) for entry in tables(table, "founding_keys", where)),
        tuple(_key_change(entry, where) for entry in tables(table, "key_changes", where)),
    )
    return terms, hexed(table, "config_digest", DIGEST_BYTES, where)


def _key_change(table: Mapping[str, Any], where: str) -> KeyChange:
    where = f"{where}.key_changes"
    only(table, ("epoch", "proof"), where)
    try:
        reader = Reader(base64.b64decode(value(table, "proof", str, where), validate=True))
        change = KeyChange.read(reader)
        reader.end()
    except ValueError as error:  # MalformedControl and binascii.Error are such
        raise ConfigError(f"{where}: {error}") from None
    if change.epoch != count(table, "epoch", where):
        raise ConfigError(f"{where}: the epoch is not that of the proof")
    return change


def count(table: Mapping[str, Any], key: str, where: str, high: int = U64_MAX) -> int:
    """A number from 0 to ``high``. Raises ConfigError."""
    found: int = value(table, key, int, where)
    if not 0 <= found <= high:
        raise ConfigError(f"{where}: '{key}' counts from 0 to {high}")
    return found


def _operator(table: Mapping[str, Any], where: str) -> tuple[str, bytes]:
    only(table, ("name", "operator"), where)
    return read_name(table, where), read_key(table, "operator", where)
