"""What would become of control commands in the next slot: pure, nothing is sent and nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alliance.changes.change_file import ChangeFile
from alliance.changes.consequences import Consequences
from alliance.changes.differences import Difference, differences
from alliance.keys.ed25519 import has_signed
from consensus.control import ControlState, Outcome, Verify
from consensus.control.changes import ChangeKind
from consensus.control.commands import Approve, Edit, SignedCommand, command_message
from consensus.control.directory import Directory
from consensus.control.draft import trust
from consensus.control.rows import SIGNATURE_BYTES
from verifiable_log.batch import NOOP, Batch, Entry
from verifiable_log.merkle import Frontier
from verifiable_log.submission import UnsignedSubmission

CARRIER = bytes(32)
"""Nobody's client_id: who carries a command does not matter."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """``refusal`` is why the change would not be taken, or empty.

    ``missing``: so many more operators have to approve, none for an edit. ``differences``: what it does, as
    soon as none is missing, and with an epoch of its own at the beginning of that. ``consequences``: what it
    asks for besides, None for an edit.
    """

    state: ControlState
    refusal: str
    missing: int
    differences: tuple[Difference, ...]
    consequences: Consequences | None = None


def entry_of(slot: int, batch: Batch, fresh: Sequence[bool]) -> Entry:
    """A decided slot as the control state wants it, which asks for no more of it."""
    return Entry(slot, 0, batch, b"", Frontier(0, ()), b"", tuple(fresh))


def apply(
    state: ControlState,
    commands: Sequence[SignedCommand],
    check: Verify = has_signed,
) -> tuple[ControlState, tuple[Outcome, ...]]:
    """The state after one more slot with these commands, each in a submission of its own."""
    submissions = [
        UnsignedSubmission(CARRIER, number, [command.encode()]).sign(bytes(SIGNATURE_BYTES))
        for number, command in enumerate(commands)
    ]
    batch = Batch.of(submissions, state.time_ms) if submissions else NOOP
    return state.apply(entry_of(state.slot + 1, batch, [True] * len(submissions)), check)


def forecast(state: ControlState, change: ChangeFile, commands: Sequence[SignedCommand]) -> Forecast:
    """What would happen if ``commands``, which are on this change, were decided next.

    Who has not signed yet counts as if it had, for ``differences`` alone.
    """
    after, outcomes = apply(state, commands)
    refusal = next((one.refusal for one in outcomes if not one.accepted), "")
    signed = [command.command for command in commands]
    if change.command not in signed and not _is_open(state, change):
        # Nobody has signed it yet: as if its own organisation had.
        commands = [SignedCommand(change.command, bytes(SIGNATURE_BYTES)), *commands]
        after, outcomes = apply(state, commands, _as_if_signed(state, commands))
        refusal = refusal or next((one.refusal for one in outcomes if not one.accepted), "")
    missing = 0 if refusal else _missing(after, change)
    final = after if not missing else _approved(after, change)
    directory = _outcome(final, change)
    told = None if isinstance(change.command, Edit) else Consequences.of(state, change.command, directory)
    return Forecast(after, refusal, missing, differences(state.directory, directory), told)


def _outcome(final: ControlState, change: ChangeFile) -> Directory:
    """The rows when the change is in effect, which ``final`` has approved of; or as they are, if it ended."""
    command = change.command
    if isinstance(command, Edit) or command.change.kind is ChangeKind.POLICY:
        return final.directory
    scheduled = [one.change for one in final.scheduled]
    if command.change in scheduled:
        return final.carry_out(scheduled, trust)[0]
    if _is_open(final, change) or command.change in [one.change for one in final.under_way]:
        return final.carry_out([command.change], trust)[0]
    return final.directory


def _as_if_signed(state: ControlState, commands: Sequence[SignedCommand]) -> Verify:
    """Whoever has not signed one of these commands is taken to have; all else must be signed."""
    unsigned = {command_message(state.alliance_id, one.command) for one in commands if not any(one.signature)}
    return lambda key, message, signature: message in unsigned or has_signed(key, message, signature)


def _is_open(state: ControlState, change: ChangeFile) -> bool:
    return any(one.change_id == change.digest for one in state.opened)


def _missing(state: ControlState, change: ChangeFile) -> int:
    """How many operators have yet to approve of an open change."""
    for one in state.opened:
        if one.change_id == change.digest:
            return max(0, state.needed(one.change) - len(one.approvals))
    return 0


def _approved(state: ControlState, change: ChangeFile) -> ControlState:
    """As it is when all other operators have approved, too."""
    (there,) = (one for one in state.opened if one.change_id == change.digest)
    others = [
        row.organisation for row in state.directory.operators if row.organisation not in there.approvals
    ]
    words = [SignedCommand(Approve(name, change.digest), bytes(SIGNATURE_BYTES)) for name in others]
    return apply(state, words, _as_if_signed(state, words))[0]
