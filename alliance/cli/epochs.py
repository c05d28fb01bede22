"""``alliance epochs``: which membership the alliance is in, as its log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Ways
from alliance.cli.client import Carrier
from alliance.cli.output import Format, Output, emit, lesson, prose, say

if TYPE_CHECKING:
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
    """Tell who takes part: the epoch, its revision, members, operators, clients and policy.

    All of it is read from the log, proven by the alliance's signatures, and no server is believed. An epoch
    is a set of members; a revision, within it, is any change of addresses, clients, operators or policy.
    DIR's own alliance.toml is brought up to date.
    """
    state = changing.look(Ways(folder, passphrase_file, output))
    if output is Format.JSON:
        emit(report(state))
    else:
        _tell(state)


def report(state: ControlState) -> dict[str, Any]:
    """The control state, without what is open: for programs."""
    from dataclasses import asdict

    from alliance.changes.differences import client_fields
    from consensus.control.policy import approvals_needed

    directory = state.directory
    return {
        "epoch": state.epoch,
        "revision": state.revision,
        "dealing": state.dealing,
        "start": state.start,
        "slot": state.slot,
        "pending": list(state.revisions),
        "config_digest": state.config_digest.hex(),
        "profile": directory.profile,
        "faulty_max": directory.faulty_max,
        "members": [
            {
                "name": row.name,
                "organisation": row.organisation,
                "address": row.address,
                "applications": dict(row.applications),
                "identity": row.identity.hex(),
            }
            for row in directory.members
        ],
        "operators": [
            {"organisation": row.organisation, "key": row.key.hex()} for row in directory.operators
        ],
        "approvals_needed": approvals_needed(len(directory.operators), directory.policy.faulty),
        "policy": asdict(directory.policy),
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
        say(f"  member     {member['name']} ({member['organisation']}) at {member['address']}")
    operators = ", ".join(row["organisation"] for row in told["operators"])
    say(f"  operators  {operators}: {told['approvals_needed']} of them approve a change of the policy")
    say(f"  policy     {', '.join(f'{key} {value}' for key, value in told['policy'].items())}")
    for client in told["clients"]:
        word = "client     " if client["admitted"] else "(client)   "
        say(f"  {word}{client['name']} ({client['organisation']})")
