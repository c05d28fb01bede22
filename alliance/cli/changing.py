"""What all commands that change an alliance share: reading the log, signing, sending, waiting, telling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.clients import open_client, unlock
from alliance.cli.output import Format, check_writable, emit, reporting, say, talker, write_file
from alliance.cli.request import operator_key
from alliance.errors import AllianceError, ChangeRefused, NotInEffect

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from alliance.changes.approval import Approval
    from alliance.changes.carry import Carried
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.followed import Advance, Followed
    from alliance.changes.simulation import Forecast
    from alliance.client import Client
    from consensus.control import ControlState
    from consensus.control.commands import SignedCommand

OperatorOption = Annotated[
    Path | None,
    typer.Option(
        "--operator",
        metavar="F",
        help="The operator.pem of the organisation, to sign and send at once. Else a file is written.",
        show_default=False,
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="F", help="The file for the change.", show_default="ORGANISATION-NUMBER.change"
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would happen; write and send nothing.")
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="S", help="Seconds to wait for the log, at each step."),
]
EXITS = (
    "0 in effect, or the file is written  ·  2 wrong usage, folder, key, or a change that cannot be  ·  3 it"
    " is unknown whether it was ordered, or it is not yet in effect: the line says which  ·  5 no server"
    " reachable  ·  6 the members refuse it, or would  ·  9 done, but the report was not taken"
)
PROGRESS_SLOTS = 64
"""From so many slots on, there is something to watch."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a command does its work, as its options say."""

    folder: Path
    passphrase_file: Path | None
    output: Format
    timeout: float = 30.0
    operator: Path | None = None
    operator_file: Path | None = None
    to: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """``carried`` is None when nothing was sent; ``file`` when none was written.

    ``in_effect``: the log is behind the slot in which what was carried takes effect.
    """

    change: ChangeFile
    forecast: Forecast
    carried: Carried | None = None
    in_effect: bool = False
    revision: int = 0
    file: Path | None = None


Drafting = Callable[["ControlState"], "ChangeFile"]


def make(ways: Ways, drafting: Drafting) -> None:
    """A change that somebody wants: written as a file, or signed, sent and waited for."""
    secret = unlock(ways.folder, ways.passphrase_file)
    key = None if ways.operator is None else operator_key(ways.operator, ways.operator_file)
    if ways.to is not None:
        check_writable(ways.to, force=False)
    result = asyncio.run(_make(ways, secret, key, drafting))
    _finish(ways, _written(ways, result) if not ways.dry_run and _needs_file(result) else result)


def send(ways: Ways, change: ChangeFile, approvals: Sequence[tuple[str, Approval]]) -> None:
    """A change that operators have signed already."""
    _finish(ways, asyncio.run(_send(ways, unlock(ways.folder, ways.passphrase_file), change, approvals)))


def look(ways: Ways) -> ControlState:
    """The control state, as the log has it now."""

    async def read(secret: bytes) -> ControlState:
        async with following(ways, secret) as (_, followed, _):
            return followed.control

    return asyncio.run(read(unlock(ways.folder, ways.passphrase_file)))


@asynccontextmanager
async def following(ways: Ways, secret: bytes) -> AsyncIterator[tuple[Client, Followed, Advance]]:
    """The client of a folder, which has read the log to its end; what it has read is kept for next time."""
    from alliance.changes import followed as follower
    from alliance.keys.revision import load_founded

    state = follower.load(ways.folder, load_founded(ways.folder))
    async with await open_client(ways.folder, secret) as client:
        try:
            with _progress() as advance:
                with client.life.use():
                    now = await client.certified_now()
                await follower.follow(client, state, now, advance)
                yield client, state, advance
        finally:
            follower.keep(ways.folder, state, client.config)


async def _make(ways: Ways, secret: bytes, key: Ed25519PrivateKey | None, drafting: Drafting) -> Result:
    from alliance.changes import approval

    async with following(ways, secret) as (client, followed, advance):
        change = drafting(followed.control)
        approvals = []
        if key is not None:
            signer = approval.organisation_of(change, key, change.organisation)
            approvals.append((str(ways.operator), approval.sign(change, key, signer)))
        return await _carry(ways, client, followed, change, approvals, advance)


async def _send(
    ways: Ways, secret: bytes, change: ChangeFile, approvals: Sequence[tuple[str, Approval]]
) -> Result:
    from alliance.changes.drafting import require_names

    async with following(ways, secret) as (client, followed, advance):
        require_names(followed.control, change)
        return await _carry(ways, client, followed, change, approvals, advance)


