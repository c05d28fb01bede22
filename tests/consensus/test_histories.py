"""Random histories of control commands: what holds of all of them. Each replays by its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest

from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.commands import Abort, Approve, ControlCommand, Deal, Edit, Propose
from consensus.control.edits import EditOperation, LimitClient, RemoveClient, SetAddress
from consensus.control.operations import (
    ChangeOperation,
    DropMember,
    DropOperator,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.record import Phase
from consensus.control.rows import ClientLimits, PolicyRow, key_id
from consensus.limits import EDIT_MS, OPEN_CHANGES_MAX, WINDOW_SLOTS
from quorum import QuorumSystem
from tests.consensus.alliance import (
    ALLIANCE,
    ORGANISATIONS,
    Log,
    add_client,
    found,
    put_member,
    put_operator,
    verify,
)

SEVEN = (*ORGANISATIONS, "org-g")
BEGIN = found(QuorumSystem(7, 1), SEVEN, PolicyRow(1, clients_max=4))


class Crowd:
    """Operators and members that say whatever there is to say, with the keys of ``organisations``."""

    def __init__(self, seed: int, organisations: Sequence[str] = SEVEN) -> None:
        self.dice = random.Random(seed)
        self.log = Log(BEGIN)
        self.organisations = list(organisations)
        self.states = [self.log.state]
        self.phases: set[Phase] = set()
        self._said: list[bytes] = []
        self._fresh = 0

    def live(self, slots: int) -> None:
        for _ in range(slots):
            commands = [self.say() for _ in range(self.dice.choice((0, 1, 3, 6)))]
            time_ms = self.log.state.time_ms + self.dice.choice((0, 1000, EDIT_MS))
            self.log.slot(*commands, time_ms=time_ms)
            if not self.dice.randrange(6):
                rest = self.dice.randrange(2 * WINDOW_SLOTS)
                end = self.log.state.end
                self.log.run(rest if end is None else min(rest, end - self.log.state.slot))
            self.phases.add(self.log.state.phase)
            if self.log.state.slot == self.log.state.end:
                self.log.state = self.log.state.next_epoch()
            self.states.append(self.log.state)

    def say(self) -> bytes:
        """A command: mostly one that its signer may say, or one from before, or one with another's key."""
        if self._said and not self.dice.randrange(6):
            return self.dice.choice(self._said)
        command = self.command()
        key = self.key_of(command.signer) if self.dice.randrange(8) else self.dice.choice(self.organisations)
        self._said.append(self.log.sign(command, key))
        return self._said[-1]

    def key_of(self, signer: str) -> str:
        return self.log.keys.get(signer, signer)

    def command(self) -> ControlCommand:
        state, dice = self.log.state, self.dice
        signer = dice.choice(self.organisations)
        active = state.active
        if active is not None and state.end is None and dice.randrange(8):
            change_id, attempt = active.approved.change_id, active.attempt
            member = "m-" + dice.choice(self.organisations)[-1]
            if dice.randrange(10) >= len(active.dealings):
                return Deal(member, change_id, attempt, dice.randbytes(4))
            digest = b"t" * 32 if dice.randrange(8) else bytes(32)
            return self.log.ready_command(member, change_id, digest, attempt, str(dice.random()))
        if state.opened and dice.randrange(4):
            opened = dice.choice(state.opened).change_id
            return Approve(signer, opened) if dice.randrange(16) else Abort(signer, opened)
        counter = self.log.counter(signer) + (0 if dice.randrange(8) else 1)
        if dice.randrange(2):
            return Edit(signer, counter, tuple(self.edit(signer) for _ in range(dice.randrange(3))))
        kind = dice.choice(list(ChangeKind))
        operations = tuple(self.operation(kind) for _ in range(dice.choice((0, 1, 1, 2))))
        change = self.log.change(kind, *operations, slots=state.slot + dice.choice((5, 1000)))
        return Propose(signer, counter, change)

    def edit(self, signer: str) -> EditOperation:
        clients = list(self.log.state.directory.clients.values())
        member = "m-" + self.dice.choice((signer, signer, *SEVEN))[-1]
        some = self.dice.choice(clients).client_id if clients else bytes(32)
        return self.dice.choice(
            (
                SetAddress(member, f"{member}.example:{self.dice.randrange(1, 9)}"),
                add_client(self.fresh("c"), signer),
                RemoveClient(some),
                LimitClient(some, ClientLimits(self.dice.randrange(1, 9), 9)),
            )
        )

    def operation(self, kind: ChangeKind) -> ChangeOperation:
        dice, letter = self.dice, self.dice.choice("abcdefgh")
        if kind is ChangeKind.POLICY:
            organisation = f"org-{letter}"
            return dice.choice(
                (
                    PutPolicy(PolicyRow(dice.randrange(3), clients_max=dice.randrange(6))),
                    put_operator(organisation, self.fresh("o")),
                    DropOperator(organisation),
                )
            )
        name = f"m-{letter}"
        organisation = next(
            (row.organisation for row in self.log.state.directory.members if row.name == name),
            f"org-{letter}",
        )
        return dice.choice(
            (
                put_member(name, organisation, self.fresh("m")),
                Suspend(name),
                Suspend(name),
                Reinstate(name),
                DropMember(name),
                SetSystem(dice.choice(("classic", "lean")), 1),
            )
        )

    def fresh(self, kind: str) -> str:
        """The name of a key, new or known."""
        self._fresh += 1
        return f"{kind}{self._fresh}" if self.dice.randrange(8) else "m-a"


