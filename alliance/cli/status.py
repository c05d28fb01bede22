"""``alliance status``: what each member says of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from alliance.cli import passphrase
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import ClientFolder, Format, Output, emit, lesson, prose, say
from alliance.errors import Unreachable

if TYPE_CHECKING:
    from rich.table import Table

    from alliance.client import MemberStatus
    from alliance.config.file import AllianceConfig
    from alliance.config.membership import Membership

EPILOG = lesson(
    """
    alliance status farm/clients/client-1
    alliance status farm/clients/client-1 -o json | jq '.members[].certified'
    """,
    "0 enough members answer to decide  ·  2 folder, key or passphrase is wrong  ·  5 too few answer",
)
CLOCK_NOTED_MS = 1000
CLIENTS_SHOWN = 8
FILLED_NOTED = 32
"""A correct leader has a few proposals under way; only one that lies signs far ahead of the decided log."""
WIDTH_UNBOUNDED = 400
"""In a pipe no line is broken."""
DAYS_LEFT_MIN = 29
"""A member that runs renews its certificate before fewer are left."""


def register(app: typer.Typer) -> None:
    app.command("status", help=prose(status), epilog=EPILOG)(status)


def status(
    folder: ClientFolder,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Ask every member how it is.

    'decided' is the newest slot a member knows the decision of, 'certified' the newest one that it can prove
    with the alliance's signature; a member that lags behind in them is catching up. 'cert' is for how many
    days its TLS certificate is valid; members renew it by themselves. 'blamed' names who, as the member saw,
    did what no correct party does, and how many files of evidence it keeps in its folder 'evidence'.
    'suspected' is who may have done so; or others led it there, or a clock is wrong. 'filled' counts slots
    that new views left empty, if there are many: a leader proposed far ahead. It also says of what
    more than half is in use: connections, calls, bytes in flight, file descriptors; with -o json 'usage' has
    all of them. 'snapshots', where applications run beside a member, is the slot of the newest certified
    snapshot of each. What is shown is what the members say, a faulty one may lie.
    """
    config, membership, members = asyncio.run(_ask(folder, unlock(folder, passphrase_file)))
    reachable, needed = sum(member.reachable for member in members), config.system.decision
    if output is Format.JSON:
        emit(
            {
                "alliance": config.name,
                "alliance_id": config.alliance_id.hex(),
                "membership": config.membership._asdict(),
                "clients": [client.name for client in config.clients],
                "newest_membership": membership._asdict(),
                "reachable": reachable,
                "needed": needed,
                "ok": reachable >= needed,
                "members": [dataclasses.asdict(member) for member in members],
            }
        )
    else:
        with suppress(BrokenPipeError):  # the exit code tells the rest
            _table(members)
            say(_admitted(config, membership))
    if reachable < needed:
        answer = f"{reachable} of {len(members)} members answer" if reachable else "no member answers"
        others = "the others" if reachable else "the members"
        raise Unreachable(
            f"{answer}, {needed} are needed to decide: start {others} with 'alliance serve', or look at what"
            " the column 'problem' says"
        )


async def _ask(folder: Path, secret: bytes) -> tuple[AllianceConfig, Membership, list[MemberStatus]]:
    async with await open_client(folder, secret) as client:
        members = await client.status()
    return client.config, client.newest_membership, members


def _admitted(config: AllianceConfig, named: Membership) -> str:
    """Who takes part, as far as it is proven here."""
    known = config.membership
    clients = [client.name for client in config.clients[:CLIENTS_SHOWN]]
    more = len(config.clients) - len(clients)
    clients += [f"and {more} more"] if more else []
    text = f"epoch {known.epoch}, revision {known.revision}: clients {', '.join(clients) or 'none'}"
    newer = f" (a member names epoch {named.epoch}, revision {named.revision}, and none proves it)"
    return text + (newer if named > known else "")


def _accused(member: MemberStatus) -> str:
    """Names, with the number of files of evidence where there are any."""
    names = [*member.blamed, *(name for name in member.evidence if name not in member.blamed)]
    kept = member.evidence
    return ", ".join(f"{name} (evidence: {kept[name]})" if name in kept else name for name in names)


