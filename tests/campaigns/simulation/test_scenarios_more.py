"""The scenarios of docs/development/testing.md: time, floods, censorship, clones, and one liar too many."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from fab_paxos.messages import Accepted, Certified, Endorsed
from quorum import SuspectStatement
from tests.campaigns.simulation.campaign import campaign
from tests.worlds.adversaries import KINDS, Censor, Silent
from tests.worlds.cluster import submission
from tests.worlds.scripts import Mute, heal, only_links, propose, push_through, report
from tests.worlds.world import World
from verifiable_log import Batch
from verifiable_log.merkle import EMPTY, slot_leaf


def test_01_a_second_value_with_one_report_too_few() -> None:
    """ "forcing/forcing-1": one learner decides the first value and is left out; the second value, which the
    liar reports as well, has forcing - 1 Reports, and comes last. It must not be taken."""
    world = World(seed=1)
    liar = Silent(world, 5, Random(0), 10**9)
    world.corrupt(liar)
    world.elect(5)
    world.run()
    world.tampers[5] = lambda *_: []
    first, second = (Batch.of([submission(client, 1)]) for client in (1, 2))
    world.gate.know(submission(1, 1))
    world.gate.know(submission(2, 1))
    only_links(world, *((5, m) for m in range(5)), (0, 3), (1, 3), (2, 3))
    push_through(liar, propose(5, 1, first), range(4))
    push_through(liar, propose(5, 1, second), [4])
    world.run()
    assert [member.me for member in world.honest if member.decisions()] == [3]
    heal(world, 3)
    world.elect(6, [0, 1, 2, 4, 5])
    for to in (1, 2, 4, 0):
        liar.speak(to, Certified(world.election_proof(6)))
    world.run(30)
    liar.speak(0, report(6, [(1, 5, second.digest)]))
    for _ in range(3):
        world.run()
        world.beat()
        liar.speak(0, report(6, [(1, 5, second.digest)]))
    world.run()
    assert all(world.members[me].engine.status.active for me in (0, 1, 2, 4))
    assert {world.members[me].engine.rooms.log.batch(first.digest) for me in (0, 1, 2, 4)} == {first}
    world.tampers[5] = liar.tamper
    heal(world)
    world.settle_views()
    world.check_all()


def test_16_members_five_views_apart() -> None:
    """ "members five views apart": one election proof moves anyone in a lower view."""
    world = World(seed=16)
    world.submit(2, submission(1, 1))
    world.run()
    world.isolate(3)
    world.elect(5, [3])
    world.submit(2, submission(1, 2))
    world.run()
    assert sorted(member.engine.view for member in world.members) == [0, 0, 0, 0, 0, 5]
    heal(world)
    world.settle_views()
    world.check_all()
    assert min(member.engine.view for member in world.members) >= 5


def test_17_suspect_spam_for_far_future_views() -> None:
    """ "Suspect spam for far-future views" moves nobody and fills no memory."""
    world = World(seed=17)
    liar = Mute(world, 4, Random(0))
    world.corrupt(liar)
    for step in range(300):
        for to in liar.others:
            liar.speak(to, Endorsed(liar.endorse(SuspectStatement(2**63 - step))))
            liar.speak(to, Endorsed(liar.endorse(SuspectStatement(step * 7))))
    world.submit(1, submission(1, 1))
    world.run()
    for member in world.honest:
        assert member.engine.view == 0
        assert len(member.engine.rooms.election.signing._collectors) <= 6
    world.settle_views(4)
    world.check_all()


def _time_passes(world: World, beats: int, victim_at: int | None = None) -> int:
    """Heartbeats, with others' work decided in each, so that no view time-out passes in vain; how many
    there were until the victim waits no more."""
    for beat in range(beats):
        world.submit(2, submission(1, beat))
        world.run()
        world.beat()
        world.run()
        if victim_at is not None and len(world.members[victim_at].engine.rooms.proposer._pending) == 0:
            return beat
    return beats


@pytest.mark.parametrize(("overlooked", "earliest", "latest"), [(3, 3, 8), (32, 9, 15)])
def test_18_censorship_of_one_client(overlooked: int, earliest: int, latest: int) -> None:
    """ "censorship of one client": a leader that orders all but one client's work is replaced in time, though
    the log never stops growing. Its client has been overlooked for so many heartbeats at its member, then at
    those that this one told; with many, it is sooner found that what is passed over is late, by 5 and 5."""
    world = World(seed=18)
    for member in world.members:
        member.config = replace(member.config, overlooked_heartbeats=overlooked)
        world.crash(member.me)
    for member in world.members:
        world.restart(member.me)
    world.corrupt(Censor(world, 0, Random(0), client=7))
    world.submit(3, submission(7, 1))
    taken = _time_passes(world, 100, victim_at=3)
    assert earliest <= taken <= latest, taken
    world.quiet = True
    world.settle_views()
    world.check_all()
    assert {member.engine.view for member in world.honest} == {1}


@pytest.mark.parametrize("cut_off", [False, True])
def test_18_a_client_that_comes_after_the_suspicion(cut_off: bool) -> None:
    """Regression, found by the simulator: a member that suspects the leader already must still tell the
    others of a client that is overlooked later, even if they are not there then; alone it changes no view."""
    world = World(seed=18)
    world.corrupt(Censor(world, 0, Random(0), client=7))
    only_links(world)
    world.submit(3, submission(1, 1))
    world.run()
    world.fire_view_timers()  # member 3 alone suspects, over work that is decided later
    world.run()
    if not cut_off:
        heal(world)
        world.run()
        assert {member.engine.view for member in world.members} == {0}
    world.submit(3, submission(7, 1))
    world.run()
    heal(world)
    assert _time_passes(world, 100, victim_at=3) <= 80
    assert {member.engine.view for member in world.honest} == {1}


def test_18_load_alone_raises_no_suspicion() -> None:
    """A correct leader that is busy with many clients is never taken for a censor."""
    world = World(seed=19)
    for seq in range(50):
        for client in range(40):
            world.submit(client % 6, submission(client, seq))
        world.run()
        world.beat()
        world.fire_view_timers()
    world.settle()
    world.check_all()
    assert {member.engine.view for member in world.members} == {0}


def test_19_duplicates_and_two_contents_over_a_change_of_view() -> None:
    """ "duplicate submissions; one sequence number with two contents": one outcome, one effect."""
    for seed in range(20):
        world = World(seed=seed)
        for seq in range(5):
            for member in (0, 1, 2):
                world.submit(member, submission(1, seq))
            world.submit(3, submission(1, seq, b"another"))
            world.run(seed * 10)
        world.crash(0)
        world.settle_views()
        world.restart(0)
        world.settle_views()
        world.check_all()


def test_19_what_was_accepted_and_dropped_is_not_forgotten() -> None:
    """Regression: a client hands in again, elsewhere, what is accepted there and not decided. A change of
    view drops the slot; its first member is gone. The second one has to see to it."""
    world = World(seed=20)
    only_links(world, (0, 4))
    world.submit(0, submission(1, 1))
    world.run()
    assert world.members[4].engine.status.accepted == 1
    world.submit(4, submission(1, 1))
    world.run()
    world.crash(0)
    heal(world)
    world.elect(1, [1, 2, 3, 4, 5])
    world.settle_views()
    world.check_all()
    assert world.members[4].decisions()


def test_20_poisoned_catching_up() -> None:
    """ "poisoned state transfer", and of the log: whoever gives another one, or one without its proof, is
    named; the next source helps. (Divergent checkpoints: tests/fab_paxos/test_checkpoints.py.)"""
    for seed in range(15):
        campaign(seed, "poisoner")
    for retained, named in ((None, "a log frame from slot 1 without a proof"), (0, "without its proof")):
        reasons = ""
        for seed in range(20, 28):
            world = World(seed=seed, checkpoint_slots=4, retain_slots=retained)
            world.corrupt(KINDS["poisoner"](world, 0, Random(seed)))
            world.isolate(5)
            for seq in range(12):
                world.submit(1, submission(1, seq))
                world.run()
            heal(world)
            world.settle_views(4)
            world.check_all()
            assert bool(world.members[5].leaps) == (retained == 0)
            reasons += " ".join(b.reason for b in world.members[5].blames if b.member == 0)
        assert named in reasons


def test_21_window_exhaustion() -> None:
    """ "window exhaustion": a leader that fills the window with undecided slots; others lack them."""
    world = World(seed=21)
    liar = Mute(world, 0, Random(0))
    world.corrupt(liar)
    only_links(world, *((0, m) for m in (1, 2, 3)))
    frontier = EMPTY
    for slot in range(1, 160):
        one = submission(slot % 9, slot)
        world.gate.know(one)
        batch = Batch.of([one])
        push_through(liar, propose(0, slot, batch, frontier), (1, 2, 3))
        frontier = frontier.append(slot_leaf(slot, batch.digest))
    world.run()
    assert {world.members[m].engine.status.accepted for m in (1, 2, 3)} == {128}
    heal(world, 0)
    world.elect(1, [1, 2, 3, 4, 5])
    world.run()
    for to in (2, 3, 4, 5):
        liar.speak(to, report(1))
    world.cut = set()
    liar.speak(1, report(1))
    world.run()
    lacking = [world.members[m].engine.status.accepted for m in (4, 5)]
    assert lacking == [128, 128], "missing batches come as fast as they are asked for, not by the heartbeat"
    world.settle(2)
    assert {member.engine.status.decided for member in world.honest} == {128}
    world.check_all()


def test_22_cumulative_accepted_over_slots_never_sent() -> None:
    """ "cumulative Accepted over slots never sent" is one member's word, whatever it covers."""
    world = World(seed=23)
    liar = Mute(world, 5, Random(0))
    world.corrupt(liar)
    for slot in (1, 2, 50, 127, 200, 2**62):
        for to in liar.others:
            liar.speak(to, Accepted(0, slot, bytes(32)))
    world.run()
    only_links(world, (0, 1), (0, 2), (1, 2), (2, 1))
    world.submit(0, submission(1, 1), submission(1, 2))
    world.run()
    assert not any(member.decisions() for member in world.honest)
    heal(world)
    world.settle_views()
    world.check_all()


