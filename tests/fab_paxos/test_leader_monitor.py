"""docs/concepts/protocol.md, section 9.2: slow leaders are suspected, slow networks are not; tenure ends."""

from __future__ import annotations

import pytest

from fab_paxos import EngineConfig
from fab_paxos.effects import Effect, SetTimer, Timer
from fab_paxos.events import TimerFired
from fab_paxos.leader_monitor import LATE_MAX, LATE_WEIGHT, REHABILITATION_BEATS, LeaderMonitor
from fab_paxos.messages import Message, Propose
from quorum import QuorumSystem
from tests.worlds.checkers import check_all
from tests.worlds.cluster import SIX, Cluster, submission
from verifiable_log import Batch, Entry
from verifiable_log.merkle import Frontier

ELEVEN = QuorumSystem(11, 2)
SMALL = Batch.of([submission(1, 1)])
LARGE = Batch.of([submission(client, 1) for client in range(300)])


def entry(batch: Batch) -> Entry:
    return Entry(1, 0, batch, b"", Frontier(), b"", ())


class Watcher:
    """Member 5 watches; the view's leader is the view's number."""

    def __init__(self, system: QuorumSystem = SIX, tenure: int | None = None) -> None:
        self.pace = LeaderMonitor(system, 5, 0, 0, 0.5, tenure)
        self.turn = 0

    def decision(self, *, late: bool, batch: Batch = SMALL) -> None:
        self.turn += 1
        out: list[Effect] = []
        self.pace.watch(True, self.turn, out)
        assert out == [SetTimer(Timer.LEADER_PACE, 0.25)]
        if late:
            self.pace.on_time(self.turn)
        self.pace.on_decided(entry(batch))

    def late_until_suspected(self, limit: int = 100) -> int | None:
        for number in range(1, limit):
            self.decision(late=True)
            self.pace.on_heartbeat()
            if self.pace.too_slow():
                return number
        return None


