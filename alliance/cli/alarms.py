"""``alliance alarms``: whose identity a member has found in doubt, and that its operator has seen it."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.members import MemberFolder, ServerAddress, unlock_member
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
    folder: MemberFolder,
    ack: Annotated[
        bool, typer.Option("--ack", help="Say that they have been seen: 'status' shows them no more.")
    ] = False,
    address: ServerAddress = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """List whose identity this member found in doubt since it was started: an old disk, or two machines.

    An alarm ends by itself as soon as the other member greets as it should. Those that have ended remain
    listed, the latest 64 of them; the log has all. A server tells its alarms, and takes the word that they
    have been seen, from whoever holds the member's own keys, and from nobody else.
    """
    from alliance.client import alarms as client

    member, secret = unlock_member(folder, passphrase_file)
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
