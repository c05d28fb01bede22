"""The scenarios of docs/development/testing.md: leaders that lie, and what was decided before they did."""

from __future__ import annotations

from random import Random

import pytest

from fab_paxos.effects import Offence
from fab_paxos.messages import Accepted, Certified, CertifyRequest, Endorsed, Message, NewView
from quorum import QuorumSystem
from tests.campaigns.simulation.campaign import PATIENCE_TIMEOUTS, campaign
from tests.worlds.adversaries import KINDS, Silent
from tests.worlds.cluster import submission
from tests.worlds.equivocation import Equivocator
from tests.worlds.hardships import JUST_IN_TIME
from tests.worlds.scripts import (
    EVERY,
    Mute,
    decided_by_one,
    heal,
    only_links,
    opening,
    propose,
    push_through,
    report,
)
from tests.worlds.timed import SECOND, TimedWorld
from tests.worlds.world import Adversary, World
from verifiable_log import Batch


@pytest.mark.parametrize("size", [2, 3, 4])
def test_01_leader_sends_two_proposals(size: int) -> None:
    """ "leader sends two proposals, half/half and forcing/forcing-1": one value; the next leader goes on."""
    for seed in range(12):
        world = World(seed=seed)
        world.corrupt(Equivocator(world, 0, Random(seed), size))
        for seq in range(6):
            world.submit(1 + seq % 5, submission(1, seq), submission(2, seq))
            world.run(60)
        world.settle_views()
        world.check_all()


def test_02_neither_value_blocks_the_other() -> None:
    """ "the 1712.01367 schedule": two values, neither with a quorum and each with supporters, and a liar that
    reports for either: the view that follows is free to decide."""
    for a, b in ((2, 2), (1, 3), (2, 3), (1, 1)):
        for lie in (0, 1, None):
            world = World(seed=a * 10 + b)
            liar = Mute(world, 0, Random(0))
            world.corrupt(liar)
            values = [Batch.of([submission(1, 1)]), Batch.of([submission(2, 1)])]
            world.submit(1, submission(1, 1), submission(2, 1))
            for to in range(1, 1 + a + b):
                push_through(liar, propose(0, 1, values[to > a]), [to])
            world.run()
            world.elect(1)
            entries = [(1, 0, values[lie].digest)] if lie is not None else []
            liar.speak(1, report(1, entries))
            world.settle_views()
            world.check_all()
            assert max(member.engine.view for member in world.honest) <= 2


def test_03_votes_for_one_digest_split_over_views() -> None:
    """ "Counting exact (view, digest) pairs instead of digests breaks agreement in three views"."""
    world = World(seed=3)
    digest = decided_by_one(world, submission(1, 1))
    only_links(world, *((m, 1) for m in (0, 2, 4, 5)), (1, 2))  # all report; one other hears the NewView
    world.elect(1, [0, 1, 2, 4, 5])
    world.run()
    heal(world, 3)
    world.elect(2, [0, 1, 2, 4, 5])
    world.submit(4, submission(2, 1))
    world.settle_views(3)
    world.check()
    heal(world)
    world.settle_views()
    world.check_all()
    assert {member.decisions()[1].batch.digest for member in world.honest} == {digest}


def test_03_support_does_not_outlive_its_view() -> None:
    """Votes for one slot, split over views and values: three members in view 0, and four in view 1, a liar
    among them. No quorum in either, so nobody may decide."""
    world = World(seed=3)
    liar = Mute(world, 1, Random(0))
    world.corrupt(liar)
    first, second = (Batch.of([submission(client, 1)]) for client in (1, 2))
    world.gate.know(submission(2, 1))
    only_links(world, (0, 3), (1, 3))
    world.submit(0, submission(1, 1))
    world.run()
    liar.speak(3, Accepted(0, 1, propose(0, 1, first).root))
    world.run()
    only_links(world, *((m, 1) for m in EVERY), (1, 2), (1, 3), (1, 4), (2, 3), (4, 3))
    world.elect(1)
    world.run()
    said = {m: report(1) for m in (1, 2, 4, 5)}
    liar.speak(3, said[1])  # so it is on record
    new_view = opening(world, 1, {**said, 3: report(1, [(1, 0, first.digest)])})
    assert new_view.vector == ()
    for to in (2, 3, 4):
        liar.speak(to, new_view)
    push_through(liar, propose(1, 1, second), (2, 3, 4))
    world.run()
    assert {m.me for m in world.honest if m.engine.status.accepted and m.engine.view == 1} == {2, 3, 4}
    assert not any(member.decisions() for member in world.honest)
    heal(world)
    world.settle_views()
    world.check_all()