def test_23_replay_across_slots_and_views() -> None:
    """ "replay across slots, views": idempotent. (Epochs, alliances, purposes: ``test_scenario_23``.)"""
    for seed in range(20):
        campaign(seed, "replayer")


def test_24_one_liar_too_many_is_detected() -> None:
    """ "f+1 Byzantine members: the checkers must detect the disagreement"."""
    world = World(seed=24)
    liars = [Mute(world, 0, Random(0)), Mute(world, 5, Random(0))]
    for liar in liars:
        world.corrupt(liar)
    batch = Batch.of([submission(1, 1)])
    world.gate.know(submission(1, 1))
    first = propose(0, 1, batch)
    only_links(world, *((0, m) for m in (1, 2, 3)), (5, 3), (1, 3), (2, 3))
    push_through(liars[0], first, (1, 2, 3))
    liars[1].speak(3, Accepted(0, 1, first.root))
    world.run()
    assert set(world.members[3].decisions()) == {1}
    heal(world, 3)
    world.elect(1, [0, 1, 2, 4, 5])
    for liar in liars:
        liar.speak(1, report(1))
    world.submit(4, submission(2, 1))
    world.run(200)
    for liar in liars:
        liar.speak(1, report(1))  # the first may have come before the view did
    world.run()
    for liar in liars:
        for me in (1, 2, 4):
            tail = world.members[me].engine.rooms.log
            liar.speak(me, Accepted(1, tail.tip, tail.root(tail.tip) or bytes(32)))
    world.run()
    with pytest.raises(AssertionError, match="two decisions for slot 1"):
        world.check()


def test_25_twins() -> None:
    """ "twins schedules": one identity, two engines, every word of which is well formed."""
    for seed in range(25):
        campaign(seed, "twin")
    for seed in range(10):
        world = World(seed=seed)
        world.corrupt(KINDS["twin"](world, seed % 2, Random(seed)))
        for seq in range(4):
            world.submit(2, submission(1, seq))
            world.submit(4, submission(2, seq))
            world.run(80)
            world.fire_view_timers()
        world.settle_views()
        world.check_all()
