"""``alliance serve``: one member's server."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.members import MemberFolder, party_of
from alliance.cli.output import Format, LogFormatOption, Output, announce, lesson, prose
from alliance.errors import ConfigError
from alliance.net.process_log import LogFormat, log_to_stderr
from alliance.net.tasks import until_first

if TYPE_CHECKING:
    from alliance.config.parties import Party

EPILOG = lesson(
    """
    alliance serve farm/members/member-1
    alliance serve farm/members/member-1 --listen 0.0.0.0:7400 --log-level debug
    """,
    "0 ended by SIGTERM or SIGINT  ·  2 folder, key, passphrase, clock or port is wrong  ·  4 the journal is"
    " in use or damaged or cannot be written, or the signer failed; what was acknowledged is on disk"
    "  ·  7 the disk was rolled back, or another machine has this identity, too: this one must not vote"
    "  ·  10 this member takes no part any more",
)

YOUNG_OBJECTS_MAX = 10_000
"""Objects that are made before the collector looks for circles among them; Python's default is 700."""


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def register(app: typer.Typer) -> None:
    app.command("serve", help=prose(serve), epilog=EPILOG)(serve)


def serve(
    folder: MemberFolder,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where to listen, if not at the address in alliance.toml."
        ),
    ] = None,
    keep_slots: Annotated[
        int | None,
        typer.Option(
            "--keep-slots",
            metavar="N",
            min=0,
            help="Keep N slots of the log below the stable checkpoint and forget the rest; all by default.",
        ),
    ] = None,
    await_snapshot: Annotated[
        list[str] | None,
        typer.Option(
            "--await-snapshot",
            metavar="APPLICATION",
            help="Forget nothing before this application has a certified snapshot here; may be given several"
            " times. Not needed for those that have run in this folder.",
        ),
    ] = None,
    log_level: Annotated[
        Level, typer.Option("--log-level", help="What to log on standard error.")
    ] = Level.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Run the server of one member, until SIGTERM or SIGINT.

    Prints one line when it listens. It then finds its peers by itself, in whatever order they start, and
    catches up on what was decided while it was away, also where epochs have ended meanwhile. Everything it
    has acknowledged is in its journal, so it may be killed at any time.

    A member to be, whose change the operators have not approved of yet, may be started as well: it says what
    it waits for, follows the log as soon as it is let in, receives its shares, and prints its line when its
    first epoch has begun.

    With --keep-slots the log of a member beside which applications run is kept from the newest certified
    snapshot of each of them on, whatever N says: what they need is never forgotten.
    """
    from alliance.config.parties import require_application

    if listen is not None:
        _require_address(listen)
    awaited = [require_application(name) for name in await_snapshot or ()]
    member, placed = _whose(folder)
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")
    log_to_stderr(member.name, level=log_level.value.upper(), form=log_format)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_no_cancellation)

    def ready(address: str) -> None:
        announce(output, member.name, address, member.name)

    try:
        asyncio.run(_serve(folder, None if placed else member, secret, listen, keep_slots, awaited, ready))
    finally:
        # The calls of the links to peers lie in circles; left to the interpreter's end, they delay it by 2 s.
        gc.unfreeze()
        gc.collect()


def _require_address(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"'{listen}' is no address: write --listen HOST:PORT")


def _whose(folder: Path) -> tuple[Party, bool]:
    """Whose folder it is, and whether that is a member already. Raises NoLongerMember, ConfigError."""
    from alliance.config import file as config_file
    from alliance.server.arrival import takes_part
    from alliance.server.server import JOURNAL

    config = config_file.load(folder)
    party = party_of(folder, config)
    return party, takes_part(folder, folder / JOURNAL, config, party)


def _spare_the_collector() -> None:
    """What exists by now stays as long as the server: it is not to be looked through again and again.

    What comes later is messages, and next to nothing of them lies in circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 20)


def _no_cancellation(record: logging.LogRecord) -> bool:
    """gRPC reports as an error, with its traceback, every stream that a clean stop cancels."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


async def _wait(folder: Path, newcomer: Party, secret: bytes) -> None:
    """Until it is a member, by its journal and by alliance.toml."""
    from alliance.cli.newcomer import become_member
    from alliance.config import file as config_file
    from alliance.keys.folder import load_credentials
    from alliance.keys.revision import load_founded

    config, founded = config_file.load(folder), load_founded(folder)
    await become_member(folder, config, founded, load_credentials(folder, newcomer, secret), secret)


async def _serve(
    folder: Path,
    newcomer: Party | None,
    secret: bytes,
    listen: str | None,
    keep_slots: int | None,
    awaited: Sequence[str],
    ready: Callable[[str], None],
) -> None:
    from alliance.server.server import Server

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if newcomer is not None:
        await until_first(_wait(folder, newcomer, secret), ended.wait())
        if ended.is_set():
            return
    server = Server.open(folder, secret, keep_slots=keep_slots, awaited=awaited)

    async def live() -> None:
        address = await server.start(secret, listen)
        _spare_the_collector()
        ready(address)
        await server.run()

    async def farewell() -> None:
        await ended.wait()
        await server.hand_over()

    life, end = asyncio.create_task(live()), asyncio.create_task(farewell())
    try:
        await asyncio.wait({life, end}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
    finally:
        for task in (life, end):
            task.cancel()
        await asyncio.gather(life, end, return_exceptions=True)
        await server.stop()
        # Streams that gRPC has not quite ended yet would print tracebacks if the loop's end cancelled them.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=1.0)
    logging.getLogger("alliance").info("ended")
