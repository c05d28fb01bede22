"""The option that names a passphrase file, and what ``alliance.keys.passphrase`` makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.keys.passphrase import NEW_VARIABLE, VARIABLE, obtain

__all__ = ["NEW_VARIABLE", "VARIABLE", "PassphraseFile", "obtain"]

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="F",
        help=f"File with the passphrase of the keys. Else {VARIABLE}, else a prompt.",
        show_default=False,
    ),
]
