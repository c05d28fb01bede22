"""What the log says of the alliance, and the end of an epoch: docs/concepts/protocol.md, section 13.1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fab_paxos import RestoredState
from fab_paxos.effects import Offence, RefusalReason, Refuse
from fab_paxos.messages import Certified, Endorsed, Forward, Message, Propose
from fab_paxos.uncertified_log import BeyondTheEnd, UncertifiedLog
from quorum import CheckpointStatement, QuorumSystem, SuspectStatement
from quorum.system import LEAN
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import SIX, Cluster, client_id, submission
from tests.worlds.control import END, TinyControl, admit
from tests.worlds.single import Bench, Script, only
from tests.worlds.windows import window_of
from verifiable_log.batch import NOOP, Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.limits import POOL_BYTES_MAX
from verifiable_log.merkle import EMPTY

W = 8
"""A small window: an epoch ends soon, and its last window is a large part of it."""
FOUR = QuorumSystem(4, 1, LEAN)


@pytest.fixture(autouse=True)
def small_window() -> Iterator[None]:
    with window_of(W):
        yield


def governed(
    seed: int = 0, system: QuorumSystem = SIX, *, every: int = 1000, frame_slots: int = 3
) -> Cluster:
    founded = TinyControl(alpha=W)
    return Cluster(
        system, seed, founded=founded, checkpoint_slots=every, frame_slots=frame_slots, retain_slots=4
    )


def end(cluster: Cluster, at: int = 0, seq: int = 0) -> int:
    """The log's last slot, which it is told now; members run until nothing is left to do."""
    cluster.submit(at, submission(9, seq, END))
    cluster.run()
    ends = {member.engine.rooms.log.end for member in cluster.live()} - {None}
    (last,) = ends
    assert last is not None
    return last


def busy(cluster: Cluster, rounds: int, first_seq: int = 0) -> None:
    for seq in range(first_seq, first_seq + rounds):
        cluster.submit(seq % 3, submission(seq % 3, seq))
        cluster.run()


def stands(cluster: Cluster, last: int) -> bool:
    """Everybody is at the end, proven, with the checkpoint that the next epoch begins from."""
    wanted = {(last, last, last, last)}
    return {
        (s.accepted, s.decided, s.certified, s.stable) for s in (m.engine.status for m in cluster.live())
    } == wanted


@pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
@pytest.mark.parametrize("seed", range(5))
def test_epoch_end_while_idle(seed: int, system: QuorumSystem) -> None:
    """Nobody submits anything: the slots up to the end pass all the same, and nothing comes behind them."""
    cluster = governed(seed, system)
    busy(cluster, 3)
    last = end(cluster)
    cluster.settle(3)
    assert stands(cluster, last)
    check_all(cluster)
    late = submission(1, 77)
    cluster.submit(1, late)
    cluster.settle_views(6)
    assert stands(cluster, last), "what comes too late is for the next epoch"
    assert {member.engine.view for member in cluster.members} == {0}, "and nobody is suspected for it"
    assert cluster.members[1].engine.rooms.proposer.pending == (late,)


def decided_at(cluster: Cluster, word: bytes) -> list[int]:
    """The slots with this command."""
    entries = cluster.members[0].decisions().values()
    return [e.slot for e in entries if any(word in one.commands() for one in e.batch.submissions)]


def test_the_end_is_a_window_behind_its_decision() -> None:
    cluster = governed()
    busy(cluster, 5)
    last = end(cluster)
    cluster.submit(1, submission(9, 1, END))
    cluster.settle(3)
    first, *_ = decided_at(cluster, END)
    assert last == first + W, "and a second decision changes nothing"
    assert stands(cluster, last)


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_epoch_control_item_same_at_any_decided(seed: int, loss: float) -> None:
    """What a checkpoint says of the alliance is that of its slot, whenever a member accepted it."""
    cluster = governed(seed, every=2)
    cluster.loss = loss
    for seq in range(12):
        word = admit(client_id(40 + seq)) if seq % 3 == 0 else b""
        cluster.submit(seq % 6, submission(seq % 4, seq, word))
        cluster.run(40)
    cluster.settle_views(8)
    check_all(cluster)
    (stable,) = {member.engine.status.stable for member in cluster.live()}
    assert stable >= 4
    for member in cluster.live():
        assert member.disk.checkpoint is not None
        written = TinyControl().read(member.disk.checkpoint.snapshot.control_items)
        assert (written.alpha, written.applied) == (W, stable)
        assert member.engine.rooms.log.control == cluster.members[0].engine.rooms.log.control