def test_a_leader_that_is_always_late_is_suspected_and_sooner_at_its_next_turns() -> None:
    watcher = Watcher()
    assert watcher.late_until_suspected() == LATE_MAX
    for expected in (LATE_MAX // 2, LATE_MAX // 4 + 1, LATE_MAX // 4 + 1):
        watcher.pace.enter_view(6, 0)
        assert watcher.late_until_suspected() == expected


def test_when_more_leaders_are_late_than_may_be_faulty_it_is_not_the_leaders() -> None:
    for system in (SIX, ELEVEN):
        watcher = Watcher(system)
        for view in range(system.faulty_max):
            watcher.pace.enter_view(view, 0)
            assert watcher.late_until_suspected() == LATE_MAX
        for view in range(system.faulty_max, 5):
            watcher.pace.enter_view(view, 0)
            assert watcher.late_until_suspected() is None


def test_a_leader_that_is_prompt_again_is_as_good_as_any() -> None:
    watcher = Watcher()
    assert watcher.late_until_suspected() == LATE_MAX
    watcher.pace.enter_view(6, 0)
    for _ in range(REHABILITATION_BEATS):
        watcher.decision(late=False)
        watcher.pace.on_heartbeat()
    watcher.pace.enter_view(7, 0)
    assert watcher.late_until_suspected() == LATE_MAX


def test_who_is_late_now_and_then_is_not_suspected() -> None:
    watcher = Watcher()
    for beat in range(300):
        watcher.decision(late=beat % (LATE_WEIGHT + 1) == 0)
        watcher.pace.on_heartbeat()
        assert not watcher.pace.too_slow()


def test_a_prompt_beat_makes_up_for_half_a_late_one() -> None:
    """Late every second beat is not "now and then"."""
    watcher = Watcher()
    for number in range(1, 2 * LATE_WEIGHT * LATE_MAX + 1):
        watcher.decision(late=number % 2 == 1)
        watcher.pace.on_heartbeat()
        if watcher.pace.too_slow():
            break
    assert number == 2 * (LATE_WEIGHT * LATE_MAX - LATE_WEIGHT) + 1


def test_many_prompt_decisions_in_one_beat_do_not_buy_a_late_one() -> None:
    watcher = Watcher()
    for _ in range(LATE_MAX):
        assert not watcher.pace.too_slow()
        watcher.decision(late=True)
        for _ in range(50):
            watcher.decision(late=False)
        watcher.pace.on_heartbeat()
    assert watcher.pace.too_slow()


def test_large_batches_may_take_their_time() -> None:
    watcher = Watcher()
    for _ in range(50):
        watcher.decision(late=True, batch=LARGE)
        watcher.pace.on_heartbeat()
        assert not watcher.pace.too_slow()


def test_who_leads_or_waits_for_nothing_watches_nobody() -> None:
    out: list[Effect] = []
    LeaderMonitor(SIX, 0, 0, 0, 0.5, None).watch(True, 1, out)
    LeaderMonitor(SIX, 1, 0, 0, 0.5, None).watch(False, 1, out)
    assert out == []


def test_what_came_in_time_is_not_late_because_the_timer_fires_afterwards() -> None:
    watcher = Watcher()
    for _ in range(50):
        watcher.decision(late=False)
        watcher.pace.on_time(watcher.turn + 1)
        assert not watcher.pace.too_slow()


# -- whole alliances ---------------------------------------------------------------------------------


def drip(cluster: Cluster, slow: set[int], at: int, rounds: int, first_seq: int = 0) -> None:
    """A client of member ``at``, one command after another; slow leaders propose after half the time-out."""
    held: list[tuple[int, int, Message]] = []

    def hold(sender: int, to: int, said: Message) -> list[Message]:
        if not isinstance(said, Propose):
            return [said]
        held.append((sender, to, said))
        return []

    for liar in slow:
        cluster.tampers[liar] = hold
    for seq in range(first_seq, first_seq + rounds):
        cluster.submit(at, submission(1, seq))
        cluster.run()
        if held:
            for member in cluster.live():
                if Timer.LEADER_PACE in member.timers:
                    member.timers.discard(Timer.LEADER_PACE)
                    member.inbox.append(TimerFired(Timer.LEADER_PACE))
            cluster.run()
            late, held[:] = list(held), []
            for sender, to, said in late:
                cluster.transmit(sender, to, said)
            cluster.run()
        cluster.beat()
        cluster.run()


@pytest.mark.parametrize("at", [0, 1, 4])
def test_15_a_slow_leader_is_replaced(at: int) -> None:
    """docs/development/testing.md, scenario 15: even when only one member knows the waiting client (unless it
    leads)."""
    cluster = Cluster()
    drip(cluster, {0}, at, 4 * LATE_MAX)
    views = {member.engine.view for member in cluster.members}
    assert views == ({0} if at == 0 else {1})
    cluster.tampers.clear()
    cluster.settle_views(3)
    check_all(cluster)


def test_15_leaders_are_not_changed_for_a_slow_network() -> None:
    """docs/development/testing.md, scenario 15, the other side: everybody is late; after f changes there are
    no more."""
    cluster = Cluster()
    drip(cluster, set(range(6)), 4, 10 * LATE_MAX)
    assert {member.engine.view for member in cluster.members} == {1}


def test_tenure_is_capped() -> None:
    cluster = Cluster()
    for member in cluster.members:
        member.config = EngineConfig(SIX, member.me, tenure_slots=5)
        cluster.crash(member.me)
        cluster.restart(member.me)
    for seq in range(30):
        cluster.submit(seq % 6, submission(seq % 3, seq))
        cluster.run()
        cluster.beat()
        cluster.run()
    cluster.settle(3)
    check_all(cluster)
    views = {member.engine.view for member in cluster.members}
    assert len(views) == 1
    assert min(views) >= 4
