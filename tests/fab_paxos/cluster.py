"""A deterministic world for real engines: links, journals, signers, crashes; one seed, one run.

Members do what the real driver does: several waiting events, then Drained, then the effects, all Persist
first. Links deliver in order, one random link at a time; with ``loss`` they also drop, repeat and reorder.
The checkers live apart, in ``checkers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from random import Random

from fab_paxos import EngineConfig, Entry, Replica, Submission, UnsignedSubmission
from fab_paxos.effects import (
    Blame,
    Broadcast,
    Certify,
    Combine,
    Decide,
    Effect,
    Endorse,
    Leapt,
    Locate,
    Persist,
    Present,
    Prune,
    Refuse,
    Send,
    SetTimer,
    Supply,
)
from fab_paxos.events import (
    CombinationFailed,
    Combined,
    Drained,
    EndorsementMade,
    Event,
    PeerConnected,
    Received,
    Started,
    Submitted,
    TimerFired,
)
from fab_paxos.limits import CHECKPOINT_SLOTS
from fab_paxos.messages import Accepted, Message, Propose
from quorum import CombineFailed, Endorser, QuorumCertificate, QuorumSystem, Scheme, combine
from tests.fab_paxos.disk import Disk
from tests.fab_paxos.require import require
from tests.fab_paxos.standin import StandInEndorser, StandInScheme

SIX = QuorumSystem(6, 1)
TURN_EVENTS_MAX = 8
Tamper = Callable[[int, int, Message], list[Message]]


def submission(client: int, seq: int, command: bytes = b"") -> Submission:
    """Client number ``client``'s submission ``seq``; the gate's checks are not our subject."""
    commands = [command or b"command %d of client %d" % (seq, client)]
    return UnsignedSubmission(client_id(client), seq, commands).sign(b"c" * 64)


def client_id(client: int) -> bytes:
    return client.to_bytes(32, "big")


class Crash(Exception):
    """Power fails within a turn."""


class Member:
    """One run after another of one member: engine and inbox die in a crash, the disk stays."""

    def __init__(self, me: int, system: QuorumSystem, config: EngineConfig | None = None) -> None:
        self.me = me
        self.system = system
        self.config = config or EngineConfig(system, me)
        self.disk = Disk()
        self.replica: Replica | None = None
        self.inbox: deque[Event] = deque()
        self.jobs: list[Event] = []
        self.runs: list[list[Entry]] = []
        self.certificates: list[QuorumCertificate] = []
        self.blames: list[Blame] = []
        self.refusals: list[Refuse] = []
        self.located: list[Locate] = []
        self.leaps: list[int] = []
        self.pruned: dict[int, Entry] = {}
        self.turns = 0
        self.timers: set[str] = set()

    @property
    def engine(self) -> Replica:
        if self.replica is None:
            raise AssertionError(f"member {self.me} is down")
        return self.replica

    def start(self) -> None:
        self.replica = Replica(self.config, self.disk.restore())
        self.runs.append([])
        self.inbox.append(Started())

    def stop(self) -> None:
        self.replica = None
        self.inbox.clear()
        self.jobs.clear()
        self.timers.clear()

    def decided(self) -> dict[int, Entry]:
        """Everything this member ever decided, over all its runs."""
        told = {entry.slot: entry for run in self.runs for entry in run}
        proven = {slot: entry for slot, entry in self.disk.entries.items() if slot <= self.disk.proven}
        return {
            **self.pruned,
            **proven,
            **told,
        }  # a crash may come between the record and the word: the record counts


class Cluster:
    def __init__(
        self,
        system: QuorumSystem = SIX,
        seed: int = 0,
        *,
        loss: float = 0.0,
        frame_slots: int = 7,
        scheme: Scheme | None = None,
        endorsers: list[Endorser] | None = None,
        traced: bool = False,
        checkpoint_slots: int = CHECKPOINT_SLOTS,
        retain_slots: int | None = None,
    ) -> None:
        count = system.member_count
        self.system = system
        self.seed = seed
        self.random = Random(seed)
        self.loss = loss
        self.frame_slots = frame_slots
        self.scheme: Scheme = scheme or StandInScheme(system.decision)
        self.endorsers = endorsers or [StandInEndorser(member) for member in range(count)]
        self.members = [
            Member(
                me,
                system,
                EngineConfig(system, me, checkpoint_slots=checkpoint_slots, retain_slots=retain_slots),
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
        self.crash_plan: dict[tuple[int, int], str] = {}
        self._trace = sha256() if traced else None
        for member in self.members:
            member.start()
        for a, b in self.links:
            self.members[a].inbox.append(PeerConnected(b))

    # -- what tests do -------------------------------------------------------------------------------

    def submit(self, member: int, *submissions: Submission) -> None:
        for one in submissions:
            self.submitted.append(one)
            self.members[member].inbox.append(Submitted(one))

    def submit_again(self, member: int) -> None:
        """The clients, who have no answer, hand in everything once more."""
        self.members[member].inbox.extend(map(Submitted, self.submitted))

    def inject(self, sender: int, to: int, *messages: Message) -> None:
        """A message as if ``sender`` had said it: its own engine knows nothing of it."""
        self.members[to].inbox.extend(Received(sender, message) for message in messages)

    def crash(self, me: int) -> None:
        self.members[me].stop()
        for (a, b), link in self.links.items():
            if me in (a, b):
                link.clear()

    def restart(self, me: int) -> None:
        self.members[me].start()
        for other in self.live():
            if other is not self.members[me]:
                self.members[me].inbox.append(PeerConnected(other.me))
                other.inbox.append(PeerConnected(me))

    def live(self) -> list[Member]:
        return [member for member in self.members if member.replica is not None]

    def correct(self) -> list[Member]:
        """Live members that speak and do not lie."""
        return [m for m in self.live() if m.me not in self.silent and m.me not in self.tampers]

    def beat(self) -> None:
        for member in self.live():
            member.inbox.append(TimerFired("heartbeat"))

    def lose_patience(self) -> None:
        """The view time-out passes for everybody whose timer is running."""
        for member in self.live():
            if "patience" in member.timers:
                member.timers.discard("patience")
                member.inbox.append(TimerFired("patience"))

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
        ready = [member.me for member in self.members if member.inbox]
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
        if self.members[to].replica is not None:
            self.members[to].inbox.append(Received(sender, message))

    def turn(self, me: int) -> None:
        """A random number of waiting events, Drained, and the effects: records first."""
        member = self.members[me]
        effects: list[Effect] = []
        for _ in range(min(len(member.inbox), self.random.randint(1, TURN_EVENTS_MAX))):
            event = member.inbox.popleft()
            self._note(me, event)
            effects.extend(member.engine.step(event))
        effects.extend(member.engine.step(Drained()))
        member.turns += 1
        planned = self.crash_plan.pop((me, member.turns), None)
        try:
            self._carry_out_all(member, effects, planned)
        except Crash:
            self.crash(me)

    def _carry_out_all(self, member: Member, effects: list[Effect], planned: str | None) -> None:
        if planned == "before the sync":
            raise Crash
        member.disk.write([effect.record for effect in effects if isinstance(effect, Persist)])
        if planned == "after the sync":
            raise Crash
        for place, effect in enumerate(effects):
            if planned == "within the effects" and 2 * place >= len(effects):
                raise Crash
            self._note(member.me, effect)
            self._carry_out(member, effect)
        if planned is not None:
            raise Crash

    def _carry_out(self, member: Member, effect: Effect) -> None:
        match effect:
            case Send(to, message):
                self._send(member.me, to, message)
            case Broadcast(message):
                for to in range(self.system.member_count):
                    if to != member.me:
                        self._send(member.me, to, message)
            case Endorse(statement, proven):
                signed = statement.encode(self.scheme.context)
                signature = self.endorsers[member.me].endorse(signed, proven=proven)
                member.jobs.append(EndorsementMade(statement, signature, proven))
            case Combine(endorsements):
                try:
                    member.jobs.append(Combined(combine(self.scheme, endorsements)))
                except CombineFailed as failure:
                    statement = endorsements[0].statement
                    member.jobs.append(CombinationFailed(statement, failure.culprits, failure.unproven))
            case Decide(entry):
                member.runs[-1].append(entry)
            case Certify(certificate):
                member.certificates.append(certificate)
            case Supply(to, first_slot):
                self._send(member.me, to, member.disk.frame(first_slot, self.frame_slots))
            case Present(to, checkpoint):
                self._send(member.me, to, member.disk.offer(checkpoint))
            case Prune(slot):
                member.pruned.update({s: e for s, e in member.disk.entries.items() if s <= slot})
                member.disk.prune(slot)
            case Leapt(checkpoint):
                member.leaps.append(checkpoint.slot)
                member.runs.append([])
            case Refuse():
                member.refusals.append(effect)
            case Locate():
                member.located.append(effect)
            case Blame():
                member.blames.append(effect)
            case SetTimer(name, _):
                member.timers.add(name)
            case Persist():
                pass

    def _send(self, sender: int, to: int, message: Message) -> None:
        if isinstance(message, Propose) and not message.signature:
            require(self.system.leader(message.view) == sender, "relayed without the leader's signature")
            message = replace(message, signature=b"signed by the leader")
        elif isinstance(message, Accepted):
            message = replace(message, signature=b"signed by %d" % sender)
        tamper = self.tampers.get(sender)
        for said in tamper(sender, to, message) if tamper is not None else [message]:
            if self.keep_sent:
                self.sent.append((sender, to, said))
            self.transmit(sender, to, said)

    def transmit(self, sender: int, to: int, said: Message) -> None:
        """What left the sender: onto the link, if there is one and the message is not lost."""
        lost = self.loss and self.random.random() < self.loss
        open_link = sender not in self.silent and (sender, to) not in self.cut
        if open_link and not lost and self.members[to].replica is not None:
            self.links[sender, to].append(said)

    def _note(self, me: int, what: Event | Effect) -> None:
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
            self.lose_patience()
            self.settle(3)
