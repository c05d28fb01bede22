"""``alliance propose``: has commands ordered."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from alliance.cli import passphrase
from alliance.cli.clients import unlock
from alliance.cli.named import Named
from alliance.cli.ordering import Outcome, Work
from alliance.cli.output import (
    ClientFolder,
    Force,
    Format,
    Output,
    check_writable,
    emit,
    lesson,
    place,
    plural,
    prose,
    reporting,
    say,
    shown,
    talker,
    write_file,
)
from alliance.errors import AllianceError, ConfigError, NotReported, VotesMissing

EPILOG = lesson(
    """
    alliance propose farm/clients/client-1 'open the gate' --receipt receipt.json
    alliance propose farm/clients/client-1 --file orders.txt
    generate-orders | alliance propose farm/clients/client-1 - -o json
    alliance propose farm/clients/client-1 'pay 12' --id order-4711
    alliance propose farm/clients/client-1 --resume
    """,
    "0 all are ordered  ·  2 wrong usage, folder, key, or a command over the size limit: nothing was sent  ·"
    "  3 unknown: --resume asks again  ·  5 no server reachable  ·  6 refused by the servers"
    "  ·  9 all are ordered, but the report or the receipt could not be written, or has"
    " no votes: the error says where",
)
Name = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="KEY",
        help="A name for the one command: it is ordered once, however often this is typed.",
        show_default=False,
    ),
]
ReceiptFile = Annotated[
    Path | None,
    typer.Option(
        "--receipt", metavar="R.json", help="Write the receipt of the last command here.", show_default=False
    ),
]
LISTED_MAX = 10
BAR_COMMANDS = 1024
"""From more than one submission's worth of commands on, there is something to watch."""


def register(app: typer.Typer) -> None:
    app.command("propose", help=prose(propose), epilog=EPILOG)(propose)


