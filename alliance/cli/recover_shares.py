"""``alliance recover deal``, ``sign`` and ``finish``: with the shares that are left, to those who go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from alliance.cli import passphrase
from alliance.cli.members import unlock_member
from alliance.cli.output import (
    Format,
    Output,
    check_writable,
    emit,
    lesson,
    prose,
    reporting,
    say,
    write_file,
)
from alliance.cli.request import OperatorPassphraseFile, operator_key
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.recovery.ceremony import Conclusion
    from alliance.recovery.holding import Holder
    from alliance.recovery.parts import Approval, Dealing, Share
    from alliance.recovery.report import Furthest

Part = TypeVar("Part", "Approval", "Dealing", "Share")

EXITS = "2 a file, folder, key or passphrase is wrong, or the act cannot be: the line says which  ·  4 the"
EXITS += " journal is damaged, or in use by a running server"
DEAL_EPILOG = lesson(
    """
    alliance recover deal members/member-1 member-1.report farm.recovery *.approval
    alliance recover deal member-5.backup member-1.report farm.recovery *.approval --operator operator.pem
    """,
    f"0 dealt  ·  {EXITS}  ·  9 dealt, but the report was not taken",
)
SIGN_EPILOG = lesson(
    """
    alliance recover sign members/member-1 member-1.report *.dealing
    alliance recover sign member-5.backup member-1.report *.dealing --operator operator.pem
    """,
    f"0 signed  ·  {EXITS}  ·  9 signed, but the report was not taken",
)
FINISH_EPILOG = lesson(
    """
    alliance recover finish members/member-1 member-1.report *.dealing *.share
    """,
    f"0 the member is in the next epoch, now or before  ·  {EXITS}  ·  9 so, but the report was not taken",
)
Act = Annotated[Path, typer.Argument(metavar="ACT", help="The file of 'recover plan'.", show_default=False)]
Report = Annotated[
    Path,
    typer.Argument(metavar="REPORT", help="The report that 'recover plan' named.", show_default=False),
]
HolderPath = Annotated[
    Path,
    typer.Argument(metavar="HOLDER", help="A survivor's folder, or a share backup.", show_default=False),
]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="What the others have made.", show_default=False)
]
To = Annotated[
    Path | None, typer.Option("--to", metavar="F", help="The new file.", show_default="NAME and its kind")
]
Operator = Annotated[
    Path | None,
    typer.Option("--operator", metavar="F", help="The operator.pem that opens a backup.", show_default=False),
]


def register(group: typer.Typer) -> None:
    for command, epilog in ((deal, DEAL_EPILOG), (sign, SIGN_EPILOG), (finish, FINISH_EPILOG)):
        group.command(command.__name__, help=prose(command), epilog=epilog)(command)


def deal(
    holder: HolderPath,
    given: Report,
    path: Act,
    approvals: Files,
    operator: Operator = None,
    to: To = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Deal a member's shares to the new members, by an act that enough operators approve of.

    The new file is public: its shares are sealed to the new members. It promises nothing yet. A quorum's
    shares have to be dealt; then all holders sign, with the same files.
    """
    from alliance.recovery import ceremony
    from alliance.recovery.act_file import read_act
    from alliance.recovery.parts import Approval, Dealing
    from alliance.recovery.report import read_report

    act, log = read_act(path), read_report(given).log
    ceremony.require_file(log, act)
    agreed = ceremony.enough(log, act.act, _parts(Approval, approvals))
    held = _holder(holder, log, operator, operator_passphrase_file, passphrase_file)
    written = free(to, f"{held.member}{Dealing.SUFFIX}")
    made = held.deal(log, act.act, agreed)
    write_file(written, made.to_json().encode())
    with reporting(f"the dealing of '{held.member}' is {written}"):
        tell_written(output, held.member, written, "has dealt", act.act.digest)


def sign(
    holder: HolderPath,
    given: Report,
    dealings: Files,
    operator: Operator = None,
    to: To = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Give a share of the signature on the next membership, when a quorum's shares have been dealt.

    Everything is computed anew from the files, and nothing is believed. From here on a survivor's server does
    not start any more before 'recover finish', and signs no other act: its journal remembers.
    """
    from alliance.recovery.parts import Share
    from alliance.recovery.report import read_report

    log = read_report(given).log
    concluded = _concluded(log, dealings)
    held = _holder(holder, log, operator, operator_passphrase_file, passphrase_file)
    written = free(to, f"{held.member}{Share.SUFFIX}")
    made = held.sign(concluded)
    write_file(written, made.to_json().encode())
    with reporting(f"the share of '{held.member}' is {written}"):
        tell_written(output, held.member, written, "has signed", made.act)


def finish(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A survivor's folder, or one of 'alliance request'.", show_default=False
        ),
    ],
    given: Report,
    files: Files,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Take a member's folder into the next epoch: its shares, its journal, alliance.toml.

    FILE… are all dealings, and a quorum's shares. Old shares in DIR are erased; backups of them are to be
    destroyed, and the disks of lost members, should they turn up. Typed again, it changes nothing.
    """
    from alliance.keys import folder as keys
    from alliance.recovery import finish as finishing
    from alliance.recovery.parts import Dealing, Share
    from alliance.recovery.report import read_report

    log = read_report(given).log
    name = keys.load_name(folder, "member")
    concluded = _concluded(log, [one for one in files if one.suffix == Dealing.SUFFIX])
    shares = _parts(Share, [one for one in files if one.suffix != Dealing.SUFFIX])
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {name}")
    done = finishing.finish(folder, concluded, shares, secret)
    with reporting(f"'{name}' is in epoch {done.config.epoch}"):
        if output is Format.JSON:
            told = {"folder": str(folder), "member": name, "epoch": done.config.epoch, "anew": done.anew}
            emit(told | {"act": concluded.act.digest.hex(), "start": done.config.start})
            return
        verb = "is now" if done.anew else "already is"
        say(f"'{name}' {verb} in epoch {done.config.epoch}, which begins behind slot {done.config.start}.")
        say("Next, when all have finished:")
        say(f"  alliance serve {folder}")


def _holder(
    path: Path,
    log: Furthest,
    operator: Path | None,
    operator_passphrase_file: Path | None,
    passphrase_file: Path | None,
) -> Holder:
    from alliance.recovery.holding import Holder

    if path.is_dir():
        _, secret = unlock_member(path, passphrase_file)
        return Holder.of_folder(path, log, secret)
    if operator is None:
        raise ConfigError(f"{path} is no folder; a backup needs --operator, the operator.pem that opens it")
    return Holder.of_backup(path, log, operator_key(operator, operator_passphrase_file))


def _concluded(log: Furthest, dealings: Sequence[Path]) -> Conclusion:
    from alliance.recovery import ceremony
    from alliance.recovery.parts import Dealing

    return ceremony.conclude(log, _parts(Dealing, dealings))


def _parts(kind: type[Part], paths: Sequence[Path]) -> list[Part]:
    return [kind.read(path) for path in paths]


def free(to: Path | None, name: str) -> Path:
    path = Path(name) if to is None else to
    check_writable(path, force=False)
    return path


def tell_written(output: Format, who: str, written: Path, what: str, act: bytes) -> None:
    if output is Format.JSON:
        emit({"name": who, "file": str(written), "act": act.hex()})
        return
    say(f"'{who}' {what}.")
    say(f"  {written}   public")
