"""From a client's folder to a connected client: what status, propose and listen begin with."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli import passphrase

if TYPE_CHECKING:
    from alliance.client import Client


def unlock(folder: Path, passphrase_file: Path | None) -> bytes:
    """The passphrase of a client's folder; a folder that is none is refused before anybody is asked."""
    from alliance.config import file as config
    from alliance.keys import folder as keys

    client = config.load(folder).client(keys.load_name(folder, "client"))
    return passphrase.obtain(passphrase_file, prompt=f"Passphrase of {client.name}")


async def open_client(folder: Path, secret: bytes) -> Client:
    """The client of a folder; warnings about servers go to standard error."""
    from alliance.client import client

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="alliance: %(message)s")
    return await client.connect(folder, secret)