def test_04_a_decision_that_only_an_excluded_learner_saw() -> None:
    """ "a decision only one learner saw, that learner then excluded twice"."""
    for seed in range(5):
        world = World(seed=seed)
        digest = decided_by_one(world, submission(1, 1))
        for view in (1, 2):
            heal(world, 3)
            world.elect(view, [0, 1, 2, 4, 5])
            world.run(40 * seed)
        world.submit(4, submission(2, 1))
        world.settle_views(4)
        world.check()
        heal(world)
        world.settle_views()
        world.check_all()
        assert {member.decisions()[1].batch.digest for member in world.honest} == {digest}


def test_05_lying_oversized_and_duplicate_reports() -> None:
    """ "lying, oversized, duplicate Reports": verified by each member itself; each member counts once."""
    for seed in range(20):
        campaign(seed, "report liar")
    world = World(seed=5)
    decided_by_one(world, submission(1, 1))
    only_links(world, (2, 1), (3, 1))
    world.elect(1)
    world.run()
    for _ in range(6):  # with every heartbeat the Reports are repeated
        world.beat()
        world.run()
    assert not world.members[1].engine.status.active, "three members are no quorum, however often they say it"


def test_06_two_valid_new_views_to_two_halves() -> None:
    """ "two valid NewViews to two halves"."""
    for seed in range(25):
        campaign(seed, "equivocator")
    for seed in range(12):
        world = World(seed=seed)
        world.corrupt(Equivocator(world, 1, Random(seed)))
        only_links(world, (0, 1), (0, 2), (1, 0))  # as many accept as force, with the liar's word
        world.submit(0, submission(1, 1), submission(1, 2))
        world.run()
        heal(world)
        world.elect(1)
        world.submit(3, submission(2, 1))
        world.settle_views()
        world.check_all()


def _misled_member(world: World) -> Mute:
    """Member 5 holds a NewView that forces a batch which it lacks; the others decided without that batch."""
    liar = Mute(world, 1, Random(0))
    world.corrupt(liar)
    forced, other = submission(1, 1), submission(2, 1)
    only_links(world, (0, 2))
    world.submit(0, forced)
    world.run()
    entry = (1, 0, Batch.of([forced]).digest)
    only_links(world, *((m, 1) for m in (0, 2, 3, 4, 5)), *((1, m) for m in (0, 2, 3, 4, 5)))
    world.elect(1)
    world.run()
    reports = {0: report(1, [entry]), 2: report(1, [entry]), 3: report(1), 4: report(1)}
    honest = {0, 2, 3, 4}
    misleading = opening(world, 1, {**reports, 1: report(1, [entry])})
    assert len(misleading.vector) == 1
    liar.speak(5, report(1, [entry]))  # said, and so on record
    liar.speak(5, misleading)
    liar.speak(5, report(1))
    for to in sorted(honest):
        liar.speak(to, opening(world, 1, {**reports, 1: report(1)}))
    world.run()
    world.cut -= {(a, b) for a in honest for b in honest}
    world.submit(3, other)
    push_through(liar, propose(1, 1, Batch.of([other])), sorted(honest))
    world.run()
    assert {m.me for m in world.honest if m.engine.status.certified == 1} == honest
    return liar


