"""``alliance change show``: what a change file says, and what is under way in the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Ways
from alliance.cli.output import Format, Output, emit, say, utc

if TYPE_CHECKING:
    from alliance.changes.change_file import ChangeFile
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
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Tell what a change file says; or, of a client's folder, which changes are under way in the log.

    A file is read offline, and said in the words of its operations: what an operator signs is computed from
    nothing else. Names of clients that are there already are as the file says them: the log knows clients by
    their ids, and whoever sends the file compares both.
    """
    if path.is_dir():
        state = changing.look(Ways(path, passphrase_file, output))
        _show_log(state, output)
        return
    from alliance.changes.change_file import read_change

    _show_file(read_change(path), output)


def _show_file(change: ChangeFile, output: Format) -> None:
    from alliance.changes.operations import in_words
    from consensus.control.commands import Propose

    told: dict[str, Any] = {
        "digest": change.digest.hex(),
        "alliance_id": change.alliance_id.hex(),
        "organisation": change.organisation,
        "number": change.command.counter,
        "operations": [in_words(one, change.names) for one in change.operations],
    }
    if isinstance(change.command, Propose):
        told |= {
            "from_epoch": change.command.change.from_epoch,
            "expires_ms": change.command.change.expires_ms,
            "operators": [name for name, _ in change.operators],
        }
    if output is Format.JSON:
        emit(told)
        return
    verb = "proposes" if "from_epoch" in told else "changes, of its own"
    say(f"'{change.organisation}' {verb} (number {change.command.counter}):")
    for operation in told["operations"]:
        say(f"  {operation}")
    if "expires_ms" in told:
        say(f"  until {utc(told['expires_ms'])}; asked are {', '.join(told['operators'])}")
    say(f"  alliance {told['alliance_id']}")
    say(f"  digest   {told['digest']}")


def _show_log(state: ControlState, output: Format) -> None:
    from consensus.control.policy import approvals_needed

    needed = approvals_needed(len(state.directory.operators), state.directory.policy.faulty)
    opened = [_open(one) for one in state.opened]
    if output is Format.JSON:
        head = {"epoch": state.epoch, "revision": state.revision, "slot": state.slot}
        emit(head | {"pending": list(state.revisions), "approvals_needed": needed, "open": opened})
        return
    say(f"epoch {state.epoch}, revision {state.revision}, at slot {state.slot}")
    for slot in state.revisions:
        say(f"taken, and in effect behind slot {slot}: a further revision")
    for one in opened:
        say(
            f"open since slot {one['slot']}, proposed by '{one['organisation']}', until"
            f" {utc(one['expires_ms'])}:"
        )
        for operation in one["operations"]:
            say(f"  {operation}")
        say(f"  digest {one['digest']}")
        say(f"  {len(one['approvals'])} of {needed} approve: {', '.join(one['approvals'])}")
        if one["aborts"]:
            say(f"  to end it want: {', '.join(one['aborts'])}")
    if not opened and not state.revisions:
        say("nothing is under way")


def _open(one: OpenChange) -> dict[str, Any]:
    from alliance.changes.operations import in_words

    return {
        "digest": one.change_id.hex(),
        "organisation": one.propose.signer,
        "slot": one.slot,
        "expires_ms": one.change.expires_ms,
        "operations": [in_words(operation, {}) for operation in one.change.operations],
        "approvals": list(one.approvals),
        "aborts": list(one.aborts),
    }
