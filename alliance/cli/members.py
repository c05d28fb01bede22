"""From a member's folder to its keys: what serve, step-down and alarms begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from alliance.cli import passphrase

if TYPE_CHECKING:
    from alliance.config.file import AllianceConfig
    from alliance.config.parties import Member, Party

MemberFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="A member's folder: …/members/NAME.", show_default=False)
]

ServerAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Where its server listens, if not at the address in alliance.toml.",
        show_default=False,
    ),
]


def unlock_member(folder: Path, passphrase_file: Path | None) -> tuple[Member, bytes]:
    """Whose folder it is, and its passphrase; a folder that is none is refused before anybody is asked."""
    from alliance.config import file as config
    from alliance.keys import folder as keys

    _, member = keys.member_party(config.load(folder), folder)
    return member, passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")


def party_of(folder: Path, config: AllianceConfig) -> Party:
    """Whose folder it is: a member's, one's that asks for a place, or one's that had one.

    Raises ConfigError.
    """
    from alliance.founding import join, party
    from alliance.keys import folder as keys
    from alliance.keys.revision import load_founded

    name = keys.load_name(folder, "member")
    if party.request_file(folder, name).exists():
        return join.own_request(folder).party
    founded = {one.name: one.identity for one in config.founding.members}
    now = {one.name: one for one in config.members}.get(name)
    if name not in founded or (now is not None and now.identity == founded[name]):
        return keys.member_party(config, folder)[1]
    return keys.member_party(load_founded(folder), folder)[1]  # under its name is somebody else, or nobody
