"""The command line: serve, lock, list, resource, write, read. Its conventions are those of ``alliance``."""

from __future__ import annotations

import asyncio
import base64
import http.client
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from alliance.cli import passphrase
from alliance.cli.clients import unlock
from alliance.cli.output import (
    ClientFolder,
    Format,
    Output,
    emit,
    escaped,
    fit_for_output,
    lesson,
    prose,
    read_file,
    say,
    talk,
)
from alliance.errors import AllianceError, ConfigError
from alliance.execution import run_executor
from alliance.proofs import load_public_key
from examples.lock_service import client, holding
from examples.lock_service.client import TTL_SECONDS
from examples.lock_service.machine import LockMachine
from examples.lock_service.operations import LockView
from examples.lock_service.resource import FILE_BYTES_MAX, HEADER, Files, Server
from examples.lock_service.ticket import APPLICATION, TICKET_BYTES_MAX

PROGRAM = "python -m examples.lock_service"
EXITS = "0 done  ·  2 wrong usage, folder or key  ·  3 outcome unknown  ·  5 too few servers reachable"
HTTP_SECONDS = 30.0

Url = Annotated[str, typer.Argument(metavar="URL", help="Of the resource, such as http://127.0.0.1:7600.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the lock, such as reports/today.")]
TicketFile = Annotated[
    Path, typer.Option("--ticket", metavar="F", envvar="LOCK_TICKET", help="The ticket of the lock.")
]

app = typer.Typer(
    name="lock_service",
    help="Locks between organisations. A lock is a lease: what protects a resource is the token of a grant.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


class ResourceRefused(AllianceError):
    """The resource does not take the ticket; nothing was written."""

    exit_code = 6


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A member's folder: …/members/NAME.")],
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="If not at the derived port.", show_default=False),
    ] = None,
) -> None:
    """Run the lock service of one member, beside its server, until SIGTERM.

    Prints one line of JSON when it listens. Its state is in lock.state in the member's folder.
    """
    code = run_executor(folder, LockMachine(), application=APPLICATION, listen=listen)
    raise typer.Exit(code)


def lock(
    folder: ClientFolder,
    name: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND…", help="Run while the lock is held.", show_default=False),
    ] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Together with others that read.")] = False,
    wait: Annotated[
        float | None,
        typer.Option("--wait", min=0, metavar="S", help="Seconds to wait; 0 tries.", show_default=False),
    ] = None,
    ttl: Annotated[
        float, typer.Option("--ttl", metavar="S", help="The lease: it ends so long after the last renewal.")
    ] = TTL_SECONDS,
    ticket: Annotated[
        Path | None,
        typer.Option("--ticket", metavar="F", help="Keep the ticket in F.", show_default=False),
    ] = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Hold a lock, and run COMMAND meanwhile; without one, until SIGINT or SIGTERM.

    COMMAND finds LOCK_NAME, LOCK_TOKEN and LOCK_TICKET (a file) in its environment. Its exit code is that of
    the whole; if the lease is lost, COMMAND is ended and the exit code is 9. Without COMMAND the
    token is printed.
    """
    secret = unlock(folder, passphrase_file)

    async def work() -> int:
        async with (
            await client.connect(folder, secret, ttl_seconds=ttl) as locks,
            locks.lock(name, shared=shared, wait=wait) as held,
        ):
            if ticket is not None:
                holding.keep(held, ticket)
            if command:
                return await holding.run(locks, held, command)
            if output is Format.JSON:
                emit({"name": name, "mode": held.mode.name.lower(), "token": held.token})
            else:
                say(f"token {held.token}")
            sys.stdout.flush()
            await holding.hold(locks)
        return 0

    raise typer.Exit(asyncio.run(work()))


def list_locks(
    folder: ClientFolder, passphrase_file: passphrase.PassphraseFile = None, output: Output = Format.TEXT
) -> None:
    """List the locks that are held or waited for: mode, holders with their tokens, and how many wait."""
    secret = unlock(folder, passphrase_file)

    async def work() -> None:
        async with await client.connect(folder, secret) as locks:
            names = {party.client_id: party.name for party in locks.config.clients}
            for view in await locks.locks():
                _tell(view, names, output)

    asyncio.run(work())


def _tell(view: LockView, names: dict[bytes, str], output: Format) -> None:
    mode = view.mode.name.lower()
    holders = [(names.get(who, who.hex()), token, expires_ms) for who, token, expires_ms in view.holders]
    if output is Format.JSON:
        told = [{"client": who, "token": token, "expires_ms": end} for who, token, end in holders]
        emit({"name": view.name, "mode": mode, "holders": told, "waiting": view.waiting})
    else:
        held = ", ".join(f"{who} (token {token})" for who, token, _ in holders)
        say(f"{view.name}  {mode}  {held}  {view.waiting} waiting")


def resource(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files are; made if new.")],
    key: Annotated[Path, typer.Option("--key", metavar="F", help="The alliance's public-attestation.pem.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT")] = "127.0.0.1:7600",
) -> None:
    """Run a small server of files that are protected by locks, until SIGTERM.

    Each file is under the lock of its name. Whoever comes with a ticket of an older grant than was seen is
    refused, whatever he believes of his lease.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--listen {listen!r:.80} is not HOST:PORT")
    public = load_public_key(read_file(key, "public-attestation.pem", 64 * 1024))
    try:
        files = Files(folder, public)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{folder} cannot be used, or another process uses it: {error}") from None
    try:
        server = Server((host, int(port)), files)
    except OSError as error:
        raise ConfigError(f"{listen} cannot be listened on: {error.strerror or error}") from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    emit({"event": "ready", "address": f"{host}:{server.server_port}"})
    sys.stdout.flush()
    server.serve_forever()
    server.server_close()
    files.close()


