"""docs/concepts/protocol.md, section 9.2: slow leaders are suspected, slow networks are not; tenure ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos.leader_monitor import (
    DECISIONS_MIN,
    LATE_DECISIONS_MIN,
    NORM_FACTOR,
    SECONDS_MIN,
    LeaderMonitor,
    Name,
)
from fab_paxos.messages import Message, Propose
from quorum import QuorumSystem
from tests.worlds.checkers import check_all
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.member import Member
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld
from verifiable_log import Batch, Entry, Submission
from verifiable_log.merkle import Frontier

ELEVEN = QuorumSystem(11, 2)
LATE = 0.3  # of a time-out of half a second
SLOW, PROMPT = 0.1, 0.004


def entry(*submissions: Submission) -> Entry:
    return Entry(1, 0, Batch.of(submissions), b"", Frontier(), b"", ())


class Watcher:
    """The last member, whose client waits for one submission after another."""

    def __init__(self, system: QuorumSystem = SIX, tenure: tuple[int, float] = (10**5, 1200)) -> None:
        slots, beats = tenure
        self.monitor = LeaderMonitor(
            system, system.member_count - 1, 0, 0, timeout=0.5, tenure_slots=slots, tenure_beats=beats
        )
        self.system = system
        self.now_ms = 0.0
        self.seq = 0
        self.waits: set[Name] = set()

    def is_waiting(self, name: Name) -> bool:
        return name in self.waits

    def newest_of(self, turn: int) -> Name | None:
        return max(self.waits, default=None)

    def hand_in(self) -> Submission:
        self.seq += 1
        one = submission(1, self.seq)
        self.waits.add((one.client_id, one.client_seq))
        return one

    def watch(self, *, active: bool = True) -> None:
        self.monitor.watch(active, self, round(self.now_ms))

    def decide(self, *submissions: Submission) -> None:
        for one in submissions:
            self.waits.discard((one.client_id, one.client_seq))
        self.monitor.on_decided(entry(*submissions), round(self.now_ms))

    def decision(self, seconds: float, *others: Submission) -> bool:
        """One submission, decided after so long, with ``others``; whether the leader is now suspected."""
        one = self.hand_in()
        self.watch()
        self.now_ms += 1000 * seconds + 1  # what a slow machine needs for this one
        self.decide(one, *others)
        return self.monitor.too_slow()

    def suspects_after(self, seconds: float, limit: int = 3 * DECISIONS_MIN) -> int | None:
        """Decisions that take so long, until the leader is suspected."""
        return next((number for number in range(1, limit) if self.decision(seconds)), None)

    def tenure(self, view: int, seconds: float) -> None:
        """The leader of ``view`` takes so long for everything."""
        self.monitor.enter_view(view, 0)
        for _ in range(DECISIONS_MIN):
            self.decision(seconds)

    def measured(self, *seconds: float) -> Watcher:
        """The first leaders have led, each with this median; the next one leads."""
        for view, each in enumerate(seconds):
            self.tenure(view, each)
        self.monitor.enter_view(len(seconds), 0)
        return self


def test_a_leader_beyond_half_the_time_out_is_suspected_whatever_others_did() -> None:
    assert Watcher().suspects_after(LATE) == LATE_DECISIONS_MIN
    assert Watcher().suspects_after(0.24) is None
    turned = Watcher()
    for _ in range(3 * DECISIONS_MIN):
        assert not turned.decision(PROMPT)
    assert turned.suspects_after(LATE) == LATE_DECISIONS_MIN + 1, "what it did long ago does not excuse it"


def test_a_leader_much_slower_than_the_others_is_suspected() -> None:
    assert Watcher().measured(0.010, 0.010).suspects_after(0.042) == DECISIONS_MIN
    assert Watcher().measured(0.010, 0.010).suspects_after(0.038) is None
    assert Watcher().measured(PROMPT, PROMPT).suspects_after(SECONDS_MIN + 0.002) == DECISIONS_MIN
    assert Watcher().measured(0.001, 0.001).suspects_after(SECONDS_MIN) is None


@pytest.mark.parametrize("system", [SIX, ELEVEN])
def test_f_fast_ones_do_not_set_the_norm_and_f_slow_ones_do_not_raise_it(system: QuorumSystem) -> None:
    """Whoever serves a few clients very fast would else make correct leaders look slow."""
    f, correct = system.faulty_max, 0.030
    fast = [0.0] * f + [correct] * 2
    assert Watcher(system).measured(*fast).suspects_after(NORM_FACTOR * correct - 0.002) is None
    slow = [0.2] * f + [correct] * (f + 1)
    watcher = Watcher(system).measured(*slow)
    assert watcher.suspects_after(NORM_FACTOR * correct + 0.002) == DECISIONS_MIN
    few = Watcher(system).measured(*[correct] * f)
    assert few.suspects_after(0.2) is None, "it takes f + 1 leaders to tell"


def test_a_leader_is_compared_with_others_and_not_with_itself() -> None:
    watcher = Watcher().measured(0.001, 0.001, 0.015)
    watcher.monitor.enter_view(6, 0)  # leader 0 was faster when it led last
    assert watcher.suspects_after(0.050) is None


def test_only_the_last_tenure_of_each_counts_and_short_ones_do_not() -> None:
    watcher = Watcher().measured(PROMPT, 0.040, 0.040)
    watcher.monitor.enter_view(6, 0)  # leader 0 again: what it does now is compared with the others
    assert watcher.suspects_after(0.150) is None
    watcher.monitor.enter_view(3, 0)
    watcher.decision(PROMPT)
    watcher.monitor.enter_view(9, 0)
    assert watcher.monitor._medians.keys() == {0, 1, 2}
    assert watcher.suspects_after(0.150) is None


def test_when_more_leaders_are_slow_than_may_be_faulty_it_is_not_the_leaders() -> None:
    for system in (SIX, ELEVEN):
        watcher = Watcher(system)
        for view in range(4):
            watcher.monitor.enter_view(view, 0)
            expected = LATE_DECISIONS_MIN if view < system.faulty_max else None
            assert watcher.suspects_after(LATE) == expected


def test_a_leader_that_is_prompt_again_is_as_good_as_any() -> None:
    watcher = Watcher()
    assert watcher.suspects_after(LATE) == LATE_DECISIONS_MIN
    watcher.tenure(6, PROMPT)
    watcher.monitor.enter_view(7, 0)
    assert watcher.suspects_after(LATE) == LATE_DECISIONS_MIN


def test_it_is_said_once_a_view() -> None:
    watcher = Watcher()
    assert watcher.suspects_after(LATE) == LATE_DECISIONS_MIN
    assert watcher.suspects_after(LATE) is None
    watcher.monitor.enter_view(6, 0)
    assert watcher.suspects_after(LATE) == LATE_DECISIONS_MIN


def test_who_is_late_now_and_then_is_not_suspected() -> None:
    watcher = Watcher().measured(PROMPT, PROMPT)
    assert not any(watcher.decision(LATE if number % 3 == 0 else PROMPT) for number in range(300))


def test_many_small_batches_do_not_hide_what_waited() -> None:
    """A leader that holds everything back, and then cuts it into many slots, of which one alone is late."""
    watcher = Watcher()
    for _ in range(LATE_DECISIONS_MIN):
        assert not watcher.monitor.too_slow()
        held = [watcher.hand_in() for _ in range(20)]
        watcher.watch()
        watcher.now_ms += 1000 * LATE
        for one in held:
            watcher.decide(one)
        watcher.watch()
    assert watcher.monitor.too_slow()


def test_large_batches_may_take_their_time() -> None:
    """300 submissions take a slow machine 0.3 s, and 1 MiB a quarter of one."""
    many = [submission(2, seq) for seq in range(300)]
    bulk = [submission(3, seq, b"x" * 2**16) for seq in range(15)]
    for others in (many, bulk):
        watcher = Watcher()
        assert not any(watcher.decision(LATE, *others) for _ in range(2 * LATE_DECISIONS_MIN))


def test_what_is_passed_over_is_late_although_it_is_never_decided() -> None:
    """A leader that orders others' work only would else never have anything timed."""
    watcher = Watcher()
    watcher.hand_in()
    suspected_at = []
    for number in range(1, 2 * LATE_DECISIONS_MIN):
        watcher.watch()
        watcher.now_ms += 1000 * LATE
        watcher.decide(submission(2, number))
        if watcher.monitor.too_slow():
            suspected_at.append(number)
    assert suspected_at == [LATE_DECISIONS_MIN]


