"""What a change makes of the rows: each difference as one line for people, and as an object for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consensus.control.directory import Directory
from consensus.control.rows import FOREVER, ClientRow, MemberRow


@dataclass(frozen=True, slots=True)
class Difference:
    """``what`` is the kind of row, ``name`` whose it is; ``before`` or ``after`` is None where it is not."""

    what: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def line(self) -> str:
        if self.before is None or self.after is None:
            verb, fields = ("goes", self.before) if self.after is None else ("is new", self.after)
            told = ", ".join(f"{_plain(key)} {value}" for key, value in (fields or {}).items())
            return f"{self.what} {self.name} {verb}: {told}"
        changes = [
            f"{_plain(key)} {self.before.get(key, 'none')} becomes {self.after.get(key, 'none')}"
            for key in dict.fromkeys((*self.before, *self.after))
            if self.before.get(key) != self.after.get(key)
        ]
        return f"{self.what} {self.name}: {', '.join(changes)}"

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "name": self.name, "before": self.before, "after": self.after}


def differences(before: Directory, after: Directory) -> tuple[Difference, ...]:
    """Between two directories: in the order of policy, operators, sizes, members, clients."""
    found = []
    for (what, old), (_, new) in zip(_kinds(before), _kinds(after), strict=True):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                found.append(Difference(what, name, old.get(name), new.get(name)))
    return tuple(found)


def _kinds(directory: Directory) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    yield "policy", {"of the alliance": asdict(directory.policy)}
    yield "operator", {row.organisation: {"key": row.key.hex()} for row in directory.operators}
    yield "sizes", {"of the alliance": size_fields(directory)}
    yield "member", {row.name: _member_fields(directory, row) for row in directory.members}
    live = [row for row in directory.clients.values() if row.until_slot == FOREVER]
    yield "client", {row.name: client_fields(row) for row in live}


def size_fields(directory: Directory) -> dict[str, Any]:
    """How many members there are, how many may be faulty, and how many it takes to decide."""
    system = directory.system
    return {
        "members": system.member_count,
        "faulty_max": system.faulty_max,
        "profile": system.profile,
        "quorum": system.decision,
    }


def _member_fields(directory: Directory, row: MemberRow) -> dict[str, Any]:
    places = {"organisation": row.organisation, "address": row.address, **dict(row.applications)}
    leads = "no" if row.name in directory.suspended else "yes"
    return {**places, "identity": row.identity.hex(), "leads": leads}


def client_fields(row: ClientRow) -> dict[str, Any]:
    """What people want to know of a client."""
    return {
        "organisation": row.organisation,
        "identity": row.identity.hex(),
        "waiting": row.limits.waiting,
        "waiting_bytes": row.limits.waiting_bytes,
    }


def _plain(key: str) -> str:
    return key.replace("_", " ")
