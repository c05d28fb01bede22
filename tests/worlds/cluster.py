"""A deterministic world for real engines and drivers: links, disks, crashes; one seed, one run.

Time does not pass here: a random thing that can happen happens next, and tests say when timers fire. Links
deliver in order, one random link at a time; with ``loss`` they also drop, repeat and reorder. The checkers
live apart, in ``checkers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from random import Random

from fab_paxos import EngineConfig
from fab_paxos.control import Control
from fab_paxos.effects import Blame, BlameClient, Timer
from fab_paxos.events import Event, PeerConnected, Received, Submitted, TimerFired
from fab_paxos.limits import CHECKPOINT_SLOTS
from fab_paxos.messages import Accepted, Message, Propose
from quorum import Endorser, JointStatement, QuorumSystem, Scheme
from quorum.weighted import WeightedQuorums
from tests.worlds.member import MOMENTS, Crash, Member
from tests.worlds.require import require
from tests.worlds.standin import StandInEndorser, StandInScheme
from verifiable_log import Submission, UnsignedSubmission

SIX = QuorumSystem(6, 1)
TURN_EVENTS_MAX = 8
BEAT_MS = 500
Tamper = Callable[[int, int, Message], list[Message]]


def submission(client: int, seq: int, command: bytes = b"") -> Submission:
    """Client number ``client``'s submission ``seq``; the gate's checks are not our subject."""
    commands = [command or b"command %d of client %d" % (seq, client)]
    return UnsignedSubmission(client_id(client), seq, commands).sign(b"c" * 64)


def client_id(client: int) -> bytes:
    return client.to_bytes(32, "big")


class Cluster:
    def __init__(
        self,
        system: QuorumSystem | WeightedQuorums = SIX,
        seed: int = 0,
        *,
        loss: float = 0.0,
        frame_slots: int = 7,
        scheme: Scheme | None = None,
        endorsers: list[Endorser] | None = None,
        traced: bool = False,
        checkpoint_slots: int = CHECKPOINT_SLOTS,
        retain_slots: int | None = None,
        founded: Control | None = None,
    ) -> None:
        """``founded``: what holds of the alliance itself before slot 1."""
        count = system.member_count
        self.system = system
        self.seed = seed
        self.random = Random(seed)
        self.loss = loss
        self.frame_slots = frame_slots
        self.founded = founded
        self.scheme: Scheme = scheme or StandInScheme(system.decision)
        self.endorsers = endorsers or [StandInEndorser(member) for member in range(count)]
        self.members = [
            Member(
                EngineConfig(system, me, checkpoint_slots=checkpoint_slots, retain_slots=retain_slots), self
            )
            for me in range(count)
        ]
        self.links: dict[tuple[int, int], deque[Message]] = {
            (a, b): deque() for a in range(count) for b in range(count) if a != b
        }
        self.silent: set[int] = set()
        self.cut: set[tuple[int, int]] = set()
        self.tampers: dict[int, Tamper] = {}
        self.submitted: list[Submission] = []
        self.sent: list[tuple[int, int, Message]] = []
        self.keep_sent = False
        self.crash_plan: dict[tuple[int, int], str | int] = {}
        self.now_ms = 0
        self.skew_ms = [0] * count
        self._trace = sha256() if traced else None
        for member in self.members:
            self.equip(member)
            member.start()
        for a, b in self.links:
            self.members[a].post(PeerConnected(b))

    def equip(self, member: Member) -> None:
        """Before a member's first start."""

    # -- what tests do -------------------------------------------------------------------------------

    def submit(self, member: int, *submissions: Submission) -> None:
        for one in submissions:
            self.submitted.append(one)
            self.members[member].post(Submitted(one))

    def submit_again(self, member: int) -> None:
        """The clients, who have no answer, hand in everything once more."""
        for one in self.submitted:
            self.members[member].post(Submitted(one))

    def inject(self, sender: int, to: int, *messages: Message) -> None:
        """A message as if ``sender`` had said it: its own engine knows nothing of it."""
        for message in messages:
            self.members[to].post(Received(sender, message))

    def crash(self, me: int) -> None:
        self.members[me].stop()
        for (a, b), link in self.links.items():
            if me in (a, b):
                link.clear()

    def restart(self, me: int) -> None:
        self.members[me].start()
        if self.members[me].replica is None:
            return
        for other in self.live():
            if other is not self.members[me]:
                self.members[me].post(PeerConnected(other.me))
                other.post(PeerConnected(me))

    def live(self) -> list[Member]:
        return [member for member in self.members if member.replica is not None]

    def correct(self) -> list[Member]:
        """Live members that speak and do not lie."""
        return [m for m in self.live() if m.me not in self.silent and m.me not in self.tampers]

    def beat(self) -> None:
        self.now_ms += BEAT_MS
        for member in self.live():
            member.post(TimerFired(Timer.HEARTBEAT))

    def fire_view_timers(self) -> None:
        """The view time-out passes for everybody whose timer is running."""
        self.now_ms += BEAT_MS
        for member in self.live():
            if Timer.VIEW in member.timers:
                member.timers.discard(Timer.VIEW)
                member.post(TimerFired(Timer.VIEW))

    # -- the schedule --------------------------------------------------------------------------------

    def run(self, steps: int = 1_000_000) -> int:
        """Random steps until nothing is left to do (or ``steps`` are done); how many there were."""
        for done in range(steps):
            if not self.step():
                return done
        return steps

    def step(self) -> bool:
        """One random thing that can happen: a delivery, a signer's answer, a member's turn."""
        links = [key for key, link in self.links.items() if link]
        workers = [member.me for member in self.members if member.jobs]
        ready = [member.me for member in self.members if member.inbox or member.fresh]
        total = len(links) + len(workers) + len(ready)
        if not total:
            return False
        choice = self.random.randrange(total)
        if choice < len(links):
            self._deliver(*links[choice])
        elif choice < len(links) + len(workers):
            member = self.members[workers[choice - len(links)]]
            member.inbox.append(member.jobs.pop(self.random.randrange(len(member.jobs))))
        else:
            self.turn(ready[choice - len(links) - len(workers)])
        return True

    def _deliver(self, sender: int, to: int) -> None:
        link = self.links[sender, to]
        place = 0
        if self.loss and self.random.random() < self.loss:
            place = self.random.randrange(len(link))
        message = link[place]
        if not (self.loss and self.random.random() < self.loss / 2):  # else it stays: delivered twice
            del link[place]
        self.arrive(sender, to, message)

    def arrive(self, sender: int, to: int, message: Message) -> None:
        self.members[to].post(Received(sender, message))

    def turn(self, me: int) -> None:
        """The real driver's turn with a random number of waiting events."""
        member = self.members[me]
        count = self.random.randint(1, TURN_EVENTS_MAX)
        for event in list(member.inbox)[:count] if self._trace is not None else ():
            self._note(me, event)
        planned = self.crash_plan.pop((me, member.turns + 1), None)
        try:
            member.turn(count, MOMENTS[planned] if isinstance(planned, str) else planned)
        except Crash:
            self.crash(me)

    # -- what members want ---------------------------------------------------------------------------

    def wake(self, member: Member) -> None:
        """Whoever has something to do is found by ``step``."""

    def clock(self, member: Member) -> float:
        return (self.now_ms + self.skew_ms[member.me]) / 1000

    def accused(self, member: Member, blame: Blame | BlameClient) -> None:
        """A member blames somebody."""

    def start_timer(self, member: Member, name: str, seconds: float) -> None:
        member.timers.add(name)

    def endorsed(self, member: Member, statement: JointStatement) -> None:
        """A member's signer gives its share."""

    def answer(self, member: Member, event: Event) -> None:
        member.jobs.append(event)

    def say(self, sender: int, recipients: Iterable[int], message: Message) -> None:
        """A member's engine speaks; a liar's words are exchanged for others."""
        tamper = self.tampers.get(sender)
        if tamper is None:
            self.spread(sender, recipients, message)
            return
        for to in recipients:
            for said in tamper(sender, to, message):
                self.transmit(sender, to, said)

    def transmit(self, sender: int, to: int, said: Message) -> None:
        self.spread(sender, (to,), said)

    def spread(self, sender: int, recipients: Iterable[int], said: Message) -> None:
        """What leaves the sender, in its name."""
        said = self.sealed(sender, said)
        for to in recipients:
            if self.keep_sent:
                self.sent.append((sender, to, said))
            self.carry(sender, to, said)

    def sealed(self, sender: int, said: Message) -> Message:
        if isinstance(said, Propose) and not said.signature:
            require(self.system.leader(said.view) == sender, "relayed without the leader's signature")
            return replace(said, signature=b"signed by the leader")
        if isinstance(said, Accepted):
            return replace(said, signature=b"signed by %d" % sender)
        return said

    def carry(self, sender: int, to: int, said: Message) -> None:
        """Onto the link, if there is one and the message is not lost."""
        lost = self.loss and self.random.random() < self.loss
        open_link = sender not in self.silent and (sender, to) not in self.cut
        if open_link and not lost and self.members[to].replica is not None:
            self.links[sender, to].append(said)

    def _note(self, me: int, what: Event) -> None:
        if self._trace is not None:
            self._trace.update(b"%d %s\n" % (me, repr(what).encode()))

    def trace(self) -> str:
        if self._trace is None:
            raise AssertionError("this world keeps no trace")
        return self._trace.hexdigest()

    # -- calming down --------------------------------------------------------------------------------

    def settle(self, beats: int = 12) -> None:
        """No more loss: runs to the end, heartbeat after heartbeat."""
        self.loss = 0.0
        for _ in range(beats):
            self.run()
            self.beat()
        self.run()

    def settle_views(self, rounds: int = 12) -> None:
        """No more loss, and time passes: heartbeats and view time-outs, until all is quiet."""
        self.loss = 0.0
        for _ in range(rounds):
            self.run()
            self.fire_view_timers()
            self.settle(3)
