"""A whole alliance with an application on it, in one process and in simulated time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from alliance.client.delivery import DecidedSlot, deliver
from alliance.execution import Outcome, StateMachine
from alliance.proofs.receipt import Receipt
from alliance.testing.application import ApplicationMember, key_of
from alliance.testing.calls import Call, SimulatedClient
from alliance.testing.liar import Liar
from alliance.testing.network import Clockwork, Network
from fab_paxos.events import PeerConnected, Received, Submitted
from fab_paxos.messages import Message
from quorum import Context, QuorumSystem, default_profile
from quorum.signature_set import SignatureSetScheme

SUBMIT_SECONDS = 0.001
RETRY_SECONDS = 1.0
FOLLOW_SECONDS = 0.05
SETTLE_SECONDS = 120.0
IN_MEMORY = "/dev/shm"  # noqa: S108 - a folder of random name is made in it
"""Where journals are, if there is such a place: syncing to a disk would take most of the time."""


class Diverged(AssertionError):
    """Correct executors came to different states or answers: the machine is not deterministic."""


class NotLive(AssertionError):
    """After everything was healed, commands had no answers in SETTLE_SECONDS: the machine hangs, or we do."""


class Simulation:
    """``members`` and their executors, on a network with ``loss``. Close it, or use ``with``.

    Members are named member-1, member-2, …; clients by any name, when they first submit. The same machine,
    seed and calls give the same run.
    """

    def __init__(
        self,
        machine: Callable[[], StateMachine],
        *,
        seed: int = 0,
        members: int = 6,
        faults: int = 1,
        profile: str | None = None,
        liars: Collection[str] = (),
        loss: float = 0.02,
        application: str = "app",
    ) -> None:
        """``machine`` makes one in its first state. ``profile`` is "classic" or "lean", None as for ``init``.

        Raises ValueError for more liars than ``faults``, and for sizes that no profile takes.
        """
        system = QuorumSystem(members, faults, profile or default_profile(members, faults))
        names = [f"member-{number}" for number in range(1, members + 1)]
        if len(liars) > faults or not set(liars) <= set(names):
            raise ValueError(f"liars are at most {faults} of {', '.join(names)}")
        self._system = system
        self._clockwork = Clockwork(seed)
        self._network = Network(self._clockwork, loss)
        self._application = application
        self._clients: dict[str, SimulatedClient] = {}
        self.calls: list[Call] = []
        self._waiting: list[Call] = []
        self._folder = tempfile.TemporaryDirectory(
            prefix="alliance-testing-", dir=IN_MEMORY if Path(IN_MEMORY).is_dir() else None
        )
        context = Context(sha256(b"simulation").digest(), 0)
        keys = [key_of(name).public_key() for name in names]
        scheme = SignatureSetScheme(keys, system.decision, context)
        folder = Path(self._folder.name)
        self._members = [
            ApplicationMember(
                me, name, system, scheme, folder, application, machine, self._clockwork, self._say
            )
            for me, name in enumerate(names)
        ]
        self._by_name = {member.name: member for member in self._members}
        self._liars = {name: Liar(self._by_name[name], self._clockwork.random) for name in liars}
        for member in self._members:
            self._start(member)
        self._clockwork.after(RETRY_SECONDS, self._retry)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for member in self._members:
            member.stop()
        self._folder.cleanup()

    # -- what a test does ----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated seconds since the run began."""
        return self._clockwork.now

    def submit(self, payload: bytes, *, client: str = "client-1", query: bool = False) -> Call:
        """A command or a query, from now on under way; a client submits again until it has an answer."""
        if client not in self._clients:
            client_id = sha256(client.encode()).digest()
            self._clients[client] = SimulatedClient(client, client_id, self._application)
        call = self._clients[client].call(payload, is_query=query, now=self.now)
        self.calls.append(call)
        self._waiting.append(call)
        self._hand_in(call)
        return call

    def run(self, seconds: float) -> None:
        """Lets so much simulated time pass. Raises Diverged."""
        self._clockwork.run(self.now + seconds)

    def crash(self, *names: str) -> None:
        """Ends these members and their executors, as SIGKILL does."""
        for name in names:
            self._by_name[name].stop()

    def restart(self, *names: str) -> None:
        """Starts those of them that are down."""
        for name in names:
            if not self._by_name[name].up:
                self._start(self._by_name[name])

    def partition(self, *groups: Collection[str]) -> None:
        """Cuts the network: each group is alone, and so are the members that are in none, together."""
        self._network.part(*groups)
        self._reconnect()

    def heal(self) -> None:
        """Ends the partition, and restarts who is down."""
        self._network.part()
        self.restart(*self._by_name)
        self._reconnect()

    def turmoil(self, seconds: float) -> None:
        """Crashes, restarts and partitions at random times, of any members. Raises Diverged."""
        random, end = self._clockwork.random, self.now + seconds
        while self.now < end:
            names = list(self._by_name)
            chosen = random.sample(names, random.randint(1, len(names) // 2))
            match random.randrange(4):
                case 0:
                    self.crash(*chosen[:2])
                case 1:
                    self.restart(*names)
                case 2:
                    self.partition(chosen)
                case _:
                    self.heal()
            self.run(min(random.uniform(0.1, 3.0), max(0.0, end - self.now)))

    def settle(self) -> None:
        """Heals everything, and waits until every call is answered and all correct executors stand alike.

        Raises Diverged, and NotLive after SETTLE_SECONDS of simulated time.
        """
        self.heal()
        self._clockwork.run(self.now + SETTLE_SECONDS, self._settled)
        if not self._settled():
            waiting = len(self._waiting)
            slots = {member.name: member.runner.slot for member in self._members}
            raise NotLive(f"{waiting} calls have no answer; executed up to: {slots}")
        self._compare()

    def ordered(self) -> list[Call]:
        """The answered calls in the order in which they took effect, for a checker of yours."""
        waiting = {call.submission.encoded: call for call in self.calls if call.outcome is not None}
        history = max((member.history for member in self._members), key=lambda told: told.certified_slot)
        calls = []
        for slot in range(1, history.certified_slot + 1):
            for submission in history.batch(slot).submissions:
                call = waiting.pop(submission.encoded, None)
                if call is not None:
                    calls.append(call)
        return calls

    # -- the application -----------------------------------------------------------------------------

    def _settled(self) -> bool:
        slots = {member.runner.slot for member in self._correct()}
        return len(slots) == 1 and not self._waiting

    def _correct(self) -> list[ApplicationMember]:
        return [member for member in self._members if member.name not in self._liars]

    def _compare(self) -> None:
        first, *others = self._correct()
        state = first.runner.state()
        for other in others:
            if other.runner.state() != state:
                raise Diverged(
                    f"after slot {state.slot}, {other.name} has another state or other answers than"
                    f" {first.name}: {_difference(state.machine, other.runner.state().machine)}"
                )

    def _follow(self, member: ApplicationMember) -> None:
        """The executor asks members that it reaches, its own first, for certified slots; again and again."""
        runner = member.runner
        sources = [member, *(other for other in self._members if other is not member)]
        for source in sources:
            if not source.up or not self._network.together(member.name, source.name):
                continue
            history = source.history
            while history.pruned <= runner.slot < history.certified_slot:
                slot = runner.slot + 1
                batch = history.batch(slot)
                entries = tuple(deliver(slot, batch, runner.windows, self._names(), _NO_PROOF))
                runner.execute(DecidedSlot(slot, batch, entries))
                member.save()
        self._answer(member)
        member.later(FOLLOW_SECONDS, lambda: self._follow(member))

    def _names(self) -> dict[bytes, str]:
        return {client.client_id: client.name for client in self._clients.values()}

    def _answer(self, member: ApplicationMember) -> None:
        liar = self._liars.get(member.name)
        for call in list(self._waiting):
            submission = call.submission
            outcome = member.runner.outcomes.get(submission.client_id, submission.client_seq, 0)
            if outcome is not None:
                self._tell(call, member.name, liar.answer(outcome) if liar is not None else outcome)

    def _tell(self, call: Call, member: str, outcome: Outcome) -> None:
        call.hear(member, outcome, self._system.mostly_correct, self.now)
        if call.outcome is not None:
            self._waiting.remove(call)
        honest = [said for said, names in call.said.items() if names - set(self._liars)]
        if len(honest) > 1:
            told = {name: said.payload[:80] for said, names in call.said.items() for name in names}
            raise Diverged(f"executors answer {call.payload[:80]!r} in different ways: {told}")

    # -- members and their network -------------------------------------------------------------------

    def _start(self, member: ApplicationMember) -> None:
        member.start()
        self._follow(member)
        for other in self._members:
            if other is not member and other.up:
                member.post(PeerConnected(other.me))
                other.post(PeerConnected(member.me))

    def _reconnect(self) -> None:
        for one in self._members:
            for other in self._members:
                if one is not other and other.up and self._network.together(one.name, other.name):
                    one.post(PeerConnected(other.me))

    def _say(self, sender: int, to: int, message: Message) -> None:
        one, other = self._members[sender], self._members[to]
        liar = self._liars.get(one.name)
        said = liar.twist(to, message) if liar is not None else message
        if said is not None:
            self._network.carry(one.name, other.name, lambda: other.post(Received(sender, said)))

    def _hand_in(self, call: Call) -> None:
        for member in self._clockwork.random.sample(self._members, self._system.one_correct):
            self._clockwork.after(SUBMIT_SECONDS, member.post, Submitted(call.submission))

    def _retry(self) -> None:
        for call in self._waiting:
            self._hand_in(call)
        self._clockwork.after(RETRY_SECONDS, self._retry)


class _NoProof:
    def receipt(self, slot: int, position: int, command_index: int) -> Receipt:
        raise LookupError("a simulation has no receipts: its members sign with other keys")


_NO_PROOF = _NoProof()


def _difference(one: bytes, other: bytes) -> str:
    """Where two snapshots begin to differ."""
    at = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    begin = max(0, at - 20)
    return f"…{one[begin : at + 20]!r}… here, …{other[begin : at + 20]!r}… there"
