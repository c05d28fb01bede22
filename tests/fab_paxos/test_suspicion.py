"""Suspecting with others: the word of those who may lie, and of one more, moves nobody; that of most does."""

from __future__ import annotations

import pytest

from fab_paxos.effects import Effect, Endorse, Timer
from fab_paxos.election import STANDING_BEATS, Election
from fab_paxos.events import EndorsementMade, EndorsementRefused, TimerFired
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.messages import Certified, Endorsed, Forward
from fab_paxos.share_collector import Reputation
from quorum import CheckpointStatement, Endorsement, JointStatement, QuorumSystem, SuspectStatement
from tests.worlds.checkers import check_all
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.single import Bench, only
from tests.worlds.timed import SECOND, TimedWorld
from tests.worlds.world import World

ELEVEN = QuorumSystem(11, 2)
BEAT = TimerFired(Timer.HEARTBEAT)


def suspect(member: int, view: int) -> Endorsed:
    return Endorsed(Endorsement(SuspectStatement(view), member, b"a share"))


def joined(effects: list[Effect], view: int = 0) -> bool:
    """Whether the bench itself suspects now."""
    endorsed = only(effects, Endorse)
    assert endorsed in ([], [Endorse(SuspectStatement(view))])
    return bool(endorsed)


@pytest.mark.parametrize("system", [SIX, ELEVEN])
@pytest.mark.parametrize("view", [0, 4])  # this view, or a later one that we have not reached
def test_a_member_joins_when_most_of_those_who_suspect_are_correct(system: QuorumSystem, view: int) -> None:
    bench = Bench(system.member_count - 1, system)
    for member in range(1, 2 * system.faulty_max + 1):
        assert not joined(bench.hear(member, suspect(member, view), suspect(member, view + 1)))
    last = system.mostly_correct
    assert joined(bench.hear(last, suspect(last, view)))
    assert not joined(bench.hear(last + 1, suspect(last + 1, view))), "it has said so"


def test_a_suspect_that_the_signer_refused_is_said_later() -> None:
    """A member without a share for a while: nobody else could be spared, were its word lost for the view."""
    bench = Bench()
    for member in (1, 2, 3):
        effects = bench.hear(member, suspect(member, 0))
    assert joined(effects)
    for _ in range(2):
        assert not joined(bench.step(EndorsementRefused(SuspectStatement(0))))
        assert joined(bench.step(BEAT))
        assert not joined(bench.step(BEAT)), "the signer was asked, and has not answered"
    bench.step(EndorsementMade(SuspectStatement(0), b"our share", proven=False))
    assert not joined(bench.step(BEAT))
    bench.step(EndorsementRefused(SuspectStatement(3)))  # of a view that is none of ours
    assert not joined(bench.step(BEAT))


@pytest.mark.parametrize("statement", [CheckpointStatement(4, b"r" * 32, b"s" * 32)])
def test_what_is_signed_in_turn_is_asked_for_again_as_long_as_it_is_wanted(statement: JointStatement) -> None:
    signing, out = SigningInTurn(SIX, 5, Reputation(), lambda _: 4), list[Effect]()
    signing.want(statement, out)
    signing.on_endorsement_refused(statement)
    signing.signing.on_heartbeat(out)
    assert out == [Endorse(statement)] * 2
    signing.on_endorsement_refused(statement)
    signing.drop()
    signing.on_endorsement_refused(statement)
    signing.signing.on_heartbeat(out)
    assert out == [Endorse(statement)] * 2


