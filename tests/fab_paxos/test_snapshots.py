"""Snapshots of the log: when they may be endorsed, what is kept below them, what proves an offered one."""

from __future__ import annotations

from dataclasses import replace

from fab_paxos.checkpoint import Checkpoints, slot_of
from fab_paxos.effects import Blame, Effect, Prune
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.share_collector import Reputation
from fab_paxos.state_transfer import Transfer
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import AcceptedStatement, QuorumCertificate
from tests.worlds.cluster import SIX, submission
from verifiable_log.batch import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import EMPTY, MerkleLog
from verifiable_log.merkle_tree import leaf_hash
from verifiable_log.ordering_state import Snapshot
from verifiable_log.state_writer import state_digest


def grown(slots: int) -> UncertifiedLog:
    """A log of so many slots, none of them decided, with a snapshot at every second one."""
    log = UncertifiedLog(EMPTY, ClientWindows(), checkpoint_slots=2)
    for number in range(slots):
        batch = Batch.of([submission(0, number)])
        log.append(0, batch, log.next_frontier(batch), b"")
    return log


def test_a_log_that_is_not_decided_has_no_snapshot_to_endorse() -> None:
    log = grown(4)
    assert log.newest_snapshot() is None
    for decided, newest in ((1, None), (2, 2), (3, 2), (4, 4)):
        log.decide(decided)
        snapshot = log.newest_snapshot()
        assert (snapshot.slot if snapshot is not None else None) == newest


def test_a_snapshot_goes_with_the_log_that_is_cut() -> None:
    log = grown(4)
    log.decide(2)
    log.truncate(3)
    assert log.snapshots.get(4) is None
    assert log.snapshots.get(2) is not None


def snapshot_of(log: UncertifiedLog) -> Snapshot:
    snapshot = log.newest_snapshot()
    assert snapshot is not None
    return snapshot


def test_so_many_slots_below_a_checkpoint_are_kept() -> None:
    for retained, pruned in ((None, []), (0, [Prune(4)]), (1, [Prune(3)]), (3, [Prune(1)]), (4, []), (9, [])):
        log, out = grown(4), list[Effect]()
        log.decide(4)
        checkpoints = Checkpoints(log, SigningInTurn(SIX, 0, Reputation(), slot_of), None, 0, retained)
        checkpoints.on_certificate(QuorumCertificate(0, snapshot_of(log).statement, b"joint"), 4, out)
        assert not any(isinstance(effect, Prune) for effect in out), "not before it is saved"
        checkpoints.on_saved(4, out)
        assert [effect for effect in out if isinstance(effect, Prune)] == pruned


def test_a_digest_binds_how_many_items_a_state_has() -> None:
    one, two = leaf_hash(b"one"), leaf_hash(b"two")
    tree = MerkleLog()
    tree.append_leaf_hash(one)
    tree.append_leaf_hash(two)
    assert state_digest([one, two]) != state_digest([tree.root()])


def offered() -> tuple[Snapshot, Offer]:
    """A snapshot, and the offer that proves it."""
    log = grown(4)
    log.decide(4)
    snapshot = snapshot_of(log)
    decided = AcceptedStatement(0, snapshot.slot, snapshot.frontier.root)
    checkpoint = QuorumCertificate(0, snapshot.statement, b"joint")
    return snapshot, Offer(
        checkpoint, snapshot.frontier.peaks, snapshot.leaves, QuorumCertificate(0, decided, b"joint"), ()
    )


def test_an_offer_of_another_state_is_not_taken_up() -> None:
    """Its sender would bring the items, too, and every one of them would fit."""
    snapshot, true = offered()
    of_another_log = QuorumCertificate(0, AcceptedStatement(0, snapshot.slot, bytes(32)), b"joint")
    for offer, taken in (
        (true, True),
        (replace(true, leaves=(leaf_hash(b"another"),)), False),
        (replace(true, certificate=of_another_log), False),
    ):
        transfer, out = Transfer(), list[Effect]()
        transfer.on_offer(1, offer, 0, out)
        assert (transfer.source == 1) == taken
        assert any(isinstance(effect, Blame) for effect in out) != taken


def test_a_part_that_is_not_of_the_offered_state_ends_its_source() -> None:
    snapshot, offer = offered()
    for items, good in ((snapshot.state, True), ((b"another",), False)):
        transfer, out = Transfer(), list[Effect]()
        transfer.on_offer(1, offer, 0, out)
        brought = transfer.on_part(1, StatePart(snapshot.slot, 0, items), out)
        assert (brought is not None) == good
        assert any(isinstance(effect, Blame) for effect in out) != good
        assert (transfer.source == 1) == good
        assert transfer.received == (len(items) if good else 0)
