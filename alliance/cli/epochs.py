"""``alliance epochs``: which membership the alliance is in, as its log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Ways
from alliance.cli.client import Carrier
from alliance.cli.output import Format, Output, emit, lesson, plural, prose, say, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alliance.changes.epoch_notes import EpochNote
    from consensus.control import ControlState

EPILOG = lesson(
    """
    alliance epochs farm/clients/client-1
    alliance epochs farm/clients/client-1 -o json | jq '.clients[].name'
    """,
    "0 told  ·  2 folder, key or passphrase is wrong  ·  5 no server reachable",
)


def register(app: typer.Typer) -> None:
    app.command("epochs", help=prose(epochs), epilog=EPILOG)(epochs)


def epochs(
    folder: Carrier,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Tell who takes part: the epoch, its revision, members, operators, clients and policy; and all epochs.

    All of it is read from the log, proven by the alliance's signatures, and no server is believed. An epoch
    is a set of members; a revision, within it, is any change of addresses, clients, operators or policy.
    DIR's own alliance.toml is brought up to date. Epochs that passed while DIR read only from a checkpoint
    are not listed.
    """
    followed = changing.look(Ways(folder, passphrase_file, output))
    state, known = followed.control, followed.epochs
    if output is Format.JSON:
        emit(report(state) | {"epochs": [one.to_json() for one in known]})
    else:
        _tell(state)
        _tell_epochs(known)


_BEGAN = {
    "founding": "the founding",
    "light": "light: the shares stayed",
    "full": "full: new shares",
    "unread": "begun before what is read here",
    "recovery": "recovered by its operators: new shares",
}


def _tell_epochs(known: Sequence[EpochNote]) -> None:
    say("epochs:")
    for one in known:
        when = f", {utc(one.time_ms)}" if one.time_ms else ""
        say(
            f"  {one.epoch}  from slot {one.start + 1}{when}, {_BEGAN[one.beginning.name.lower()]} (dealing"
            f" {one.dealing}); {one.faulty_max} of {plural(len(one.members), 'member')} may be faulty"
            f" ({one.profile}): {', '.join(one.members)}"
        )


def report(state: ControlState) -> dict[str, Any]:
    """The control state, without what is open: for programs."""
    from dataclasses import asdict

    from alliance.changes.differences import client_fields
    from consensus.control.dealing import DAY_MS

    directory = state.directory
    return {
        "epoch": state.epoch,
        "revision": state.revision,
        "dealing": state.dealing,
        "start": state.start,
        "slot": state.slot,
        "pending": list(state.revisions),
        "config_digest": state.config_digest.hex(),
        "recoveries": [
            {
                "epoch": one.epoch,
                "slot": one.act.slot,
                "act": one.act.digest.hex(),
                "survivors": list(one.act.survivors),
                "approvals": [approval.organisation for approval in one.approvals],
            }
            for one in state.recoveries
        ],
        "profile": directory.profile,
        "faulty_max": directory.faulty_max,
        "members": [
            {
                "name": row.name,
                "organisation": row.organisation,
                "address": row.address,
                "applications": dict(row.applications),
                "identity": row.identity.hex(),
                "suspended": row.name in directory.suspended,
                "receiver_key": bool(row.receiver),
            }
            for row in directory.members
        ],
        "operators": [
            {"organisation": row.organisation, "key": row.key.hex()} for row in directory.operators
        ],
        "approvals_needed": state.approve,
        "policy": asdict(directory.policy),
        "refresh": {
            "last_ms": state.dealt_ms,
            "due_ms": state.dealt_ms + directory.policy.refresh_days * DAY_MS
            if directory.policy.refresh_days
            else None,
            "hindrance": state.refresh_hindrance,
        },
        "clients": [
            {"name": row.name, "client_id": row.client_id.hex(), **client_fields(row)}
            | {"from_slot": row.from_slot, "admitted": row.admitted(state.slot + 1)}
            for row in sorted(directory.clients.values(), key=lambda row: row.name)
        ],
    }


def _tell(state: ControlState) -> None:
    told = report(state)
    say(f"epoch {state.epoch}, revision {state.revision}, at slot {state.slot}")
    for at in state.revisions:
        say(f"  a further revision is in effect behind slot {at}")
    say(f"  digest     {told['config_digest']}")
    for member in told["members"]:
        leads = ", suspended: does not lead" if member["suspended"] else ""
        say(f"  member     {member['name']} ({member['organisation']}) at {member['address']}{leads}")
    operators = ", ".join(row["organisation"] for row in told["operators"])
    say(f"  operators  {operators}: {told['approvals_needed']} of them approve a change")
    say(f"  policy     {', '.join(f'{key} {value}' for key, value in told['policy'].items())}")
    refresh = told["refresh"]
    if refresh["due_ms"] is not None:
        say(f"  refresh    of the members' shares: due at {utc(refresh['due_ms'])}, of agreed time")
    if refresh["hindrance"]:
        say(f"             it cannot be done: {refresh['hindrance']}")
    for recovery in told["recoveries"]:
        say(
            f"  recovered  epoch {recovery['epoch']} ended at slot {recovery['slot']} by an act of"
            f" {', '.join(recovery['approvals'])}: what was decided behind that slot is lost"
        )
    for client in told["clients"]:
        word = "client     " if client["admitted"] else "(client)   "
        say(f"  {word}{client['name']} ({client['organisation']})")