def _days_left(member: MemberStatus) -> int:
    return int((member.certificate_expires - time.time()) // 86400)


def _note(member: MemberStatus) -> str:
    if not member.reachable:
        return member.problem
    suspected = f"suspected: {', '.join(member.suspected)}" if member.suspected else ""
    share = "it has no key share of this epoch yet, and signs nothing" if member.without_share else ""
    filled = f"slots filled by new views: {member.filled}" if member.filled >= FILLED_NOTED else ""
    applications = [f"{name}: {alarm}" for name, alarm in member.application_alarms.items()]
    told = (_clock(member), *member.alarms, *applications, _expiry(member), _scarce(member), filled, share)
    hindrance = member.refresh_hindrance
    told = (*told, f"shares are not refreshed: {hindrance}" if hindrance else "")
    notes = (_accused(member), suspected, *told)
    return "; ".join(filter(None, notes))


def _expiry(member: MemberStatus) -> str:
    """What is left of its certificate, if it should have been renewed."""
    days = _days_left(member)
    return f"its TLS certificate is valid for {max(days, 0)} more days" if days < DAYS_LEFT_MIN else ""


def _clock(member: MemberStatus) -> str:
    """By how much it differs, if that is worth a word."""
    ahead = member.clock_ahead_ms
    if ahead is None or abs(ahead) < CLOCK_NOTED_MS:
        return ""
    return f"its clock is {abs(ahead) / 1000:.1f} s {'ahead of' if ahead > 0 else 'behind'} the others'"


def _snapshots(member: MemberStatus) -> str:
    """Each application beside it, with the slot of its newest certified snapshot."""
    return ", ".join(f"{name} {slot or '-'}" for name, slot in member.snapshots.items())


def _scarce(member: MemberStatus) -> str:
    """What there is too little of: more than half of it is in use."""
    scarce = []
    for name, used in member.usage.items():
        most = member.usage.get(f"{name}_max", 0)
        if most and 2 * used > most:
            scarce.append(f"{used} of {most} {name.replace('_', ' ')}")
    return f"in use: {', '.join(scarce)}" if scarce else ""


def _table(members: list[MemberStatus]) -> None:
    """A row for each member; where they are too long for the terminal, the notes have lines of their own."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_UNBOUNDED
    table = _rows(members, wide=True)
    needed = console.measure(table, options=console.options.update(width=WIDTH_UNBOUNDED)).maximum
    fits = needed <= console.width
    with console.capture() as drawn:  # rich itself would end the process when the reader of a pipe has gone
        console.print(table if fits else _rows(members, wide=False))
        for member in members:
            made = f"snapshots: {_snapshots(member)}" if member.snapshots else ""
            if not fits and (note := "; ".join(filter(None, (made, _note(member))))):
                console.print(Text(f"{member.name} ({member.address}): {note}"))
    sys.stdout.write(drawn.get())
    sys.stdout.flush()


def _rows(members: list[MemberStatus], *, wide: bool) -> Table:
    """``wide``: with addresses, and what there is to note."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("member", "address", "state", "leader"):
        if wide or column != "address":
            table.add_column(column, no_wrap=wide, overflow="fold")
    for column in ("view", "decided", "certified", "peers", "cert"):
        if wide or column != "cert":
            table.add_column(column, justify="right", no_wrap=True)
    snapshots = wide and any(member.snapshots for member in members)
    if snapshots:
        table.add_column("snapshots", overflow="fold")
    if wide:
        table.add_column("blamed / problem", overflow="fold")
    for member in members:
        cells = [Text("up", "green") if member.reachable else Text("down", "red")]
        if member.reachable:
            peers = f"{len(member.connected)}/{len(members) - 1}"
            numbers = (str(member.view), str(member.decided), str(member.certified), peers)
            cells += map(Text, (member.leader, *numbers))
        else:
            cells += [Text("")] * 5
        if wide:
            left = f"{_days_left(member)} d" if member.reachable else ""
            shown = [Text(_snapshots(member))] if snapshots else []
            cells = [Text(member.address), *cells, Text(left), *shown, Text(_note(member))]
        table.add_row(Text(member.name), *cells)
    return table
