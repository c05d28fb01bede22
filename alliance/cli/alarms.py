"""``alliance alarms``: whose identity a member has found in doubt, and that its operator has seen it."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.output import Format, Output, emit, lesson, prose, say

if TYPE_CHECKING:
    from alliance.client.alarms import Alarm

EPILOG = lesson(
    """
    alliance alarms farm/members/member-1
    alliance alarms farm/members/member-1 --ack
    """,
    "0 told  ·  2 folder, key or passphrase is wrong  ·  5 the server does not answer",
)


def register(app: typer.Typer) -> None:
    app.command("alarms", help=prose(alarms), epilog=EPILOG)(alarms)


def alarms(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A member's folder: …/members/NAME.", show_default=False)
    ],
    ack: Annotated[
        bool, typer.Option("--ack", help="Say that they have been seen: 'status' shows them no more.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Where its server listens, if not at the address in alliance.toml.",
            show_default=False,
        ),
    ] = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """List whose identity this member found in doubt since it was started: an old disk, or two machines.

    An alarm ends by itself as soon as the other member greets as it should. Those that have ended remain
    listed, the latest 64 of them; the log has all. A server tells its alarms, and takes the word that they
    have been seen, from whoever holds the member's own keys, and from nobody else.
    """
    from alliance.client import alarms as client
    from alliance.config import file as config
    from alliance.keys import folder as keys

    _, member = keys.member_party(config.load(folder), folder)
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")
    found = asyncio.run(client.alarms(folder, secret, address, acknowledge=ack))
    if output is Format.JSON:
        emit({"member": member.name, "acknowledged": ack, "alarms": [dataclasses.asdict(a) for a in found]})
        return
    for alarm in found:
        say(_line(alarm))
    if not found:
        say(f"{member.name} has no alarms since it was started")


def _line(alarm: Alarm) -> str:
    end = "stands" if alarm.ended_ms is None else f"ended {_time(alarm.ended_ms)}"
    times = f", {alarm.times} times" if alarm.times > 1 else ""
    seen = ", acknowledged" if alarm.acknowledged else ""
    return f"{_time(alarm.since_ms)} {alarm.member}: {alarm.reason} ({end}{times}{seen})"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