class Withheld(Cluster):
    """Shares on checkpoints, and certificates of them, do not arrive while ``hold`` says so of the sender."""

    hold: frozenset[int] = frozenset()

    def carry(self, sender: int, to: int, said: Message) -> None:
        match said:
            case Endorsed(endorsement) if isinstance(endorsement.statement, CheckpointStatement):
                held = sender in self.hold
            case Certified(certificate) if isinstance(certificate.statement, CheckpointStatement):
                held = sender in self.hold
            case _:
                held = False
        if not held:
            super().carry(sender, to, said)


def withheld(seed: int = 1, frame_slots: int = 3) -> Withheld:
    founded = TinyControl(alpha=W)
    return Withheld(SIX, seed, founded=founded, checkpoint_slots=1000, frame_slots=frame_slots)


@pytest.mark.parametrize("restarted", [(4,), (4, 5), (0, 1, 2, 3, 4, 5)])
def test_epoch_power_cut_at_end(restarted: tuple[int, ...]) -> None:
    """Who stands at the end without its snapshot makes it anew: no later checkpoint would make up for it."""
    cluster = withheld()
    cluster.hold = frozenset(range(6))
    busy(cluster, 2)
    last = end(cluster)
    cluster.settle(3)
    assert {m.engine.status.certified for m in cluster.live()} == {last}
    assert {m.engine.status.stable for m in cluster.live()} == {0}
    for me in restarted:
        cluster.crash(me)
    for me in restarted:
        cluster.restart(me)
    cluster.hold = frozenset()
    cluster.settle_views(4)
    assert stands(cluster, last)
    check_all(cluster)


def test_epoch_restart_and_silent_at_end() -> None:
    """The one that is faulty keeps silent, and one restarts: the others have no share to spare."""
    cluster = withheld()
    cluster.hold = frozenset(range(6))
    last = end(cluster)
    cluster.settle(3)
    cluster.silent.add(5)
    cluster.crash(4)
    cluster.restart(4)
    cluster.hold = frozenset({5})
    cluster.settle_views(4)
    assert {m.engine.status.stable for m in cluster.correct()} == {last}


@pytest.mark.parametrize("frame_slots", [3, 200])
def test_epoch_frame_over_schedule_and_end(frame_slots: int) -> None:
    """One frame brings the decision about the end and the end: the snapshot there is not missed."""
    cluster = withheld(frame_slots=frame_slots)
    cluster.cut = {(a, 4) for a in range(6)} | {(4, a) for a in range(6)}
    cluster.hold = frozenset({5})  # and so the share of 4 is needed
    busy(cluster, 2)
    last = end(cluster)
    cluster.settle(4)
    assert {m.engine.status.decided for m in cluster.live()} == {0, last}
    cluster.cut = set()
    cluster.settle_views(4)
    assert {m.engine.status.stable for m in cluster.live() if m.me != 5} == {last}
    check(cluster)
    assert cluster.members[4].engine.rooms.log.control == cluster.members[0].engine.rooms.log.control


@pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
@pytest.mark.parametrize("seed", range(12))
def test_epoch_view_change_within_last_window(seed: int, system: QuorumSystem) -> None:
    """Leaders are replaced again and again while the last slots pass."""
    cluster = governed(seed, system, every=(1000, 2, 3)[seed % 3])
    cluster.loss = (0.0, 0.1, 0.25)[seed % 3]
    dice = cluster.random
    cluster.submit(seed % system.member_count, submission(9, 0, END))
    for seq in range(25):
        cluster.run(dice.randrange(80))
        if seq < 12:
            cluster.submit(dice.randrange(system.member_count), submission(seq % 4, seq))
        if dice.random() < 0.4:
            cluster.fire_view_timers()
        if dice.random() < 0.1:
            me = dice.randrange(system.member_count)
            cluster.crash(me)
            cluster.restart(me)
        if dice.random() < 0.3:
            cluster.beat()
    cluster.settle_views(10)
    check(cluster)
    last = cluster.members[0].engine.rooms.log.end
    assert last is not None
    assert stands(cluster, last)


