"""Where the passphrase of key files comes from: a file, the environment, or the terminal."""

from __future__ import annotations

import codecs
import contextlib
import getpass
import os
import resource
import sys
from pathlib import Path

from alliance.errors import ConfigError

VARIABLE, NEW_VARIABLE = "ALLIANCE_PASSPHRASE", "ALLIANCE_NEW_PASSPHRASE"
BYTES_MAX = 4096


def obtain(
    file: Path | None,
    *,
    variable: str = VARIABLE,
    option: str = "--passphrase-file",
    prompt: str = "Passphrase",
    confirm: bool = False,
) -> bytes:
    """The passphrase: from ``file``, else the environment, else asked for. Raises ConfigError.

    From here on this process leaves no core file.
    """
    keep_out_of_core_files()
    if file is not None:
        passphrase, source = _from_file(file), str(file)
    elif variable in os.environ:
        # Taken out, so that no child process inherits it.
        passphrase, source = os.environb.pop(variable.encode()), variable
    else:
        passphrase, source = _ask(prompt, variable, option, confirm), "the prompt"
    if not passphrase:
        raise ConfigError(f"the passphrase from {source} is empty: keys need one")
    if len(passphrase) > BYTES_MAX:
        raise ConfigError(
            f"the passphrase from {source} is longer than {BYTES_MAX} bytes: is it the right file?"
        )
    return passphrase


def keep_out_of_core_files() -> None:
    """For a process that is about to hold secrets, and its children: no core file is written when it dies."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _from_file(path: Path) -> bytes:
    """The content without its newline, and without what editors of Windows add to a text."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + len(codecs.BOM_UTF8) + len(b"\r\n") + 1)
    except OSError as error:
        raise ConfigError(f"the passphrase file {path} cannot be read: {error.strerror or error}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"the passphrase file {path} is in UTF-16: save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data


def _ask(prompt: str, variable: str, option: str, confirm: bool) -> bytes:
    if not _terminal():
        raise ConfigError(
            f"a passphrase is needed and there is no terminal to ask on: set {variable}, or use {option} F"
        )
    try:
        first = getpass.getpass(f"{prompt}: ")
        if confirm and first and getpass.getpass(f"{prompt} again: ") != first:
            raise ConfigError("the two passphrases differ: nothing was done, try again")
    except EOFError:
        raise ConfigError("no passphrase was entered") from None
    return os.fsencode(first)


def _terminal() -> bool:
    """Whether somebody can be asked, also while standard input is a file with commands."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
