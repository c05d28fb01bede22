"""``alliance change approve`` and ``abort``: what an operator signs, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import changing, passphrase
from alliance.cli.changing import Timeout, Ways
from alliance.cli.output import Format, Output, check_writable, emit, lesson, reporting, say, write_file
from alliance.cli.request import OperatorPassphraseFile, operator_key
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.changes.approval import Approval
    from alliance.changes.change_file import ChangeFile

APPROVE_EPILOG = lesson(
    """
    alliance change approve policy.change --operator operator.pem
    alliance change approve policy.change --operator operator.pem --send farm/clients/client-1
    """,
    "0 signed, and sent if that was asked for  ·  2 file, key or passphrase is wrong  ·  with --send also 3,"
    " 5, 6 as 'change propose'  ·  9 signed, but the report was not taken",
)
ABORT_EPILOG = lesson(
    """
    alliance change abort policy.change --operator operator.pem --send farm/clients/client-1
    """,
    "0 signed, and sent if that was asked for  ·  2 file, key or passphrase is wrong  ·  with --send also 3,"
    " 5, 6 as 'change propose'  ·  9 signed, but the report was not taken",
)
Change = Annotated[Path, typer.Argument(metavar="CHANGE", help="The change file.", show_default=False)]
Signer = Annotated[
    Path,
    typer.Option("--operator", metavar="F", help="The operator.pem of the organisation.", show_default=False),
]
Organisation = Annotated[
    str | None,
    typer.Option(
        "--organisation",
        metavar="NAME",
        help="Whose operator it is.",
        show_default="as the change lists the key",
    ),
]
SignedTo = Annotated[
    Path | None,
    typer.Option("--to", metavar="F", help="The new file.", show_default="CHANGE.ORGANISATION.approval"),
]
Send = Annotated[
    Path | None,
    typer.Option(
        "--send", metavar="DIR", help="Send it at once, by this client's folder.", show_default=False
    ),
]


def approve(
    path: Change,
    operator: Signer,
    organisation: Organisation = None,
    to: SignedTo = None,
    send: Send = None,
    timeout: Timeout = 30.0,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Sign a change as an operator, offline. Read first what it says: 'alliance change show CHANGE'.

    Needs nothing but the file and the key, and reaches nobody, unless --send says by which client. Of the
    operator's own change this is the signature without which it is none; of another one's it is an approval.
    The new file is public, and good for this change alone.
    """
    ways = Ways(send or Path(), passphrase_file, output, timeout, operator, operator_passphrase_file, to)
    _sign(ways, path, organisation, send=send is not None, is_abort=False)


def abort(
    path: Change,
    operator: Signer,
    organisation: Organisation = None,
    to: SignedTo = None,
    send: Send = None,
    timeout: Timeout = 30.0,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Sign, offline, that a proposal is to end.

    Whoever has proposed it withdraws it alone; others end it when as many want that as could approve it. What
    is in effect nobody stops: propose the opposite.
    """
    ways = Ways(send or Path(), passphrase_file, output, timeout, operator, operator_passphrase_file, to)
    _sign(ways, path, organisation, send=send is not None, is_abort=True)


def _sign(ways: Ways, path: Path, organisation: str | None, *, send: bool, is_abort: bool) -> None:
    from alliance.changes import approval
    from alliance.changes.change_file import read_change

    change = read_change(path)
    if ways.operator is None:
        raise ConfigError("name the key with --operator")
    if ways.to is not None:
        check_writable(ways.to, force=False)
    key = operator_key(ways.operator, ways.operator_file)
    signer = approval.organisation_of(change, key, organisation)
    signed = approval.sign(change, key, signer, abort=is_abort)
    if send:
        changing.send(ways, change, [(str(ways.operator), signed)])
        return
    suffix = ".abort" if is_abort else approval.SUFFIX
    written = ways.to or path.with_name(f"{path.name}.{signer}{suffix}")
    check_writable(written, force=False)
    write_file(written, signed.to_toml().encode())
    with reporting(f"{written} is signed"):
        _tell_signed(ways, path, written, signed, change)


def _tell_signed(ways: Ways, path: Path, written: Path, signed: Approval, change: ChangeFile) -> None:
    from alliance.changes.progress import in_lines

    if ways.output is Format.JSON:
        emit(
            {
                "file": str(written),
                "says": signed.says,
                "organisation": signed.organisation,
                "digest": signed.change.hex(),
            }
        )
        return
    say(f"'{signed.organisation}' says '{signed.says}' of {path}:")
    for line in in_lines(change.operations, change.names):
        say(f"  {line}")
    say(f"  {written}   public")
    say("Next: any client sends it:")
    say(f"  alliance change propose A-CLIENT'S-FOLDER {path} {written}")