def test_06_a_certificate_of_the_view_overrules_a_misleading_new_view() -> None:
    """A member with the minority's NewView learns by certificate what the majority decided in the same view.
    That is the leader's fault, with no more than f members faulty: it must not end the process."""
    world = World(seed=6)
    _misled_member(world)
    heal(world)
    world.settle(4)
    world.check()
    assert world.members[5].engine.status.certified == 1
    assert any(b.member == 1 and b.offence is Offence.TWO_NEW_VIEWS for b in world.members[5].blames)
    world.crash(5)  # and after a restart it is misled no further
    world.restart(5)
    world.settle_views()
    world.check_all()


class _Opener(Adversary):
    """Lets its engine work, and keeps the NewViews that it makes."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self.made: list[NewView] = []

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if isinstance(message, NewView):
            self.made.append(message)
            return []
        return [message]


def test_07_a_new_view_that_ignores_a_forced_digest() -> None:
    """ "NewView that ignores a forced digest": a wrong vector is evidence, and nobody follows it."""
    world = World(seed=7)
    digest = decided_by_one(world, submission(1, 1))
    liar = _Opener(world, 1, Random(0))
    world.corrupt(liar)
    heal(world, 3)
    world.elect(1, [0, 1, 2, 4, 5])
    world.run()
    made = liar.made[0]
    assert made.vector == (digest,)
    for vector in ((), (bytes(32),), (digest, digest), (Batch.of([]).digest,)):
        for to in (0, 2, 4, 5):
            liar.speak(to, NewView(1, made.reports, vector))
    world.run()
    for me in (0, 2, 4, 5):
        assert not world.members[me].engine.status.active
        assert {b.member for b in world.members[me].blames} == {1}
    heal(world)
    world.settle_views()
    world.check_all()
    for seed in range(15):
        campaign(seed, "bad opener")


def test_07_a_stale_election_proof_moves_nobody() -> None:
    """ "stale election proof": a member never goes back, nor reports for a view below its own."""
    world = World(seed=8)
    world.elect(3)
    world.settle_views(2)
    views = [member.engine.view for member in world.members]
    assert min(views) >= 3
    for to in range(6):
        world.inject((to + 1) % 6, to, Certified(world.election_proof(2)))
    world.run()
    assert [member.engine.view for member in world.members] == views


def test_08_a_forced_digest_with_one_holder_of_the_batch() -> None:
    """ "forced digest with one holder of the batch": the others fetch it by digest, from whoever has it."""
    for holder in (0, 1, 2):
        world = World(seed=holder)
        only_links(world, (0, 1), (0, 2))
        world.submit(0, submission(1, 1))
        world.run()
        heal(world)
        world.elect(1)
        world.run(60)
        silenced = {0, 2} - {holder} if holder != 1 else {0, 2}
        world.cut = {(a, b) for a in silenced for b in (3, 4, 5)}  # they answer nobody who lacks it
        world.settle(6)
        world.check()
        heal(world)
        world.settle_views()
        world.check_all()


def test_09_bad_shares_are_named_and_left_out() -> None:
    """ "bad shares: wrong tag, view, key, index; culprits named", on ACCEPTED and on SUSPECT."""
    blamed = 0
    for seed in range(15):
        world = World(seed=seed)
        world.corrupt(KINDS["share forger"](world, 5, Random(seed)))
        for seq in range(4):
            world.submit(seq, submission(1, seq))
            world.run(100)
        world.settle()
        only_links(world)
        world.submit(2, submission(2, 1))
        world.run()
        world.fire_view_timers()
        world.fire_view_timers()
        heal(world)
        world.settle_views()
        world.check_all()
        blamed += sum(b.offence is Offence.BAD_SHARE for m in world.honest for b in m.blames)
    assert blamed > 15


def test_10_withheld_shares_and_certificates() -> None:
    """ "withheld shares; leader withholding certificates": the next leader has them made."""
    world = World(seed=10)
    world.corrupt(Silent(world, 0, Random(0), 10**9))
    withheld = (CertifyRequest, Endorsed, Certified)
    world.tampers[0] = lambda _, __, message: [] if isinstance(message, withheld) else [message]
    world.submit(1, submission(1, 1))
    world.run()
    assert all(m.engine.status.decided == 1 and m.engine.status.certified == 0 for m in world.honest)
    world.settle_views()
    world.check_all()


def test_10_a_far_flag_does_not_delay_certificates() -> None:
    """Regression: a leader that flags slots nobody has yet must not silence the shares due without a flag."""
    world = World(seed=11)
    world.corrupt(Silent(world, 0, Random(0), 10**9))
    world.tampers[0] = lambda _, __, said: [
        CertifyRequest(0, 120) if isinstance(said, CertifyRequest) else said
    ]
    for seq in range(70):
        world.submit(1, submission(1, seq))
        world.run()
    assert min(member.engine.status.certified for member in world.honest) >= 64
    world.check()


def test_12_a_rolled_back_disk_counts_as_a_fault() -> None:
    """ "rolled-back disk counts as a fault": f of them harm nobody. So does one whose bits flipped: its
    journal refuses, or comes back as it was, never as anything else."""
    refusals = 0
    for seed in range(20):
        campaign(seed, "amnesiac")
        refusals += campaign(seed, "bit flips").faults["refusals of a damaged journal"]
    assert refusals > 5


def test_13_every_certificate_holder_absent_from_the_reports() -> None:
    """ "every certificate holder absent from the Reports": its Accepted stand in for the certificate."""
    world = World(seed=13)
    only_links(world, *((0, m) for m in range(1, 6)), *((m, 5) for m in range(5)))
    world.submit(0, submission(1, 1))
    world.run()
    assert [m.me for m in world.members if m.engine.status.certified] == [5]
    heal(world, 5)
    world.submit(2, submission(2, 1))
    world.elect(1, range(5))
    world.settle_views(4)
    world.check()
    assert all(world.members[me].engine.status.certified >= 2 for me in range(5))
    heal(world)
    world.settle_views()
    world.check_all()


def test_14_partitions_stop_and_healing_resumes() -> None:
    """ "partition and heal; partial partitions": no fork, progress iff n-f are connected."""
    for seed in range(8):
        world = World(seed=seed, loss=0.3 if seed % 2 else 0.0)
        world.submit(1, submission(1, 1))
        world.run()
        world.cut = {(a, b) for a in range(6) for b in range(6) if (a < 3) != (b < 3)}
        for member in range(6):
            world.submit(member, submission(2, member))
        decided = [len(member.decisions()) for member in world.members]
        for _ in range(4):
            world.run()
            world.fire_view_timers()
            world.beat()
        assert [len(member.decisions()) for member in world.members] == decided or world.loss
        world.cut = set()
        world.settle_views()
        world.check_all()


def test_15_f_silent_leaders() -> None:
    """ "f silent leaders": the first correct leader decides."""
    world = World(QuorumSystem(11, 2), seed=15)
    for me in (0, 1):
        world.corrupt(Silent(world, me, Random(me), 0))
    world.submit(5, submission(1, 1))
    world.settle_views(5)
    world.check_all()
    assert {member.engine.view for member in world.honest} == {2}


def test_15_a_slow_leader() -> None:
    """ "slow leader": it keeps every proposal until just before the others lose patience. What it is given is
    decided all the same. (That its throughput costs it the lead is the engine's rule to come.)"""
    for seed in range(10):
        world = campaign(seed, "slow")
        assert world.recovery <= PATIENCE_TIMEOUTS
    world = TimedWorld(seed=15)
    slow = KINDS["slow"](world, 0, Random(0))
    world.corrupt(slow)
    world.submit(1, world.write(1, 1))
    world.advance(JUST_IN_TIME)
    assert not any(member.decisions() for member in world.honest)
    world.advance(JUST_IN_TIME + SECOND // 10)
    assert all(member.decisions() for member in world.honest)
    assert {member.engine.view for member in world.honest} == {0}
    assert slow.words > 0
