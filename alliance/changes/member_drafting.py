"""From what somebody wants of the members to the change that does it: who leads, comes and goes, how many.

Each function raises ConfigError, with what to do, where the members would refuse the change anyway and a
person can be told why before anybody has signed anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alliance.changes.change_file import ChangeFile
from alliance.changes.drafting import admission, member, proposal
from alliance.config.parties import Member
from alliance.config.rows import member_row
from alliance.errors import ConfigError
from alliance.founding.request import Request
from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.operations import (
    ChangeOperation,
    DropMember,
    PutMember,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import MemberRow
from consensus.limits import DEALT_MEMBERS_MAX
from quorum.receivers import read_receiver
from quorum.system import LEAN, PROFILES, QuorumSystem, UnsatisfiableSizes, largest_faulty_max

Asked = tuple[str, Request]
"""A request, and the file that it is from."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to become of the members and their sizes, by one full change; nothing of it is a refresh.

    ``faulty`` and ``profile`` stay as they are where they are None.
    """

    added: Sequence[Asked] = ()
    replaced: Sequence[Asked] = ()
    removed: Sequence[str] = ()
    faulty: int | None = None
    profile: str | None = None


def lead(
    state: ControlState, organisation: str, suspended: Sequence[str], reinstated: Sequence[str], until_ms: int
) -> ChangeFile:
    """Members that lead no more, and such as lead again."""
    directory = state.directory
    now = set(directory.suspended)
    for name in dict.fromkeys(suspended):
        member(state, name)
        if name in now:
            raise ConfigError(f"'{name}' is suspended already")
    for name in dict.fromkeys(reinstated):
        member(state, name)
        if name not in now:
            raise ConfigError(f"'{name}' is not suspended: it may lead")
    after = (now - {*reinstated}) | {*suspended}
    if len(after) > directory.faulty_max:
        raise ConfigError(
            f"of {len(directory.members)} members that stand {directory.faulty_max} faulty ones, at most"
            f" {directory.faulty_max} are suspended at a time, and these would be {', '.join(sorted(after))}:"
            " reinstate one in the same change, by --reinstate, or replace it"
        )
    operations: list[ChangeOperation] = [Reinstate(name) for name in dict.fromkeys(reinstated)]
    operations += [Suspend(name) for name in dict.fromkeys(suspended)]
    return proposal(state, organisation, operations, until_ms, ChangeKind.LIGHT)


def members(
    state: ControlState,
    organisation: str,
    wanted: Wanted,
    receiver_bits: int,
    until_ms: int,
    *,
    must_resize: bool = False,
) -> ChangeFile:
    """Other members or sizes, or the same with new shares. ``receiver_bits``: a receiver key's at least.

    ``must_resize``: it is refused when the sizes are as wanted already.
    """
    rows = {row.name: row for row in state.directory.members}
    operations: list[ChangeOperation] = []
    for name in dict.fromkeys(wanted.removed):
        member(state, name)
        del rows[name]
        operations.append(DropMember(name))
    for comes, asked in ((False, wanted.replaced), (True, wanted.added)):
        for where, request in asked:
            if request.name in rows and comes:
                raise ConfigError(
                    f"{where}: there is a member '{request.name}' already: 'alliance member replace' gives it"
                    " the keys of this request; or the new one makes a request under another name"
                )
            if request.name in wanted.removed:
                raise ConfigError(f"'{request.name}' cannot go and come by one change: replace it")
            put = _put(state, request, where, receiver_bits)
            if not comes:
                _require_another(member(state, request.name), put.row, where)
            rows[request.name] = put.row
            operations.append(put)
    _require_apart(list(rows.values()))
    operations += (resized := _sizes(state, len(rows), wanted))
    if must_resize and not resized:
        raise ConfigError("these are the sizes already")
    _require_receivers(list(rows.values()))
    return proposal(state, organisation, operations, until_ms, ChangeKind.FULL)


def _put(state: ControlState, request: Request, where: str, receiver_bits: int) -> PutMember:
    seat, party = request.seat, request.party
    if seat is None or not isinstance(party, Member):
        raise ConfigError(f"{where} is the request of a client: name one of a member")
    proof = admission(state, request, where).proof
    operators = {row.organisation: row.key for row in state.directory.operators}
    if seat.organisation not in operators:
        raise ConfigError(
            f"{where}: the alliance has no organisation '{seat.organisation}': bring its operator in first,"
            " by 'alliance operator add' with this same file; its members come when that is in effect"
        )
    if operators[seat.organisation] != seat.operator:
        raise ConfigError(
            f"{where}: the request names another operator key of '{seat.organisation}' than the alliance"
            " knows: it is made anew, with --operator for that one"
        )
    if read_receiver(seat.receiver.key).bits < receiver_bits:
        raise ConfigError(
            f"{where}: the receiver key of '{request.name}' is too small for the alliance's keys, and needs"
            f" {receiver_bits} bits: it makes another request, with --alliance F for this alliance's file"
        )
    return PutMember(member_row(party), proof)


def _require_another(old: MemberRow, new: MemberRow, where: str) -> None:
    if old.organisation != new.organisation:
        raise ConfigError(
            f"{where}: '{old.name}' belongs to '{old.organisation}', and this request is of"
            f" '{new.organisation}': remove the one, and add the other under another name, in one change"
        )
    if old.identity == new.identity:
        raise ConfigError(f"{where}: '{old.name}' has these keys already: it makes another request")


def _require_apart(rows: Sequence[MemberRow]) -> None:
    places: dict[str, str] = {}
    for row in rows:
        other = places.setdefault(row.address, row.name)
        if other != row.name:
            raise ConfigError(f"'{other}' and '{row.name}' are both at {row.address}: give each its own")


def _sizes(state: ControlState, count: int, wanted: Wanted) -> list[ChangeOperation]:
    """The operation for other sizes, if they are others. Raises ConfigError with what would do."""
    directory = state.directory
    faulty = directory.faulty_max if wanted.faulty is None else wanted.faulty
    profile = directory.profile if wanted.profile is None else wanted.profile
    if not count:
        raise ConfigError("no member would be left")
    if count > DEALT_MEMBERS_MAX:
        raise ConfigError(f"keys are handed on to at most {DEALT_MEMBERS_MAX} members, and these are {count}")
    try:
        QuorumSystem(count, faulty, profile)
    except UnsatisfiableSizes as error:
        raise ConfigError(f"{error}; {possible(count)}") from None
    if (faulty, profile) == (directory.faulty_max, directory.profile):
        return []
    return [SetSystem(profile, faulty)]


def possible(count: int) -> str:
    """What so many members, 1 or more, may tolerate, in each profile, as one says it."""
    told = []
    for profile in PROFILES:
        least, most = (1 if profile == LEAN else 0), largest_faulty_max(count, profile)
        if most >= least:
            told.append(f"--faulty {f'{least} to ' if most > least else ''}{most} with --profile {profile}")
    return f"{count} members may have {', or '.join(told)}"


def _require_receivers(rows: Sequence[MemberRow]) -> None:
    without = [row.name for row in rows if not row.receiver]
    if without:
        raise ConfigError(
            f"{', '.join(without)}: no receiver key, without which nobody can hand a share to them; 'alliance"
            " request --alliance' makes one with all that a member needs"
        )
