"""``alliance renew``: a new TLS certificate for a folder, from its own identity key."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say

EPILOG = lesson(
    """
    alliance renew members/member-3
    alliance renew clients/client-1 --passphrase-file passphrase.txt
    openssl x509 -in members/member-3/tls.pem -noout -enddate
    """,
    "0 renewed  ·  2 folder, identity key or passphrase is wrong, or it cannot be written: the old one stays"
    "  ·  9 renewed, but the report was not taken",
)


def register(app: typer.Typer) -> None:
    app.command("renew", help=prose(renew), epilog=EPILOG)(renew)


def renew(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A folder members/NAME or clients/NAME.", show_default=False),
    ],
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a new TLS key and certificate for a folder, valid for 90 days.

    The folder's identity key certifies it, and the others trust that key: nobody else has to do or know
    anything, and alliance.toml stays as it is. Servers and clients renew by themselves, when they start and
    while they run, as soon as a third of the time or less is left. So this is for a folder whose tls.pem is
    lost or damaged or was perhaps read by others, and for programs other than alliance that use it. A server
    that runs goes on with a new key, too, for the connections that begin from then on. Until it expires, the
    old certificate remains valid for whoever has its key.
    """
    from alliance.config import file as config
    from alliance.keys import folder as keys

    party = keys.folder_party(config.load(folder), folder)
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {party.name}")
    before, after = keys.renew(folder, party, secret)
    with reporting(f"{party.name} has a new TLS certificate until {_date(after)}"):
        if output is Format.JSON:
            times = {"old_expires": _time(before), "expires": _time(after)}
            emit({"folder": str(folder), "name": party.name} | times)
        else:
            old = "could not be read" if before is None else f"was valid until {_date(before)}"
            say(f"{party.name} has a new TLS certificate, valid until {_date(after)}; the old one {old}.")


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
