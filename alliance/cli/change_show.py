"""``alliance change show``: what a change file says, and what is under way in the log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Ways
from alliance.cli.clients import unlock
from alliance.cli.output import Format, Output, emit, say, utc
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.progress import Progress
    from consensus.control import ControlState
    from consensus.control.pending import OpenChange

What = Annotated[
    Path,
    typer.Argument(
        metavar="CHANGE|DIR",
        help="A change file; or a client's folder, for all that is open.",
        show_default=False,
    ),
]


def show(
    path: What,
    watch: Annotated[
        bool, typer.Option("--watch", help="Of a folder: go on, until nothing is under way any more.")
    ] = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Tell what a change file says; or, of a client's folder, which changes are under way in the log.

    A file is read offline, and said in the words of its operations: what an operator signs is computed from
    nothing else. Names of clients that are there already are as the file says them: the log knows clients by
    their ids, and whoever sends the file compares both.

    Of a full change the log tells who has handed the keys on, which members to come are ready, and until when
    the attempt has time. With --watch each of these is told when it happens, and with -o json all that is
    under way, one object in a line.
    """
    if path.is_dir():
        ways = Ways(path, passphrase_file, output)
        if not watch:
            _show_log(changing.look(ways).control, output)
            return
        asyncio.run(_watch(ways, unlock(path, passphrase_file)))
        return
    if watch:
        raise ConfigError("--watch is for a client's folder: a file does not change")
    from alliance.changes.change_file import read_change

    _show_file(read_change(path), output)


def _show_file(change: ChangeFile, output: Format) -> None:
    from alliance.changes.progress import in_lines
    from consensus.control.commands import Propose

    told: dict[str, Any] = {
        "digest": change.digest.hex(),
        "alliance_id": change.alliance_id.hex(),
        "organisation": change.organisation,
        "number": change.command.counter,
        "operations": in_lines(change.operations, change.names),
    }
    if isinstance(change.command, Propose):
        told |= {
            "kind": change.command.change.kind.name.lower(),
            "from_epoch": change.command.change.from_epoch,
            "expires_ms": change.command.change.expires_ms,
            "operators": [name for name, _ in change.operators],
        }
    if output is Format.JSON:
        emit(told)
        return
    verb = f"proposes a {told['kind']} change" if "from_epoch" in told else "changes, of its own"
    say(f"'{change.organisation}' {verb} (number {change.command.counter}):")
    for operation in told["operations"]:
        say(f"  {operation}")
    if "expires_ms" in told:
        say(f"  until {utc(told['expires_ms'])}; asked are {', '.join(told['operators'])}")
    say(f"  alliance {told['alliance_id']}")
    say(f"  digest   {told['digest']}")


async def _watch(ways: Ways, secret: bytes) -> None:
    """Tells what is under way, and then what is new, until nothing is."""
    from alliance.changes.followed import watch
    from alliance.changes.progress import nothing_left

    async with changing.following(ways, secret) as (client, followed, advance):
        told = Told(followed.control, ways.output)
        if not nothing_left(followed.control):
            await watch(client, followed, told.over, advance)


class Told:
    """What was told of the log so far, to people line by line, to programs as all that is under way."""

    def __init__(self, control: ControlState, output: Format) -> None:
        self._control, self._output = control, output
        _show_log(control, output)

    def over(self, control: ControlState) -> bool:
        """Tells what is new with one more slot; whether nothing is left to be told."""
        from alliance.changes.progress import news, nothing_left

        before, self._control = self._control, control
        if lines := news(before, control):
            if self._output is Format.JSON:
                _show_log(control, self._output)
            else:
                for line in lines:
                    say(f"slot {control.slot}: {line}")
            sys.stdout.flush()
        return nothing_left(control)


def _show_log(state: ControlState, output: Format) -> None:
    from alliance.changes.progress import Progress

    opened, far = [_open(state, one) for one in state.opened], Progress.of(state)
    if output is Format.JSON:
        head = {"epoch": state.epoch, "revision": state.revision, "slot": state.slot}
        told = head | {"pending": list(state.revisions), "approvals_needed": state.approve, "open": opened}
        emit(told | {"under_way": far.to_json() if far is not None else None})
        return
    say(f"epoch {state.epoch}, revision {state.revision}, at slot {state.slot}")
    for slot in state.revisions:
        say(f"taken, and in effect behind slot {slot}: a further revision")
    if far is not None:
        _show_progress(far)
    for one in opened:
        say(
            f"open since slot {one['slot']}, proposed by '{one['organisation']}', until"
            f" {utc(one['expires_ms'])}, a {one['kind']} change:"
        )
        for operation in one["operations"]:
            say(f"  {operation}")
        say(f"  digest {one['digest']}")
        approvals = one["approvals"]
        say(f"  {len(approvals)} of {one['approvals_needed']} approve: {', '.join(approvals)}")
        if one["aborts"]:
            say(f"  to end it want: {', '.join(one['aborts'])}")
    if not opened and far is None and not state.revisions:
        say("nothing is under way")


def _show_progress(far: Progress) -> None:
    from alliance.changes.progress import counted
    from consensus.limits import ATTEMPTS_MAX

    say(f"approved, on the way to epoch {far.epoch + 1}:")
    for operation in far.operations:
        say(f"  {operation}")
    for digest in far.digests:
        say(f"  digest {digest}")
    if far.attempt:
        say(
            f"  attempt {far.attempt} of {ATTEMPTS_MAX}, which has time until slot {far.deadline_slot} and"
            f" {utc(far.deadline_ms)}"
        )
        if far.dealers:
            say(f"  {len(far.dealt)} have dealt, of whom it takes {far.dealers}: {', '.join(far.dealt)}")
        say(f"  {counted(len(far.ready), far.readies)} are ready: {', '.join(far.ready)}")
    if far.aborts:
        say(f"  to end it want, of {far.aborting}: {', '.join(far.aborts)}")
    if far.end is not None:
        say(f"  the epoch ends with slot {far.end}")


def _open(state: ControlState, one: OpenChange) -> dict[str, Any]:
    from alliance.changes.progress import in_lines

    return {
        "digest": one.change_id.hex(),
        "kind": one.change.kind.name.lower(),
        "organisation": one.propose.signer,
        "slot": one.slot,
        "expires_ms": one.change.expires_ms,
        "operations": in_lines(one.change.operations, {}),
        "approvals": list(one.approvals),
        "approvals_needed": state.needed(one.change),
        "aborts": list(one.aborts),
    }
