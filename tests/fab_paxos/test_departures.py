"""What is left of clients and members that are gone: an id of 32 bytes, and no window of numbers.

docs/concepts/protocol.md, section 13.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise

import pytest

from consensus.control import CheckedControl, ControlState
from consensus.control.changes import ChangeKind
from consensus.control.commands import Edit, SignedCommand
from consensus.control.draft import KeyRules, trust
from consensus.control.edits import AddClient, EditOperation, RemoveClient
from consensus.control.rows import PolicyRow
from consensus.limits import EDIT_MS, WINDOW_SLOTS
from fab_paxos.control import after
from fab_paxos.effects import RefusalReason
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.consensus.alliance import Log, client_id, found, put_member
from tests.worlds import cluster as world
from tests.worlds.checkers import check
from tests.worlds.cluster import SIX, Cluster
from tests.worlds.control import GONE, TinyControl, remove
from tests.worlds.windows import window_of
from verifiable_log import Batch, Submission, UnsignedSubmission
from verifiable_log.client_windows import CLIENT_ITEM_BYTES_MAX, ClientWindows
from verifiable_log.merkle import EMPTY

W = 8
FOUR = QuorumSystem(4, 1, LEAN)


@pytest.fixture
def small_window() -> Iterator[None]:
    with window_of(W):
        yield


@pytest.mark.parametrize("system", [SIX, FOUR], ids=["classic", "lean"])
@pytest.mark.parametrize("seed", range(4))
def test_windows_of_removed_clients_go_at_one_slot(
    small_window: None, seed: int, system: QuorumSystem
) -> None:
    """Whenever a member accepts it, in whatever view, from a leader, a frame or a checkpoint, or again from
    its journal; so all write down the same."""
    founded = TinyControl(alpha=W)
    cluster = Cluster(system, seed, founded=founded, checkpoint_slots=2, frame_slots=3, retain_slots=4)
    cluster.loss = (0.0, 0.1, 0.2)[seed % 3]
    dice, count = cluster.random, system.member_count
    for seq in range(40):
        leaving = seq % 3 == 0 and seq < 24
        word = remove(world.client_id(40 + seq // 3)) if leaving else b""
        cluster.submit(seq % count, world.submission(seq % 4, seq, word))
        if seq < 20:
            cluster.submit(seq % count, world.submission(40 + seq % 8, seq))
        cluster.run(dice.randrange(200))
        if dice.random() < 0.2:
            cluster.beat()
        if dice.random() < 0.2:
            cluster.fire_view_timers()
        if dice.random() < 0.1:
            me = dice.randrange(count)
            cluster.crash(me)
            cluster.restart(me)
    cluster.settle_views(8)
    for seq in range(30, 40):  # until nobody that was removed is remembered
        cluster.submit(seq % count, world.submission(1, 100 + seq))
        cluster.settle(1)
    cluster.settle_views(4)
    check(cluster)
    (states,) = {tuple(m.engine.rooms.log.windows.state()) for m in cluster.live()}
    control = cluster.members[0].engine.rooms.log.control
    assert isinstance(control, TinyControl)
    gone = {client for _, client, answer in control.changes if answer == GONE}
    assert len(gone) >= 5
    assert not gone & {item[1:33] for item in states}
    for member in cluster.live():
        assert member.disk.checkpoint is not None
        assert not gone & {item[1:33] for item in member.disk.checkpoint.snapshot.client_items}
    for me in range(count):
        cluster.crash(me)
        cluster.restart(me)
    assert {tuple(m.engine.rooms.log.windows.state()) for m in cluster.live()} == {states}
    log = {entry.slot: entry.batch.submissions for entry in cluster.members[0].decisions().values()}
    named = [(one.client_id, one.client_seq) for _, batch in sorted(log.items()) for one in batch]
    assert len(named) == len(set(named))


def test_old_submissions_of_a_removed_client_are_never_delivered_again(small_window: None) -> None:
    cluster = Cluster(SIX, 1, founded=TinyControl(alpha=W), checkpoint_slots=4, retain_slots=4)
    old = world.submission(7, 1)
    cluster.submit(2, old)
    cluster.run()
    cluster.submit(1, world.submission(9, 0, remove(world.client_id(7))))
    for seq in range(4 * W):
        cluster.submit(1, world.submission(1, seq))
        cluster.run()
    assert not any(world.client_id(7) in item for item in cluster.members[2].engine.rooms.log.windows.state())
    cluster.submit(2, old)
    cluster.submit(0, old)
    cluster.settle(3)
    refused = [refusal for me in (0, 2) for refusal in cluster.members[me].refusals]
    assert {(one.submission, one.reason) for one in refused} == {(old, RefusalReason.NOT_ADMITTED)}
    entries = cluster.members[4].decisions().values()
    assert [old in entry.batch.submissions for entry in entries].count(True) == 1


def add(name: str) -> AddClient:
    return AddClient(name, sha256(name.encode()).digest(), b"certificate", bytes(64))


class Alone:
    """A member's log, of which each slot is decided and certified at once; signatures are as trusted."""

    def __init__(self, state: ControlState) -> None:
        self.log = UncertifiedLog(EMPTY, ClientWindows(), control=CheckedControl(state, trust))
        self._counter = self._seq = self._time_ms = 0

    @property
    def state(self) -> ControlState:
        control = self.log.control
        assert isinstance(control, CheckedControl)
        return control.state

    def slot(self, *submissions: Submission) -> None:
        batch = Batch.of(submissions, self._time_ms)
        assert self.log.admits(self.log.tip + 1, submissions)
        self.log.append(0, batch, self.log.next_frontier(batch), b"")
        self.log.decide(self.log.tip)
        self.log.forget(self.log.tip)

    def pass_by(self, slots: int) -> None:
        for _ in range(slots):
            self.slot()

    def edit(self, *operations: EditOperation) -> None:
        self._counter += 1
        self._seq += 1
        self._time_ms += EDIT_MS
        command = SignedCommand(Edit("org-a", self._counter, operations), bytes(64)).encode()
        self.slot(UnsignedSubmission(client_id("c-a"), self._seq, [command]).sign(bytes(64)))

    def size(self) -> tuple[int, int]:
        """Of a checkpoint: bytes of clients' windows, and of the control state."""
        windows, items = self.log.windows.state(), self.state.items()
        return sum(map(len, windows)), sum(map(len, items)) - 5 * len(items)