def propose(
    folder: ClientFolder,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VALUE…", help="Commands; a single - reads standard input.", show_default=False
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", "-f", metavar="F", help="One command per line; - is standard input.", show_default=False
        ),
    ] = None,
    receipt: ReceiptFile = None,
    votes: Annotated[
        bool,
        typer.Option(
            "--votes", help="Put votes of f + 1 members into the receipt, beside the quorum's signature."
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.1, metavar="S", help="Seconds to wait for the proof, for every 1,024 commands."
        ),
    ] = 30.0,
    name: Name = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Ask again for what had no outcome; nothing is ordered twice.")
    ] = False,
    force: Force = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have commands ordered by the alliance, in the order given, and wait for the proof.

    A command is any bytes. From a file or standard input each line is one command, without its newline; an
    empty line is an empty command; a newline at the end begins no further one. All of the input is read and
    checked before anything is sent. A command's place in the alliance's order is its slot, the position of
    its submission in the slot, and its number in the submission. With --receipt, the receipt of the last
    command (of the only one, if there is one) is kept: it proves that command to anybody who has public.pem.
    What ended without an outcome (exit code 3, a kill, a power cut) is kept in DIR: --resume asks again for
    it, and nothing is ordered twice.

    With --votes that receipt has f + 1 members' own votes as well, which nobody can make who holds no more
    than old shares of the alliance's key. If they do not come in time, it is written without them, and the
    exit code is 9.

    With --id KEY (an order number, say) the same command may be typed again after anything: in one folder,
    a KEY always stands for the same submission, and so for the same place and receipt. With another command
    it is an error. The newest 1,024 KEYs of a folder are kept; an older one would be ordered anew.
    """
    _check_folder(folder, values or [], file)
    if receipt is not None:
        check_writable(receipt, force=force)
    if resume:
        _check_resume(bool(values) or file is not None, name)
    if votes and receipt is None:
        raise ConfigError("--votes without --receipt: name the file of the receipt that is to have them")
    begin = time.monotonic()
    commands = [] if resume else _commands(values or [], file)
    named, known = _named(folder, name, commands)
    if known is not None and not votes:
        _finish(known, receipt, output, time.monotonic() - begin)
        return
    work = Work(folder, unlock(folder, passphrase_file), timeout, named=named, votes=votes)
    _carry_out(work, commands, resume, receipt, output)


def _carry_out(work: Work, commands: list[bytes], resume: bool, receipt: Path | None, output: Format) -> None:
    """Raises what the work raises, with what is certain nevertheless; NotReported and VotesMissing."""
    begin = time.monotonic()
    try:
        with _progress(len(commands)) as advance:
            asyncio.run(work.ask_again(advance) if resume else work.propose(commands, advance))
    except (AllianceError, KeyboardInterrupt) as error:
        if work.outcome.places:
            with suppress(NotReported):  # the line on standard error says as much
                _finish(work.outcome, receipt, output, time.monotonic() - begin)
        raise work.told(error) from None
    _finish(work.outcome, receipt, output, time.monotonic() - begin)
    if work.outcome.voteless is not None:
        raise VotesMissing(f"ordered, and {receipt} is written without votes: {work.outcome.voteless}")


def _named(folder: Path, name: str | None, commands: list[bytes]) -> tuple[Named | None, Outcome | None]:
    """What ``--id`` stands for, and what came of it, if that is known. Raises ConfigError."""
    if name is None:
        return None, None
    if len(commands) != 1:
        raise ConfigError(f"--id names one command, not {len(commands):,}: propose the others apart")
    named = Named(folder, name)
    receipt = named.receipt(commands[0])
    if receipt is None:
        return named, None
    outcome = Outcome(1)
    outcome.add(receipt)
    return named, outcome


def _check_folder(folder: Path, values: list[str], file: str | None) -> None:
    """Raises ConfigError for a first argument that is rather a command, the folder having been forgotten."""
    if not folder.exists():
        given = shown(os.fsencode(folder))
        rest = given if not values and file is None else "…"
        raise ConfigError(
            f"{given} does not exist: the client's folder comes first, then what to propose, as in"
            f" 'alliance propose …/clients/NAME {rest}'"
        )


def _check_resume(commands: bool, name: str | None) -> None:
    """Raises ConfigError for what does not go together with ``--resume``."""
    if commands:
        raise ConfigError("commands and --resume together: it asks for commands that were sent already")
    if name is not None:
        raise ConfigError("--id and --resume together: type the command with its --id, or --resume alone")


def _commands(values: list[str], file: str | None) -> list[bytes]:
    """Everything that is to be proposed, checked. Raises ConfigError, InvalidSubmission."""
    from verifiable_log.limits import COMMAND_BYTES_MAX
    from verifiable_log.submission import InvalidSubmission

    if values == ["-"] and file is None:
        values, file = [], "-"
    if values and file is not None:
        raise ConfigError("commands as arguments and --file together: choose one, so that the order is clear")
    if file is None:
        where, commands = "argument", [os.fsencode(value) for value in values]
    else:
        where, commands = "line", lines(_read(file))
    if not commands:
        given = "no VALUE and no --file" if file is None else f"'{file}' is empty"
        raise ConfigError(f"nothing to propose: {given}")
    for number, command in enumerate(commands, 1):
        if len(command) > COMMAND_BYTES_MAX:
            raise InvalidSubmission(
                f"{where} {number} has {len(command):,} bytes, a command has {COMMAND_BYTES_MAX:,} at the"
                " most; nothing was sent: keep large data elsewhere and propose its digest"
            )
    return commands


def lines(data: bytes) -> list[bytes]:
    """One command per line, bytes as they are; a newline at the end begins no further one."""
    split = data.split(b"\n")
    return split[:-1] if split[-1] == b"" else split


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}; nothing was sent") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if somebody is watching and there is something to watch."""
    console = talker()
    if total <= BAR_COMMANDS or not console.is_terminal:
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("ordering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("ordering", total=total)
        yield lambda done: bar.update(task, completed=done)


def _finish(outcome: Outcome, file: Path | None, output: Format, seconds: float) -> None:
    """Keeps the receipt and prints what is certain. Raises NotReported."""
    count = len(outcome.places)
    if count <= LISTED_MAX:
        told = [place(*at) for at in outcome.places]
    else:
        told = [f"{plural(count, 'command')} in {outcome.slots()}, {seconds:.1f} s"]
    report = [f"ordered: {where}" for where in told] or ["nothing is without an outcome"]
    with reporting("; ".join(report)):
        problem = _keep(outcome, file)
        kept = file if problem is None and count else None
        if output is Format.JSON:
            emit(_report(outcome, kept, seconds))
        else:
            for line in report:
                say(line)
            if kept is not None:
                voters = len(outcome.last.votes) if outcome.last is not None else 0
                votes = f", with {voters} members' votes" if voters else ""
                say(f"receipt of the last one: {kept}{votes}" if count > 1 else f"receipt: {kept}{votes}")
        if problem is not None:
            raise problem


def _keep(outcome: Outcome, file: Path | None) -> ConfigError | None:
    """Writes the last receipt to ``file``; what prevented it."""
    try:
        if file is not None and outcome.last is not None:
            write_file(file, outcome.last.to_json().encode())
    except ConfigError as error:
        return error
    return None


def _report(outcome: Outcome, file: Path | None, seconds: float) -> dict[str, Any]:
    return {
        "commands": [
            {"slot": slot, "position": position, "command_index": index, "time_ms": time_ms}
            for (slot, position, index), time_ms in zip(outcome.places, outcome.times_ms, strict=True)
        ],
        "count": len(outcome.places),
        "proposed": outcome.total,
        "first_slot": outcome.places[0][0] if outcome.places else None,
        "last_slot": outcome.places[-1][0] if outcome.places else None,
        "seconds": round(seconds, 3),
        "receipt": str(file) if file is not None else None,
        "votes": len(outcome.last.votes) if file is not None and outcome.last is not None else 0,
    }
