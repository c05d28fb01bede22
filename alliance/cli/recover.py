"""``alliance recover``: the operators' act by which an alliance goes on that has lost too many members."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import passphrase, recover_shares
from alliance.cli.members import MemberFolder, unlock_member
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
from alliance.cli.recover_shares import EXITS, Act, Report, To, free, tell_written
from alliance.cli.request import OperatorPassphraseFile, operator_key
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.recovery.act_file import ActFile
    from alliance.recovery.report import Furthest

REPORT_EPILOG = lesson(
    "alliance recover report members/member-1 --to member-1.report",
    f"0 written  ·  {EXITS}  ·  9 written, but the report was not taken",
)
PLAN_EPILOG = lesson(
    """
    alliance recover plan farm.recovery *.report --replace member-5.request --replace member-6.request
    alliance recover plan farm.recovery *.report --remove member-5 --remove member-6 --profile lean
    """,
    f"0 written  ·  {EXITS}  ·  9 written, but the report was not taken",
)
APPROVE_EPILOG = lesson(
    """
    alliance recover approve farm.recovery member-1.report --operator operator.pem
    alliance recover approve farm.recovery member-1.report --operator operator.pem --lost member-5,member-6
    """,
    f"0 signed  ·  {EXITS}  ·  9 signed, but the report was not taken",
)
Replace = Annotated[
    list[Path] | None,
    typer.Option(
        "--replace", metavar="REQUEST", help="A lost member's new request; repeatable.", show_default=False
    ),
]
Add = Annotated[
    list[Path] | None,
    typer.Option("--add", metavar="REQUEST", help="A member to come; repeatable.", show_default=False),
]
Remove = Annotated[
    list[str] | None,
    typer.Option("--remove", metavar="NAME", help="A member that goes; repeatable.", show_default=False),
]
Faulty = Annotated[
    int | None,
    typer.Option("--faulty", metavar="F", help="How many may be faulty then.", show_default="as now"),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="P", help="classic or lean.", show_default="as now"),
]
Reports = Annotated[
    list[Path], typer.Argument(metavar="REPORT…", help="Those of all survivors.", show_default=False)
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=prose(_recover), rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_recover)
    for command, epilog in (
        (report, REPORT_EPILOG),
        (plan, PLAN_EPILOG),
        (approve, APPROVE_EPILOG),
    ):
        group.command(command.__name__, help=prose(command), epilog=epilog)(command)
    recover_shares.register(group)
    app.add_typer(group, name="recover")


def _recover() -> None:
    """Go on with an alliance that has lost more members than it can decide without, for good.

    Survivors report how far their logs are certified; somebody plans the act, with the members to come;
    enough operators approve of it; the holders of a quorum's shares, survivors and whoever opens backups,
    deal and then sign; each new member finishes. Nothing reaches a server: all servers are stopped, and files
    go from hand to hand. What was decided behind the last slot that a survivor can prove is lost. If the
    members counted as lost are alive somewhere, and a quorum, there will be two alliances of one name and
    key.
    """


def report(
    folder: MemberFolder,
    to: To = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Write down how far a survivor's log is certified, with all that proves it. Its server is stopped.

    The file is public, as the log is, and may be large. Where the member has no receiver key that it could
    use, it makes one: its secret stays in DIR.
    """
    from alliance.recovery.report import SUFFIX, make_report, open_report

    member, secret = unlock_member(folder, passphrase_file)
    written = free(to, f"{member.name}{SUFFIX}")
    data = make_report(folder, secret)
    log = open_report(data, str(written)).log
    write_file(written, data)
    with reporting(f"the report of '{member.name}' is {written}"):
        if output is Format.JSON:
            emit({"file": str(written), "member": member.name} | _log_report(log))
            return
        say(f"The log of '{member.name}' is certified to slot {log.state.slot} of epoch {log.state.epoch}.")
        say(f"  {written}   public")


