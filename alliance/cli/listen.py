"""``alliance listen``: the decided commands, in the alliance's order."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import ClientFolder, Format, Output, as_json, fit_for_output, lesson, prose

if TYPE_CHECKING:
    from alliance.client.delivery import LogEntry

EPILOG = lesson(
    """
    alliance listen farm/clients/client-1 > everything.txt
    alliance listen farm/clients/client-1 --from 120 --follow -o json
    alliance listen farm/clients/client-1 --from now --follow
    alliance listen farm/clients/client-2 --server member-5 --count 10
    """,
    "0 done  ·  2 folder, key or passphrase is wrong  ·  5 no server gives the log",
)


def register(app: typer.Typer) -> None:
    app.command("listen", help=prose(listen), epilog=EPILOG)(listen)


def listen(
    folder: ClientFolder,
    start: Annotated[
        str,
        typer.Option("--from", metavar="SLOT|now", help="The first slot wanted; now: what is decided next."),
    ] = "1",
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Leave out what the log repeats also if it came first before SLOT."),
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=1,
            metavar="N",
            help="End after N commands; with --follow, wait for them.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is decided from now on.")] = False,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="NAME", help="The member to ask first.", show_default=False),
    ] = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Print every decided command, once, in the alliance's order.

    Each is checked against the signature of the alliance before it is printed; no server is believed. Text:
    the command's bytes and a newline, so that what was proposed from a file comes out as that file; on a
    terminal, what does not print is escaped, newlines within a command too. JSON: one object per line;
    "command" is its text, or "command_base64" if it is not UTF-8. Without --follow it ends with what is
    certified now.

    A command that the log holds twice is printed where it comes first, from SLOT on. To know also what came
    before, --exact reads the newest checkpoint below SLOT, or the log from slot 1 where there is none; --from
    now always does.
    """
    first = _first(start)
    secret = unlock(folder, passphrase_file)
    asyncio.run(_listen(folder, secret, first, exact, count, follow, server, _writer(output, follow)))


def _first(start: str) -> int | None:
    """None for now. Raises a usage error for what is no slot."""
    if start == "now":
        return None
    if not start.isascii() or not start.isdigit() or len(start) > 19 or int(start) < 1:
        raise typer.BadParameter(
            f"{start[:40]!r} is neither a slot, from 1 on, nor now", param_hint="'--from'"
        )
    return int(start)


async def _listen(
    folder: Path,
    secret: bytes,
    start: int | None,
    exact: bool,
    count: int | None,
    follow: bool,
    server: str | None,
    write: Callable[[LogEntry], None],
) -> None:
    async with await open_client(folder, secret) as client:
        heard = 0
        async for entry in client.listen(start, follow=follow, server=server, exact=exact):
            write(entry)
            heard += 1
            if heard == count:
                return


def _writer(output: Format, flush: bool) -> Callable[[LogEntry], None]:
    """Writes an entry to standard output; bytes, because commands are bytes."""
    out = sys.stdout.buffer
    form = _json_line if output is Format.JSON else _text_line

    def write(entry: LogEntry) -> None:
        out.write(form(entry))
        if flush:
            out.flush()

    return write


def _text_line(entry: LogEntry) -> bytes:
    return fit_for_output(entry.command) + b"\n"


def _json_line(entry: LogEntry) -> bytes:
    value = {
        "slot": entry.slot,
        "position": entry.position,
        "command_index": entry.command_index,
        "client": entry.client,
        "seq": entry.client_seq,
        "time_ms": entry.time_ms,
        **as_json(entry.command),
    }
    return json.dumps(value).encode() + b"\n"