def test_what_was_ordered_before_others_work_is_allowed_for() -> None:
    """Under load a submission waits for its turn: that is no slowness."""
    watcher, others = Watcher(), [submission(2, seq) for seq in range(300)]
    for _ in range(2 * LATE_DECISIONS_MIN):
        one = watcher.hand_in()
        watcher.watch()
        watcher.now_ms += 1000 * LATE
        for first in range(0, 300, 50):
            watcher.decide(*others[first : first + 50])
        watcher.decide(one)
        assert not watcher.monitor.too_slow()


def test_who_leads_or_has_no_new_view_yet_watches_nobody() -> None:
    watcher = Watcher()
    watcher.monitor.enter_view(5, 0)
    assert watcher.suspects_after(LATE) is None
    watcher.monitor.enter_view(6, 0)
    one = watcher.hand_in()
    watcher.watch(active=False)
    watcher.now_ms += 60_000
    watcher.watch()  # the NewView is here
    watcher.now_ms += 4
    watcher.decide(one)
    assert list(watcher.monitor._waits) == [pytest.approx(PROMPT, abs=0.002)]


def test_a_submission_that_is_given_up_is_timed_no_more() -> None:
    watcher = Watcher()
    watcher.hand_in()
    watcher.watch()
    watcher.waits.clear()  # overtaken by later numbers of its client
    watcher.now_ms += 1000
    watcher.watch()
    assert not watcher.decision(PROMPT)
    assert max(watcher.monitor._waits) < SECONDS_MIN