async def _carry(
    ways: Ways,
    client: Client,
    followed: Followed,
    change: ChangeFile,
    approvals: Sequence[tuple[str, Approval]],
    advance: Advance,
) -> Result:
    """Raises ChangeRefused, before anything is sent where that can be known; NotInEffect."""
    from alliance.changes import simulation
    from alliance.changes.carry import Fate, carry, commands_of

    commands: list[SignedCommand] = []
    if approvals or not ways.dry_run:
        commands = commands_of(change, approvals, followed.control) if approvals else []
    forecast = simulation.forecast(followed.control, change, commands)
    if forecast.refusal:
        raise ChangeRefused(f"the members would refuse it: {forecast.refusal}; nothing was sent")
    result = Result(change, forecast)
    if ways.dry_run or not commands:
        return result
    carried = await carry(client, followed, change, commands, ways.timeout, advance)
    if carried.fate is Fate.REFUSED:
        raise ChangeRefused(f"the members refuse it, at slot {carried.slot}: {carried.refusal}")
    if carried.fate is Fate.TAKEN and carried.effective is not None:
        await _until_in_effect(ways, client, followed, carried.slot, carried.effective, advance)
    in_effect = carried.fate is Fate.TAKEN
    return replace(result, carried=carried, in_effect=in_effect, revision=followed.control.revision)


async def _until_in_effect(
    ways: Ways, client: Client, followed: Followed, slot: int, effective: int, advance: Advance
) -> None:
    from alliance.changes.followed import follow

    problem = ""
    try:
        async with asyncio.timeout(ways.timeout):
            await follow(client, followed, effective, advance)
            return
    except TimeoutError:
        problem = f"it did not get there within {ways.timeout:g} s"
    except AllianceError as error:
        problem = str(error)
    raise NotInEffect(
        f"the change is taken at slot {slot} and is in effect behind slot {effective}, and the log is at slot"
        f" {followed.frontier.size} ({problem}); do not send it again: 'alliance change show {ways.folder}'"
        " says when it is in effect"
    )


def _needs_file(result: Result) -> bool:
    """For the operators who have yet to sign."""
    return result.carried is None or result.forecast.missing > 0


def _written(ways: Ways, result: Result) -> Result:
    from alliance.changes.change_file import SUFFIX

    change = result.change
    path = ways.to or Path(f"{change.organisation}-{change.command.counter}{SUFFIX}")
    check_writable(path, force=False)
    write_file(path, change.to_toml().encode())
    return replace(result, file=path)


def _finish(ways: Ways, result: Result) -> None:
    with reporting(_short(result)):
        if ways.output is Format.JSON:
            emit(_report(result))
        else:
            _tell(ways, result)


def _short(result: Result) -> str:
    from alliance.changes.carry import Fate

    carried = result.carried
    if carried is None:
        return f"written to {result.file}" if result.file is not None else "nothing was sent"
    if carried.fate is Fate.OPEN:
        waits = f"{', '.join(carried.approvals)} approve, {result.forecast.missing} more must"
        return f"open since slot {carried.slot}: {waits}"
    if carried.fate is Fate.TAKEN:
        return f"taken at slot {carried.slot}, in effect behind slot {carried.effective}"
    return f"ended at slot {carried.slot}, without effect"


def _report(result: Result) -> dict[str, Any]:
    carried, forecast = result.carried, result.forecast
    return {
        "digest": result.change.digest.hex(),
        "organisation": result.change.organisation,
        "file": str(result.file) if result.file is not None else None,
        "sent": carried is not None,
        "fate": carried.fate if carried is not None else None,
        "slot": carried.slot if carried is not None else None,
        "effective": carried.effective if carried is not None else None,
        "in_effect": result.in_effect,
        "revision": result.revision if result.in_effect else None,
        "approvals": list(carried.approvals) if carried is not None else [],
        "approvals_missing": forecast.missing,
        "differences": [one.to_json() for one in forecast.differences],
    }


def _tell(ways: Ways, result: Result) -> None:
    for one in result.forecast.differences:
        say(one.line)
    say(_short(result))
    if result.file is not None:
        _tell_next(ways, result)


def _tell_next(ways: Ways, result: Result) -> None:
    path, organisation = result.file, result.change.organisation
    if result.carried is not None:
        say(f"Next: send {path} to the other operators. Each of them reads it, and signs:")
        say(f"  alliance change approve {path} --operator operator.pem --send A-CLIENT'S-FOLDER")
        return
    say(f"Next: the operator of '{organisation}' reads it, and signs it offline:")
    say(f"  alliance change approve {path} --operator operator.pem")
    say("Then anybody who is a client sends both:")
    say(f"  alliance change propose {ways.folder} {path} {path}.{organisation}.approval")


@contextmanager
def _progress() -> Iterator[Advance]:
    """A bar on standard error while slots pass, if somebody is watching and there are enough of them."""
    console = talker()
    if not console.is_terminal:
        yield lambda slot, until: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("slot"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("slots", visible=False)

        begun: dict[int, int] = {}

        def advance(slot: int, until: int) -> None:
            many = until - begun.setdefault(until, slot) >= PROGRESS_SLOTS
            bar.update(task, completed=slot, total=until, visible=many)

        yield advance
