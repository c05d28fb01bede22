"""Profile lean by hand: what one Report can fix, who may not fix it, and what a restart must remember.

The names are those of the design; docs/development/testing.md has them in its table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from fab_paxos.effects import Blame, Effect, Offence
from fab_paxos.evidence import TwoProposals
from fab_paxos.lean_view_change import LeanViewChange
from fab_paxos.messages import (
    Accepted,
    Forward,
    Message,
    NewView,
    Propose,
    Report,
)
from fab_paxos.selection import ReportedEntry
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.worlds.cluster import submission
from tests.worlds.equivocation import Equivocator
from tests.worlds.lean_liars import YEAR_10000_MS, LoneReporter
from tests.worlds.scripts import Mute, heal, propose, push_through
from tests.worlds.world import Adversary, World
from verifiable_log import Batch
from verifiable_log.merkle import EMPTY, slot_leaf

FOUR, NINE = QuorumSystem(4, 1, LEAN), QuorumSystem(9, 2, LEAN)
FIRST, SECOND = (Batch.of([submission(client, 1)]) for client in (1, 2))


def world_of(system: QuorumSystem = FOUR, seed: int = 0) -> World:
    world = World(system, seed)
    for batch in (FIRST, SECOND):
        for one in batch.submissions:
            world.gate.know(one)
    return world


def entry(batch: Batch, slot: int = 1, view: int = 0) -> ReportedEntry:
    """As the leader of the view has signed it, once it has said so."""
    return ReportedEntry(slot, view, batch.digest, propose(view, slot, batch).root)


def tell(liar: Mute, batch: Batch, members: list[int]) -> None:
    """The proposal, with the leader's vote; no certificate is requested."""
    proposal = propose(0, 1, batch)
    for to in members:
        liar.speak(to, proposal)
        liar.speak(to, Accepted(0, 1, proposal.root))
    liar.world.run()


def decided(world: World, slot: int = 1) -> set[bytes]:
    return {m.decisions()[slot].batch.digest for m in world.honest if slot in m.decisions()}


def end(world: World, rounds: int = 6) -> None:
    world.settle_views(rounds)
    world.check_all()


def test_lean_1712_schedule() -> None:
    """Two values, neither with a quorum, and a liar that reports for either, both or none: the next view is
    free, and whatever was decided stays."""
    for seed, (a, lie) in enumerate((a, lie) for a in (0, 1, 2, 3) for lie in (FIRST, SECOND, None)):
        world = world_of(seed=seed)
        liar = Mute(world, 0, Random(seed))
        world.corrupt(liar)
        tell(liar, FIRST, [1, 2, 3][:a])
        tell(liar, SECOND, [1, 2, 3][a:])
        before = decided(world)
        world.elect(1)
        liar.speak(1, Report(1, None, (entry(lie),) if lie is not None else ()))
        end(world)
        assert before <= decided(world)
        assert max(member.engine.view for member in world.honest) <= 2


def test_lean_single_report_of_a_decided_value() -> None:
    """A decision of three in four: of the two correct ones one is not heard, and one Report is enough."""
    for silent in (1, 2):
        world = world_of(seed=silent)
        liar = Mute(world, 0, Random(0))
        world.corrupt(liar)
        tell(liar, FIRST, [1, 2])
        (digest,) = decided(world)
        assert 1 not in world.members[3].decisions()
        world.isolate(silent)
        rest = [member for member in (1, 2, 3) if member != silent]
        world.elect(1, rest)
        liar.speak(world.system.leader(1), Report(1, None, ()))
        world.settle_views(3)
        heal(world)
        end(world)
        assert decided(world) == {digest == FIRST.digest and FIRST.digest}


def test_lean_equivocator_excluded() -> None:
    """Its Report would make the values even: it is left out, and convicted by two of its proposals."""
    world = world_of()
    liar = Mute(world, 0, Random(0))
    world.corrupt(liar)
    tell(liar, FIRST, [1, 2])
    tell(liar, SECOND, [3])
    (digest,) = decided(world)
    world.elect(1)
    liar.speak(1, Report(1, None, (entry(SECOND),)))
    end(world)
    assert decided(world) == {digest}
    blames = [blame for member in world.honest for blame in member.blames]
    assert any(blame.offence is Offence.TWO_PROPOSALS and blame.member == 0 for blame in blames)
    assert {verdict.kind for verdict in world.court.convictions.values()} == {"two-statements"}


