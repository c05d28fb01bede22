"""``alliance client``: who may use the alliance, as its organisations decide, each about its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import DryRun, OperatorOption, Timeout, To, Ways
from alliance.cli.output import Format, Output, lesson, prose
from alliance.cli.request import OperatorPassphraseFile
from alliance.errors import ConfigError

ADD_EPILOG = lesson(
    """
    alliance client add farm/clients/client-1 carola.request --operator operator.pem
    alliance client add farm/clients/client-1 carola.request --to carola.change
    alliance client add farm/clients/client-1 carola.request --dry-run
    """,
    changing.EXITS,
)
REMOVE_EPILOG = lesson(
    """
    alliance client remove farm/clients/client-1 carola --operator operator.pem
    alliance client remove farm/clients/client-1 carola dieter --to leave.change
    """,
    changing.EXITS,
)
ROTATE_EPILOG = lesson(
    """
    alliance client rotate farm/clients/client-1 new/carola.request --operator operator.pem
    """,
    changing.EXITS,
)
LIMIT_EPILOG = lesson(
    """
    alliance client limit farm/clients/client-1 carola --waiting 16 --operator operator.pem
    alliance client limit farm/clients/client-1 carola --bytes 1000000 --operator operator.pem
    """,
    changing.EXITS,
)
Carrier = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="The folder of any client: it reads the log, and carries.", show_default=False
    ),
]
RequestFile = Annotated[
    Path,
    typer.Argument(
        metavar="REQUEST", help="What 'alliance request NAME --client --alliance …' made.", show_default=False
    ),
]
Waiting = Annotated[
    int | None,
    typer.Option(
        "--waiting",
        metavar="N",
        help="So many of its submissions wait at a member at most.",
        show_default="as many as there may be",
    ),
]
Bytes = Annotated[
    int | None,
    typer.Option(
        "--bytes",
        metavar="N",
        help="So many bytes of it wait at a member at most.",
        show_default="as many as there may be",
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=prose(_client), rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_client)
    group.command("add", help=prose(add), epilog=ADD_EPILOG)(add)
    group.command("remove", help=prose(remove), epilog=REMOVE_EPILOG)(remove)
    group.command("rotate", help=prose(rotate), epilog=ROTATE_EPILOG)(rotate)
    group.command("limit", help=prose(limit), epilog=LIMIT_EPILOG)(limit)
    app.add_typer(group, name="client")


def _client() -> None:
    """Add, remove, rotate and limit clients, while the alliance runs.

    A client belongs to an organisation, whose operator decides about it alone. With --operator the change is
    signed, sent and waited for. Without, it is written to a file, for the operator to sign offline by
    'alliance change approve', and for 'alliance change propose' to send. It takes effect 128 slots after it
    was ordered; an idle alliance fills them within a second.
    """


def add(
    folder: Carrier,
    path: RequestFile,
    waiting: Waiting = None,
    size: Bytes = None,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Bring a client in that has made its own keys, by its request file.

    The client makes it by 'alliance request NAME --client --alliance F --organisation ORG', and reads its
    fingerprint out by telephone, which 'alliance request --show' tells here. When the change is in effect,
    DIR knows of the client: 'alliance join ITS-FOLDER DIR' completes the client's own folder.
    """
    from alliance.changes import drafting
    from alliance.founding.by_request import read_request
    from consensus.control.rows import ClientLimits

    request = read_request(path)
    limits = drafting.checked(lambda: ClientLimits(**_limits(waiting, size)))
    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: drafting.add_client(state, request, str(path), limits),
    )


def remove(
    folder: Carrier,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Clients of one organisation.", show_default=False)
    ],
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Remove clients, for good: their keys are never admitted again, and their names are free.

    What they have in the log stays, and its receipts are valid forever. What they submit from then on is
    refused.
    """
    from alliance.changes import drafting

    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: drafting.remove_clients(state, names),
    )


def rotate(
    folder: Carrier,
    path: RequestFile,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Give a client another key, of a new request under its name. Its limits stay.

    The old key is out in the slot in which the new one is in, and is never admitted again. So is whatever
    was signed with it and not ordered by then: let the client finish its work first, unless the key was
    stolen.
    """
    from alliance.changes import drafting
    from alliance.founding.by_request import read_request

    request = read_request(path)
    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: drafting.rotate_client(state, request, str(path)),
    )


def limit(
    folder: Carrier,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client.", show_default=False)],
    waiting: Waiting = None,
    size: Bytes = None,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Limit how much of a client's work waits at each member, for its turn in the log.

    More is refused as BUSY, and its library tries again. What is not named stays as it is.
    """
    from alliance.changes import drafting

    changes = _limits(waiting, size)
    if not changes:
        raise ConfigError("say what to limit: --waiting, --bytes or both")
    changing.make(
        Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run),
        lambda state: drafting.limit_client(state, name, changes),
    )


def _limits(waiting: int | None, size: int | None) -> dict[str, int]:
    given = {"waiting": waiting, "waiting_bytes": size}
    return {key: value for key, value in given.items() if value is not None}
