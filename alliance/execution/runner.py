"""Runs a state machine over the log: each command once, in order; what it must not do is undone.

Plain code without a world: the executor feeds it what it hears, simulators what they decide.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from alliance.client.delivery import DecidedSlot, LogEntry
from alliance.execution.machine import (
    REPLY_BYTES_MAX,
    Command,
    Freezable,
    Kind,
    Refused,
    StateMachine,
    unwrap,
)
from alliance.execution.outcome import Outcome, Outcomes, Status, placed
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import Frontier, slot_leaf

log = logging.getLogger(__name__)

COMPARE_SLOTS = 64
"""Executors compare their states, and take a snapshot, at each multiple of so many slots."""

DIGESTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class RunnerState:
    """Everything that a runner goes on from: the state after ``slot`` (0: of the empty log)."""

    frontier: Frontier
    time_ms: int
    windows: tuple[bytes, ...]
    machine: bytes
    outcomes: tuple[Outcome, ...]

    @property
    def slot(self) -> int:
        return self.frontier.size


class Frozen:
    """A state machine's state as it was; its bytes are made once, by whoever asks first, in any thread."""

    def __init__(self, machine: StateMachine) -> None:
        self._lock = Lock()
        self._state: bytes | Callable[[], bytes]
        self._state = machine.freeze() if isinstance(machine, Freezable) else machine.snapshot()

    def snapshot(self) -> bytes:
        with self._lock:
            if not isinstance(self._state, bytes):
                self._state = self._state()
            return self._state


@dataclass(frozen=True, slots=True)
class FrozenState:
    """What a runner had come to at a slot, while it goes on: ``thaw`` may take long, in any thread."""

    frontier: Frontier
    time_ms: int
    windows: tuple[bytes, ...]
    machine: Frozen
    outcomes: tuple[Outcome, ...]

    @property
    def slot(self) -> int:
        return self.frontier.size

    def thaw(self) -> RunnerState:
        return RunnerState(self.frontier, self.time_ms, self.windows, self.machine.snapshot(), self.outcomes)


class Runner:
    """``windows`` are those of the listener that feeds it: both go on from the same state."""

    def __init__(self, application: str, machine: StateMachine, state: RunnerState | None = None) -> None:
        """Raises ValueError when the state's windows cannot be read, and what ``restore`` raises."""
        self._application = application
        self._machine = machine
        self.frontier = Frontier(0, ())
        self.time_ms = 0
        self.windows = ClientWindows()
        self.outcomes = Outcomes()
        self.digests: dict[int, bytes] = {}
        # A command that fails is undone: the state before it is this one and the commands since.
        self._since: list[Command] = []
        if state is not None:
            self.install(state)
        else:
            self._base = Frozen(machine)

    def install(self, state: RunnerState) -> None:
        """Goes on from this state. Raises as the constructor; then it is of no use any more."""
        windows, outcomes = ClientWindows.read(state.windows), Outcomes()
        self._machine.restore(state.machine)
        for outcome in state.outcomes:
            outcomes.add(outcome)
        self.digests.clear()
        self._rebase()
        self.windows, self.outcomes, self.time_ms = windows, outcomes, state.time_ms
        self.frontier = state.frontier

    @property
    def slot(self) -> int:
        """The last executed slot."""
        return self.frontier.size

    def execute(self, decided: DecidedSlot) -> None:
        """The next slot. Raises ValueError for another one."""
        if decided.slot != self.slot + 1:
            raise ValueError(f"slot {decided.slot} does not follow slot {self.slot}")
        self.time_ms = max(self.time_ms, decided.batch.time_ms)
        answers = [
            self._answer(entry, *told)
            for entry in decided.entries
            if (told := unwrap(self._application, entry.command)) is not None
        ]
        for outcome in placed(answers):
            self.outcomes.add(outcome)
        self.frontier = self.frontier.append(slot_leaf(decided.slot, decided.batch.digest))
        if decided.slot % COMPARE_SLOTS == 0:
            self._rebase()

    def freeze(self) -> FrozenState:
        """What it has come to; at each multiple of COMPARE_SLOTS this is quick."""
        if self._since:
            self._rebase()
        return FrozenState(
            self.frontier, self.time_ms, self.windows.state(), self._base, tuple(self.outcomes)
        )

    def state(self) -> RunnerState:
        """What a restart goes on from."""
        return self.freeze().thaw()

    def keep_digest(self, slot: int, digest: bytes) -> None:
        """``state_digest`` of its state at a slot, for others who ask."""
        self.digests[slot] = digest
        for old in sorted(self.digests)[:-DIGESTS_KEPT]:
            del self.digests[old]

    def _answer(self, entry: LogEntry, kind: Kind, payload: bytes) -> Outcome:
        command = Command(
            entry.slot,
            entry.position,
            entry.command_index,
            entry.client_id,
            entry.client_seq,
            self.time_ms,
            payload,
        )
        status, answer = self._run(kind, command)
        return Outcome(
            entry.client_id,
            entry.client_seq,
            entry.command_index,
            entry.slot,
            self.time_ms,
            sha256(entry.command).digest(),
            status,
            answer,
        )

    def _run(self, kind: Kind, command: Command) -> tuple[Status, bytes]:
        try:
            if kind is Kind.QUERY:
                return Status.DONE, _checked(self._machine.query(command.payload))
            answer = _checked(self._machine.apply(command))
        except Refused as refusal:
            return Status.REFUSED, str(refusal).encode("utf-8", "replace")[:REPLY_BYTES_MAX]
        except Exception as error:  # the application's own code: whatever it raises ends one command only
            # Not its text, which may name an address in memory or a path: all executors must answer alike.
            log.warning("a command in slot %d failed", command.slot, exc_info=True)
            if kind is Kind.APPLY:
                self._undo()
            return Status.FAILED, type(error).__name__.encode()
        self._since.append(command)
        return Status.DONE, answer

    def _undo(self) -> None:
        """Back to before the command that failed, whatever of it was done."""
        self._machine.restore(self._base.snapshot())
        for command in self._since:
            self._machine.apply(command)
        self._rebase()

    def _rebase(self) -> None:
        self._base = Frozen(self._machine)
        self._since.clear()


def _checked(answer: object) -> bytes:
    if not isinstance(answer, bytes):
        raise TypeError("a state machine answers with bytes")
    if len(answer) > REPLY_BYTES_MAX:
        raise OverflowError(f"an answer has {REPLY_BYTES_MAX} bytes at most")
    return answer


def state_digest(application: str, slot: int, snapshot: bytes) -> bytes:
    """SHA-256 of ``0x05 | length u8 | application | slot u64 | snapshot``: what executors compare."""
    name = application.encode()
    digest = sha256(b"\x05" + bytes([len(name)]) + name + slot.to_bytes(8, "big"))
    digest.update(snapshot)  # apart: a large one is not copied, and hashed while other threads run
    return digest.digest()


def compare_digests(mine: bytes, others: dict[int, bytes], one_correct: int) -> tuple[bool, list[int]]:
    """Compares digests of one slot. ``others`` are by member.

    Whether this executor is the one to halt: ``one_correct`` others, so at least one correct one, agree on
    something else; and who differs from this one though it has so many on its side, itself included.
    """
    votes: dict[bytes, list[int]] = {}
    for member, digest in others.items():
        votes.setdefault(digest, []).append(member)
    outvoted = any(len(members) >= one_correct for digest, members in votes.items() if digest != mine)
    if outvoted or len(votes.get(mine, [])) + 1 < one_correct:
        return outvoted, []
    return False, sorted(member for member, digest in others.items() if digest != mine)
