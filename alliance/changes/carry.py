"""Control commands on their way into the log, and what becomes of them: read from the log itself, proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from alliance.changes.approval import Approval
from alliance.changes.change_file import ChangeFile
from alliance.changes.followed import Advance, Followed, follow
from alliance.client.client import Client
from alliance.errors import ChangeRefused, ConfigError
from consensus.control.changes import ChangeKind
from consensus.control.commands import Abort, Propose, SignedCommand
from consensus.control.record import Record


class Fate(StrEnum):
    """What has become of a change: it is REFUSED; OPEN, and waits for approvals or for another one to end;
    BEGUN, and the keys are being handed on; TAKEN, and in effect behind a known slot; or ENDED without any
    effect."""

    REFUSED = "refused"
    OPEN = "open"
    BEGUN = "begun"
    TAKEN = "taken"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Carried:
    """``slot`` is where the last of the commands was decided. ``refusal`` is why it is REFUSED.

    ``approvals`` are the organisations that approve of what is OPEN; ``effective`` is the slot behind which
    what is TAKEN is in effect.
    """

    fate: Fate
    slot: int
    refusal: str = ""
    approvals: tuple[str, ...] = ()
    effective: int | None = None


def commands_of(
    change: ChangeFile, approvals: Sequence[tuple[str, Approval]], state: Record
) -> list[SignedCommand]:
    """What is to be sent for a change: what operators signed, by file, without what the log has already.

    Raises ConfigError when the signature that makes it the organisation's own is missing, or nothing is
    left; ChangeRefused when its number is used up.
    """
    signed = [approval.command_on(change, where) for where, approval in approvals]
    signed.sort(key=lambda one: one.command != change.command)
    there = next((one for one in state.opened if one.change_id == change.digest), None)
    if there is None and change.digest in [one.change_id for one in state.under_way]:
        return _aborts(signed)
    if there is None:
        used = state.accounts[change.organisation].counter if change.organisation in state.accounts else 0
        if change.command.counter <= used:
            raise ChangeRefused(
                f"'{change.organisation}' has used number {change.command.counter} already: this change"
                " was ordered before, or another one under its number; 'alliance epochs' tells how it is now."
                " Make a new one of what is still to be changed"
            )
        if not signed or signed[0].command != change.command:
            raise ConfigError(
                f"the signature of '{change.organisation}' is missing, whose change it is: its operator makes"
                " the file by 'alliance change approve'"
            )
        return signed
    done = {*there.approvals, there.propose.signer}
    left = [one for one in signed if one.command.signer not in done or isinstance(one.command, Abort)]
    if not left:
        raise ConfigError(f"the log has all of this already: {', '.join(there.approvals)} approve")
    return left


def _aborts(signed: Sequence[SignedCommand]) -> list[SignedCommand]:
    """What can still be said of a change that has begun. Raises ConfigError when nothing of it is signed."""
    left = [one for one in signed if isinstance(one.command, Abort)]
    if not left:
        raise ConfigError(
            "the log has all of this already: the change is approved, and under way; 'alliance change show"
            " DIR --watch' tells how far it is"
        )
    return left


async def carry(
    client: Client,
    followed: Followed,
    change: ChangeFile,
    commands: Sequence[SignedCommand],
    timeout: float,
    advance: Advance,
) -> Carried:
    """Has the commands ordered, one after the other, until one is refused; ``timeout`` in seconds for each.

    Raises as ``Client.propose``: then the same may be sent again, for no command counts twice.
    """
    slot = 0
    for command in commands:
        receipt = await client.propose(command.encode(), timeout)
        slot = receipt.slot
        await follow(client, followed, slot, advance)
        outcome = followed.outcomes[receipt.client_id, receipt.client_seq]
        if not outcome.accepted:
            return Carried(Fate.REFUSED, slot, outcome.refusal)
    return fate_of(followed.control, change, slot)


def fate_of(state: Record, change: ChangeFile, slot: int) -> Carried:
    """What has become of a change whose last command was taken in ``slot``, which ``state`` is at."""
    there = next((one for one in state.opened if one.change_id == change.digest), None)
    if there is not None:
        return Carried(Fate.OPEN, slot, approvals=there.approvals)
    if isinstance(change.command, Propose) and change.command.change.kind is not ChangeKind.POLICY:
        if any(one.change_id == change.digest for one in state.scheduled):
            return Carried(Fate.TAKEN, slot, effective=state.end)
        begun = any(one.change_id == change.digest for one in state.under_way)
        return Carried(Fate.BEGUN if begun else Fate.ENDED, slot)
    if state.effective_from_now in state.revisions:
        return Carried(Fate.TAKEN, slot, effective=state.effective_from_now)
    return Carried(Fate.ENDED, slot)