def without_empty_batches(_: int, __: int, said: Message) -> list[Message]:
    """Nor a word of its own engine's suspicion, which waits for what it has proposed."""
    match said:
        case Propose(batch=batch):
            kept = bool(batch.submissions)
        case Endorsed(endorsement):
            kept = not isinstance(endorsement.statement, SuspectStatement)
        case _:
            kept = True
    return [said] if kept else []


def test_epoch_leader_hides_the_end() -> None:
    """A leader that lets no slot pass for the end is suspected, though no client waits."""
    cluster = governed(3)
    cluster.tampers[0] = without_empty_batches
    last = end(cluster, at=2)
    assert max(m.engine.status.decided for m in cluster.live()) < last
    cluster.settle_views(6)
    assert {m.engine.status.certified for m in cluster.correct()} == {last}
    assert min(m.engine.view for m in cluster.correct()) > 0


def test_epoch_suspended_leader_drags_last_window() -> None:
    """It is not to lead in the next epoch: in this one nobody waits for its time-out any more."""
    cluster = Cluster(SIX, 1, founded=TinyControl(alpha=W, deposed=0), checkpoint_slots=1000)
    cluster.tampers[0] = without_empty_batches
    cluster.submit(2, submission(9, 0, END))
    cluster.run()
    assert {m.engine.view for m in cluster.live()} == {1}
    cluster.settle(3)
    (last,) = {m.engine.rooms.log.end for m in cluster.live()}
    assert {m.engine.status.certified for m in cluster.correct()} == {last}
    cluster.settle_views(3)
    assert {m.engine.view for m in cluster.live()} == {1}, "and with the last slot decided it may be anybody"


def test_epoch_revision_in_last_window() -> None:
    """What is decided then takes effect with the end, and not in slots that no longer come."""
    cluster = governed()
    removal = admit(client_id(7), admitted=False)
    cluster.submit(0, submission(9, 0, END))
    while (last := cluster.members[0].engine.rooms.log.end) is None:
        cluster.step()
    cluster.submit(0, submission(8, 0, removal))
    cluster.run()
    cluster.submit(1, submission(7, 0))
    cluster.settle(3)
    assert stands(cluster, last)
    (scheduled,), (decided,) = decided_at(cluster, END), decided_at(cluster, removal)
    assert scheduled < decided < last == scheduled + W < decided + W
    control = cluster.members[0].engine.rooms.log.control
    assert control is not None
    assert control.effective is None
    assert control.admits(client_id(7), last)
    assert not control.admits(client_id(7), last + 1)
    check_all(cluster)


def test_epoch_client_removed_in_flight() -> None:
    """It may submit until its removal takes effect, and what comes later it is told of, by every member."""
    cluster = governed()
    cluster.submit(0, submission(9, 0, admit(client_id(1), admitted=False)))
    cluster.run()
    cluster.settle(2)
    (decided,) = decided_at(cluster, admit(client_id(1), admitted=False))
    status = cluster.members[0].engine.status
    assert status.decided == decided + W, "idle members let so many slots pass, and no more"
    cluster.submit(3, submission(1, 5), submission(2, 6))
    cluster.inject(3, 0, Forward((submission(1, 7),)))
    cluster.settle_views(2)
    (refusal,) = cluster.members[3].refusals
    assert (refusal.submission.client_seq, refusal.reason) == (5, RefusalReason.NOT_ADMITTED)
    assert {m.engine.status.decided for m in cluster.live()} == {decided + W + 1}
    assert {m.engine.view for m in cluster.live()} == {0}


def test_what_a_client_may_have_waiting_is_as_the_log_says() -> None:
    bench = Bench(state=RestoredState(control=TinyControl(share=(2, POOL_BYTES_MAX))))
    bench.submit(*(submission(1, seq) for seq in (1, 2, 3)), submission(2, 1))
    (refusal,) = only(bench.log, Refuse)
    assert (refusal.submission, refusal.reason) == (submission(1, 3), RefusalReason.BUSY)


@pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
def test_a_leader_that_lets_a_removed_client_in_is_blamed(system: QuorumSystem) -> None:
    cluster = governed(0, system)
    cluster.submit(1, submission(9, 0, admit(client_id(1), admitted=False)))
    cluster.settle(3)
    log = cluster.members[0].engine.rooms.log
    rogue = Batch.of([submission(1, 5)], cluster.now_ms)
    propose = Propose(0, log.tip + 1, rogue, log.next_frontier(rogue).root, b"signed by the leader")
    for me in range(1, system.member_count):
        cluster.inject(0, me, propose)
    cluster.settle(2)
    for member in cluster.members[1:]:
        assert [(b.member, b.offence) for b in member.blames] == [(0, Offence.NOT_ADMITTED)]
        assert member.engine.status.accepted == log.tip


def test_a_client_that_is_let_in_waits_for_its_slot() -> None:
    cluster = governed()
    cluster.submit(1, submission(9, 0, admit(client_id(1), admitted=False)))
    cluster.settle(3)
    cluster.submit(1, submission(9, 1, admit(client_id(1))))
    leader = cluster.members[0]
    while leader.engine.rooms.log.goal <= leader.engine.status.decided:
        cluster.step()
    cluster.submit(0, submission(1, 5))
    cluster.settle(3)
    (back,) = decided_at(cluster, admit(client_id(1)))
    (served,) = decided_at(cluster, submission(1, 5).commands()[0])
    assert served == back + W + 1
    assert {m.engine.status.decided for m in cluster.live()} == {served}
    assert not any(member.blames for member in cluster.members)
    check_all(cluster)


@pytest.mark.parametrize("seed", range(6))
def test_a_member_that_was_away_leaps_to_the_end(seed: int) -> None:
    """Others have pruned the log: the checkpoint that brings it up says what the log said of the alliance."""
    cluster = governed(seed, every=4)
    cluster.crash(5)
    cluster.submit(0, submission(8, 0, admit(client_id(7), admitted=False)))
    busy(cluster, 20)
    last = end(cluster)
    cluster.settle(4)
    cluster.restart(5)
    cluster.settle_views(8)
    assert stands(cluster, last)
    assert cluster.members[5].leaps
    check_all(cluster)
    assert len({repr(m.engine.rooms.log.control) for m in cluster.live()}) == 1
    for me in range(6):
        cluster.crash(me)
        cluster.restart(me)
    assert len({repr(m.engine.rooms.log.control) for m in cluster.live()}) == 1


def test_nothing_behind_the_end_is_accepted_whoever_says_so() -> None:
    log = UncertifiedLog(EMPTY, ClientWindows(), control=TinyControl(end=2))
    for _ in range(2):
        log.append(0, NOOP, log.next_frontier(NOOP), b"")
    with pytest.raises(BeyondTheEnd, match="slot 3 lies beyond slot 2"):
        log.append(0, NOOP, log.next_frontier(NOOP), b"")


def test_time_passes_in_an_idle_log_that_needs_it() -> None:
    """One empty batch a heartbeat, with a stamp, as long as something has a deadline."""
    cluster = Cluster(SIX, 0, founded=TinyControl(ticking=True))
    cluster.settle(6)
    status = cluster.members[0].engine.status
    assert 4 <= status.decided <= 7
    control = cluster.members[0].engine.rooms.log.control
    assert isinstance(control, TinyControl)
    assert control.time_ms >= 4 * 500 - 500
    assert {m.engine.view for m in cluster.live()} == {0}


def test_a_leader_that_stops_the_clock_is_suspected() -> None:
    cluster = Cluster(SIX, 0, founded=TinyControl(ticking=True))
    cluster.tampers[0] = without_empty_batches
    for _ in range(40):
        cluster.run()
        cluster.beat()
    cluster.run()
    assert min(m.engine.view for m in cluster.correct()) > 0
    assert cluster.members[1].engine.status.decided > 0


def test_nobody_accepts_what_an_undecided_slot_may_forbid() -> None:
    """A leader fills all slots that it can while that about the end is under way: the end is behind them."""
    bench = Bench(state=RestoredState(control=TinyControl(alpha=W)))
    script = Script()
    script.add(submission(9, 0, END))
    for _ in range(2 * W):
        script.add()
    for slot in range(1, 2 * W + 2):
        bench.hear(0, script.propose(slot))
        bench.drain()
    assert bench.replica.status.accepted == W
    bench.hear(0, Certified(script.certificate(1)))
    assert bench.replica.rooms.log.end == 1 + W
    for slot in range(W + 1, 2 * W + 2):
        bench.hear(0, script.propose(slot))
        bench.drain()
    assert bench.replica.status.accepted == 1 + W