def test_lean_equivocator_leads_again() -> None:
    """Many worlds with one that equivocates in each of its views, and as many views as it takes to lead
    again."""
    most = 0
    for seed in range(6):
        world = World(FOUR, seed=seed)
        world.corrupt(Equivocator(world, 0, Random(seed)))
        for seq in range(12):
            world.submit(1 + seq % 3, submission(1, seq), submission(2, seq))
            world.run(60)
            if seq % 2:
                world.fire_view_timers()
        end(world)
        most = max(most, *(member.engine.view for member in world.honest))
    assert most > 4


def test_lean_two_equivocators_two_slots() -> None:
    """Leaders of two views, each with two values at another slot: both are left out."""
    for seed in range(3):
        world = World(NINE, seed=seed)
        for me in (0, 1):
            world.corrupt(Equivocator(world, me, Random(seed + me)))
        for seq in range(8):
            world.submit(2 + seq % 7, submission(1, seq), submission(2, seq))
            world.run(120)
            if seq % 3 == 2:
                world.fire_view_timers()
        end(world)


@pytest.mark.parametrize("held_by", ["nobody", "the leader", "everybody"])
def test_lean_batch_nobody_holds(held_by: str) -> None:
    """The liar led view 0 and reports what only itself has. Whoever opens a view waits for it in vain and
    goes on without it."""
    for seed in range(6):
        world = world_of(seed=seed)
        liar = LoneReporter(world, 0, Random(seed), held_by, time_ms=0)
        world.corrupt(liar)
        world.cut = {(0, other) for other in (1, 2, 3)}  # it proposes nothing
        world.submit(1, submission(1, 1), submission(2, 1))
        world.fire_view_timers()
        world.run()
        world.cut = set()
        end(world, 3)
        assert max(member.engine.view for member in world.honest) <= 3


def test_lean_batch_only_for_the_leader() -> None:
    """The liar hands its batch to each new leader and to nobody else: the leader serves it to the others, so
    that no view is lost by it."""
    opened = 0
    for seed in range(8):
        world = world_of(seed=seed)
        world.corrupt(LoneReporter(world, 0, Random(seed), "the leader", time_ms=0))
        world.cut = {(0, other) for other in (1, 2, 3)}
        world.submit(1, submission(1, 1))
        world.run()
        world.cut = {(3, 1)}  # the leader does not hear member 3, and so needs the liar's Report
        world.elect(1)
        world.run()
        rooms = [world.members[me].engine.rooms for me in (1, 2)]  # 3 cannot ask the leader either
        assert {(one.view, one.view_change.active) for one in rooms} == {(1, True)}
        opened += rooms[0].view_change.top > 0
        heal(world)
        end(world)
    assert opened > 3


def test_lean_stamp_of_the_far_future() -> None:
    """A stamp that the liar signed itself does not ripen: agreed time stays with the correct clocks."""
    for seed in range(6):
        world = world_of(seed=seed)
        world.corrupt(LoneReporter(world, 0, Random(seed), "everybody", YEAR_10000_MS))
        world.cut = {(0, other) for other in (1, 2, 3)}
        world.submit(1, submission(1, 1), submission(2, 1))
        world.fire_view_timers()
        world.run()
        world.cut = set()
        end(world, 3)
        stamps = [e.batch.time_ms for member in world.honest for e in member.decisions().values()]
        assert max(stamps) < YEAR_10000_MS


def test_a_stamp_within_the_drift_ripens_when_the_clock_has_come() -> None:
    """Waiting, never refusing: what a correct member accepted is ahead of another's clock for a while."""
    world = world_of()
    world.skew_ms = [9_000, 0, -9_000, 0]  # 0 leads, and stamps what 2 will not take for a while
    world.isolate(2)
    world.submit(1, submission(1, 1))
    world.run()
    (digest,) = decided(world)
    world.members[0].stop()
    world.cut = set()
    world.elect(1, [1, 2, 3])
    world.elect(2, [1, 2, 3])  # which 2 leads: it holds the batch back until its clock agrees
    world.run()
    assert world.members[2].engine.view == 2
    world.restart(0)
    world.settle_views(20)
    world.check_all()
    assert decided(world) == {digest}


