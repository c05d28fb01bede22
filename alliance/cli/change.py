"""``alliance change``: what operators decide about the alliance: written, signed offline, sent, looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.change_show import show
from alliance.cli.change_sign import ABORT_EPILOG, APPROVE_EPILOG, Change, abort, approve
from alliance.cli.changing import Days, DryRun, OperatorOption, Proposer, Timeout, To, Ways
from alliance.cli.client import Carrier
from alliance.cli.output import (
    Format,
    Output,
    lesson,
    prose,
)
from alliance.cli.request import OperatorPassphraseFile
from alliance.errors import ConfigError

ADDRESS_EPILOG = lesson(
    """
    alliance change address farm/clients/client-1 anna anna.example:7500 --operator operator.pem
    alliance change address farm/clients/client-1 anna --application kv=kv.example:7600 --to anna.change
    """,
    changing.EXITS,
)
POLICY_EPILOG = lesson(
    """
    alliance change policy farm/clients/client-1 --organisation north --clients-max 100 --to policy.change
    alliance change policy farm/clients/client-1 --faulty 1 --operator operator.pem
    alliance change policy farm/clients/client-1 --refresh-days 30 --operator operator.pem
    """,
    changing.EXITS,
)
PROPOSE_EPILOG = lesson(
    """
    alliance change propose farm/clients/client-1 north-1.change north-1.change.north.approval
    alliance change propose farm/clients/client-1 policy.change policy.change.*.approval -o json
    """,
    changing.EXITS,
)
SIMULATE_EPILOG = lesson(
    """
    alliance change simulate farm/clients/client-1 policy.change
    alliance change simulate farm/clients/client-1 policy.change policy.change.*.approval
    """,
    "0 the members would take it  ·  2 file, folder or key is wrong  ·  5 no server reachable  ·  6 they"
    " would refuse it: the line says why",
)
SHOW_EPILOG = lesson(
    """
    alliance change show policy.change
    alliance change show farm/clients/client-1
    alliance change show farm/clients/client-1 --watch
    """,
    "0 told  ·  2 file, folder or key is wrong  ·  5 no server reachable",
)
Approvals = Annotated[
    list[Path] | None,
    typer.Argument(metavar="APPROVAL…", help="What operators have signed of it.", show_default=False),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=prose(_change), rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_change)
    for command, epilog in (
        (address, ADDRESS_EPILOG),
        (policy, POLICY_EPILOG),
        (approve, APPROVE_EPILOG),
        (abort, ABORT_EPILOG),
        (propose, PROPOSE_EPILOG),
        (simulate, SIMULATE_EPILOG),
        (show, SHOW_EPILOG),
    ):
        group.command(command.__name__, help=prose(command), epilog=epilog)(command)
    app.add_typer(group, name="change")


def _change() -> None:
    """Change the alliance, by the decision of its organisations' operators.

    What is an organisation's own, its members' addresses and its clients ('alliance client'), its operator
    changes alone. The policy is changed by several operators together, and so are members ('alliance
    member', 'alliance refresh') and operators ('alliance operator'). A change is written to a file, which
    each operator reads and signs offline; whoever is a client sends it. Members take nothing but the
    operators' signatures for it, and all of it stands in the log.
    """


def address(
    folder: Carrier,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member.", show_default=False)],
    place: Annotated[
        str | None,
        typer.Argument(metavar="HOST:PORT", help="Where others reach it from then on.", show_default=False),
    ] = None,
    application: Annotated[
        list[str] | None,
        typer.Option(
            "--application",
            metavar="NAME=HOST:PORT",
            help="Where an application of it answers; NAME= takes it from the list.",
            show_default=False,
        ),
    ] = None,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Say where a member, or an application of it, answers from now on.

    Its organisation's operator decides that alone. The server should answer at both places until the change
    is in effect.
    """
    from alliance.changes import drafting

    applications = dict(map(_application, application or []))
    if place is None and not applications:
        raise ConfigError("say what is elsewhere: HOST:PORT of the member, or --application NAME=HOST:PORT")
    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: drafting.set_address(state, member, place, applications),
    )


def policy(
    folder: Carrier,
    organisation: Proposer = None,
    faulty: Annotated[
        int | None,
        typer.Option(
            "--faulty", metavar="N", help="So many operators' keys may be lost or stolen.", show_default=False
        ),
    ] = None,
    clients_max: Annotated[
        int | None,
        typer.Option(
            "--clients-max", metavar="N", help="So many clients an organisation has.", show_default=False
        ),
    ] = None,
    attempt_seconds: Annotated[
        int | None,
        typer.Option(
            "--attempt-seconds",
            metavar="N",
            help="So long an attempt at handing the keys on has.",
            show_default=False,
        ),
    ] = None,
    refresh_days: Annotated[
        int | None,
        typer.Option(
            "--refresh-days",
            metavar="N",
            help="The shares are refreshed so often by themselves; 0 for never.",
            show_default=False,
        ),
    ] = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Propose another policy to all operators: it is in effect when enough of them have approved.

    Of o operators, of whom f may be faulty, the greater of f+1 and (o+f)/2+1, rounded down, must. The
    proposal is void when the policy or the operators have changed meanwhile, and after --days of the
    alliance's own time. The file is for the others, who approve by 'alliance change approve'. What is not
    named stays. How many members may be faulty is another matter: 'alliance member add --faulty'.
    """
    from alliance.changes import drafting

    given = {
        "faulty": faulty,
        "clients_max": clients_max,
        "attempt_seconds": attempt_seconds,
        "refresh_days": refresh_days,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise ConfigError(
            "say what is to be another policy: --faulty, --clients-max, --attempt-seconds, --refresh-days"
        )
    changing.propose(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        organisation,
        days,
        lambda state, proposer, until_ms: drafting.set_policy(state, proposer, changes, until_ms),
    )


def propose(
    folder: Carrier,
    path: Change,
    approvals: Approvals = None,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Send a change that its operator has signed, and what others have signed of it.

    DIR's client carries it; whose client that is does not matter. Typed again, with further approvals or
    without, it sends what the log does not have yet. Ends when all of it is ordered and, if nothing is
    missing any more, the change is in effect.
    """
    from alliance.changes.approval import read_approval
    from alliance.changes.change_file import read_change

    change = read_change(path)
    signed = [(str(one), read_approval(one)) for one in approvals or []]
    if not signed:
        raise ConfigError(
            f"nothing is signed: the operator of '{change.organisation}' signs {path} by 'alliance change"
            f" approve {path} --operator operator.pem'; name the file that this makes, too"
        )
    changing.send(Ways(folder, passphrase_file, output, timeout), change, signed)


def simulate(
    folder: Carrier,
    path: Change,
    approvals: Approvals = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Say what a change would do, and what would be missing, if it were sent now. Nothing is.

    Computed here from the log, by the members' own rules. Whose signature is not among the files counts as if
    it were there, for what the change does.
    """
    from alliance.changes.approval import read_approval
    from alliance.changes.change_file import read_change

    change = read_change(path)
    ways = Ways(folder, passphrase_file, output, dry_run=True)
    changing.send(ways, change, [(str(one), read_approval(one)) for one in approvals or []])


def _application(text: str) -> tuple[str, str | None]:
    """NAME=HOST:PORT, or NAME= to take it away. Raises ConfigError."""
    name, equals, place = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--application {text!r:.80}: write NAME=HOST:PORT, or NAME= to take it away")
    return name, place or None