@cache
def lived(seed: int) -> Crowd:
    crowd = Crowd(seed)
    crowd.live(60)
    return crowd


@pytest.mark.parametrize("seed", range(6))
def test_the_state_is_a_function_of_the_log(seed: int) -> None:
    """epoch_control_item_same_at_any_decided: also from any checkpoint on, and by its items."""
    crowd = lived(seed)
    entries = {entry.slot: entry for entry in crowd.log.history}
    at = crowd.dice.choice(crowd.states)
    for begin in (BEGIN, ControlState.read(at.items())):
        state = begin
        while state.slot < crowd.log.state.slot:
            state, _ = state.apply(entries[state.slot + 1], verify)
            if state.slot == state.end:
                state = state.next_epoch()
        assert state == crowd.log.state
        assert state.items() == crowd.log.state.items()


@pytest.mark.parametrize("seed", range(6))
def test_what_holds_at_every_slot(seed: int) -> None:
    crowd = lived(seed)
    for before, state in zip(crowd.states, crowd.states[1:], strict=False):
        directory = state.directory
        keys = [row.client_id for row in directory.members]
        keys += [key_id(row.key) for row in directory.operators] + list(directory.clients)
        assert len(set(keys)) == len(keys)
        assert not state.past & set(keys)
        assert state.past >= before.past
        assert state.epoch - before.epoch in (0, 1)
        assert state.epoch == before.epoch or before.end in (None, state.start)
        signers = [one.propose.signer for one in state.opened]
        assert max(map(signers.count, signers), default=0) <= OPEN_CHANGES_MAX
        assert before.end is None or state.epoch > before.epoch or state.end == before.end
        assert state.effective is None or state.slot < state.effective <= state.slot + WINDOW_SLOTS
        assert len(directory.suspended) <= directory.faulty_max
        for row in directory.clients.values():
            assert row.organisation in state.accounts or not row.live


def test_the_histories_go_everywhere() -> None:
    """What is claimed of all histories is claimed of some that switch epochs in every way."""
    phases: set[Phase] = set()
    epochs, dealings = 0, 0
    for seed in range(6):
        crowd = lived(seed)
        phases |= crowd.phases
        epochs, dealings = epochs + crowd.log.state.epoch, dealings + crowd.log.state.dealing
    assert phases == set(Phase)
    assert epochs > dealings > 0


@pytest.mark.parametrize("seed", range(4))
def test_at_most_f_org_operators_change_their_own_rows_and_no_others(seed: int) -> None:
    """One of seven, with its member's key: whatever it says, repeats and signs in the names of others."""
    crowd = Crowd(200 + seed, ["org-c"])
    crowd.live(100)
    state = crowd.log.state
    assert (state.alliance_id, state.epoch, state.end, state.active) == (ALLIANCE, 0, None, None)
    old, new = BEGIN.directory, state.directory
    assert (new.operators, new.policy, new.suspended) == (old.operators, old.policy, old.suspended)
    for row, was in zip(new.members, old.members, strict=True):
        assert row == was or row.organisation == "org-c"
    others = {key: row for key, row in new.clients.items() if row.organisation != "org-c"}
    assert others == {key: row for key, row in old.clients.items() if row.organisation != "org-c"}
    assert new != old
