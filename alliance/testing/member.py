"""One simulated member: the real driver, engine, journal and executor, in a simulated world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.execution import Runner, StateMachine
from alliance.execution.state_file import StateFile
from alliance.server.driver import Driver
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.testing.network import Clockwork
from fab_paxos import EngineConfig, Replica
from fab_paxos.effects import Record
from fab_paxos.events import CombinationFailed, Combined, EndorsementMade, Event, TimerFired
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Accepted, Message, Propose
from quorum import CombineFailed, Endorsement, JointStatement, QuorumCertificate, QuorumSystem, combine
from quorum.signature_set import Ed25519Endorser, SignatureSetScheme
from verifiable_log import Entry, Submission
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


class Member:
    """One life after another; the folder stays. It is the driver's world."""

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
        self.me = me
        self.name = name
        self.lives = 0
        self.up = False
        self._system = system
        self._scheme = scheme
        self._folder = folder / name
        self._folder.mkdir()
        self._application = application
        self._machine = machine
        self._clockwork = clockwork
        self._say = say
        self._endorser = Ed25519Endorser(key_of(name))
        self._timers: dict[str, int] = {}
        self._turning = False

    def start(self) -> None:
        alliance_id = self._scheme.context.alliance_id
        self.journal = Journal(self._folder / "journal.sqlite", alliance_id, self.name)
        replayed = self.journal.replay()
        self.history = History(self.journal, replayed.log, replayed.state.certificate)
        self.frontier = replayed.log.frontier()
        replica = Replica(EngineConfig(self._system, self.me), replayed.state)
        self._driver = Driver(replica, self, lambda: EPOCH_SECONDS + self._clockwork.now)
        self._state = StateFile(self._folder, alliance_id, self.name, self._application)
        self.runner = Runner(self._application, self._machine(), self._state.open())
        self.up, self.lives = True, self.lives + 1
        self._turn_soon()

    def stop(self) -> None:
        """As SIGKILL does: what was not journalled or saved is gone."""
        if self.up:
            self.up = False
            self._timers.clear()
            self._turning = False
            self.journal.close()
            self._state.close()

    def save(self) -> None:
        """The executor's state, as a real one does, and more often."""
        if self.runner.slot % SAVE_SLOTS == 0:
            self._state.save(self.runner.standing())

    def post(self, event: Event) -> None:
        if self.up:
            self._driver.post(event)
            self._turn_soon()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """In this life, or not at all."""
        life = self.lives

        def act() -> None:
            if self.up and self.lives == life:
                action()

        self._clockwork.after(seconds, act)

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self.later(TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._driver.turn()

    # -- the driver's world --------------------------------------------------------------------------

    def persist(self, records: Sequence[Record]) -> None:
        self.journal.append(records)

    def send(self, to: int, message: Message) -> None:
        self._say(self.me, to, _sealed(message))

    def broadcast(self, message: Message) -> None:
        for to in range(self._system.member_count):
            if to != self.me:
                self.send(to, message)

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        signature = self._endorser.endorse(statement.encode(self._scheme.context), proven=proven)
        self.later(SIGN_SECONDS, lambda: self.post(EndorsementMade(statement, signature, proven)))

    def combine(self, endorsements: Sequence[Endorsement]) -> None:
        try:
            self.post(Combined(combine(self._scheme, endorsements)))
        except CombineFailed as failure:
            self.post(CombinationFailed(endorsements[0].statement, failure.culprits, failure.unproven))

    def decided(self, entry: Entry) -> None:
        self.history.decided(entry)
        self.frontier = entry.frontier

    def certified(self, certificate: QuorumCertificate) -> None:
        self.history.certified(certificate)

    def supply(self, to: int, first_slot: int) -> None:
        self.send(to, self.history.frame(first_slot))

    def present(self, to: int, checkpoint: Checkpoint) -> None:
        self.send(to, self.history.offer(checkpoint))

    def prune(self, slot: int) -> None:
        self.history.prune(slot)

    def leapt(self, checkpoint: Checkpoint) -> None:
        self.history.install_snapshot(checkpoint)
        self.frontier = checkpoint.snapshot.frontier

    def set_timer(self, name: StrEnum, seconds: float) -> None:
        self._timers[name] = number = self._timers.get(name, 0) + 1

        def fire() -> None:
            if self._timers.get(name) == number:
                self.post(TimerFired(name))

        self.later(seconds, fire)

    def refuse(self, submission: Submission, reason: str) -> None: ...
    def locate(self, submission: Submission, slot: int) -> None: ...
    def blame(self, member: int, reason: str, evidence: Evidence | None) -> None: ...
    def blame_client(self, evidence: TwoSubmissions) -> None: ...


def _sealed(message: Message) -> Message:
    if isinstance(message, Accepted | Propose) and not message.signature:
        return replace(message, signature=_SEALED)
    return message
