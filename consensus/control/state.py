"""The control state: who takes part, as a function of the log and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from consensus.control import dealing, items, operating, recovering
from consensus.control.changes import ChangeKind
from consensus.control.commands import (
    MAGIC,
    Abort,
    Approve,
    ControlCommand,
    Deal,
    Edit,
    Propose,
    Ready,
    SignedCommand,
    command_message,
)
from consensus.control.directory import Directory
from consensus.control.draft import Verify, trust
from consensus.control.encoding import MalformedControl
from consensus.control.pending import PostedDealing
from consensus.control.policy import faulty_operators_max
from consensus.control.record import Account, Record
from consensus.control.recovery import Recovery
from consensus.control.rows import ClientRow, MemberRow, OperatorRow, PolicyRow, key_id
from consensus.limits import WINDOW_SLOTS
from quorum import QuorumSystem
from verifiable_log import Entry, Submission


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a control command: nothing, for the reason ``refusal``, or what it says.

    It is command ``index`` of the submission ``client_seq`` of a client. ``command`` is None for bytes that
    are none.
    """

    client_id: bytes
    client_seq: int
    index: int
    command: ControlCommand | None
    refusal: str = ""

    @property
    def accepted(self) -> bool:
        return not self.refusal


def default_policy(system: QuorumSystem, organisations: int) -> PolicyRow:
    """As an alliance is created with: as many faulty operators as faulty members, if there are enough."""
    faulty = min(system.faulty_max, faulty_operators_max(organisations))
    # Each of f leaders may overlook a command for 16 s and be replaced, and the next one for as long.
    return PolicyRow(faulty, attempt_seconds=max(120, 20 * (system.faulty_max + 2)))