def test_memory_is_flat_over_clients_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five thousand of them leave 32 bytes each."""
    monkeypatch.setattr(KeyRules, "require_certificate", lambda *_: None)
    alone, sizes, rounds, crowd = Alone(found(policy=PolicyRow(1, clients_max=600))), [], 10, 500
    for turn in range(rounds):
        added = [add(f"client-{turn}-{number}") for number in range(crowd)]
        ids = [sha256(one.identity).digest() for one in added]
        alone.edit(*added[:250])
        alone.edit(*added[250:])
        alone.pass_by(WINDOW_SLOTS)
        alone.slot(*(UnsignedSubmission(one, 3, [b"x"]).sign(bytes(64)) for one in ids))
        assert len(alone.log.windows.state()) == crowd + 1
        alone.edit(*map(RemoveClient, ids))
        alone.pass_by(2 * WINDOW_SLOTS)
        assert len(alone.log.windows.state()) == crowd + 1, "who accepts the next slot has certified its last"
        alone.slot()
        assert not any(alone.log.admits(alone.log.tip + 1, [submission_of(one)]) for one in ids[:3])
        sizes.append(alone.size())
    assert max(windows for windows, _ in sizes) <= CLIENT_ITEM_BYTES_MAX, "the one that stays"
    grown = [after - before for (_, before), (_, after) in pairwise(sizes)]
    assert set(grown[4:]) == {32 * crowd}
    assert len(alone.state.past) == rounds * crowd


def submission_of(client: bytes) -> Submission:
    return UnsignedSubmission(client, 4, [b"x"]).sign(bytes(64))


def test_windows_of_members_that_went_with_an_epoch_go_with_its_first_slot() -> None:
    log = Log(found())
    log.agree(log.change(ChangeKind.LIGHT, put_member("m-f", "org-f", "new f")))
    old, new = client_id("m-f"), client_id("new f")
    log.to(log.state.end or 0)
    end = log.state.slot
    assert log.state.admits(old, end)
    assert old not in log.state.departed(end)
    begun = after(CheckedControl(log.state, trust), end, end)
    assert begun is not None
    assert old in begun.departed(end + 1)
    assert new not in begun.departed(end + 1)
    assert not begun.departed(end + 2)


def test_a_client_that_left_just_before_an_epoch_ended_goes_in_the_next_one() -> None:
    """At each distance from the end its window goes WINDOW_SLOTS behind its last slot, once."""
    for late in (1, WINDOW_SLOTS - 1, WINDOW_SLOTS):
        log = Log(found())
        log.agree(log.change(ChangeKind.LIGHT, put_member("m-f", "org-f", "new f")))
        end = log.state.end or 0
        log.to(end - late)
        assert log.edit("org-a", RemoveClient(client_id("c-a"))) == ""
        gone: list[int] = []
        for slot in range(log.state.slot + 1, end + 1 + WINDOW_SLOTS + 2):
            if log.state.slot == log.state.end:
                log.state = log.state.next_epoch()
            gone += [slot] * (client_id("c-a") in log.state.departed(slot))
            log.slot()
        assert gone == [end + 1 + WINDOW_SLOTS]
