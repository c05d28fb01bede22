"""What commands print: text for people, JSON for programs; and commands of clients, shown safely."""

from __future__ import annotations

import base64
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.streams import hush
from alliance.errors import ConfigError, NotReported
from alliance.net.process_log import LogFormat

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("alliance")

SHOWN_MAX = 72


class Format(StrEnum):
    """``text`` for people, ``json`` for programs."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="text for people, json for programs.", metavar="text|json")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.", show_default=False)]
ClientFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A client's folder: …/clients/NAME.", show_default=False)
]
LogFormatOption = Annotated[
    LogFormat,
    typer.Option("--log-format", help="Lines for people, or JSON objects; in UTC.", metavar="text|json"),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]


def lesson(examples: str, exits: str) -> str:
    """The end of a command's help: examples, one per line, and its exit codes."""
    lines = ["[bold]Examples[/bold]"]
    lines += [f"$ {line.strip()}" for line in examples.strip().splitlines()]
    lines += ["", f"[bold]Exit codes[/bold]  {exits}"]
    return "\n".join(lines)


def prose(function: Callable[..., object]) -> str:
    """A command's docstring as paragraphs, for the terminal's own line breaks."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def say(text: str) -> None:
    """A line of data on standard output."""
    sys.stdout.write(f"{text}\n")


def emit(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output, in one line."""
    sys.stdout.write(json.dumps(value) + "\n")


@contextmanager
def reporting(done: str) -> Iterator[None]:
    """Around all that tells or keeps what is done already; ``done`` says it in short.

    Raises NotReported with that, if standard output or a file does not take it: so nobody does it again.
    """
    try:
        yield
        sys.stdout.flush()
    except (OSError, ConfigError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise NotReported(f"{done}; but this could not be reported: {reason}") from None


def announce(output: Format, member: str, address: str, who: str) -> None:
    """A process that stays listens now; whoever started it waits for this line, so it leaves at once.

    That nobody takes the line is no reason to end.
    """
    try:
        if output is Format.JSON:
            emit({"event": "ready", "member": member, "address": address, "pid": os.getpid()})
        else:
            say(f"ready: {who} listens on {address}, pid {os.getpid()}")
        sys.stdout.flush()
    except OSError as error:
        hush()
        log.warning("listens on %s, but standard output does not take it: %s", address, error.strerror)


def talk(text: str) -> None:
    """A line for the person at the terminal, on standard error, if anybody reads that."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")


def talker() -> Console:
    """Rich on standard error, for progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def shown(command: bytes) -> str:
    """A command in quotes, safe for a terminal: what does not print is escaped, what is long is cut."""
    text = command[: 4 * SHOWN_MAX].decode("utf-8", "surrogateescape")
    marked = "".join(f"\\{c}" if c in '"\\' else _safe(c) for c in text[:SHOWN_MAX])
    quoted = f'"{marked}"'
    if len(text) > SHOWN_MAX or len(command) > 4 * SHOWN_MAX:
        quoted += f"… ({len(command):,} bytes)"
    return quoted


def escaped(data: bytes) -> str:
    """Bytes of others as text in one line: what does not print is escaped."""
    return "".join(map(_safe, data.decode("utf-8", "surrogateescape")))


def fit_for_output(data: bytes) -> bytes:
    """Bytes of others for standard output: as they are for a file or a pipe, escaped for a terminal.

    What drives a terminal could otherwise hide or forge lines in it, or make it type.
    """
    return escaped(data).encode() if sys.stdout.isatty() else data


def _safe(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def place(slot: int, position: int, command_index: int) -> str:
    """A command's place in the alliance's order, in the words of all commands and documents."""
    return f"slot {slot}, position {position}, command {command_index}"


def utc(time_ms: int) -> str:
    """A time stamp of the log as people write it."""
    try:
        time = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a receipt may say anything before it is checked, and after
        return f"{time_ms} ms after 1970"
    return f"{time:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d} UTC"


def as_json(command: bytes) -> dict[str, str]:
    """A command as JSON fields: its text, or base64 when it is not UTF-8."""
    try:
        return {"command": command.decode("utf-8")}
    except UnicodeDecodeError:
        return {"command_base64": base64.b64encode(command).decode()}


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def check_writable(path: Path, *, force: bool) -> None:
    """Raises ConfigError if ``path`` cannot be written later: asked before the work is done."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file")
    if path.exists() and not force:
        raise ConfigError(f"{path} exists: name another file, or overwrite it with --force")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} does not exist: make the folder first")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path.parent} cannot be written: name a file elsewhere")


def write_file(path: Path, data: bytes) -> None:
    """The file is there whole or not at all. Raises ConfigError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None


def read_file(path: Path, what: str, limit: int) -> bytes:
    """At most ``limit`` bytes and one more, so that the reader can tell. Raises ConfigError."""
    from alliance.config import bounded  # help waits for no configuration

    try:
        return bounded.read_file(path, limit + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}): name {what}") from None
