"""Catching up never equivocates: what a member signed binds all its later lives, in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from fab_paxos.messages import Accepted, Certified, Endorsed, Message, NewView, Propose, Report
from fab_paxos.selection import ReportedEntry
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Endorsement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    QuorumSystem,
    SuspectStatement,
)
from quorum.system import LEAN
from tests.worlds.adversaries import Silent
from tests.worlds.cluster import SIX
from tests.worlds.control import END, TinyControl
from tests.worlds.end_liars import Revenant
from tests.worlds.epochs import context_after, end_of, heard_in, log_of, prepare, record_of, take_seat
from tests.worlds.equivocation import Equivocator
from tests.worlds.standin import StandInScheme
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld
from tests.worlds.windows import window_of
from tests.worlds.words import Life, Words
from tests.worlds.world import World
from verifiable_log.batch import NOOP

FOUR = QuorumSystem(4, 1, LEAN)
SYSTEMS = pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
W = 8
A, B, ZERO = b"a" * 32, b"b" * 32, bytes(32)
EPOCH, START = 4, 20
"""Of the epoch that ``told`` speaks in."""


def told(*messages: Message, words: Words | None = None, epoch: int = EPOCH) -> Words:
    words = words or Words()
    for message in messages:
        words.said("m", epoch, START, 1, SIX, message)
    return words


def endorsed(*statements: JointStatement, words: Words | None = None, epoch: int = EPOCH) -> Words:
    words = words or Words()
    for statement in statements:
        words.endorsed("m", epoch, START, statement)
    return words


def shares(*given: tuple[bytes, Life]) -> None:
    words = Words()
    for root, life in given:
        words.endorsed("m", EPOCH, START, AcceptedStatement(0, 21, root), life)


def reported(view: int, root: bytes) -> Report:
    return Report(view, None, (ReportedEntry(21, 0, root, root),))


CONTRADICTIONS: dict[str, Callable[[], object]] = {
    "two votes": lambda: told(Accepted(0, 21, A), Accepted(0, 21, B)),
    "a proposal, which is a vote": lambda: told(Propose(1, 21, NOOP, A), Accepted(1, 21, B)),
    "two shares": lambda: endorsed(AcceptedStatement(0, 21, A), AcceptedStatement(0, 21, B)),
    "two shares in two lives": lambda: shares((A, Life(1, {21: A})), (B, Life(2, {21: B}))),
    "two shares in two lives, and neither is dead": lambda: shares(
        (A, Life(1, {20: ZERO, 21: A})), (B, Life(2, {21: B}, (20, ZERO)))
    ),
    "two shares in one life": lambda: shares((A, Life(1, {20: A, 21: A})), (B, Life(1, {21: B}, (20, B)))),
    "a slot of an epoch before": lambda: told(Accepted(0, START, A)),
    "a share on a slot of an epoch before": lambda: endorsed(AcceptedStatement(0, START, A)),
    "two Reports": lambda: told(reported(2, A), reported(2, B)),
    "a vote behind its own fence": lambda: told(reported(2, A), Accepted(1, 22, A)),
    "two NewViews": lambda: told(NewView(1, (), ()), NewView(1, (), (A,))),
    "two NewViews endorsed": lambda: endorsed(ProgressStatement(1, A), ProgressStatement(1, B)),
    "two states at a checkpoint": lambda: endorsed(
        CheckpointStatement(24, A, A), CheckpointStatement(24, A, B)
    ),
    "two memberships of one epoch": lambda: endorsed(
        MembershipStatement(5, 0, 24, A, A, A), MembershipStatement(5, 0, 24, A, A, B)
    ),
    "another state at a checkpoint, in another epoch": lambda: endorsed(
        CheckpointStatement(24, A, B), words=endorsed(CheckpointStatement(24, A, A), epoch=EPOCH - 1)
    ),
    "a vote in an epoch that it has left": lambda: told(
        Accepted(0, 21, A), words=endorsed(SuspectStatement(0), epoch=EPOCH + 1)
    ),
}


def test_a_share_is_no_second_vote() -> None:
    """A leader with two stories: a certificate has replaced the one that this member took."""
    endorsed(AcceptedStatement(0, 21, B), words=told(Accepted(0, 21, A)))


def test_a_share_of_an_earlier_life_binds_as_far_as_its_log_may_live() -> None:
    """The certificate at 20 is of another log than the share of before, which can never count again."""
    shares((A, Life(1, {20: A, 21: A})), (B, Life(2, {20: B, 21: B}, (20, B))))


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_contradiction_is_found(what: str) -> None:
    with pytest.raises(AssertionError):
        CONTRADICTIONS[what]()


def test_what_does_not_contradict_may_be_said() -> None:
    words = told(Accepted(0, 21, A), Accepted(0, 21, A), Accepted(0, 22, B), reported(1, A), reported(1, A))
    told(Accepted(1, 21, B), Propose(0, 21, NOOP, B), words=words)  # in another view; and relayed
    endorsed(AcceptedStatement(1, 21, B), SuspectStatement(0), SuspectStatement(1), words=words)
    told(Accepted(0, 21, B), words=words, epoch=EPOCH + 1)
    assert words.count == 10


@SYSTEMS
@pytest.mark.parametrize("retain", [None, 0], ids=["by frames", "by leaps"])
@pytest.mark.parametrize("seed", range(2))
def test_a_member_that_catches_up_does_not_vote_again(
    seed: int, retain: int | None, system: QuorumSystem
) -> None:
    """Its leader told it another log than the others; it learns what was decided, dies, is asked again."""
    world = World(system, seed, checkpoint_slots=2, retain_slots=retain, frame_slots=2)
    world.corrupt(Equivocator(world, 0, Random(seed)))
    dice, count = Random(seed), system.member_count
    for seq in range(16):
        victim = 1 + dice.randrange(count - 1)
        world.submit(1 + seq % (count - 1), world.write(seq % 3, seq))
        world.run(dice.randrange(120))
        if dice.random() < 0.5:
            world.isolate(victim)
            world.run(dice.randrange(200))
            world.cut = set()
        if dice.random() < 0.6:
            world.crash(victim)
            world.restart(victim)
        if dice.random() < 0.3:
            world.fire_view_timers()
        world.beat()
    world.settle_views(4)
    world.check()
    assert world.words.count > 40


class Unmoved(World):
    """Member 0 is never told that another view has been elected."""

    def carry(self, sender: int, to: int, said: Message) -> None:
        elects = isinstance(said, Certified) and isinstance(said.certificate.statement, SuspectStatement)
        if not (to == 0 and elects):
            super().carry(sender, to, said)


@SYSTEMS
@pytest.mark.parametrize("retain", [None, 0], ids=["by frames", "by leaps"])
@pytest.mark.parametrize("restarts", [False, True], ids=["and lives on", "and dies"])
def test_a_leader_whose_log_was_exchanged_proposes_no_more(
    restarts: bool, retain: int | None, system: QuorumSystem
) -> None:
    """It has proposed slots that nobody got, and learns in the same view what others decided there."""
    world = Unmoved(system, 1, checkpoint_slots=2, retain_slots=retain)
    leader, count = world.members[0], system.member_count
    world.isolate(0)
    for seq in range(4):
        world.submit(0, world.write(1, seq))
        world.run()
    assert leader.engine.status.accepted == 3
    world.elect(1, range(1, count))
    for seq in range(2):
        world.submit(1, world.write(2, seq))
        world.settle(2)
    world.cut = set()
    world.settle(8)
    assert leader.engine.status.decided == world.members[1].engine.status.decided == 2
    assert (leader.engine.view, bool(leader.leaps)) == (0, retain == 0)
    if restarts:
        world.crash(0)
        world.restart(0)
    for seq in range(4):
        world.submit(0, world.write(3, seq))
        world.settle(1)
    world.check()


def lived(world: World, views: int = 0) -> World:
    """Clients submit, views change, and the epoch ends."""
    for seq in range(2 * W):
        world.submit(seq % 3, world.write(seq % 3, seq))
        world.run()
    for seq in range(views):
        world.submit(1, world.write(5, seq))
        world.run(20)
        world.elect(seq + 1)
        world.settle(2)
    world.submit(1, world.write(9, world.gate.start, END))
    world.settle(5)
    return world


class Crossed:
    """An epoch that is over, and the next one, of the same members: each has to take its seat."""

    def __init__(self, old: World) -> None:
        self.old = old
        end = end_of(old)
        assert end is not None
        self.end = end
        scheme = StandInScheme(old.system.decision, context_after(old))
        self.new = World(old.system, old.seed, scheme=scheme, founded=old.founded, checkpoint_slots=3)
        prepare(old, self.new, end)
        self.new.words = old.words
        self.new.heard_before = heard_in(old)
        self.record = record_of(old, end)

    @classmethod
    def of(cls, system: QuorumSystem, seed: int = 0, views: int = 0) -> Crossed:
        founded = TinyControl(alpha=W)
        return cls(lived(World(system, seed, founded=founded, checkpoint_slots=1000), views))

    def seat(self, *members: int) -> None:
        for me in members:
            take_seat(self.new, me, self.old.members[me].disk, self.record, log_of(self.old))
            self.new.restart(me)


@pytest.fixture
def small_window() -> Iterator[None]:
    with window_of(W):
        yield


@pytest.mark.usefixtures("small_window")
@SYSTEMS
@pytest.mark.parametrize("seed", range(2))
def test_epoch_replay_propose_of_e(seed: int, system: QuorumSystem) -> None:
    """And all else that was said in the epoch before, its certificates among it: it moves nobody."""
    crossed = Crossed.of(system, seed, views=2)
    new = crossed.new
    revenant = Revenant(new, system.member_count - 1, Random(seed))
    new.corrupt(revenant)
    crossed.seat(*range(system.member_count))
    kinds = {type(said).__name__ for said in new.heard_before}
    assert {"Propose", "Accepted", "Certified", "Report", "NewView"} <= kinds
    for seq in range(6):
        revenant.act()
        new.submit(seq % 3, new.write(seq % 3, 100 + seq))
        new.settle(1)
    assert {m.engine.view for m in new.honest} == {0}, "no election of the epoch before counts"
    new.settle_views(2)
    new.check_all()
    assert revenant.words > 20


@pytest.mark.usefixtures("small_window")
@SYSTEMS
def test_epoch_certificate_of_e_as_base_in_e1(system: QuorumSystem) -> None:
    """A Report whose base is of the epoch before counts for nothing: its reporter is as good as silent, and
    one more Report is what the next leader waits for."""
    crossed = Crossed.of(system)
    new, count = crossed.new, system.member_count
    liar = Silent(new, count - 1, Random(1), patience=0)
    new.corrupt(liar)
    crossed.seat(*range(count))
    base = next(
        said
        for said in reversed(new.heard_before)
        if isinstance(said, Certified) and isinstance(said.certificate.statement, AcceptedStatement)
    )
    assert base.certificate.epoch == crossed.old.scheme.context.epoch
    new.crash(count - 2)
    new.elect(1)
    new.run()

    def opened() -> list[NewView]:
        return [said for said in new.heard if isinstance(said, NewView)]

    for word in (base, Report(1, base.certificate, ())):
        liar.speak(1, word)
        new.run()
        assert not opened()
    liar.speak(1, Report(1, None, ()))
    new.run()
    assert opened()
    new.restart(count - 2)
    new.submit(2, new.write(2, 200))
    new.settle_views(3)
    new.check_all()


@pytest.mark.usefixtures("small_window")
@SYSTEMS
def test_epoch_removed_member_keeps_voting(system: QuorumSystem) -> None:
    """It stays in the epoch before and says there what it likes; its shares make nothing for the next one."""
    crossed = Crossed.of(system)
    old, new, last = crossed.old, crossed.new, system.member_count - 1
    crossed.seat(*range(last))  # as many as the faults of the next epoch allow: nobody sits in its place
    statement = AcceptedStatement(0, crossed.end + 1, A)
    share = old.endorsers[last].endorse(statement.encode(old.scheme.context), proven=False)
    for seq in range(3):
        new.submit(seq, new.write(seq, 100))
        new.run(30)
        for me in range(last):
            new.inject(last, me, Accepted(0, crossed.end + 1, A, b"signed"))
            new.inject(last, me, Endorsed(Endorsement(statement, last, share)))
    new.settle(4)
    new.check()
    assert {m.engine.status.certified for m in new.live()} == {crossed.end + 3}
    old.fire_view_timers()
    old.settle(2)
    assert {m.engine.rooms.log.end for m in old.live()} == {crossed.end}
    assert not old.members[last].engine.status.accepted > crossed.end


@pytest.mark.usefixtures("small_window")
@SYSTEMS
def test_epoch_member_sleeps_two(system: QuorumSystem) -> None:
    """It went down in epoch e and wakes in e + 2: one record brings it there, and it says nothing between."""
    first, last = World(system, founded=TinyControl(alpha=W), checkpoint_slots=3), system.member_count - 1
    first.submit(1, first.write(8, 0))
    first.settle(1)
    first.crash(last)
    crossed = Crossed(lived(first))
    crossed.seat(*range(last))
    second = Crossed(lived(crossed.new))
    second.seat(*range(last))
    new = second.new
    for seq in range(6):
        new.submit(seq % 3, new.write(seq % 3, 200 + seq))
        new.settle(1)
    asleep = first.members[last].disk
    assert 0 < asleep.proven < crossed.end < second.end < new.members[0].engine.status.stable
    take_seat(new, last, asleep, second.record, log_of(second.old))
    new.restart(last)
    new.settle_views(3)
    new.check_all()
    assert (new.members[last].disk.start, new.scheme.context.epoch) == (second.end, EPOCH + 1)


@pytest.mark.usefixtures("small_window")
@SYSTEMS
def test_epoch_pending_submission_survives(system: QuorumSystem) -> None:
    """A client signs for the alliance: what came too late for one epoch is ordered in the next, once."""
    crossed = Crossed.of(system)
    old, new = crossed.old, crossed.new
    late, early = old.write(7, 1), old.submitted[3]
    old.submit(2, late)
    old.settle_views(2)
    assert late in old.members[2].engine.rooms.proposer.pending
    crossed.seat(*range(system.member_count))
    for me in (0, 2):
        new.submit(me, late, early)
    new.settle(3)
    new.check()
    entries = new.members[1].decisions().values()
    assert [e.slot > crossed.end for e in entries if late in e.batch.submissions] == [True]
    assert [e.slot > crossed.end for e in entries if early in e.batch.submissions] == [False]


@pytest.mark.usefixtures("small_window")
def test_epoch_dealings_under_load_no_view_change() -> None:
    """Large commands, clients that do not rest, an end that nears: nobody loses patience with the leader."""
    world = TimedWorld(SIX, 5, founded=TinyControl(alpha=W), checkpoint_slots=4)
    for seq in range(24):
        world.submit(seq % 6, world.write(seq % 3, seq))
        if seq % 4 == 0:
            world.submit(seq % 6, world.write(6, seq, b"dealing " * 20_000))
        world.advance(world.now + 10 * MILLISECOND)
    world.submit(3, world.write(9, 0, END))
    world.advance(world.now + 3 * SECOND)
    world.check()
    assert {m.engine.status.stable for m in world.members} == {end_of(world)}
    assert {m.engine.view for m in world.members} == {0}
