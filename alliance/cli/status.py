"""``alliance status``: what each member says of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from alliance.cli import passphrase
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import ClientFolder, Format, Output, emit, lesson, prose
from alliance.errors import Unreachable

if TYPE_CHECKING:
    from alliance.client import MemberStatus
    from alliance.config.file import AllianceConfig

EPILOG = lesson(
    """
    alliance status farm/clients/client-1
    alliance status farm/clients/client-1 -o json | jq '.members[].certified'
    """,
    "0 enough members answer to decide  ·  2 folder, key or passphrase is wrong  ·  5 too few answer",
)
WIDTH_UNBOUNDED = 400
"""In a pipe no line is broken."""


def register(app: typer.Typer) -> None:
    app.command("status", help=prose(status), epilog=EPILOG)(status)


def status(
    folder: ClientFolder,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Ask every member how it is.

    'decided' is the newest slot a member knows the decision of, 'certified' the newest one that it can prove
    with the alliance's signature; a member that lags behind in them is catching up. 'blamed' names who, as
    far as the member saw, did what a correct party does not, and how many files of evidence it keeps in its
    folder 'evidence'. What is shown is what the members say, a faulty one may lie.
    """
    config, members = asyncio.run(_ask(folder, unlock(folder, passphrase_file)))
    reachable, needed = sum(member.reachable for member in members), config.system.decision
    if output is Format.JSON:
        emit(
            {
                "alliance": config.name,
                "alliance_id": config.alliance_id.hex(),
                "reachable": reachable,
                "needed": needed,
                "ok": reachable >= needed,
                "members": [dataclasses.asdict(member) for member in members],
            }
        )
    else:
        with suppress(BrokenPipeError):  # the exit code tells the rest
            _table(config, members)
    if reachable < needed:
        answer = f"{reachable} of {len(members)} members answer" if reachable else "no member answers"
        others = "the others" if reachable else "the members"
        raise Unreachable(
            f"{answer}, {needed} are needed to decide: start {others} with 'alliance serve', or look at what"
            " the column 'problem' says"
        )


async def _ask(folder: Path, secret: bytes) -> tuple[AllianceConfig, list[MemberStatus]]:
    async with await open_client(folder, secret) as client:
        return client.config, await client.status()


def _accused(member: MemberStatus) -> str:
    """Names, with the number of files of evidence where there are any."""
    names = [*member.blamed, *(name for name in member.evidence if name not in member.blamed)]
    kept = member.evidence
    return ", ".join(f"{name} (evidence: {kept[name]})" if name in kept else name for name in names)


def _table(config: AllianceConfig, members: list[MemberStatus]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_UNBOUNDED
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("member", "address", "state", "leader"):
        table.add_column(column, no_wrap=True)
    for column in ("view", "decided", "certified", "peers"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("blamed / problem", overflow="fold")
    for member in members:
        if member.reachable:
            table.add_row(
                member.name,
                member.address,
                "[green]up[/green]",
                member.leader,
                str(member.view),
                str(member.decided),
                str(member.certified),
                f"{len(member.connected)}/{len(members) - 1}",
                "; ".join(filter(None, (_accused(member), *member.alarms))),
            )
        else:
            table.add_row(member.name, member.address, "[red]down[/red]", "", "", "", "", "", member.problem)
    with console.capture() as drawn:  # rich itself would end the process when the reader of a pipe has gone
        console.print(table)
    sys.stdout.write(drawn.get())
    sys.stdout.flush()
