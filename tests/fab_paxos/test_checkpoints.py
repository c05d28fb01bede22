"""Checkpoints: becoming stable, pruning, a restart from one, and bringing up a member by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fab_paxos import snapshots, state_transfer
from fab_paxos.effects import CheckpointRecord, Effect, Persist, Prune, SaveCheckpoint
from fab_paxos.events import Received
from fab_paxos.messages import Fetch, FetchState, Message
from quorum import CheckpointStatement, QuorumCertificate, QuorumSystem
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.single import Bench
from verifiable_log.batch import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.client_windows import CLIENT_ITEM_BYTES_MAX, ClientWindows
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle_tree import leaf_hash
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.state_writer import Written

EVERY = 4
CLIENTS = 5


def busy(cluster: Cluster, rounds: int, first_seq: int = 0) -> None:
    """So many slots at least: one submission at a time, of several clients."""
    for seq in range(first_seq, first_seq + rounds):
        cluster.submit(cluster.live()[seq % 3].me, submission(seq % CLIENTS, seq))
        cluster.run()


def small(*, retain: int | None = EVERY, seed: int = 0, system: QuorumSystem = SIX) -> Cluster:
    return Cluster(system, seed, checkpoint_slots=EVERY, retain_slots=retain)


def away(cluster: Cluster, rounds: int = 30) -> int:
    """A member is down while the others prune what it would need; its number."""
    busy(cluster, 3)
    cluster.crash(5)
    busy(cluster, rounds, first_seq=3)
    cluster.settle(3)
    assert cluster.members[0].disk.base.size > cluster.members[5].disk.proven + EVERY
    return 5


@pytest.mark.parametrize("seed", range(10))
def test_members_agree_on_one_checkpoint_and_keep_the_log_behind_it(seed: int) -> None:
    cluster = small(seed=seed)
    busy(cluster, 30)
    cluster.settle(3)
    check_all(cluster)
    stable = {member.disk.checkpoint.slot for member in cluster.members if member.disk.checkpoint is not None}
    (slot,) = stable
    assert slot > 20
    assert slot % EVERY == 0
    for member in cluster.members:
        assert member.disk.base.size == slot - EVERY
        assert member.engine.status.stable == slot


def test_a_log_is_kept_whole_unless_told_otherwise() -> None:
    cluster = small(retain=None)
    busy(cluster, 20)
    cluster.settle(3)
    assert all(member.disk.base.size == 0 and member.disk.checkpoint for member in cluster.members)


@pytest.mark.parametrize("seed", range(10))
def test_a_restart_begins_from_the_checkpoint(seed: int) -> None:
    cluster = small(seed=seed)
    busy(cluster, 22)
    cluster.settle(3)
    for member in cluster.members:
        cluster.crash(member.me)
    for member in cluster.members:
        cluster.restart(member.me)
    busy(cluster, 10, first_seq=22)
    cluster.submit_again(3)  # all of it is known: within the state, or in what came after it
    cluster.settle(6)
    check_all(cluster)
    assert len(cluster.members[3].located) == len(cluster.submitted)


@pytest.mark.parametrize("seed", range(20))
def test_a_member_is_brought_up_by_a_checkpoint(seed: int) -> None:
    cluster = small(seed=seed)
    late = away(cluster)
    cluster.restart(late)
    cluster.settle(8)
    check_all(cluster)
    assert cluster.members[late].leaps
    busy(cluster, 10, first_seq=40)
    cluster.submit_again(late)
    cluster.settle(4)
    check_all(cluster)
    cluster.crash(late)  # and what it was brought is in its own journal
    cluster.restart(late)
    busy(cluster, 10, first_seq=60)
    cluster.settle(4)
    check_all(cluster)


@pytest.mark.parametrize("seed", range(10))
def test_who_waits_with_a_member_that_leaps_is_answered(seed: int) -> None:
    cluster = small(seed=seed)
    late = away(cluster)
    cluster.restart(late)
    cluster.submit_again(late)  # its clients' work was decided without it, they do not know it
    cluster.settle(8)
    check_all(cluster)
    told = cluster.members[late]
    answered = {(one.submission.client_id, one.submission.client_seq) for one in told.located}
    decided = (one for entry in told.runs[-1] for one in entry.batch.submissions)
    answered |= {(one.client_id, one.client_seq) for one in decided}
    assert len(answered) == len(cluster.submitted)


def test_parts_are_fetched_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_transfer, "STATE_PART_BYTES", 100)
    cluster = small()
    cluster.keep_sent = True
    late = away(cluster)
    cluster.restart(late)
    cluster.settle(8)
    check_all(cluster)
    parts = [said for _, to, said in cluster.sent if isinstance(said, StatePart) and to == late]
    assert [part.first for part in parts] == list(range(CLIENTS))


Lie = Callable[[Message], list[Message]]


def _other_item(said: StatePart) -> StatePart:
    return replace(said, items=(said.items[0][:-1] + bytes([said.items[0][-1] ^ 1]), *said.items[1:]))


LIES: dict[str, Lie] = {
    "an altered item": lambda said: [_other_item(said) if isinstance(said, StatePart) else said],
    "no items": lambda said: [replace(said, items=()) if isinstance(said, StatePart) else said],
    "one item at a time": lambda said: [
        replace(said, items=said.items[:1]) if isinstance(said, StatePart) else said
    ],
    "an offer, and no state": lambda said: [] if isinstance(said, StatePart) else [said],
    "no offer": lambda said: [] if isinstance(said, Offer) else [said],
    "an offer with another list": lambda said: [
        replace(said, leaves=said.leaves[:-1]) if isinstance(said, Offer) else said
    ],
    "an offer with other peaks": lambda said: [
        replace(said, peaks=tuple(b"\0" * 32 for _ in said.peaks)) if isinstance(said, Offer) else said
    ],
    "an offer with another cover": lambda said: [
        replace(said, cover=(*said.cover, b"\0" * 32)) if isinstance(said, Offer) else said
    ],
}


@pytest.mark.parametrize("lie", LIES)
def test_20_poisoned_state_transfer(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/development/testing.md, scenario 20: a source lies about the state; another is asked, nothing
    wrong taken."""
    monkeypatch.setattr(
        state_transfer, "STATE_ITEM_BYTES_MAX", 0
    )  # so that small states have a minimal size, too
    for liar in range(5):
        cluster = small()
        late = away(cluster)
        cluster.tampers[liar] = lambda _, to, said: LIES[lie](said) if to == 5 else [said]
        cluster.restart(late)
        for _ in range(12):
            cluster.settle(1)
            if cluster.members[late].leaps:
                break
        cluster.settle(6)
        check(cluster)
        status = cluster.members[late].engine.status
        assert status.decided == cluster.members[(liar + 1) % 5].engine.status.decided
        assert cluster.members[late].leaps