def test_a_clock_that_is_set_back_makes_no_time() -> None:
    watcher = Watcher()
    one = watcher.hand_in()
    watcher.watch()
    watcher.now_ms -= 60_000
    watcher.decide(one)
    assert list(watcher.monitor._waits) == [0.0]


@pytest.mark.parametrize(("decided", "busy", "over"), [(4, 9, False), (5, 0, True), (0, 10, True)])
def test_tenure_ends_by_slots_or_by_busy_heartbeats(decided: int, busy: int, over: bool) -> None:
    for system in (SIX, QuorumSystem(1, 0)):
        watcher = Watcher(system, tenure=(5, 10))
        for _ in range(busy):
            watcher.decision(PROMPT)
            watcher.monitor.on_heartbeat()
            watcher.monitor.on_heartbeat()  # idle: does not count
        assert watcher.monitor.over_tenure(decided) is (over and system is SIX)
        watcher.monitor.enter_view(6, decided)
        assert not watcher.monitor.over_tenure(decided)


# -- whole alliances, by the simulator's clock -------------------------------------------------------


class Held:
    """A leader's proposals leave it so many milliseconds late."""

    def __init__(self, world: TimedWorld, milliseconds: int) -> None:
        self._world = world
        self._delay = milliseconds * MILLISECOND

    def __call__(self, sender: int, to: int, said: Message) -> list[Message]:
        if not isinstance(said, Propose):
            return [said]
        self._world.later(self._delay, self._world.transmit, sender, to, said)
        return []


def _is_decided(member: Member, one: Submission) -> bool:
    log = member.engine.rooms.log
    return log.decided >= log.windows.judge(one).slot > 0


class Drip:
    """A client of each of some members, one command after another."""

    def __init__(self, world: TimedWorld, *members: int) -> None:
        self._world = world
        self._members = members
        self._seq = 0

    def round(self) -> None:
        self._seq += 1
        handed_in = [(self._world.members[me], submission(me, self._seq)) for me in self._members]
        for member, one in handed_in:
            self._world.submit(member.me, one)
        while not all(_is_decided(member, one) for member, one in handed_in):
            self._world.advance(self._world.now + MILLISECOND)

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.round()


def views(world: TimedWorld) -> set[int]:
    return {member.engine.view for member in world.members}


def timed(**config: float) -> TimedWorld:
    world = TimedWorld(seed=15, delay=MILLISECOND)
    for member in world.members:
        member.config = replace(member.config, **config)  # type: ignore[arg-type]
        world.crash(member.me)
    for member in world.members:
        world.restart(member.me)
    world.advance(SECOND)
    return world


@pytest.mark.parametrize("at", [0, 1, 4])
def test_15_a_leader_just_within_the_time_out_is_replaced(at: int) -> None:
    """docs/development/testing.md, scenario 15: even when only one member knows the waiting client (unless it
    leads): from its suspicion on it tells the others."""
    world = timed()
    world.tampers[0] = Held(world, 400)
    drip = Drip(world, at)
    drip.rounds(3 * LATE_DECISIONS_MIN)
    assert views(world) == ({0} if at == 0 else {1})
    world.tampers.clear()
    drip.rounds(3)
    world.advance(world.now + 5 * SECOND)
    check_all(world)


def test_15_a_leader_slower_than_those_before_it_is_replaced() -> None:
    """Slow by far less than the time-out; as many members as are joined have clients that notice."""
    world = timed()
    for member in world.members:
        member.engine.rooms.leader_monitor._medians = {3: 0.004, 4: 0.005}  # two leaders before it
    drip = Drip(world, 3, 4, 5)
    world.tampers[0] = Held(world, 60)
    drip.rounds(DECISIONS_MIN - 1)
    assert views(world) == {0}
    drip.rounds(3)
    assert views(world) == {1}
    assert [world.members[me].engine.rooms.leader_monitor._slow for me in (3, 4, 5)] == [{0}] * 3


def test_15_leaders_are_not_changed_for_a_slow_network() -> None:
    """docs/development/testing.md, scenario 15, the other side: everybody is late; after f changes there are
    no more."""
    world = timed()
    for me in range(6):
        world.tampers[me] = Held(world, 300)
    Drip(world, 4).rounds(6 * LATE_DECISIONS_MIN)
    assert views(world) == {1}


def test_tenure_is_capped() -> None:
    cluster = Cluster()
    for member in cluster.members:
        member.config = replace(member.config, tenure_slots=5)
        cluster.crash(member.me)
        cluster.restart(member.me)
    for seq in range(30):
        cluster.submit(seq % 6, submission(seq % 3, seq))
        cluster.run()
        cluster.beat()
        cluster.run()
    cluster.settle(3)
    check_all(cluster)
    reached = {member.engine.view for member in cluster.members}
    assert len(reached) == 1
    assert min(reached) >= 4
