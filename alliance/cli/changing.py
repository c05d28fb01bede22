"""What all commands that change an alliance share: options, reading the log, signing, sending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.change_report import Result, finish, written
from alliance.cli.change_waiting import Waiting, progress
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import Format, check_writable
from alliance.cli.request import operator_key
from alliance.errors import ChangeRefused, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from alliance.changes.approval import Approval
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.followed import Advance, Followed
    from alliance.client import Client
    from consensus.control import ControlState

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
Proposer = Annotated[
    str | None,
    typer.Option(
        "--organisation", metavar="NAME", help="Who proposes it.", show_default="whose --operator it is"
    ),
]
Days = Annotated[
    int, typer.Option("--days", min=1, max=3650, metavar="N", help="So long operators may approve it.")
]
DAY_MS = 24 * 3600 * 1000
EXITS = (
    "0 in effect, or the file is written  ·  2 wrong usage, folder, key, or a change that cannot be  ·  3 it"
    " is unknown whether it was ordered, or it is not yet in effect: the line says which  ·  5 no server"
    " reachable  ·  6 the members refuse it, or would  ·  9 done, but the report was not taken"
)


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
    tell: Callable[[str], None] | None = None
    """Told what happens while it waits; somebody at a terminal is, if nobody is named here."""


Drafting = Callable[["ControlState"], "ChangeFile"]
Proposal = Callable[["ControlState", str, int], "ChangeFile"]
"""From the state, who proposes, and until which agreed time in ms it may be approved."""


def make(ways: Ways, drafting: Drafting) -> None:
    """A change that somebody wants: written as a file, or signed, sent and waited for."""
    _finished(ways, _operator(ways), drafting)


def propose(ways: Ways, organisation: str | None, days: int, proposal: Proposal) -> None:
    """As ``make``, for what is proposed to all operators. Raises ConfigError if nobody says who does."""
    if organisation is None and ways.operator is None:
        raise ConfigError("say who proposes it: --organisation NAME, or --operator F to sign it at once")
    key = _operator(ways)
    _finished(ways, key, proposing(organisation, key, days, proposal))


def proposing(
    organisation: str | None, key: Ed25519PrivateKey | None, days: int, proposal: Proposal
) -> Drafting:
    """What ``organisation`` proposes, or else that one whose operator's key it is; open for so many days."""

    def drafting(state: ControlState) -> ChangeFile:
        until_ms = max(int(time.time() * 1000), state.time_ms) + days * DAY_MS
        return proposal(state, organisation or _speaks_for(state, key), until_ms)

    return drafting


def _operator(ways: Ways) -> Ed25519PrivateKey | None:
    return None if ways.operator is None else operator_key(ways.operator, ways.operator_file)


def _speaks_for(state: ControlState, key: Ed25519PrivateKey | None) -> str:
    """The organisation whose operator's key it is. Raises ConfigError."""
    public = None if key is None else key.public_key().public_bytes_raw()
    for row in state.directory.operators:
        if row.key == public:
            return row.organisation
    raise ConfigError("--operator is no operator's key in this alliance: 'alliance epochs' tells whose are")


def _finished(ways: Ways, key: Ed25519PrivateKey | None, drafting: Drafting) -> None:
    secret = unlock(ways.folder, ways.passphrase_file)
    if ways.to is not None:
        check_writable(ways.to, force=False)
    result = asyncio.run(drafted(ways, secret, key, drafting))
    if not ways.dry_run and result.needs_file:
        result = written(result, ways.to)
    finish(result, ways.output, ways.folder)


def send(ways: Ways, change: ChangeFile, approvals: Sequence[tuple[str, Approval]]) -> None:
    """A change that operators have signed already."""
    result = asyncio.run(sent(ways, unlock(ways.folder, ways.passphrase_file), change, approvals))
    finish(result, ways.output, ways.folder)


def look(ways: Ways) -> Followed:
    """The control state, as the log has it now, and what is known of the epochs before."""

    async def read(secret: bytes) -> Followed:
        async with following(ways, secret) as (_, followed, _):
            return followed

    return asyncio.run(read(unlock(ways.folder, ways.passphrase_file)))


@asynccontextmanager
async def following(ways: Ways, secret: bytes) -> AsyncIterator[tuple[Client, Followed, Advance]]:
    """The client of a folder, which has read the log to its end; what it has read is kept for next time."""
    from alliance.changes import followed as follower
    from alliance.keys.revision import load_founded

    state = follower.load(ways.folder, load_founded(ways.folder))
    async with await open_client(ways.folder, secret) as client:
        try:
            with progress() as advance:
                with client.life.use():
                    now = await client.certified_now()
                await follower.follow(client, state, now, advance)
                yield client, state, advance
        finally:
            follower.keep(ways.folder, state, client.config)


async def drafted(ways: Ways, secret: bytes, key: Ed25519PrivateKey | None, drafting: Drafting) -> Result:
    """What somebody wants, carried if its operator's key is given. Raises as ``sent``, and ConfigError."""
    from alliance.changes import approval

    async with following(ways, secret) as (client, followed, advance):
        change = drafting(followed.control)
        approvals = []
        if key is not None:
            signer = approval.organisation_of(change, key, change.organisation)
            approvals.append((str(ways.operator), approval.sign(change, key, signer)))
        return await _carry(ways, client, followed, change, approvals, advance)


async def sent(
    ways: Ways, secret: bytes, change: ChangeFile, approvals: Sequence[tuple[str, Approval]]
) -> Result:
    """What operators have signed, carried and waited for. Raises ChangeRefused and NotInEffect."""
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
    wait = Waiting(ways.folder, ways.timeout, client, followed, advance, ways.tell)
    if carried.fate is Fate.BEGUN:
        carried = await wait.until_it_has_ended(change, carried)
    elif carried.fate is Fate.TAKEN and carried.effective is not None:
        await wait.until_in_effect(carried.slot, carried.effective)
    control, in_effect = followed.control, carried.fate is Fate.TAKEN
    return replace(
        result, carried=carried, in_effect=in_effect, revision=control.revision, epoch=control.epoch
    )