def test_20_divergent_checkpoints() -> None:
    """docs/development/testing.md, scenario 20: a member with another state signs another digest and is not
    awaited."""
    cluster = small()
    odd = cluster.members[4]
    odd.engine.rooms.log.windows._write = lambda _: Written(b"x", b"", leaf_hash(b"x"))  # type: ignore[method-assign]
    busy(cluster, 10)
    cluster.settle(3)
    check_all(cluster)
    assert odd.engine.status.stable == 0
    assert {m.engine.status.stable for m in cluster.members if m is not odd} == {8}


def test_unasked_offers_and_parts_are_ignored() -> None:
    cluster = small()
    cluster.keep_sent = True
    late = away(cluster)
    cluster.restart(late)
    cluster.settle(8)
    offers = [said for _, to, said in cluster.sent if isinstance(said, Offer) and to == late]
    other = cluster.members[4]
    before = other.engine.status
    cluster.inject(1, 4, *offers, StatePart(offers[0].checkpoint.statement.fields()[7], 0, (b"x",)))
    cluster.run()
    assert other.engine.status == before
    assert not other.leaps
    newcomer = Bench()  # whom it would help: but it has asked nobody
    assert newcomer.hear(1, offers[0]) == []


def test_state_that_is_not_held_is_not_sent() -> None:
    cluster = small()
    busy(cluster, 10)
    cluster.settle(2)
    cluster.keep_sent = True
    stable = cluster.members[0].engine.status.stable
    cluster.inject(5, 0, FetchState(stable + EVERY, 0), FetchState(stable, 10**6), FetchState(0, 0))
    cluster.run()
    assert not [said for _, _, said in cluster.sent if isinstance(said, StatePart)]


def test_a_checkpoint_is_not_passed_on_before_its_proof_fits_the_log_here() -> None:
    """Between a leap and the certificate that came with it, which lies further on, nothing can be proven."""
    cluster = small()
    late = away(cluster)
    cluster.keep_sent = True
    for member in range(late):
        cluster.tampers[member] = lambda _, to, said: (
            [] if isinstance(said, LogFrame) and to == late else [said]
        )
    cluster.restart(late)
    cluster.settle(8)
    member = cluster.members[late]
    assert member.leaps
    assert member.engine.status.certified < member.engine.status.stable
    member.post(Received(0, Fetch(1)))
    cluster.run()
    assert not [said for sender, _, said in cluster.sent if isinstance(said, Offer) and sender == late]
    cluster.tampers.clear()
    cluster.settle(4)
    check_all(cluster)
    assert member.engine.status.certified >= member.engine.status.stable
    member.post(Received(0, Fetch(1)))
    cluster.run()
    assert [said for sender, _, said in cluster.sent if isinstance(said, Offer) and sender == late]


