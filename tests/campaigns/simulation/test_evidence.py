"""Evidence in worlds with liars: each kind is made, and nobody but a liar is ever convicted.

The court of a world judges every piece at once, by way of the file, and ``World.check`` looks whom it
convicted; the gate sees to it that no two words of a correct member contradict each other. So all campaigns,
here and in the other modules, check both.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from alliance.evidence import portable as kinds
from fab_paxos.evidence import TwoStatements
from fab_paxos.messages import Accepted, NewView, Propose
from tests.campaigns.simulation.campaign import campaign
from tests.worlds.cluster import submission
from tests.worlds.equivocation import Equivocator
from tests.worlds.scripts import Mute, heal, only_links, propose, push_through, report
from tests.worlds.world import Adversary, World
from verifiable_log import Batch
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf


def convicted(world: World) -> set[tuple[str, str]]:
    """Who, of what, after all checks."""
    world.check()
    return {(verdict.culprit, verdict.kind) for verdict in world.court.convictions.values()}


@pytest.fixture
def world() -> World:
    """Member 0, who leads the first view, says only what the test makes it say."""
    world = World(seed=1)
    world.corrupt(Mute(world, 0, Random(0)))
    return world


def batch(world: World, *numbers: int, client: int = 1, command: bytes = b"") -> Batch:
    submissions = [submission(client, number, command) for number in numbers]
    for one in submissions:
        world.gate.know(one)
    return Batch.of(submissions)


def log_of(world: World, client: int, slots: int) -> list[tuple[Propose, Frontier]]:
    """Proposals of view 0 for one log, and the frontiers before them."""
    frontier, proposals = EMPTY, []
    for slot in range(1, slots + 1):
        one = batch(world, slot, client=client)
        proposals.append((propose(0, slot, one, frontier), frontier))
        frontier = frontier.append(slot_leaf(slot, one.digest))
    return proposals


# -- each kind, made by a real engine ------------------------------------------------------------------


def test_two_proposals(world: World) -> None:
    liar = world.adversaries[0]
    for client in (1, 2):
        liar.speak(3, propose(0, 1, batch(world, 1, client=client)))
    world.run()
    assert convicted(world) == {("member-0", kinds.TWO_STATEMENTS)}


def test_two_votes_and_a_vote_against_its_own_proposal(world: World) -> None:
    liar = world.adversaries[0]
    liar.speak(3, propose(0, 1, batch(world, 1)))
    liar.speak(3, Accepted(0, 1, b"a" * 32))
    liar.speak(4, Accepted(0, 1, b"a" * 32))
    liar.speak(4, Accepted(0, 1, b"b" * 32))
    world.run()
    assert convicted(world) == {("member-0", kinds.TWO_STATEMENTS)}
    assert {witness for witness, _ in world.court.convictions} == {3, 4}


def test_members_that_were_told_different_logs_convict_their_leader() -> None:
    """Two halves that differ show each other what they were told: every correct member has the proof."""
    world = World(seed=3)
    world.corrupt(Equivocator(world, 0, Random(1), 3))
    world.submit(2, submission(1, 1), submission(2, 1))
    world.run()
    for member in world.honest:
        proofs = {b.member for b in member.blames if isinstance(b.evidence, TwoStatements)}
        assert proofs == {0}, f"member {member.me}"
    world.settle_views()
    world.check_all()


def test_a_root_that_does_not_follow(world: World) -> None:
    liar = world.adversaries[0]
    first, second = (proposal for proposal, _ in log_of(world, 1, 2))
    liar.speak(3, replace(first, root=bytes(32)))
    for proposal in (first, replace(second, root=bytes(32))):
        liar.speak(4, proposal)
    world.run()
    assert convicted(world) == {("member-0", kinds.BROKEN_LOG)}
    assert {witness for witness, _ in world.court.convictions} == {3, 4}


@pytest.mark.parametrize("certified", [False, True])
def test_a_repetition_of_an_earlier_slot(world: World, certified: bool) -> None:
    liar = world.adversaries[0]
    (first, _), (second, after_one) = log_of(world, 1, 2)
    after_two = after_one.append(slot_leaf(2, second.batch.digest))
    for proposal in (first, second):
        if certified:  # out of the engine's memory: the history completes the proof
            push_through(liar, proposal, liar.others)
        else:
            liar.speak(3, proposal)
        world.run()
    assert world.members[3].engine.status.certified == (2 if certified else 0)
    liar.speak(3, propose(0, 3, first.batch, after_two))
    world.run()
    assert convicted(world) == {("member-0", kinds.REPETITION)}


def test_a_repetition_within_a_batch_and_one_with_another_content(world: World) -> None:
    liar = world.adversaries[0]
    liar.speak(3, propose(0, 1, batch(world, 7, 7)))
    one = propose(0, 1, batch(world, 7))
    liar.speak(4, one)
    before = EMPTY.append(slot_leaf(1, one.batch.digest))
    liar.speak(4, propose(0, 2, batch(world, 8, 9, 7, command=b"another"), before))
    world.run()
    assert convicted(world) == {("member-0", kinds.REPETITION)}
    assert {witness for witness, _ in world.court.convictions} == {3, 4}


def test_new_views_that_are_two_or_do_not_follow() -> None:
    class Opener(Adversary):
        def tamper(self, sender: int, to: int, message: object) -> list[object]:  # type: ignore[override]
            if not isinstance(message, NewView):
                return [message]
            others = [pair for pair in message.reports if pair[0] != self.me]
            own = (self.me, report(1, [(1, 0, bytes(32))]))
            other = replace(message, reports=tuple(sorted([own, *others])))
            return [message, other] if to == 3 else [replace(message, vector=(bytes(32),))]

    world = World(seed=4)
    world.corrupt(Opener(world, 1, Random(0)))
    world.elect(1)
    world.run()
    kinds_by_witness = {(me, verdict.kind) for (me, _), verdict in world.court.convictions.items()}
    assert (3, kinds.TWO_NEW_VIEWS) in kinds_by_witness
    assert (4, kinds.WRONG_NEW_VIEW) in kinds_by_witness
    assert {culprit for culprit, _ in convicted(world)} == {"member-1"}


def test_two_reports(world: World) -> None:
    liar = world.adversaries[0]
    world.cut = {(a, b) for a in range(6) for b in range(6)} - {(0, 1)}
    world.elect(1)
    world.run()
    liar.speak(1, report(1, [(1, 0, b"a" * 32), (2, 0, b"b" * 32)]))
    liar.speak(1, report(1, [(1, 0, b"a" * 32)]))
    world.run()
    assert convicted(world) == set(), "an entry may become void: these could both be true"
    liar.speak(1, report(1, [(1, 0, b"c" * 32)]))
    world.run()
    assert convicted(world) == {("member-0", kinds.TWO_REPORTS)}


def test_two_submissions() -> None:
    world = World(seed=5)
    for command in (b"to Alice", b"to Bob"):
        world.submit(2, submission(1, 7, command))
    world.settle()
    assert convicted(world) == {("client-1", kinds.TWO_SUBMISSIONS)}


# -- nobody else ---------------------------------------------------------------------------------------


def exchanged(world: World) -> None:
    """Member 5 spoke of slots 1 to 3 of one log; the others certified slot 1 of another one, and it knows."""
    liar = world.adversaries[0]
    others = (1, 2, 3, 4)
    for proposal, _ in log_of(world, 2, 3):
        liar.speak(5, proposal)
    world.run()
    heal(world, 5)
    push_through(liar, log_of(world, 1, 3)[0][0], others)
    world.run()
    heal(world)
    world.settle(3)
    assert world.members[5].engine.status.certified == 1


def test_a_member_whose_log_was_exchanged_does_not_contradict_itself(world: World) -> None:
    """Scenario: the leader told it another log, of which it spoke. Whatever it is told now, and after a
    restart: the gate finds any second word on a slot. It speaks again where it has not spoken before."""
    exchanged(world)
    liar = world.adversaries[0]
    story = log_of(world, 1, 5)
    for restarted in (False, True):
        if restarted:
            world.crash(5)
            world.restart(5)
            world.run()
        for proposal, _ in story[1 : 3 + restarted]:
            liar.speak(5, proposal)
        world.settle(2)
    assert world.members[5].engine.status.accepted == 4
    latest = world.members[5].engine.rooms.acceptor.latest(0)
    assert latest is not None
    assert latest.slot == 4
    world.check()


def test_a_leader_whose_log_was_exchanged_proposes_no_more() -> None:
    """Regression: a liar brings a leader, who has not heard that its view is over, the log of the next view;
    it went on in its own view, with other proposals for slots that it had given away."""
    world = World(seed=6)
    world.corrupt(Adversary(world, 5, Random(0)))
    only_links(world)
    for number in (1, 2):
        world.submit(0, submission(1, number))
        world.run()
    assert world.members[0].engine.status.accepted == 2
    heal(world, 0)
    world.elect(1, [1, 2, 3, 4, 5])
    world.submit(1, submission(2, 1))
    world.settle(3)
    assert world.members[1].engine.status.certified == 1
    only_links(world, (5, 0))
    world.adversaries[5].speak(0, world.members[1].disk.frame(1, 7))
    world.run()
    assert (world.members[0].engine.view, world.members[0].engine.status.certified) == (0, 1)
    for restarted in (False, True):
        if restarted:
            world.crash(0)
            world.restart(0)
        world.submit(0, submission(3, 1 + restarted))
        world.run()  # a second proposal for slot 2 would stop the gate
        assert world.members[0].engine.status.accepted == 1
    heal(world)
    world.submit_again(0)
    world.settle_views()
    world.check_all()


def test_campaigns_bring_evidence() -> None:
    for liar, offence in (
        ("equivocator", kinds.TWO_STATEMENTS),
        ("bad opener", kinds.WRONG_NEW_VIEW),
        ("report liar", kinds.TWO_REPORTS),
    ):
        assert any(
            offence in {kind for _, kind in convicted(campaign(seed, liar))} for seed in range(9000, 9030)
        )