def test_lean_progress_lost_then_crash() -> None:
    """What a member accepted in a view, it can still prove after a restart, in the views that follow."""
    world = world_of(seed=4)
    world.submit(1, submission(1, 1))
    world.isolate(0)
    world.settle_views(2)
    view = world.members[1].engine.view
    assert view >= 1
    for me in (1, 2, 3):
        world.crash(me)
        world.restart(me)
    openings = [world.members[me].disk.openings for me in (1, 2, 3)]
    assert all(kept and kept[-1].view == view for kept in openings)
    heal(world)
    world.submit(2, submission(2, 1))
    world.elect(view + 1)
    end(world)


def test_nothing_is_accepted_before_the_opening_is_journalled() -> None:
    """The order on the disk: the progress certificate of a view, then its first entry."""
    world = world_of(seed=5)
    world.crash(0)
    world.submit(1, submission(1, 1))
    world.settle_views(3)
    for member in world.honest:
        for held in member.disk.entries.values():
            if held.view:
                assert held.view in {opening.view for opening in member.disk.openings}
    end(world)


def test_a_new_view_is_not_carried_out_before_a_quorum_endorsed_it() -> None:
    """A leader that gives everybody another NewView leads nobody anywhere."""
    world = world_of(seed=6)
    world.submit(1, submission(1, 1))
    world.isolate(0)
    world.cut |= {(a, b) for a in range(4) for b in range(4) if (a, b) != (1, 2)} - {(2, 1), (3, 1)}
    world.elect(1, [1, 2, 3])
    world.run()
    two = world.members[2].engine.rooms.view_change
    assert isinstance(two.new_view, NewView)
    assert not two.active
    assert world.members[2].disk.new_view_digest == two.new_view.digest
    assert not [e for m in world.honest for e in m.disk.entries.values() if e.view == 1]
    heal(world)
    end(world)


def test_lean_report_base_moves_before_ripe() -> None:
    """A Report whose batches its reporter has meanwhile forgotten gives way to a newer one, unless they
    disagree."""
    world = world_of()
    room = world.members[1].engine.rooms.view_change
    assert isinstance(room, LeanViewChange)
    world.submit(1, submission(1, 1))
    world.run()
    certificate = world.members[0].engine.rooms.certifier.newest
    assert certificate is not None
    world.isolate(0, 1, 2, 3)
    world.elect(1, [1])
    world.run()
    older = Report(1, None, (entry(SECOND),))
    room.on_report(3, older, [])
    assert room._reports[3] == older
    newer = Report(1, certificate, (entry(FIRST, 2),))
    room.on_report(3, newer, [])
    assert room._reports[3] == newer
    room.on_report(3, older, [])
    assert room._reports[3] == newer
    out: list[object] = []
    room.on_report(3, Report(1, certificate, (entry(SECOND, 2),)), out)  # type: ignore[arg-type]
    assert room._reports[3] == newer
    assert len(out) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: replace(said, entries=tuple(replace(e, root=b"", signature=b"") for e in said.entries)),
        lambda said: replace(said, entries=tuple(replace(e, batch_digest=b"x" * 32) for e in said.entries)),
        lambda said: replace(said, entries=(replace(said.entries[0], slot=200),)),
        lambda said: replace(said, entries=(replace(said.entries[0], view=1),), view=2),
    ],
)
def test_a_report_without_evidence_does_not_get_in(spoil: Callable[[Report], Report]) -> None:
    """And the views go on without it: the others' Reports are enough."""
    world = world_of(seed=7)
    liar = Mute(world, 3, Random(0))
    world.corrupt(liar)
    world.cut = {(0, 2)}
    world.submit(0, submission(1, 1))
    world.run()
    world.elect(1)
    liar.speak(1, spoil(Report(1, None, (entry(FIRST),))))
    world.run()
    room = world.members[1].engine.rooms.view_change
    assert 3 not in room._reports
    heal(world)
    end(world)


