"""Operators and members that change their alliance in a simulated world, by the product's control state.

They see what is decided, sign what is due, and have somebody carry it into the log; what gets lost they say
again. Nobody judges dealings here, as nobody does in the control state: they are some bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from random import Random

from consensus.control import CheckedControl, ControlState
from consensus.control.changes import Change, ChangeKind
from consensus.control.commands import Approve, Deal, Edit, Propose
from consensus.control.directory import Directory
from consensus.control.edits import EditOperation, RemoveClient, SetAddress
from consensus.control.operations import (
    ChangeOperation,
    DropMember,
    NewKeys,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import ATTEMPT_SECONDS_MIN, OperatorRow
from consensus.control.state import default_policy
from quorum import QuorumSystem
from tests.consensus.alliance import (
    ALLIANCE,
    Log,
    add_client,
    client_id,
    client_row,
    member_row,
    public,
    put_member,
    verify,
)

CLIENTS = (*range(10), *range(30, 33), 90, *range(900, 903))
"""Numbers of the simulated clients."""
REMOVABLE = (3, 30, 31)
EDITS = ("admit", "remove", "address")
LIGHT = ("suspend", "reinstate", "other identity")
FULL = ("refresh", "replace", "resize")
NEW_KEYS = "new keys"
AGAIN = 400_000
"""After so many microseconds what is not in the log is said again."""


class Governed(CheckedControl):
    """It knows simulated clients by their numbers, which are no digests of keys."""

    __slots__ = ()

    def admits(self, client_id: bytes, slot: int) -> bool:
        return self.state.admits(_id_of(client_id), slot)

    def limits(self, client_id: bytes) -> tuple[int, int]:
        return self.state.limits(_id_of(client_id))


@cache
def _id_of(number: bytes) -> bytes:
    return client_id(f"c-{int.from_bytes(number, 'big')}")


@cache
def governed(system: QuorumSystem) -> Governed:
    """One member for each organisation; all clients are those of the first."""
    letters = "abcdefghijk"[: system.member_count]
    return Governed(
        ControlState.founded(
            ALLIANCE,
            system,
            [member_row(f"m-{letter}", f"org-{letter}") for letter in letters],
            [OperatorRow(f"org-{letter}", public(f"org-{letter}")) for letter in letters],
            [client_row(f"c-{number}", "org-a") for number in CLIENTS],
            replace(default_policy(system, len(letters)), attempt_seconds=ATTEMPT_SECONDS_MIN),
        ),
        verify,
    )


@dataclass
class _Aim:
    """A change that operators are to agree upon; None from ``make``: it is done, or cannot be."""

    make: Callable[[Log], Change | None]
    proposed: list[bytes] = field(default_factory=list)
    """Each is of another id. A slow leader may bring one to the log after the next was proposed."""
    said: int = -AGAIN


class Government:
    """All the keys of an alliance, over all its epochs."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(f"government {seed}")
        self._lazy = self._dice.choice((0, 0, 0, 1))  # so many attempts at handing on come to nothing
        self._aims: list[_Aim] = []
        self._edits: list[str] = []
        self._keys: dict[bytes, str] = {}
        self._said: dict[object, int] = {}
        self._fresh = 0

    def want(self, aim: str, system: QuorumSystem | None = None) -> None:
        """From now on they work for it. ``system``: what it is to become, if it is 'resize'."""
        if aim in EDITS:
            self._edits.append(aim)
        else:
            self._aims.append(_Aim(lambda log: self._change(log, aim, system)))

    def begin_epoch(self) -> None:
        """What was not agreed upon by the end is forgotten."""
        self._aims.clear()
        self._said.clear()

    def due(self, state: ControlState, now: int, *, hands_on: bool) -> Iterator[bytes]:
        """What they say, as far as they know the log. ``hands_on``: members deal when they have to."""
        log = Log(state)
        log.keys = {row.name: self._key(row.identity, row.name) for row in state.directory.members}
        if state.end is not None:
            return
        for edit in self._edits:
            yield from self._edit(log, edit)
        self._edits.clear()
        opened = {one.change_id: one for one in state.opened}
        under_way = {one.change_id for one in state.under_way}
        for aim in list(self._aims):
            if change_id := next((one for one in reversed(aim.proposed) if one in opened), b""):
                waiting = [
                    row.organisation
                    for row in state.directory.operators
                    if row.organisation not in opened[change_id].approvals
                ]
                for organisation in self._dice.sample(waiting, min(2, len(waiting))):
                    if self._once((change_id, organisation), now):
                        yield log.sign(Approve(organisation, change_id))
            elif under_way.isdisjoint(aim.proposed) and now - aim.said >= AGAIN:
                yield from self._propose(log, aim, now)
        if state.active is not None and hands_on:
            yield from self._hand_on(log, now)

    def _propose(self, log: Log, aim: _Aim, now: int) -> Iterator[bytes]:
        change = aim.make(log)
        if change is None:
            self._aims.remove(aim)
            return
        organisation = self._dice.choice(log.state.directory.operators).organisation
        command = Propose(organisation, log.counter(organisation), change)
        aim.proposed.append(command.change_id)
        aim.said = now
        yield log.sign(command)

    def _hand_on(self, log: Log, now: int) -> Iterator[bytes]:
        """Old members deal, new ones are ready; one of them is so by other dealings than the rest."""
        state = log.state
        active = state.dealt_for
        change_id, attempt = active.approved.change_id, active.attempt
        if attempt < self._lazy:
            return
        if (brought := active.new_keys) is not None:
            yield from self._be_ready(log, brought.transcript, now)
            return
        dealt = {one.member for one in active.dealings}
        for row in state.directory.members:
            if row.name not in dealt and self._once((change_id, attempt, "deal", row.name), now):
                yield log.sign(Deal(row.name, change_id, attempt, self._dice.randbytes(40)))
        if len(dealt) >= state.directory.system.decision:
            yield from self._be_ready(log, b"t" * 32, now)

    def _be_ready(self, log: Log, transcript: bytes, now: int) -> Iterator[bytes]:
        active, target = log.state.dealt_for, log.state.target
        change_id, attempt = active.approved.change_id, active.attempt
        log.keys |= {row.name: self._key(row.identity, row.name) for row in target.members}
        ready = {one.member for one in active.readies}
        odd = target.members[change_id[0] % len(target.members)].name
        for row in target.members:
            if row.name not in ready and self._once((change_id, attempt, "ready", row.name), now):
                by = b"o" * 32 if row.name == odd else transcript
                yield log.sign(log.ready_command(row.name, change_id, by, attempt))

    def _once(self, what: object, now: int) -> bool:
        """Now or a little later, and not again for a while."""
        if now - self._said.get(what, -AGAIN) < AGAIN or self._dice.random() < 0.5:
            return False
        self._said[what] = now
        return True

    def _edit(self, log: Log, edit: str) -> Iterator[bytes]:
        organisation, operation = "org-a", self._operation(log, edit)
        if edit == "address":
            row = self._dice.choice(log.state.directory.members)
            organisation = row.organisation
            operation = SetAddress(row.name, f"{row.name}.example:{self._dice.randrange(1, 60000)}")
        if operation is not None:
            yield log.sign(Edit(organisation, log.counter(organisation), (operation,)))

    def _operation(self, log: Log, edit: str) -> EditOperation | None:
        if edit == "admit":
            return add_client(self._new("c-x"), "org-a")
        clients = log.state.directory.clients
        live = [number for number in REMOVABLE if clients.get(client_id(f"c-{number}"))]
        return RemoveClient(client_id(f"c-{self._dice.choice(live)}")) if live else None

    def _change(self, log: Log, aim: str, system: QuorumSystem | None) -> Change | None:
        state, dice = log.state, self._dice
        directory = state.directory
        if aim == "policy":
            if state.slot and directory.policy.clients_max < 1000:
                return None
            policy = replace(directory.policy, clients_max=dice.randrange(500, 1000))
            return log.change(ChangeKind.POLICY, PutPolicy(policy))
        free = [row for row in directory.members if row.name not in directory.suspended]
        row = dice.choice(free)
        match aim:
            case "suspend" if len(directory.suspended) < directory.faulty_max:
                return log.change(ChangeKind.LIGHT, Suspend(row.name))
            case "reinstate" if directory.suspended:
                return log.change(ChangeKind.LIGHT, Reinstate(directory.suspended[0]))
            case "suspend" | "reinstate" | "other identity":
                return log.change(ChangeKind.LIGHT, self._put(row.name, row.organisation))
            case "replace":
                return log.change(ChangeKind.FULL, self._put(row.name, row.organisation))
            case "resize" if system is not None:
                return log.change(ChangeKind.FULL, *self._resize(directory, system))
            case "new keys" if system is not None:
                digest = sha256(self._new("keys ").encode()).digest()
                brought = NewKeys(digest, b"sealed to the members")
                return log.change(ChangeKind.FULL, *self._resize(directory, system), brought)
            case _:
                return log.change(ChangeKind.FULL)

    def _resize(self, directory: Directory, system: QuorumSystem) -> Iterator[ChangeOperation]:
        count = len(directory.members)
        for _ in range(system.member_count - count):
            organisation = self._dice.choice(directory.operators).organisation
            yield self._put(self._new("m-n"), organisation)
        for row in self._dice.sample(directory.members, max(count - system.member_count, 0)):
            yield DropMember(row.name)
        if (directory.profile, directory.faulty_max) != (system.profile, system.faulty_max):
            yield SetSystem(system.profile, system.faulty_max)

    def _put(self, name: str, organisation: str) -> ChangeOperation:
        key = self._new("k-")
        self._keys[public(key)] = key
        return put_member(name, organisation, key)

    def _key(self, identity: bytes, name: str) -> str:
        """What the key of this identity is called."""
        return self._keys.get(identity, name)

    def _new(self, kind: str) -> str:
        self._fresh += 1
        return f"{kind}{self._fresh}"
