"""``alliance share``: a member's shares of the alliance's keys, tried out, and their backups."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from alliance.cli import passphrase, share_backup
from alliance.cli.members import MemberFolder
from alliance.cli.output import Format, Output, emit, lesson, plural, prose, say

if TYPE_CHECKING:
    from alliance.keys.share_status import KeyStatus, ShareStatus

EPILOG = lesson(
    """
    alliance share status members/member-3
    alliance share status members/member-3 -o json | jq '.keys[].problem'
    """,
    "0 every share works  ·  2 folder or passphrase is wrong, or a share is missing, damaged, of another"
    " epoch, or does not work",
)
DAY_SECONDS = 86400


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="A member's shares.", rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_share)
    group.command("status", help=prose(status), epilog=EPILOG)(status)
    share_backup.register(group)
    app.add_typer(group, name="share")


def _share() -> None:
    """Look after a member's shares of the alliance's keys."""


def status(
    folder: MemberFolder,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Try out a member's shares, and say of which epoch they are and what lies beside them.

    Each share is opened, compared with its verification key, and signs something of no use, whose proof is
    checked as the other members would check it. All is done here: no server is asked or disturbed. What went
    out of use is listed as well: a share of an earlier epoch signs as well as ever, so it is to be erased,
    and so is every backup of it.
    """
    from alliance.config import file as config
    from alliance.errors import KeyFileError
    from alliance.keys import folder as keys
    from alliance.keys.share_status import share_status

    alliance = config.load(folder)
    index, member = keys.member_party(alliance, folder)
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")
    found = share_status(folder, alliance, index, secret)
    if output is Format.JSON:
        emit({"member": member.name, "ok": not found.problem} | dataclasses.asdict(found))
    else:
        for line in _lines(member.name, found, time.time()):
            say(line)
    if found.problem:
        raise KeyFileError(found.problem)


def _lines(member: str, found: ShareStatus, now: float) -> list[str]:
    present = f"the alliance's keys are of epoch {found.alliance_epoch}"
    lines = [f"{member} holds shares of epoch {found.epoch}; {present}"]
    for key in found.keys:
        lines += _of_key(key, now)
    for generation, what in found.others:
        lines.append(f"beside them: shares of generation {generation}, {what}")
    lines += [f"kept for a handover: the secret of the receiver's key {one}" for one in found.receivers]
    lines += [f"kept for a handover: what was dealt towards generation {one}" for one in found.dealings]
    if found.one_time_key:
        lines.append(
            "left from the founding: opening.pem, by which its shares open once more: 'alliance join' again"
            " erases it"
        )
    if (backup := found.backup) is not None:
        of = "the shares that count"
        if not backup.counts:
            of = f"generation {backup.generation}, which went out of use: destroy it, and make another"
        lines.append(f"last backup: made {backup.made}, of {of}")
    return lines


def _of_key(key: KeyStatus, now: float) -> list[str]:
    share = "no share" if key.index is None else f"share {key.index}"
    public = "public.pem" if key.purpose == "agreement" else f"public-{key.purpose}.pem"
    works = f"does not work: {key.problem}" if key.problem else "works"
    return [
        f"{key.purpose}: {share} of {key.parties}, any {key.threshold} sign; {_age(key, now)}; {works}",
        f"  key id {key.key_id}",
        f"  SHA-256 of {public} in DER {key.fingerprint}",
    ]


def _age(key: KeyStatus, now: float) -> str:
    if key.written is None:
        return "no file"
    days = max(int(now - key.written) // DAY_SECONDS, 0)
    date = datetime.fromtimestamp(key.written, UTC)
    ago = "today" if days == 0 else f"{plural(days, 'day')} ago"
    return f"written {date:%Y-%m-%d}, {ago}"
