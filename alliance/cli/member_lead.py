"""``alliance member suspend`` and ``reinstate``: who leads, as the operators decide together."""

from __future__ import annotations

from typing import Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Days, DryRun, OperatorOption, Proposer, Timeout, To, Ways
from alliance.cli.client import Carrier
from alliance.cli.output import Format, Output, lesson, prose
from alliance.cli.request import OperatorPassphraseFile

SUSPEND_EPILOG = lesson(
    """
    alliance member suspend farm/clients/client-1 anna --operator operator.pem
    alliance member suspend farm/clients/client-1 anna --reinstate bert --operator operator.pem
    """,
    changing.EXITS,
)
REINSTATE_EPILOG = lesson(
    """
    alliance member reinstate farm/clients/client-1 anna --operator operator.pem
    """,
    changing.EXITS,
)
Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Members.", show_default=False)]


def register(group: typer.Typer) -> None:
    group.command("suspend", help=prose(suspend), epilog=SUSPEND_EPILOG)(suspend)
    group.command("reinstate", help=prose(reinstate), epilog=REINSTATE_EPILOG)(reinstate)


def suspend(
    folder: Carrier,
    names: Names,
    reinstated: Annotated[
        list[str] | None,
        typer.Option("--reinstate", metavar="NAME", help="Who leads again instead.", show_default=False),
    ] = None,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Keep members from leading, at once: one is slow, or nobody knows any more who has its key.

    It takes few operators: one more than may be faulty. Votes and shares of a suspended member still count,
    so it can do no harm that its key could not do anyway, and none as a leader. At most as many are suspended
    as members may be faulty; exchanging one for another takes as many operators as any other change.
    """
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _lead(ways, organisation, days, names, reinstated or [])


def reinstate(
    folder: Carrier,
    names: Names,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Let suspended members lead again."""
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _lead(ways, organisation, days, [], names)


def _lead(ways: Ways, organisation: str | None, days: int, suspended: list[str], again: list[str]) -> None:
    from alliance.changes import member_drafting

    changing.propose(
        ways,
        organisation,
        days,
        lambda state, proposer, until_ms: member_drafting.lead(state, proposer, suspended, again, until_ms),
    )