def write(url: Url, name: Name, ticket: TicketFile) -> None:
    """Write standard input to the resource's file NAME, under the lock of that name."""
    connection = _connection(url)
    content = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    talk(escaped(_ask("PUT", connection, name, ticket, content).strip()))


def read(url: Url, name: Name, ticket: TicketFile) -> None:
    """Print the resource's file NAME; on a terminal, what does not print is escaped."""
    content = _ask("GET", _connection(url), name, ticket, None)
    sys.stdout.buffer.write(b"\n".join(map(fit_for_output, content.split(b"\n"))))


def _connection(url: str) -> http.client.HTTPConnection:
    """Not yet opened. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r:.200} is no URL: name one such as http://127.0.0.1:7600")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=HTTP_SECONDS)


def _ask(
    method: str, connection: http.client.HTTPConnection, name: str, ticket: Path, content: bytes | None
) -> bytes:
    """Raises ConfigError, ResourceRefused."""
    shown = base64.b64encode(read_file(ticket, "the lock's ticket", TICKET_BYTES_MAX)).decode()
    try:
        connection.request(method, f"/{name}", content, {HEADER: shown})
        answer = connection.getresponse()
        body = answer.read(FILE_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError(f"{connection.host}:{connection.port} does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise ResourceRefused(f"the resource refuses: {escaped(body[:500].strip())}")
    return body


app.command(
    "serve",
    help=prose(serve),
    epilog=lesson(
        f"{PROGRAM} serve farm/members/member-1",
        "0 ended by a signal  ·  2 usage, folder or key  ·  4 state or signer  ·  8 other members disagree",
    ),
)(serve)
app.command(
    "lock",
    help=prose(lock),
    epilog=lesson(
        f"""
        {PROGRAM} lock farm/clients/client-1 reports/today -- make-report
        {PROGRAM} lock farm/clients/client-1 reports/today --shared --wait 10 -o json
        """,
        f"{EXITS}  ·  6 others hold it  ·  9 the lease was lost  ·  with COMMAND: the one of COMMAND",
    ),
)(lock)
app.command(
    "list", help=prose(list_locks), epilog=lesson(f"{PROGRAM} list farm/clients/client-1 -o json", EXITS)
)(list_locks)
app.command(
    "resource",
    help=prose(resource),
    epilog=lesson(
        f"{PROGRAM} resource files --key farm/public-attestation.pem",
        "0 ended by a signal  ·  2 wrong usage, key or address",
    ),
)(resource)
for _command in (write, read):
    app.command(
        _command.__name__,
        help=prose(_command),
        epilog=lesson(
            f"{PROGRAM} {_command.__name__} http://127.0.0.1:7600 reports/today --ticket ticket.json",
            "0 done  ·  2 wrong usage, or no answer  ·  6 refused: stale, forged, or of another lock",
        ),
    )(_command)