def test_no_more_are_waited_for_than_make_the_proof() -> None:
    for members in range(1, 60):
        for faulty in range((members - 1) // 5 + 1):
            system = QuorumSystem(members, faulty)
            assert system.mostly_correct <= system.decision


def test_a_suspect_counts_while_it_is_repeated() -> None:
    bench = Bench()
    bench.hear(1, suspect(1, 0))
    bench.hear(2, suspect(2, 0))
    bench.step(*[BEAT] * (STANDING_BEATS - 1))
    bench.hear(1, suspect(1, 0))
    bench.step(BEAT)
    assert not joined(bench.hear(3, suspect(3, 0))), "member 2 was silent for too long"
    assert joined(bench.hear(2, suspect(2, 0)))
    early = Bench()
    early.hear(1, suspect(1, 0))
    early.hear(2, suspect(2, 0))
    early.step(*[BEAT] * (STANDING_BEATS - 1))
    assert joined(early.hear(3, suspect(3, 0)))


def test_a_suspect_of_an_earlier_view_is_no_sign_of_life() -> None:
    """Held back by the network and delivered late: it says nothing of what its sender thinks now."""
    election, out = Election(SIX, 5, 0, None, Reputation()), list[Effect]()
    for member in (1, 2):
        election.on_suspect(suspect(member, 3).endorsement, SuspectStatement(3), out)
    for _ in range(STANDING_BEATS):
        election.on_heartbeat(out)
        election.on_suspect(suspect(1, 2).endorsement, SuspectStatement(2), out)
        election.on_suspect(suspect(2, 2).endorsement, SuspectStatement(2), out)
    assert not election.on_suspect(suspect(3, 3).endorsement, SuspectStatement(3), out)


@pytest.mark.parametrize(("ahead", "counts"), [(5, True), (6, False), (2**62, False)])
def test_views_out_of_reach_do_not_count(ahead: int, counts: bool) -> None:
    bench = Bench(me=5)
    heard = [joined(bench.hear(member, suspect(member, ahead))) for member in (1, 2, 3)]
    assert heard == [False, False, counts]
    moved = Bench(me=5)  # after the first views have passed they are within reach
    for member in (1, 2):
        moved.hear(member, suspect(member, 6))
    moved.hear(4, Certified(World().election_proof(1)))
    assert joined(moved.hear(3, suspect(3, 6)), view=1)


# -- whole alliances ---------------------------------------------------------------------------------


def test_a_liar_that_always_suspects_and_one_impatient_member_end_no_view() -> None:
    """With ``f + 1`` they did, again and again: everybody else was served and had no reason."""
    cluster = Cluster(seed=4)
    for seq in range(12):
        for to in range(5):
            cluster.inject(5, to, suspect(5, seq % 3))
        if seq == 3:  # a timer ahead of time, at one member
            cluster.submit(3, submission(2, 1))
            cluster.turn(3)
            cluster.members[3].timers.discard(Timer.VIEW)
            cluster.members[3].post(TimerFired(Timer.VIEW))
        cluster.submit(seq % 5, submission(1, seq))
        cluster.run()
        cluster.beat()
    cluster.settle(3)
    assert cluster.members[3].engine.rooms.election.suspecting
    assert {member.engine.view for member in cluster.members} == {0}
    check_all(cluster)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("system", [SIX, ELEVEN])
def test_a_client_of_one_member_moves_all_though_f_are_silent_and_others_late(
    system: QuorumSystem, seed: int
) -> None:
    """The leader and f - 1 more never speak, some links are slow, and one member alone knows what waits.

    Its own time-out, then those of all to whom it told it, and the change of view: that is about two.
    """
    world = TimedWorld(system, seed)
    world.isolate(*range(system.faulty_max))
    late = system.member_count - 2
    world.pace = {(a, late): 10 for a in range(system.member_count)}
    world.advance(SECOND)
    since = world.now
    world.submit(system.member_count - 1, world.write(1, 1))
    speaking = [member for member in world.members if member.me >= system.faulty_max]
    while not all(member.decisions() for member in speaking):
        world.advance(world.now + SECOND // 20)
        assert world.now < since + 4 * SECOND * 0.5 * system.faulty_max
    world.check()


def test_nobody_has_to_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent leader, loss, and members that join nobody: their own timers end the view."""
    monkeypatch.setattr(Election, "_counts", lambda *_: False)
    for seed in range(20):
        cluster = Cluster(seed=seed, loss=0.1)
        cluster.silent = {0}
        cluster.submit(1 + seed % 5, submission(1, 1))
        cluster.run(50 * seed)
        cluster.settle_views()
        assert {member.engine.status.decided for member in cluster.members[1:]} == {1}


def test_what_one_member_waits_for_all_wait_for() -> None:
    """The leader ignores member 3: its client's work reaches the others by member 3's suspicion alone."""
    cluster = Cluster(seed=5)
    cluster.cut = {(3, 0)}
    cluster.submit(3, submission(1, 1))
    cluster.run()
    assert not any(len(m.engine.rooms.proposer._pending) for m in cluster.members if m.me != 3)
    cluster.keep_sent = True
    cluster.fire_view_timers()
    cluster.run()
    told = {to for sender, to, message in cluster.sent if sender == 3 and isinstance(message, Forward)}
    assert told == {0, 1, 2, 4, 5}
    cluster.settle_views(3)
    assert {member.engine.status.decided for member in cluster.members} == {1}