@pytest.mark.parametrize("same_root", [False, True])
def test_two_proposals_in_reports_convict_their_leader(same_root: bool) -> None:
    """Without the batches, and whatever roots the leader has signed with them."""
    world = world_of()
    liar = Mute(world, 0, Random(0))
    world.corrupt(liar)
    world.elect(1, [1])
    world.run()
    one, two = entry(FIRST), entry(SECOND)
    said = [one, replace(two, root=one.root) if same_root else two]
    for told in said:
        liar.speak(1, Report(1, None, (told,)))  # so it is on record
    room = world.members[1].engine.rooms.view_change
    out: list[Effect] = []
    for member, told in zip((2, 3), said, strict=True):
        room.on_report(member, Report(1, None, (replace(told, signature=b"s" * 64),)), out)
    (blame,) = (effect for effect in out if isinstance(effect, Blame))
    assert (blame.member, blame.offence) == (0, Offence.TWO_PROPOSALS)
    assert isinstance(blame.evidence, TwoProposals)
    world.court.hear(world.members[1], blame)
    assert [verdict.kind for verdict in world.court.convictions.values()] == ["two-statements"]


class OneFollower(Adversary):
    """As leader it lets all into its view and proposes to one member; it reports nothing."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        match message:
            case Propose() | Accepted() if to != 3:
                return []
            case Forward():  # nobody else knows of the work
                return []
            case Report():
                return [replace(message, entries=(), openings=())]
            case _:
                return [message]


def test_what_was_accepted_two_views_ago_can_still_be_proven() -> None:
    """View 1 leaves an entry with member 3 alone, view 2 does not hear of it, and view 3 is led by 3."""
    world = world_of(seed=9)
    world.corrupt(OneFollower(world, 1, Random(0)))
    world.elect(1)
    world.run()
    world.submit(1, submission(1, 1))
    world.run()
    assert {m.me for m in world.honest if m.engine.status.accepted} == {3}
    world.cut = {(3, 2)}
    world.elect(2)
    world.run()
    assert world.members[3].engine.status.active
    assert world.members[3].engine.status.accepted == 0
    assert [opening.view for opening in world.members[3].disk.openings] == [1, 2]
    world.crash(3)
    world.restart(3)
    world.elect(3)
    world.run()
    heal(world)
    end(world)


class _Overruled:
    """Leader 0 lies: members 1 and 2 accept FIRST, and 3 alone SECOND, for which 0 voted, too.

    A certificate then shows member 3 that FIRST was decided. In this view it says nothing more of slot 1, and
    counts itself for a log for which it never voted.
    """

    def __init__(self, seed: int) -> None:
        self.world = world_of(seed=seed)
        self.liar = liar = Mute(self.world, 0, Random(seed))
        self.world.corrupt(liar)
        tell(liar, SECOND, [3])
        push_through(liar, propose(0, 1, FIRST), [1, 2])
        self.world.run()
        self.world.settle(3)
        assert self.world.members[3].decisions()[1].batch.digest == FIRST.digest
        assert self.world.members[3].disk.muted_up_to == 1


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("told", [(1,), (2,), (3,), (1, 3), (2, 3), (1, 2)])
def test_lean_silent_member_counts_itself(told: tuple[int, ...], restarted: bool) -> None:
    """It and the liar are no quorum for anything: the log that it gave up is dead, whoever votes for it, and
    what follows in the new one takes two others, also after a restart and in the next view."""
    stage = _Overruled(seed=len(told))
    world, liar, third = stage.world, stage.liar, Batch.of([submission(3, 1)])
    for one in third.submissions:
        world.gate.know(one)
    if restarted:
        world.crash(3)
        world.restart(3)
    old, new = propose(0, 1, SECOND), propose(0, 2, third, EMPTY.append(slot_leaf(1, FIRST.digest)))
    for to in told:
        liar.speak(to, Accepted(0, 1, old.root))
        liar.speak(to, new)
        liar.speak(to, Accepted(0, 2, new.root))
    world.run()
    assert decided(world) == {FIRST.digest}
    votes = len(told) + 1  # of those who got the proposal, and of the liar
    assert not decided(world, slot=2) or votes >= world.system.decision
    world.elect(1)
    liar.speak(1, Report(1, None, (entry(SECOND),)))
    end(world)
    assert decided(world) == {FIRST.digest}