def plan(
    path: Annotated[Path, typer.Argument(metavar="ACT", help="The new file.", show_default=False)],
    reports: Reports,
    replace: Replace = None,
    add: Add = None,
    remove: Remove = None,
    faulty: Faulty = None,
    profile: Profile = None,
    output: Output = Format.TEXT,
) -> None:
    """Plan the act: of the longest report's log, with the members that are to be.

    Every survivor is to report: whoever does not counts as lost, and what its log alone has is lost with it.
    Refused where so many are there that the alliance decides by itself. New members ask by 'alliance request
    NAME --alliance F', with the keys of an organisation that the alliance has.
    """
    from alliance.founding.by_request import read_requests
    from alliance.recovery import ceremony
    from alliance.recovery.planning import Wanted, make_act
    from alliance.recovery.report import read_report

    check_writable(path, force=False)
    asked = read_requests([*(replace or []), *(add or [])])
    comes = {str(one) for one in add or []}
    wanted = Wanted(
        added=[(where, one) for where, one in asked.items() if where in comes],
        replaced=[(where, one) for where, one in asked.items() if where not in comes],
        removed=remove or (),
        faulty=faulty,
        profile=profile,
    )
    survivors = {where: read_report(where) for where in reports}
    log = ceremony.furthest(list(survivors.values()))
    made = make_act(log, list(survivors.values()), wanted)
    taken = next(where for where, one in survivors.items() if one.log is log)
    write_file(path, made.to_toml().encode())
    with reporting(f"the act is planned in {path}"):
        if output is Format.JSON:
            emit(_act_report(path, made) | {"report": str(taken)} | _log_report(log))
            return
        _tell_act(made)
        say("")
        say(f"  {path}   public")
        say(f"Next: send it, with {taken}, to all operators. Each reads it, compares its digest, and signs:")
        say(f"  alliance recover approve {path} {taken} --operator operator.pem --lost {','.join(made.lost)}")


def approve(
    path: Act,
    given: Report,
    operator: Annotated[
        Path,
        typer.Option(
            "--operator", metavar="F", help="The operator.pem of the organisation.", show_default=False
        ),
    ],
    lost: Annotated[
        str | None,
        typer.Option(
            "--lost",
            metavar="NAME,NAME",
            help="The members that you know to be lost for good: all that are no survivors.",
            show_default=False,
        ),
    ] = None,
    to: To = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Sign the act as an operator, offline.

    You answer for what no computer can know: that the members counted as lost will never come back. If they
    do, and are a quorum, there are two logs under one key. So name them with --lost; without it, the act is
    shown and nothing is signed. Sign no second act.
    """
    from alliance.recovery import ceremony
    from alliance.recovery.act_file import read_act
    from alliance.recovery.parts import Approval
    from alliance.recovery.report import read_report
    from consensus.control.recovery import RecoveryApproval

    act, log = read_act(path), read_report(given).log
    ceremony.require_file(log, act)
    if lost is None:
        _tell_act(act)
        raise ConfigError(
            f"nothing is signed: if all this is so, name whom you know to be lost for good: --lost"
            f" {','.join(act.lost)}"
        )
    if sorted(one.strip() for one in lost.split(",")) != sorted(act.lost):
        raise ConfigError(f"by this act {', '.join(act.lost)} are lost, you name others: nothing is signed")
    key = operator_key(operator, operator_passphrase_file)
    public = key.public_key().public_bytes_raw()
    names = [name for name, known in act.operators if known == public]
    if not names:
        raise ConfigError("this is the operator key of no organisation of the alliance")
    written = free(to, f"{names[0]}{Approval.SUFFIX}")
    signature = key.sign(act.act.message(act.alliance_id, names[0]))
    made = Approval(act.act.digest, RecoveryApproval(names[0], signature))
    write_file(written, made.to_json().encode())
    with reporting(f"the approval of '{names[0]}' is {written}"):
        tell_written(output, names[0], written, "has approved of the act", act.act.digest)


def _log_report(log: Furthest) -> dict[str, Any]:
    return {
        "alliance_id": log.config.alliance_id.hex(),
        "epoch": log.state.epoch,
        "slot": log.state.slot,
        "root": log.frontier.root.hex(),
    }


def _act_report(path: Path, made: ActFile) -> dict[str, Any]:
    return {
        "file": str(path),
        "digest": made.act.digest.hex(),
        "survivors": list(made.act.survivors),
        "lost": list(made.lost),
    }


def _tell_act(made: ActFile) -> None:
    from alliance.changes.operations import in_words
    from alliance.founding.request import grouped

    act = made.act
    say(f"By this act epoch {act.change.from_epoch} ends at slot {act.slot}.")
    say(f"  there     {', '.join(act.survivors)}")
    say(f"  lost      {', '.join(made.lost)}")
    for operation in act.change.operations:
        say(f"  then      {in_words(operation, {})}")
    say(f"  digest    {grouped(act.digest.hex())}")
    say(f"Whatever was decided behind slot {act.slot} is lost, and receipts for it are worth nothing.")
    say(f"If {' and '.join(made.lost)} come back, and were a quorum after all, one key has two logs.")
