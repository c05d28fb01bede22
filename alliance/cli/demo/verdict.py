"""What is left of an attack: one log at all correct members, and whom they blame."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.demo.proofs import PartFailed

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.client.listener import LogEntry
    from alliance.proofs.receipt import Receipt

_LINE = re.compile(r"^\S+ \S+ (?P<by>\S+) WARNING (?P<member>\S+): (?P<reason>.+)$", re.M)
_DOUBT = "differs from ours"
"""A correct member says so of another correct one, when their leader told them different logs."""


async def hear(client: Client, server: str) -> list[LogEntry]:
    """All of the log, as one member tells it; verified by the client."""
    return [entry async for entry in client.listen(follow=False, server=server)]


def digest(commands: Sequence[bytes]) -> str:
    """The SHA-256 of the commands in their order."""
    framed = b"".join(len(command).to_bytes(4, "big") + command for command in commands)
    return sha256(framed).hexdigest()


def short(digest: str) -> str:
    return f"{digest[:16]}…"


async def one_log(client: Client, members: Sequence[str], receipts: Sequence[Receipt]) -> str:
    """The digest of the log that all these members tell, place by place, and that all receipts prove.

    Raises PartFailed when two of them differ, when a receipt's command is not at its place, or when a command
    is there that nobody has a receipt for; it says whether one log is only behind the other.
    """
    logs = [
        [(entry.slot, entry.position, entry.command_index, entry.command) for entry in log]
        for log in await asyncio.gather(*(hear(client, name) for name in members))
    ]
    for name, log in zip(members, logs, strict=True):
        if log != logs[0]:
            raise PartFailed(f"the logs of {members[0]} and {name} differ: {difference(logs[0], log)}")
    proven = sorted((r.slot, r.position, r.command_index, r.command) for r in receipts)
    if logs[0] != proven:
        raise PartFailed(f"the members do not tell what the receipts prove: {difference(logs[0], proven)}")
    return digest([command for *_, command in logs[0]])


def difference(first: Sequence[object], second: Sequence[object]) -> str:
    """How two logs that are not equal differ: one is behind the other, or they contradict each other."""
    for one, other in zip(first, second, strict=False):
        if one != other:
            return f"they contradict each other, {one} here and {other} there"
    return f"they agree as far as both go, and have {len(first):,} and {len(second):,} commands"


class Blames:
    """Whom the members accuse from now on, as their logs tell."""

    def __init__(self, logs: dict[str, Path]) -> None:
        """``logs`` are the files of those who are asked."""
        self._logs = {name: (path, path.stat().st_size) for name, path in logs.items()}

    def read(self) -> dict[str, dict[str, list[str]]]:
        """For each accused member the reasons, and for each of them who gives it."""
        found: dict[str, dict[str, list[str]]] = {}
        for path, begin in self._logs.values():
            text = path.read_bytes()[begin:].decode("utf-8", "replace")
            for line in _LINE.finditer(text):
                if _DOUBT not in line["reason"]:
                    by = found.setdefault(line["member"], {}).setdefault(_kind(line["reason"]), [])
                    by.extend({line["by"]}.difference(by))
        return found


def _kind(reason: str) -> str:
    """Without its details, so that members that saw it in different slots say the same."""
    return re.sub(r" (for|on|from) .*$", "", reason)
