"""``alliance share backup`` and ``check``: shares in a file that only an operator's offline key opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import passphrase
from alliance.cli.members import MemberFolder
from alliance.cli.output import (
    Format,
    Output,
    check_writable,
    emit,
    lesson,
    plural,
    prose,
    reporting,
    say,
    write_file,
)
from alliance.cli.request import OperatorPassphraseFile, operator_key
from alliance.errors import ConfigError, KeyFileError

if TYPE_CHECKING:
    from datetime import datetime

    from alliance.config.file import AllianceConfig
    from alliance.recovery.backup import ShareBackup

BACKUP_EPILOG = lesson(
    """
    alliance share backup members/member-3 --to member-3.backup
    """,
    "0 made  ·  2 folder or passphrase is wrong, or a share is missing or does not work, or the file cannot"
    " be written  ·  9 made, but the report was not taken",
)
CHECK_EPILOG = lesson(
    """
    alliance share check member-3.backup members/member-1
    alliance share check member-3.backup members/member-1 --operator operator.pem
    """,
    "0 it holds the shares that count  ·  2 it is of an earlier dealing, to be destroyed, or of another"
    " alliance, or damaged, or does not open with this key",
)
Backup = Annotated[
    Path, typer.Argument(metavar="BACKUP", help="A file of 'share backup'.", show_default=False)
]
Operator = Annotated[
    Path | None,
    typer.Option(
        "--operator",
        metavar="F",
        help="The operator.pem that opens it: then each share is tried out.",
        show_default=False,
    ),
]


def register(group: typer.Typer) -> None:
    group.command("backup", help=prose(backup), epilog=BACKUP_EPILOG)(backup)
    group.command("check", help=prose(check), epilog=CHECK_EPILOG)(check)


def backup(
    folder: MemberFolder,
    to: Annotated[
        Path, typer.Option("--to", metavar="F", help="The new file, not in DIR.", show_default=False)
    ],
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Seal a member's shares to the operator key of its organisation, in case too many members are lost.

    The file opens with that offline key alone, not with the folder's passphrase. It is for 'alliance
    recover', when more members are lost than the alliance can replace by its own decision; a single lost
    member needs no backup. Keep it apart from the member and from the key. After every change in which shares
    are dealt anew, make another one and destroy this one, and every copy of it: what is in it signs as ever,
    so it undoes what the erasure of old shares is for.
    """
    from alliance.config import file as config
    from alliance.keys import folder as keys
    from alliance.keys.channel import utc_now
    from alliance.keys.share_status import note_backup
    from alliance.recovery.backup import back_up

    alliance = config.load(folder)
    index, member = keys.member_party(alliance, folder)
    check_writable(to, force=False)
    if to.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{to} is in the folder that it is a backup of: name a file elsewhere")
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")
    made = back_up(folder, alliance, index, secret, utc_now())
    write_file(to, made.to_json().encode())
    with reporting(f"the shares of '{member.name}' are in {to}"):
        try:
            note_backup(folder, made.generation, made.time)
        except OSError as error:
            raise KeyFileError(f"{folder} cannot remember it: {error.strerror}") from None
        if output is Format.JSON:
            emit(_report(made, to))
            return
        say(
            f"{plural(len(made.keys), 'share')} of '{member.name}', dealing {made.generation.epoch}, in {to}."
        )
        say(f"It opens with the operator key of '{made.organisation}' alone:")
        say(f"  {made.operator.hex()}")
        say("Keep it apart from that key, and from the member. Destroy it as soon as shares are dealt anew.")


def check(
    path: Backup,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A folder with the present alliance.toml, of any party.", show_default=False
        ),
    ],
    operator: Operator = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Say whose shares a backup holds, how old it is, and whether it is of the present dealing.

    Without --operator nothing of it is opened, and what it says of itself is believed as far as it goes. With
    the key each share is opened, compared with its verification key and tried out.
    """
    from alliance.config import file as config
    from alliance.recovery.backup import read_backup

    found, alliance = read_backup(path), config.load(folder)
    problem = _problem(path, found, alliance, operator, operator_passphrase_file)
    if output is Format.JSON:
        emit(_report(found, path) | {"opened": operator is not None, "problem": problem})
    else:
        from alliance.keys.channel import utc_now

        say(f"{path}: shares of '{found.member}' ({found.organisation}), dealing {found.generation.epoch}")
        say(f"  made {found.made}, {_ago(found, utc_now())}; the alliance's dealing is {alliance.dealing}")
        say(f"  it opens with the operator key {found.operator.hex()}")
        if not problem:
            say("  every share works" if operator is not None else "  not opened: name --operator to try it")
    if problem:
        raise KeyFileError(problem)


def _problem(
    path: Path,
    found: ShareBackup,
    alliance: AllianceConfig,
    operator: Path | None,
    operator_passphrase_file: Path | None,
) -> str:
    try:
        found.require_current(alliance, str(path))
    except ConfigError as error:
        return str(error)
    if operator is not None:
        key = operator_key(operator, operator_passphrase_file)
        try:
            found.open(key, alliance, str(path))
        except KeyFileError as error:
            return str(error)
    return ""


def _ago(found: ShareBackup, now: datetime) -> str:
    days = max((now - found.time).days, 0)
    return "today" if days == 0 else f"{plural(days, 'day')} ago"


def _report(made: ShareBackup, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "alliance_id": made.alliance_id.hex(),
        "member": made.member,
        "organisation": made.organisation,
        "operator": made.operator.hex(),
        "dealing": made.generation.epoch,
        "attempt": made.generation.attempt,
        "made": made.made,
        "keys": [purpose for purpose, _ in made.keys],
    }
