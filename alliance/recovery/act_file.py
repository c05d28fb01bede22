"""The act of recovery as a file: what operators read, compare and sign. Public; it has one spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alliance.changes import operations
from alliance.changes.operations import OfEdits
from alliance.config.fields import hexed, only, tables, texts
from alliance.config.parties import read_key, read_name
from alliance.config.terms import count
from alliance.errors import ConfigError
from alliance.founding.public_text import read_text, read_toml, require_unedited
from consensus.control.changes import Change, ChangeKind
from consensus.control.recovery import RecoveryAct

FORMAT = "alliance-recovery/1"
SUFFIX = ".recovery"
FILE_BYTES_MAX = 1024 * 1024
MAKER, AGAIN = "'alliance recover plan' makes it", "ask whoever planned it for the file again"
_KEYS = (
    *("format", "alliance_id", "epoch", "slot", "root", "base", "survivors", "lost"),
    *("operations", "operators"),
)


@dataclass(frozen=True, slots=True)
class ActFile:
    """``lost`` are the members of now that are none of the survivors, ``operators`` the (organisation, key)
    of now: neither is signed, and both follow from the log."""

    alliance_id: bytes
    act: RecoveryAct
    lost: tuple[str, ...]
    operators: tuple[tuple[str, bytes], ...]

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        act, change = self.act, self.act.change
        lines = [
            f"# By this act of its operators an alliance ends its epoch {change.from_epoch}, which cannot go",
            f"# on by itself. What was decided behind slot {act.slot} is lost. Public, never edited.",
            "# Read it, and sign it: alliance recover approve FILE REPORT --operator operator.pem --lost A,B",
            f'format = "{FORMAT}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f"epoch = {change.from_epoch}",
            f"slot = {act.slot}",
            f'root = "{act.root.hex()}"',
            f'base = "{change.base.hex()}"',
            f"survivors = {_listed(act.survivors)}",
            f"lost = {_listed(self.lost)}",
        ]
        for operation in change.operations:
            lines += operations.to_lines(operation, {})
        for name, key in self.operators:
            lines += ["", "[[operators]]", f'organisation = "{name}"', f'key = "{key.hex()}"']
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> ActFile:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        table = read_toml(text, where, "act of recovery", FORMAT, AGAIN)
        only(table, _KEYS, where)
        listed = [operations.read(entry, where)[0] for entry in tables(table, "operations", where)]
        if any(isinstance(one, OfEdits) for one in listed):
            raise ConfigError(f"{where}: an act of recovery is of members and sizes")
        slot = count(table, "slot", where)
        change = Change(
            ChangeKind.FULL,
            count(table, "epoch", where),
            hexed(table, "base", 32, where),
            slot,
            0,
            tuple(one for one in listed if not isinstance(one, OfEdits)),
        )
        act = RecoveryAct(slot, hexed(table, "root", 32, where), texts(table, "survivors", where), change)
        found = cls(
            hexed(table, "alliance_id", 32, where),
            act,
            texts(table, "lost", where),
            tuple(_operator(entry, where) for entry in tables(table, "operators", where)),
        )
        require_unedited(found.to_toml(), text, where, MAKER, AGAIN)
        return found


def read_act(path: Path) -> ActFile:
    """Raises ConfigError with the file's name."""
    return ActFile.from_toml(read_text(path, FILE_BYTES_MAX, "an act of recovery"), str(path))


def _listed(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _operator(table: Mapping[str, Any], where: str) -> tuple[str, bytes]:
    where = f"{where}, operators"
    only(table, ("organisation", "key"), where)
    return read_name(table, where, "organisation"), read_key(table, "key", where)
