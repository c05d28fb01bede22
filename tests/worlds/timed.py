"""The world in which time passes: every message, timer, signature and turn has its moment on one clock.

Times are integers, in microseconds. Everything that chance decides comes from the seed, and everything that
happens goes into the trace, so one seed is one run. What is done to the members on purpose, by the plan, is
counted by class in ``faults``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count as count_from
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from alliance.testing.network import Clockwork
from fab_paxos.effects import Timer
from fab_paxos.events import (
    EndorsementMade,
    EndorsementRefused,
    Event,
    PeerConnected,
    ProofsWanted,
    Submitted,
    TimerFired,
)
from fab_paxos.messages import Message
from quorum import QuorumSystem
from tests.worlds.cluster import SIX
from tests.worlds.journals import JournalDisk
from tests.worlds.member import Crash, Member
from tests.worlds.world import World
from verifiable_log import Submission

MILLISECOND = 1000
SECOND = 1000 * MILLISECOND
SHARE_TIME = 5 * MILLISECOND
GREETING_TIME = 20 * MILLISECOND
SKEW_MS = 4000
"""A member's clock is wrong by so much at most: no two are farther apart than members put up with."""
WRITING, PRUNING = 0, -1
"""Moments to die at (``tests.worlds.member``) that may not come in the next turn."""

MEMORY = Path("/dev/shm")
"""Where journals are synced fast: that they are durable is simulated, not relied on."""

_NOTED_AS = {Timer.HEARTBEAT: "heartbeat", Timer.VIEW: "patience"}
"""What the trace calls the timers: its hash outlives their names."""

PAST_MAX = 16
"""Messages of each link that may be said again."""


@dataclass(frozen=True)
class Noise:
    """What a bad network does to each message, each with its probability. Half of them take less than
    a quarter of ``delay``, and none four times of it."""

    loss: float = 0.0
    twice: float = 0.0
    replay: float = 0.0
    reorder: float = 0.0
    delay: int = 5 * MILLISECOND

    @property
    def quiet(self) -> bool:
        return not (self.loss or self.twice or self.replay or self.reorder)


