"""``alliance member receiver-key`` and ``receiver``: the first key to which a member can be dealt shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import DryRun, OperatorOption, Timeout, To, Ways
from alliance.cli.client import Carrier
from alliance.cli.members import MemberFolder, unlock_member
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say
from alliance.cli.request import OperatorPassphraseFile

MAKE_EPILOG = lesson(
    """
    alliance member receiver-key farm/members/anna
    """,
    "0 made, or made before  ·  2 folder or passphrase is wrong, or the member has such a key already  ·  9"
    " made, but the report was not taken",
)
BRING_EPILOG = lesson(
    """
    alliance member receiver farm/clients/client-1 anna.receiver --operator operator.pem
    """,
    changing.EXITS,
)


def register(group: typer.Typer) -> None:
    group.command("receiver-key", help=prose(receiver_key), epilog=MAKE_EPILOG)(receiver_key)
    group.command("receiver", help=prose(receiver), epilog=BRING_EPILOG)(receiver)


def receiver_key(
    folder: MemberFolder,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a member's first receiver key, in its folder, and the public file for its operator.

    Only members that a dealer made, by 'alliance init' without request files, have none: keys cannot be
    handed on to them, nor by them. Each later key comes by itself.
    """
    from alliance.changes.offering import offer_receiver

    member, secret = unlock_member(folder, passphrase_file)
    path = offer_receiver(folder, secret)
    with reporting(f"written to {path}"):
        if output is Format.JSON:
            emit({"file": str(path), "member": member.name, "organisation": member.organisation})
            return
        say(f"The receiver key of '{member.name}' is in {folder}, encrypted.")
        say(f"  {path}   public")
        say(f"Next: the operator of '{member.organisation}' brings it in:")
        say(f"  alliance member receiver A-CLIENT'S-FOLDER {path} --operator operator.pem")


def receiver(
    folder: Carrier,
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What 'alliance member receiver-key' made.", show_default=False),
    ],
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Bring in a member's first receiver key. Its organisation's operator decides that alone."""
    from alliance.changes import operator_drafting
    from alliance.changes.offered_keys import read_offered_receiver
    from alliance.config import file as config
    from alliance.founding.party import largest_key
    from quorum.receivers import receiver_bits

    offered = read_offered_receiver(path)
    bits = receiver_bits(largest_key(config.load(folder)))
    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: operator_drafting.set_receiver(state, offered, str(path), bits),
    )
