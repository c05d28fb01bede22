"""A simulated member with an application on it: a journal of its own, and an executor beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.execution import Runner, StateMachine
from alliance.execution.state_file import StateFile
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.testing.member import SimulatedMember
from alliance.testing.network import Clockwork
from fab_paxos import EngineConfig, RestoredState
from fab_paxos.effects import Record
from fab_paxos.events import EndorsementMade, EndorsementRefused, Event, TimerFired
from fab_paxos.messages import Accepted, Message, Propose
from quorum import QuorumCertificate, QuorumSystem
from quorum.signature_set import Ed25519Endorser, SignatureSetScheme
from verifiable_log import Entry
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Checkpoint

EPOCH_SECONDS = 1_800_000_000
"""What the clocks show when the run begins, in seconds since 1970."""

SAVE_SLOTS = 8
TURN_SECONDS = 0.004
SIGN_SECONDS = 0.002
_SEALED = b"m" * 64
"""In the place of a member's own signature: in a simulation messages come from whom they say."""

Say = Callable[[int, int, Message], None]


def key_of(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


class JournalStorage:
    """The product's journal and history."""

    def __init__(self, path: Path, alliance_id: bytes, name: str) -> None:
        self._path = path
        self._alliance_id = alliance_id
        self._name = name

    def restore(self) -> RestoredState:
        self._journal = Journal(self._path, self._alliance_id, self._name)
        replayed = self._journal.replay()
        self.history = History(self._journal, replayed.log, replayed.certificate)
        self.frontier: Frontier = replayed.log.frontier()
        return replayed.state

    def write(self, records: Sequence[Record]) -> None:
        self._journal.append(records)

    def decided(self, entry: Entry) -> None:
        self.history.decided(entry)
        self.frontier = entry.frontier

    def certified(self, certificate: QuorumCertificate) -> None:
        self.history.certified(certificate)

    def save(self, checkpoint: Checkpoint) -> None:
        self._journal.save(checkpoint)

    def prune(self, slot: int) -> None:
        self.history.prune(slot)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        self.history.install_snapshot(checkpoint)
        self.frontier = checkpoint.snapshot.frontier

    def frame(self, first_slot: int) -> LogFrame:
        return self.history.frame(first_slot)

    def offer(self, checkpoint: Checkpoint) -> Offer:
        return self.history.offer(checkpoint)

    def crash(self) -> None:
        self._journal.close()


class ApplicationMember(SimulatedMember):
    """Turns, signatures and timers take their time on the clockwork; its folder stays over its lives."""

    def __init__(
        self,
        me: int,
        name: str,
        system: QuorumSystem,
        scheme: SignatureSetScheme,
        folder: Path,
        application: str,
        machine: Callable[[], StateMachine],
        clockwork: Clockwork,
        say: Say,
    ) -> None:
        self.name = name
        self.lives = 0
        self._alliance_id = scheme.context.alliance_id
        self._folder = folder / name
        self._folder.mkdir()
        self._journal = JournalStorage(self._folder / "journal.sqlite", self._alliance_id, name)
        super().__init__(EngineConfig(system, me), scheme, Ed25519Endorser(key_of(name)), self._journal)
        self._application = application
        self._machine = machine
        self._clockwork = clockwork
        self._say = say
        self._timers: dict[StrEnum, int] = {}
        self._turning = False

    @property
    def up(self) -> bool:
        return self.replica is not None

    @property
    def history(self) -> History:
        return self._journal.history

    @property
    def frontier(self) -> Frontier:
        """Of what it has decided."""
        return self._journal.frontier

    def start(self) -> None:
        super().start()
        self._state = StateFile(self._folder, self._alliance_id, self.name, self._application)
        self.runner = Runner(self._application, self._machine(), self._state.open())
        self.lives += 1
        self.wake()

    def stop(self) -> None:
        if self.up:
            super().stop()
            self._timers.clear()
            self._turning = False
            self._state.close()

    def save(self) -> None:
        """The executor's state, as a real one does, and more often."""
        if self.runner.slot % SAVE_SLOTS == 0:
            self._state.save(self.runner.state())

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """In this life, or not at all."""
        life = self.lives

        def act() -> None:
            if self.up and self.lives == life:
                action()

        self._clockwork.after(seconds, act)

    # -- what its world decides ----------------------------------------------------------------------

    def clock(self) -> float:
        return EPOCH_SECONDS + self._clockwork.now

    def wake(self) -> None:
        if not self._turning:
            self._turning = True
            self.later(TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        self._turning = False
        self.turn(len(self.inbox))

    def say(self, recipients: Iterable[int], message: Message) -> None:
        if isinstance(message, Accepted | Propose) and not message.signature:
            message = replace(message, signature=_SEALED)
        for to in recipients:
            self._say(self.me, to, message)

    def answer(self, event: Event) -> None:
        if isinstance(event, EndorsementMade | EndorsementRefused):
            self.later(SIGN_SECONDS, lambda: self.post(event))
        else:
            self.post(event)

    def set_timer(self, name: StrEnum, seconds: float) -> None:
        self._timers[name] = number = self._timers.get(name, 0) + 1

        def fire() -> None:
            if self._timers.get(name) == number:
                self.post(TimerFired(name))

        self.later(seconds, fire)
