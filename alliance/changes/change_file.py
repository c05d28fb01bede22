"""A change file: what an organisation wants changed, as a text that operators read before they sign it.

It is one control command without its signature: an *edit*, of what is the organisation's own, or a *proposal*
of what operators approve together. Everything in it is public. It has one spelling, and what is signed is
computed from it (``digest``), so that nothing else can be signed than what was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alliance.changes import operations
from alliance.changes.operations import Names, OfEdits
from alliance.config.fields import hexed, only, tables, value
from alliance.config.parties import read_key, read_name
from alliance.errors import ConfigError
from alliance.founding.public_text import read_text, read_toml, require_unedited
from consensus.control.changes import Change, ChangeKind
from consensus.control.commands import Edit, Propose, digest_of
from consensus.control.operations import OF_THE_POLICY

FORMAT = "alliance-change/1"
SUFFIX = ".change"
FILE_BYTES_MAX = 1024 * 1024
EDIT = "edit"
KINDS = {kind.name.lower(): kind for kind in ChangeKind}
"""What is proposed to all operators."""
MAKER, AGAIN = "an 'alliance' command makes it", "ask whoever wrote it for the file again"
_KEYS = ("format", "alliance_id", "kind", "organisation", "counter", "operations", "operators")
_PROPOSAL_KEYS = (*_KEYS, "from_epoch", "base", "expires_slot", "expires_ms")


@dataclass(frozen=True, slots=True)
class ChangeFile:
    """One change, without anybody's signature.

    ``names`` are those of the clients that it names by their ids. ``operators`` are the (organisation, key)
    that may sign it, as they were when it was written. Neither is signed.
    """

    alliance_id: bytes
    command: Edit | Propose
    names: Names = field(default_factory=dict)
    operators: tuple[tuple[str, bytes], ...] = ()

    @property
    def digest(self) -> bytes:
        """32 bytes: what the operators' signatures are on; the ``change_id`` of a proposal."""
        return digest_of(self.command)

    @property
    def organisation(self) -> str:
        """Whose edit it is, or who proposes it."""
        return self.command.signer

    @property
    def operations(self) -> Sequence[Any]:
        return self.command.operations if isinstance(self.command, Edit) else self.command.change.operations

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        command, organisation = self.command, self.organisation
        kind = EDIT if isinstance(command, Edit) else command.change.kind.name.lower()
        asks = (
            "changes what is its own" if isinstance(command, Edit) else "proposes a change to all operators"
        )
        lines = [
            f"# '{organisation}' {asks}. Public, never edited.",
            "# Read it; then sign it, offline: alliance change approve FILE --operator operator.pem",
            f'format = "{FORMAT}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f'kind = "{kind}"',
            f'organisation = "{organisation}"',
            f"counter = {command.counter}",
        ]
        if isinstance(command, Propose):
            lines += self._proposal_lines(command.change)
        for operation in self.operations:
            lines += operations.to_lines(operation, self.names)
        for name, key in self.operators:
            lines += ["", "[[operators]]", f'organisation = "{name}"', f'key = "{key.hex()}"']
        return "\n".join(lines) + "\n"

    @staticmethod
    def _proposal_lines(change: Change) -> list[str]:
        return [
            f"from_epoch = {change.from_epoch}",
            f'base = "{change.base.hex()}"',
            f"expires_slot = {change.expires_slot}",
            f"expires_ms = {change.expires_ms} # {_time(change.expires_ms)}",
        ]

    @classmethod
    def from_toml(cls, text: str, where: str) -> ChangeFile:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        table = read_toml(text, where, "change", FORMAT, AGAIN)
        kind = value(table, "kind", str, where)
        if kind not in (EDIT, *KINDS):
            raise ConfigError(f"{where}: this version makes no change of the kind {kind!r:.80}")
        only(table, _KEYS if kind == EDIT else _PROPOSAL_KEYS, where)
        names: dict[bytes, str] = {}
        listed = []
        for entry in tables(table, "operations", where):
            operation, name = operations.read(entry, where)
            names |= name
            listed.append(operation)
        try:
            found = cls(
                hexed(table, "alliance_id", 32, where),
                _edit(table, listed, where) if kind == EDIT else _proposal(table, KINDS[kind], listed, where),
                names,
                tuple(_operator(entry, where) for entry in tables(table, "operators", where)),
            )
            written = found.to_toml()
        except (ValueError, OverflowError, OSError) as error:
            raise ConfigError(f"{where}: {error}; {AGAIN}") from None
        require_unedited(written, text, where, MAKER, AGAIN)
        return found


def read_change(path: Path) -> ChangeFile:
    """Raises ConfigError with the file's name."""
    return ChangeFile.from_toml(read_text(path, FILE_BYTES_MAX, "a change"), str(path))


def _edit(table: Mapping[str, Any], listed: list[Any], where: str) -> Edit:
    if not listed or not all(isinstance(one, OfEdits) for one in listed):
        raise ConfigError(f"{where}: an edit changes clients and addresses of its organisation, at least one")
    return Edit(read_name(table, where, "organisation"), _number(table, "counter", where), tuple(listed))


def _proposal(table: Mapping[str, Any], kind: ChangeKind, listed: list[Any], where: str) -> Propose:
    of_the_policy = [isinstance(one, OF_THE_POLICY) for one in listed]
    if any(isinstance(one, OfEdits) for one in listed):
        raise ConfigError(f"{where}: what an organisation changes alone is in a file of its own")
    if kind is ChangeKind.POLICY and not (listed and all(of_the_policy)):
        raise ConfigError(f"{where}: a change of the policy is of operators and policy, at least one")
    if kind is not ChangeKind.POLICY and any(of_the_policy):
        raise ConfigError(f"{where}: operators and policy are changed by a file of their own")
    if kind is ChangeKind.LIGHT and not listed:
        raise ConfigError(f"{where}: it changes nothing")
    change = Change(
        kind,
        _number(table, "from_epoch", where),
        hexed(table, "base", 32, where),
        _number(table, "expires_slot", where),
        _number(table, "expires_ms", where),
        tuple(listed),
    )
    return Propose(read_name(table, where, "organisation"), _number(table, "counter", where), change)


def _operator(table: Mapping[str, Any], where: str) -> tuple[str, bytes]:
    where = f"{where}, operators"
    only(table, ("organisation", "key"), where)
    return read_name(table, where, "organisation"), read_key(table, "key", where)


def _number(table: Mapping[str, Any], key: str, where: str) -> int:
    found: int = value(table, key, int, where)
    if not 0 <= found < 2**64:
        raise ConfigError(f"{where}: '{key}' is a whole number from 0 to 2^64-1")
    return found


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
