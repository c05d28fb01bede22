"""``alliance join``: a party takes the alliance into the folder that its request was made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import founded, passphrase
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say

if TYPE_CHECKING:
    from alliance.founding.join import Joined

EPILOG = lesson(
    """
    alliance join anna farm
    alliance join anna farm --passphrase-file mine.txt -o json
    """,
    "0 joined, or had joined before  ·  1 what a dealer of its ceremony made is missing or wrong: the line"
    " says whose  ·  2 folder or passphrase is wrong, or the alliance is not as requested, or its dealing is"
    " false; with 1 and 2 nothing was written  ·  9 joined, but the report was not taken",
)

SHOWN_MAX = 12
"""Clients that are listed; members all are."""


def register(app: typer.Typer) -> None:
    app.command("join", help=prose(join), epilog=EPILOG)(join)


def join(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder that 'alliance request' made.", show_default=False),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="ALLIANCE",
            help="The folder from the dealer or the ceremony, with all that is in it; or that of any party,"
            " where the alliance exists.",
            show_default=False,
        ),
    ],
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Take the alliance that you have asked to be in into your folder.

    Of one that was founded for your request, it checks that the party is in alliance.toml as it asked to be,
    that the shared keys are consistent and this member's shares fit them, and keeps the shares, encrypted
    with the passphrase. Then the one-time key of the request is erased: the dealing file is of no use to
    anybody any more. Nothing is written if anything is wrong; interrupted, the same command goes on. Compare
    by telephone what it tells: a dealer who gives different alliances to different parties is found out by
    that alone.

    Of one that exists already, any party's folder tells who takes part. A member gets its shares later, from
    the log, by 'alliance serve'.
    """
    from alliance.founding import join as joining
    from alliance.founding.join import own_request

    name = own_request(folder).name
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {name}")
    joined = joining.join(folder, source, secret)
    with reporting(f"'{name}' is in the alliance '{joined.config.name}'"):
        if output is Format.JSON:
            emit(_report(folder, joined))
        else:
            _tell(folder, source, joined)


def _report(folder: Path, joined: Joined) -> dict[str, Any]:
    plan = joined.plan
    return {
        "folder": str(folder),
        "name": joined.party.name,
        "alliance": joined.config.name,
        "alliance_id": joined.config.alliance_id.hex(),
        "file_digest": founded.file_digest(joined.config),
        "key_fingerprint": founded.fingerprint(joined.config),
        "joined_before": not joined.anew,
    } | ({"dealers": list(plan.dealers), "plan_digest": plan.digest.hex()} if plan is not None else {})


def _tell(folder: Path, source: Path, joined: Joined) -> None:
    from alliance.config.parties import Member
    from alliance.keys.folder import OPERATOR
    from quorum.threshold_rsa import factors_of

    config, party = joined.config, joined.party
    verb = "is now" if joined.anew else "already is"
    if (serves := isinstance(party, Member)) and party not in config.members:
        verb = "has what it needs to become a member, but is none yet,"
    say(f"'{party.name}' {verb} in '{config.name}': {founded.sizes(config)}.")
    say(f"  members   {', '.join(f'{one.name} ({one.organisation})' for one in config.members)}")
    more = len(config.clients) - SHOWN_MAX
    clients = [one.name for one in config.clients[:SHOWN_MAX]] + ([f"and {more} more"] if more > 0 else [])
    if clients:
        say(f"  clients   {', '.join(clients)}")
    say("")
    if joined.plan is None and len(factors_of(config.key)) > 1:
        say(f"Its keys were dealt together; by whom, {source} does not show without the ceremony's plan.")
        say("Compare by telephone with the dealers and the other parties, who must have the same:")
    elif joined.plan is None:
        say("One dealer made its shared keys, and could have kept them.")
        say("Compare by telephone with the dealer and the other parties, who must have the same:")
    else:
        say(f"Its keys were dealt together by {', '.join(joined.plan.dealers)}: none of them knows a key.")
        say("Compare by telephone with the dealers and the other parties, who must have the same:")
        founded.tell_plan(joined.plan)
    founded.tell_identifiers(config)
    say("")
    if (folder / OPERATOR).exists():
        say(f"Move {folder / OPERATOR} to a place that is offline.")
    say("Next, when everybody has the same:")
    say(f"  alliance serve {folder}" if serves else f"  alliance status {folder}")
