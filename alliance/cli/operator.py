"""``alliance operator``: whose keys decide about the alliance, as its operators decide together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Days, DryRun, OperatorOption, Proposer, Timeout, To, Ways
from alliance.cli.client import Carrier
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say
from alliance.cli.request import OperatorPassphraseFile, alliance_named

if TYPE_CHECKING:
    from alliance.changes.operator_drafting import Offered

KEY_EPILOG = lesson(
    """
    alliance operator key north --alliance farm/alliance.toml
    alliance operator key north --alliance farm/alliance.toml --directory new-key
    """,
    "0 made  ·  2 refused, and nothing was written  ·  9 made, but the report was not taken",
)
ADD_EPILOG = lesson(
    """
    alliance operator add farm/clients/client-1 emil.request --operator operator.pem
    alliance operator add farm/clients/client-1 east/east.operator --organisation north --to east.change
    """,
    changing.EXITS,
)
ROTATE_EPILOG = lesson(
    """
    alliance operator rotate farm/clients/client-1 new-key/north.operator --operator old/operator.pem
    """,
    changing.EXITS,
)
REMOVE_EPILOG = lesson(
    """
    alliance operator remove farm/clients/client-1 east --operator operator.pem
    alliance operator remove farm/clients/client-1 east --faulty 0 --organisation north --dry-run
    """,
    changing.EXITS,
)
KeyFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…",
        help="What 'alliance operator key' made; or a member's request, which has its operator's key.",
        show_default=False,
    ),
]
Faulty = Annotated[
    int | None,
    typer.Option(
        "--faulty",
        metavar="N",
        help="So many operators' keys may be lost or stolen from then on.",
        show_default="as now",
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=prose(_operator), rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_operator)
    for command, epilog in (
        (key, KEY_EPILOG),
        (add, ADD_EPILOG),
        (rotate, ROTATE_EPILOG),
        (remove, REMOVE_EPILOG),
    ):
        group.command(command.__name__, help=prose(command), epilog=epilog)(command)
    app.add_typer(group, name="operator")


def _operator() -> None:
    """Add, rotate and remove the operators' keys of organisations, while the alliance runs.

    They decide about members, operators and policy, several together, and have a kind of change of their own:
    members change by another one. Of o operators, of whom f may be faulty, the greater of f+1 and (o+f)/2+1,
    rounded down, must approve. When so many keys are lost that the rest are too few, nothing of this can be
    changed any more, for ever: rotate a lost key while there are enough.
    """


def key(
    organisation: Annotated[
        str, typer.Argument(metavar="ORGANISATION", help="Whose operator it is.", show_default=False)
    ],
    existing: Annotated[
        str,
        typer.Option(
            "--alliance",
            metavar="F|ID",
            help="The alliance.toml, or the alliance_id, of the alliance.",
            show_default=False,
        ),
    ],
    directory: Annotated[
        Path | None,
        typer.Option("--directory", metavar="DIR", help="The new folder.", show_default="ORGANISATION"),
    ] = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Make an operator's key, and the file by which the other operators bring it in.

    For an organisation that is to come, or that needs another key because the old one is lost or was stolen.
    operator.pem stays with whoever is the operator, offline, encrypted with the passphrase; the other file is
    public.
    """
    from alliance.changes.offering import offer_operator
    from alliance.keys.folder import OPERATOR

    alliance_id, _ = alliance_named(existing)
    folder = Path(organisation) if directory is None else directory
    secret = passphrase.obtain(
        passphrase_file, prompt=f"Passphrase for the operator's key of {organisation}", confirm=True
    )
    path = offer_operator(folder, organisation, alliance_id, secret)
    with reporting(f"the key is in {folder}"):
        if output is Format.JSON:
            emit({"file": str(path), "organisation": organisation, "operator_key": str(folder / OPERATOR)})
            return
        say(f"The key of the operator of '{organisation}' is in {folder}, encrypted.")
        say(f"  {folder / OPERATOR}   keep it elsewhere, offline")
        say(f"  {path}   public")
        say("Next: an operator proposes it, by 'alliance operator add', or 'rotate' for another key:")
        say(f"  alliance operator add A-CLIENT'S-FOLDER {path} --operator operator.pem")


def add(
    folder: Carrier,
    paths: KeyFiles,
    faulty: Faulty = None,
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
    """Bring organisations in, by their operators' keys. Their members come by 'alliance member add' then.

    With more operators, more of their keys may be lost or stolen: say so by --faulty.
    """
    from alliance.changes import operator_drafting

    added = _read(paths)
    changing.propose(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        organisation,
        days,
        lambda state, proposer, until_ms: operator_drafting.operators(
            state, proposer, until_ms, added=added, faulty=faulty
        ),
    )


def rotate(
    folder: Carrier,
    paths: KeyFiles,
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
    """Give organisations another operator's key. The old one is never admitted again.

    If the old key is lost, another organisation proposes it. What is open by then is proposed anew: it was
    approved of by other keys.
    """
    from alliance.changes import operator_drafting

    rotated = _read(paths)
    changing.propose(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        organisation,
        days,
        lambda state, proposer, until_ms: operator_drafting.operators(
            state, proposer, until_ms, rotated=rotated
        ),
    )


def remove(
    folder: Carrier,
    names: Annotated[
        list[str], typer.Argument(metavar="ORGANISATION…", help="Whose operators go.", show_default=False)
    ],
    faulty: Faulty = None,
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
    """Remove organisations, with their operators and all their clients. Their members have left before.

    With fewer operators, fewer of their keys may be lost or stolen: say so by --faulty.
    """
    from alliance.changes import operator_drafting

    changing.propose(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        organisation,
        days,
        lambda state, proposer, until_ms: operator_drafting.operators(
            state, proposer, until_ms, removed=names, faulty=faulty
        ),
    )


def _read(paths: list[Path]) -> list[Offered]:
    from alliance.changes.offered_keys import read_operator

    return [(str(path), read_operator(path)) for path in paths]
