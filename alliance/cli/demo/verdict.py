"""What is left of an attack: one log at all correct members, and whom they blame."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from alliance.cli.demo.proofs import PartFailed
from alliance.evidence import Offence

if TYPE_CHECKING:
    from alliance.client import Client, MemberStatus
    from alliance.client.delivery import LogEntry
    from alliance.proofs.receipt import Receipt


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
    """Whom the members blame from now on, and for what, as they tell in their status."""

    def __init__(self, members: Iterable[MemberStatus]) -> None:
        """``members`` tell what they blame others for already."""
        self._before = {member.name: member.offences for member in members}
        self._now = dict(self._before)

    def read(self, members: Iterable[MemberStatus]) -> dict[str, dict[str, list[str]]]:
        """For each blamed member the offences in short, and for each of them who says so.

        A member that is not reachable just now says what it said last.
        """
        self._now.update((member.name, member.offences) for member in members if member.reachable)
        found: dict[str, dict[str, list[str]]] = {}
        for by, blamed in self._now.items():
            for member, offences in blamed.items():
                before = self._before.get(by, {}).get(member, {})
                # A correct member may suspect a correct one, too: when their leader told them two logs.
                for name, times in offences.items():
                    if times > before.get(name, 0) and Offence[name].certain:
                        found.setdefault(member, {}).setdefault(Offence[name].summary, []).append(by)
        return found
