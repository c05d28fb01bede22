"""``alliance rekey``: a new passphrase for the keys of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.output import Format, Output, emit, lesson, plural, prose, reporting, say

EPILOG = lesson(
    """
    alliance rekey members/member-3
    alliance rekey clients/client-1 --passphrase-file dealer.txt --new-passphrase-file mine.txt
    """,
    "0 changed  ·  2 folder or passphrase is wrong, or a file cannot be written: the old passphrase stays,"
    " unless the error says that it is the new one already  ·  9 changed, but the report was not taken",
)


def register(app: typer.Typer) -> None:
    app.command("rekey", help=prose(rekey), epilog=EPILOG)(rekey)


def rekey(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A folder members/NAME or clients/NAME.", show_default=False),
    ],
    passphrase_file: passphrase.PassphraseFile = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--new-passphrase-file",
            metavar="F",
            help=f"File with the new passphrase. Else {passphrase.NEW_VARIABLE}, else a prompt.",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Encrypt the keys of a folder under a new passphrase.

    The first thing to do with a folder that the dealer handed over: afterwards the dealer's passphrase does
    not open it any more. (A copy that the dealer kept still opens with the old one.) A running server is
    not disturbed. All keys change or none, also when this is interrupted.
    """
    from alliance.config import file as config
    from alliance.keys import folder as keys

    alliance = config.load(folder)
    name = keys.load_name(folder, "member", "client")
    old = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {name}, as it is")
    new = passphrase.obtain(
        new_passphrase_file,
        variable=passphrase.NEW_VARIABLE,
        option="--new-passphrase-file",
        prompt=f"New passphrase of {name}",
        confirm=True,
    )
    count = keys.reseal(folder, alliance, old, new)
    done = f"{plural(count, 'key file')} of {name} open with the new passphrase only"
    with reporting(done):
        if output is Format.JSON:
            emit({"folder": str(folder), "name": name, "key_files": count})
        else:
            say(f"{done}.")
