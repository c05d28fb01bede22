"""An engine that starts behind the end of an epoch: docs/concepts/protocol.md, section 13.1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fab_paxos.events import StepDown
from fab_paxos.messages import Endorsed, Fetch, Message, Report
from quorum import AcceptedStatement, QuorumSystem
from quorum.system import LEAN
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.control import END, TinyControl
from tests.worlds.epochs import arrived, context_after, end_of, log_of, prepare, record_of, take_seat
from tests.worlds.standin import StandInScheme
from tests.worlds.windows import window_of

W = 8
FOUR = QuorumSystem(4, 1, LEAN)
SYSTEMS = pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])


@pytest.fixture(autouse=True)
def small_window() -> Iterator[None]:
    with window_of(W):
        yield


def ended(system: QuorumSystem = SIX, seed: int = 0, slots: int = 3 * W) -> Cluster:
    """An epoch that is over, more than a window behind slot 0."""
    old = Cluster(system, seed, founded=TinyControl(alpha=W), checkpoint_slots=1000)
    for seq in range(slots):
        old.submit(seq % 3, submission(seq % 3, seq))
        old.run()
    old.submit(1, submission(9, 0, END))
    old.settle(4)
    check_all(old)
    return old


class NewEpoch(Cluster):
    """While ``unproven``, no share on a slot arrives, and so nothing is certified."""

    unproven = False

    def carry(self, sender: int, to: int, said: Message) -> None:
        share = isinstance(said, Endorsed) and isinstance(said.endorsement.statement, AcceptedStatement)
        if not (share and self.unproven):
            super().carry(sender, to, said)


def following(old: Cluster, system: QuorumSystem, seed: int = 0, *, every: int = 1000) -> NewEpoch:
    """The next epoch's members, all of them in their seats."""
    end = end_of(old)
    assert end is not None
    scheme = StandInScheme(system.decision, context_after(old))
    new = NewEpoch(system, seed, scheme=scheme, founded=old.founded, checkpoint_slots=every, retain_slots=2)
    prepare(old, new, end)
    known, donors = log_of(old), arrived(old, end)
    for seat in range(system.member_count):
        take_seat(new, seat, donors[seat % len(donors)].disk, record_of(old, end), known)
        new.restart(seat)
    return new


@SYSTEMS
def test_the_log_goes_on_from_the_end(system: QuorumSystem) -> None:
    old = ended(system)
    end = end_of(old) or 0
    new = following(old, system)
    assert {m.engine.status.certified for m in new.live()} == {end}, "with no certificate of the new epoch"
    for seq in range(2 * W):
        new.submit(seq % 3, submission(seq % 3, 100 + seq))
        new.run()
    new.submit(2, *old.submitted)  # what was ordered before is ordered no more
    new.settle(4)
    check_all(new)
    assert {m.engine.status.decided for m in new.live()} == {end + 2 * W}
    assert {m.engine.view for m in new.live()} == {0}
    assert len(new.members[2].located) == len(old.submitted)


@SYSTEMS
@pytest.mark.parametrize("seed", range(8))
def test_views_change_before_the_first_certificate(seed: int, system: QuorumSystem) -> None:
    """Reports have no base: they begin behind the end, and not at slot 1."""
    old = ended(system, seed)
    new = following(old, system, seed)
    new.loss = 0.2
    new.submit(1, submission(1, 100))
    for seq in range(6):
        new.run(30 + 10 * seed)
        new.fire_view_timers()
        new.submit(seq % system.member_count, submission(2, 200 + seq))
        if seq == 3:
            new.crash(seed % system.member_count)
            new.restart(seed % system.member_count)
    new.submit_again(1)  # for those whose member crashed
    new.settle_views(8)
    check_all(new)
    assert min(m.engine.view for m in new.live()) > 0


@pytest.mark.parametrize("sizes", [(6, 7, 11), (11, 6, 6), (6, 5, 6)], ids=str)
def test_epoch_n_6_to_7_to_11(sizes: tuple[int, ...]) -> None:
    """More members or fewer, in classic or lean: one log, and each number of a client once in it."""
    systems = [QuorumSystem(n, 2 if n == 11 else 1, LEAN if n < 6 else "classic") for n in sizes]
    world = ended(systems[0])
    for number, system in enumerate(systems[1:], 1):
        world = following(world, system, number, every=2)
        for seq in range(5):
            world.submit(seq % 3, submission(seq, 100 * number + seq))
            world.run()
        world.submit(1, submission(9, number, END))
        world.settle(5)
        check_all(world)
        end = end_of(world)
        assert len(arrived(world, end or 0)) == system.member_count
    control = world.members[0].engine.rooms.log.control
    assert isinstance(control, TinyControl)
    assert control.epoch == len(systems) - 1


@SYSTEMS
def test_epoch_suspended_member_leads_no_view(system: QuorumSystem) -> None:
    """It votes, and its shares count; the others take turns."""
    leaders = tuple(range(1, system.member_count))
    new = following(ended(system), replace(system, leaders=leaders))
    led = set()
    for seq in range(2 * system.member_count):
        new.submit(seq % 3, submission(1, 100 + seq))
        new.run()
        (leader,) = {member.engine.leader for member in new.live()}
        led.add(leader)
        new.members[leader].post(StepDown())
        new.run()
    new.settle(2)
    check_all(new)
    assert led == set(leaders)
    assert new.members[0].certificates


def test_a_restart_in_the_new_epoch_stays_in_it() -> None:
    old = ended()
    new = following(old, SIX, every=2)
    for when in range(3):
        for member in new.members:
            new.crash(member.me)
        for member in new.members:
            new.restart(member.me)
        for seq in range(2):
            new.submit(1, submission(4, 10 * when + seq))
            new.run()
        new.settle_views(2)
        check_all(new)
        assert {m.engine.rooms.log.start for m in new.live()} == {end_of(old)}
    assert max(m.engine.status.stable for m in new.live()) > (end_of(old) or 0)


def test_nothing_of_the_epoch_before_is_served_as_if_it_were_of_this_one() -> None:
    """Its certificates are other members': who asks for its slots here gets nothing that it would refuse."""
    old = ended()
    new = following(old, SIX)
    new.keep_sent = True
    new.inject(5, 0, Fetch(1), Fetch(end_of(old) or 0))
    new.settle(3)
    assert not [
        said for sender, to, said in new.sent if (sender, to) == (0, 5) and "Status" not in repr(said)
    ]
    new.submit(0, submission(1, 100))
    new.settle(3)
    check(new)


@SYSTEMS
def test_a_report_without_a_base_begins_at_the_start(system: QuorumSystem) -> None:
    old = ended(system)
    end = end_of(old) or 0
    new = following(old, system)
    new.keep_sent = True
    new.unproven = True
    new.submit(1, submission(1, 100))
    new.run()
    assert {m.engine.status.decided for m in new.live()} == {end + 1}
    new.settle_views(2)
    reports = [said for _, _, said in new.sent if isinstance(said, Report)]
    assert {(report.base, *(e.slot for e in report.entries)) for report in reports} == {(None, end + 1)}
    assert {m.engine.status.decided for m in new.live()} == {end + 1}, "and it is kept"
    new.unproven = False
    new.settle_views(3)
    check_all(new)