class ControlState(Record):
    """``founded``, then ``apply`` slot by slot, ``next_epoch`` at ``end``; ``items`` and ``read`` keep it."""

    @classmethod
    def founded(
        cls,
        alliance_id: bytes,
        system: QuorumSystem,
        members: Iterable[MemberRow],
        operators: Iterable[OperatorRow],
        clients: Iterable[ClientRow] = (),
        policy: PolicyRow | None = None,
    ) -> Self:
        """The state at slot 0, of members in the order of their numbers.

        Raises MalformedControl when the rows do not fit together: numbers that are not those of ``system``,
        a member or client whose organisation has no operator, a key or a name that is there twice.
        """
        operators, members = sorted(operators, key=lambda row: row.organisation), tuple(members)
        clients, policy = tuple(clients), policy or default_policy(system, len(operators))
        by_id = {row.client_id: row for row in clients}
        directory = Directory(system.profile, system.faulty_max, members, tuple(operators), policy, by_id)
        keys = [row.client_id for row in members] + [row.client_id for row in clients]
        keys += [key_id(row.key) for row in operators]
        names = [row.name for row in clients]
        if directory.system != system or len(set(keys)) != len(keys) or len(set(names)) != len(names):
            raise MalformedControl(
                "the rows have another number of members, or a key or a client's name twice"
            )
        owned = {row.organisation: 0 for row in operators}
        for row in clients:
            if row.organisation not in owned:
                raise MalformedControl(
                    f"client '{row.name}' belongs to '{row.organisation}', which has no operator"
                )
            owned[row.organisation] += 1
        accounts = {organisation: Account(clients=count) for organisation, count in owned.items()}
        return cls(alliance_id, directory, accounts)

    def items(self) -> tuple[bytes, ...]:
        """For a checkpoint: each begins with 0x02 and has at most STATE_ITEM_BYTES_MAX bytes."""
        return items.write(self)

    @classmethod
    def read(cls, state: Sequence[bytes]) -> Self:
        """Raises MalformedControl for what no correct member wrote."""
        return items.read(cls, state)

    def apply(self, entry: Entry, verify: Verify) -> tuple[Self, tuple[Outcome, ...]]:
        """The state after the next slot, which is decided, and what became of the control commands in it.

        Raises ValueError for another slot, and behind the end of the epoch.
        """
        if entry.slot != self.slot + 1 or (self.end is not None and entry.slot > self.end):
            raise ValueError(f"slot {entry.slot} does not follow slot {self.slot} in epoch {self.epoch}")
        state, outcomes = self._pass(entry.slot, entry.batch.time_ms), []
        for submission, fresh in zip(entry.batch.submissions, entry.fresh, strict=True):
            if fresh and MAGIC in submission.encoded:
                state, told = state._submission(submission, verify)
                outcomes += told
        return state, tuple(outcomes)

    @property
    def refresh_hindrance(self) -> str:
        """As that of ``dealing``."""
        return dealing.refresh_hindrance(self)

    def next_epoch(self) -> Self:
        """The state with which the next epoch begins. Raises ValueError before the end of this one."""
        if self.slot != self.end:
            raise ValueError(f"epoch {self.epoch} has not ended at slot {self.slot}")
        directory, burnt = self.carry_out([one.change for one in self.scheduled], trust)
        state = replace(
            self,
            directory=directory,
            past=self.past | burnt,
            epoch=self.epoch + 1,
            revision=0,
            start=self.slot,
            end=None,
            revisions=(),
            opened=(),
            active=None,
            scheduled=(),
            carried=None,
        )
        if any(one.change.kind is ChangeKind.FULL for one in self.scheduled):
            state = dealing.dealt(state, self)
        if self.carried is not None:
            state = dealing.restart(state, self.carried)
        return state

    def recovered(self, by: Recovery, dealings: Sequence[PostedDealing], verify: Verify) -> Self:
        """The state at the end of the epoch, which is here: by an act of the operators, not by the log.

        ``recovering`` has what it means. Raises Refused or MalformedControl, with the reason.
        """
        return recovering.recover(self, by, dealings, verify)

    def _pass(self, slot: int, time_ms: int) -> Self:
        """What a slot does without any command."""
        due = sum(at <= slot for at in self.revisions)
        state = replace(
            self,
            slot=slot,
            time_ms=max(self.time_ms, time_ms),
            revision=self.revision + due,
            revisions=self.revisions[due:],
        )
        if slot >= self.directory.first_departure + WINDOW_SLOTS:
            state = state._forget_clients()
        return dealing.pass_time(operating.expire(state))

    def _forget_clients(self) -> Self:
        """Rows of clients go when no slot that is not certified has their submissions; their ids stay."""
        clients = self.directory.clients
        gone = {key for key, row in clients.items() if row.until_slot + WINDOW_SLOTS <= self.slot}
        kept = {key: row for key, row in clients.items() if key not in gone}
        return replace(self, directory=replace(self.directory, clients=kept), past=self.past | gone)

    def _submission(self, submission: Submission, verify: Verify) -> tuple[Self, list[Outcome]]:
        """Of the control commands in a submission the first one counts: each costs a signature to check."""
        state, outcomes = self, list[Outcome]()
        for index, encoded in enumerate(submission.commands()):
            if not encoded.startswith(MAGIC):
                continue
            command, refusal = None, "a submission carries one control command: submit this one by itself"
            if not outcomes:
                state, command, refusal = state._command(encoded, verify)
            outcomes.append(Outcome(submission.client_id, submission.client_seq, index, command, refusal))
        return state, outcomes

    def _command(self, encoded: bytes, verify: Verify) -> tuple[Self, ControlCommand | None, str]:
        try:
            signed = SignedCommand.decode(encoded)
        except MalformedControl as error:
            return self, None, f"this is no control command: {error}"
        command, state = signed.command, self
        try:
            key = self._key(command)
            if not verify(key, self.message(command), signed.signature):
                return self, command, f"the signature is not one of '{command.signer}'"
            if isinstance(command, Edit | Propose):
                state, refusal = operating.charge(state, command)
                if refusal:
                    return state, command, refusal
            return operating.settle(state._effect(command, verify), verify), command, ""
        except ValueError as error:
            return state, command, str(error)

    def message(self, command: ControlCommand) -> bytes:
        """What is to be signed for the command to count in this state."""
        epoch = dealing.epoch_of(self, command) if isinstance(command, Deal | Ready) else 0
        return command_message(self.alliance_id, command, epoch)

    def _key(self, command: ControlCommand) -> bytes:
        """Whose signature counts. Raises Refused."""
        match command:
            case Deal():
                return self.directory.member(command.signer).identity
            case Ready():
                return dealing.receiver_of(self, command).identity
            case _:
                return self.directory.operator(command.signer).key

    def _effect(self, command: ControlCommand, verify: Verify) -> Self:
        match command:
            case Edit():
                return operating.edit(self, command, verify)
            case Propose():
                return operating.propose(self, command, verify)
            case Approve():
                return operating.approve(self, command)
            case Abort():
                return operating.abort(self, command)
            case Deal():
                return dealing.deal(self, command)
            case Ready():
                return dealing.ready(self, command, verify)