class TimedWorld(World):
    def __init__(
        self,
        system: QuorumSystem = SIX,
        seed: int = 0,
        *,
        delay: int = 5 * MILLISECOND,
        journals: bool = False,
        **options: Any,
    ) -> None:
        """``options`` are those of ``World``."""
        count = system.member_count
        self.usual = self.noise = Noise(delay=delay)
        self.events = 0
        self.recovery = 0.0  # view time-outs that it took to decide everything once a quorum was healed
        self.rude: set[int] = set()  # liars that take no greeting
        self.pace: dict[tuple[int, int], int] = {}  # how many times slower than usual a link is
        self.doomed: dict[int, tuple[int, Callable[[], None]]] = {}
        self._clockwork = Clockwork(seed, begin=0)  # an integer, so that all times are
        self._rings = count_from(1)
        self._lives = [0] * count  # how often each member has crashed: what belongs to another life is void
        self._due = [False] * count
        self._paused = [0] * count
        self._signs_until = [0] * count
        self._votes = [True] * count
        self._timers: dict[tuple[int, str], int] = {}
        self._last: dict[tuple[int, int], int] = {}
        self._past: dict[tuple[int, int], deque[tuple[Message, int]]] = {}
        self._with_journals = journals
        self._folder: TemporaryDirectory[str] | None = None
        self._history = sha256()
        super().__init__(system, seed, **options)
        dice = Random(f"clocks {seed}")
        self.skew_ms = [dice.randint(-SKEW_MS, SKEW_MS) for _ in range(count)]
        self._clients = Random(f"clients {seed}")
        for me in range(count):
            self._attend(me)

    def equip(self, member: Member) -> None:
        if self._with_journals:
            member.disk = self.journal_disk(member.me)

    @property
    def kinds(self) -> set[str]:
        """What its liars are called."""
        prefix = "members: "
        return {name.removeprefix(prefix) for name in self.faults if name.startswith(prefix)}

    def journal_disk(self, me: int) -> JournalDisk:
        """A real journal, in a folder that goes with this world."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None)
        dice, epoch = Random(self.seed * 64 + me), self.scheme.context.epoch
        return JournalDisk(Path(self._folder.name), me, dice, self.founded, epoch)

    def close(self) -> None:
        for member in self.members:
            member.disk.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def submit(self, member: int, *submissions: Submission) -> None:
        """By a client that has just come, or one that does not wait for its proof."""
        self._attend(member)
        super().submit(member, *submissions)

    def _attend(self, me: int) -> None:
        """Clients come and go."""
        self.members[me].post(ProofsWanted(self._clients.random() < 0.5))

    # -- the clock -----------------------------------------------------------------------------------

    def clock(self, member: Member) -> float:
        """What it shows to this member, in seconds."""
        return self.now / SECOND + self.skew_ms[member.me] / 1000

    @property
    def now(self) -> int:
        """Microseconds since the run began."""
        return self._clockwork.now

    def later(self, delay: int, act: Callable[..., None], *arguments: Any) -> None:
        self._clockwork.after(delay, act, *arguments)

    def advance(self, until: int) -> None:
        """Lets everything happen that is due by then."""
        self._clockwork.run(until)

    def note(self, *what: object) -> None:
        self._history.update(b"%d %s\n" % (self.now, repr(what).encode()))

    def trace(self) -> str:
        return self._history.hexdigest()

    # -- members -------------------------------------------------------------------------------------

    def wake(self, member: Member) -> None:
        me = member.me
        if not self._due[me]:
            self._due[me] = True
            # A busy member takes a while; what comes in the meantime is handled in the same turn.
            self.later(int(self.random.random() * self.noise.delay / 2), self._take_turn, me, self._lives[me])

    def _take_turn(self, me: int, life: int) -> None:
        if life != self._lives[me]:
            return
        if self.now < self._paused[me]:
            self.later(self._paused[me] - self.now, self._take_turn, me, life)
            return
        self._due[me] = False
        if not self._votes[me]:
            return
        member = self.members[me]
        events = len(member.inbox)
        self.events += events + member.fresh
        moment, afterwards = self.doomed.get(me, (self.crash_plan.get((me, member.turns + 1)), None))
        # In this turn or in a later one: when it writes, or prunes.
        member.dies_writing, member.dies_pruning = moment == WRITING, moment == PRUNING
        try:
            member.turn(events, moment if moment is not None and moment > 0 else None)
        except Crash:
            crashed = {WRITING: "crashes while writing", PRUNING: "crashes while pruning"}
            self.faults[crashed.get(moment, "crashes within a turn")] += 1
            self.crash(me)
            if afterwards is not None:
                afterwards()

    def crash(self, me: int) -> None:
        self.note("crash", me)
        self._lives[me] += 1
        self._due[me] = False
        self._signs_until[me] = self._paused[me] = 0
        self.doomed.pop(me, None)
        for key in [key for key in self._timers if key[0] == me]:
            del self._timers[key]
        super().crash(me)

    def restart(self, me: int) -> None:
        super().restart(me)
        if self.members[me].replica is not None:
            self._votes[me] = False
            self._greet(me, self._lives[me], {me})

    def _greet(self, me: int, life: int, known_by: set[int]) -> None:
        """A start votes when n - f members hold its greeting, as ``alliance.server.incarnation`` has it."""
        if life != self._lives[me]:
            return
        for peer in self.members:
            apart = {me, peer.me} & self.silent or {(me, peer.me), (peer.me, me)} & self.cut
            if peer.replica is not None and not apart and self.now >= self._paused[peer.me]:
                known_by.add(peer.me)
        if len(known_by - self.rude) < self.system.report:
            self.later(GREETING_TIME, self._greet, me, life, known_by)
            return
        self.note("votes", me)
        self._votes[me] = True
        self._attend(me)
        self.wake(self.members[me])

    def pause(self, me: int, duration: int) -> None:
        """As SIGSTOP does: what comes waits; time goes on."""
        self._paused[me] = max(self._paused[me], self.now + duration)

    def unpause(self, me: int) -> None:
        self._paused[me] = 0
        if self.members[me].inbox:
            self._due[me] = False
            self.wake(self.members[me])

    def resubmit(self, me: int, submission: Submission) -> None:
        """Its client has no answer, and asks here."""
        self.members[me].post(Submitted(submission))

    def answer(self, member: Member, event: Event) -> None:
        """A signer takes its time, one statement after another; combining is done at once."""
        me = member.me
        if not isinstance(event, EndorsementMade | EndorsementRefused):
            member.post(event)
            return
        begin = max(self.now, self._signs_until[me])
        self._signs_until[me] = begin + int((0.2 + self.random.random()) * SHARE_TIME)
        self.later(self._signs_until[me] - self.now, self._answered, me, self._lives[me], event)

    def _answered(self, me: int, life: int, event: Event) -> None:
        if life == self._lives[me]:
            self.members[me].post(event)

    # -- timers --------------------------------------------------------------------------------------

    def start_timer(self, member: Member, name: str, seconds: float) -> None:
        self._timers[member.me, name] = number = next(self._rings)
        self.later(int(seconds * SECOND), self._ring, member.me, name, number)

    def _ring(self, me: int, name: str, number: int) -> None:
        if self._timers.get((me, name)) != number:
            return  # it was set anew, or its member has crashed
        del self._timers[me, name]
        self.note(_NOTED_AS[name], me)
        self.members[me].post(TimerFired(name))
        if me in self.adversaries:
            self.adversaries[me].on_time(name)

    def fire_view_timers(self) -> None:
        """As if their clocks ran ahead: the view timers that run fire now."""
        for me in range(self.system.member_count):
            number = self._timers.get((me, Timer.VIEW))
            if number is not None:
                self._ring(me, Timer.VIEW, number)

    # -- the network ---------------------------------------------------------------------------------

    def carry(self, sender: int, to: int, said: Message) -> None:
        mark = self.gate.mark
        noise, chance = self.noise, self.random.random
        if sender in self.silent or (sender, to) in self.cut:
            self.faults["cut off"] += 1
            return
        if noise.quiet:
            self._send_off(sender, to, said, mark, late=False)
            return
        past = self._past.setdefault((sender, to), deque(maxlen=PAST_MAX))
        past.append((said, mark))
        if chance() < noise.replay:
            self.faults["replayed"] += 1
            self._send_off(sender, to, *past[self.random.randrange(len(past))], late=True)
        if chance() < noise.loss:
            self.faults["lost"] += 1
            return
        if chance() < noise.twice:
            self.faults["sent twice"] += 1
            self._send_off(sender, to, said, mark, late=True)
        late = chance() < noise.reorder
        self.faults["reordered"] += late
        self._send_off(sender, to, said, mark, late=late)

    def _send_off(self, sender: int, to: int, said: Message, mark: int, *, late: bool) -> None:
        """In the order of the link, unless it comes ``late``: then whenever it comes."""
        delay = max(self.noise.delay, self.usual.delay * self.pace.get((sender, to), 1))
        # A few are much later than the rest: that is when members know different things.
        at = self.now + MILLISECOND // 2 + int(self.random.random() ** 4 * 4 * delay)
        if late:
            at += int(self.random.random() * 4 * delay)
        else:
            at = self._last[sender, to] = max(at, self._last.get((sender, to), 0))
        self.later(at - self.now, self._arrive, sender, to, said, mark, self._lives[to])

    def _arrive(self, sender: int, to: int, said: Message, mark: int, life: int) -> None:
        if life == self._lives[to] and self.members[to].replica is not None:
            self._history.update(b"%d %d>%d %d\n" % (self.now, sender, to, mark))
            self.arrive(sender, to, said)

    def be_timely(self) -> None:
        """From now on every link is fast. What is under way on slow ones comes when it comes."""
        self.noise = self.usual = Noise()
        self.pace, self._last = {}, {}

    def reconnect(self, links: set[tuple[int, int]]) -> None:
        """Broken connections are made anew: both ends are told."""
        for a, b in sorted(links):
            for one, other in ((a, b), (b, a)):
                if self.members[one].replica is not None and self.members[other].replica is not None:
                    self.members[one].post(PeerConnected(other))