def test_what_is_pruned_is_not_supplied_as_frames() -> None:
    cluster = small()
    busy(cluster, 20)
    cluster.settle(2)
    cluster.keep_sent = True
    cluster.inject(5, 0, Fetch(1))
    cluster.run()
    answers = [said for sender, to, said in cluster.sent if (sender, to) == (0, 5)]
    assert [type(said) for said in answers if isinstance(said, Offer | LogFrame)] == [Offer]


def test_the_state_of_a_client_is_bounded() -> None:
    windows = ClientWindows()
    for seq in range(3000):
        windows.admit(seq + 1, submission(1, seq))
    (written,) = windows.state()
    assert len(written) == CLIENT_ITEM_BYTES_MAX
    assert ClientWindows.read((written,)).state() == (written,)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda w: w[:-1],
        lambda w: w + bytes(40),
        lambda w: w[:169],
        lambda w: b"\x02" + w[1:],
        lambda w: w[:168] + bytes([w[168] ^ 1]) + w[169:-40],
        lambda w: w[:168] + bytes([w[168] ^ 2]) + w[169:],
        lambda w: w[:168] + bytes([w[168] ^ 8]) + w[169:] + bytes(40),
    ],
    ids=["cut", "longer", "no uses", "another kind", "the top unused", "one unused", "below number 0"],
)
def test_a_state_that_no_member_wrote_is_refused(spoilt: Callable[[bytes], bytes]) -> None:
    windows = ClientWindows()
    for seq in range(3):
        windows.admit(seq + 1, submission(1, seq))
    (written,) = windows.state()
    with pytest.raises(ValueError, match="state"):
        ClientWindows.read((spoilt(written),))
    with pytest.raises(ValueError, match="order"):
        ClientWindows.read((written, written))


def test_a_checkpoint_statement_names_log_and_state() -> None:
    cluster = small()
    busy(cluster, 9)
    cluster.settle(2)
    checkpoint = cluster.members[2].disk.checkpoint
    assert checkpoint is not None
    statement = checkpoint.certificate.statement
    assert isinstance(statement, CheckpointStatement)
    assert statement.root == cluster.members[3].decisions()[statement.slot].root


def test_a_large_state_is_written_over_many_turns_and_nothing_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One item in a turn: slots are decided meanwhile, and in the end all have the same checkpoint."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_ITEMS_PER_TURN", 1)
    cluster = Cluster(SIX, 0, checkpoint_slots=40, retain_slots=0)
    for client in range(30):
        cluster.submit(client % 3, submission(client, 1))
        cluster.run()
    decided = []
    while cluster.members[0].engine.status.stable == 0:
        busy(cluster, 1, first_seq=2 + len(decided))
        decided.append(cluster.members[0].engine.status.decided)
        assert len(decided) < 100
    assert max(decided) > 42, "slots were decided while the state was being written"
    cluster.settle(3)
    check_all(cluster)
    slots = {member.disk.checkpoint.slot for member in cluster.members if member.disk.checkpoint is not None}
    assert slots == {40}
    for member in cluster.members:
        cluster.crash(member.me)
        cluster.restart(member.me)
    busy(cluster, 5, first_seq=200)
    cluster.settle(3)
    check_all(cluster)


def test_a_checkpoint_counts_when_it_is_saved_and_one_that_others_bring_overtakes_it() -> None:
    bench = Cluster(SIX, 0, checkpoint_slots=4, retain_slots=0).members[0].engine.rooms.checkpoints
    log, out = bench._log, list[Effect]()
    taken = {}
    for number in range(12):
        batch = Batch.of([submission(0, number)])
        log.append(0, batch, log.next_frontier(batch), b"")
    log.decide(12)
    for slot in (4, 8, 12):
        snapshot = log.snapshots.get(slot)
        assert snapshot is not None
        taken[slot] = Checkpoint(snapshot, QuorumCertificate(0, snapshot.statement, b"joint"))
    bench.on_certificate(taken[4].certificate, 12, out)
    assert out == [SaveCheckpoint(taken[4])], "no record, and nothing is pruned"
    bench.on_certificate(taken[8].certificate, 12, out)
    assert out[1:] == [], "one at a time"
    bench.on_saved(4, out)
    assert out[1:] == [Persist(CheckpointRecord(taken[4]), lazily=True), Prune(4), SaveCheckpoint(taken[8])]
    bench.install_snapshot(taken[12])
    bench.on_saved(8, out)
    assert out[4:] == [], "a later one is journalled already"
