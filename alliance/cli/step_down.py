"""``alliance step-down``: another member leads, before this one is taken away."""

from __future__ import annotations

import asyncio
import dataclasses

import typer

from alliance.cli import passphrase
from alliance.cli.members import MemberFolder, ServerAddress, unlock_member
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say

EPILOG = lesson(
    """
    alliance step-down farm/members/member-1
    alliance step-down farm/members/member-1 --address 127.0.0.1:7400 -o json
    """,
    "0 another member leads  ·  2 folder, key or passphrase is wrong  ·  5 the server does not answer, or too"
    " few members are up to elect another leader: this one still leads"
    "  ·  9 done, but the report was not taken",
)


def register(app: typer.Typer) -> None:
    app.command("step-down", help=prose(step_down), epilog=EPILOG)(step_down)


def step_down(
    folder: MemberFolder,
    address: ServerAddress = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have another member lead, if this one does.

    Before its machine or network is taken away: nobody then waits until the leader is missed. A server that
    is stopped with SIGTERM or SIGINT hands over by itself and needs no such command. The member goes on
    otherwise, and may lead again when its turn comes. Its server obeys whoever holds the member's own keys.
    """
    from alliance.client import step_down as client

    _, secret = unlock_member(folder, passphrase_file)
    done = asyncio.run(client.step_down(folder, secret, address))
    where = f"{done.leader} leads view {done.view}"
    told = f"{done.member} has handed over: {where}" if done.led else f"{done.member} does not lead: {where}"
    with reporting(told):
        if output is Format.JSON:
            emit(dataclasses.asdict(done))
        else:
            say(told)
