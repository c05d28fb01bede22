"""The history tells the log as it was decided, with proofs that strangers can check."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import pytest

from alliance.errors import JournalError
from alliance.proofs.receipt import key_fingerprint, load_public_key, receipts, require_placed
from alliance.storage import history as module
from fab_paxos.effects import SnapshotRecord
from quorum import DecisionCertificate
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm, Told
from verifiable_log import Batch
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import MerkleLog, slot_leaf
from verifiable_log.merkle_proofs import root_from_cover


def verify(farm: Farm, frame: LogFrame, peaks: tuple[bytes, ...]) -> None:
    """As a listener would that believes nothing but the certificate."""
    certificate = DecisionCertificate.of(frame.certificate)
    certificate.verify(farm.config.scheme)
    frontier = module.MerkleLog().frontier()
    frontier = type(frontier).from_parts(frame.first_slot - 1, peaks)
    for slot, batch in enumerate(frame.batches, frame.first_slot):
        frontier = frontier.append(slot_leaf(slot, batch.digest))
    assert root_from_cover(frontier, certificate.slot, frame.cover) == certificate.root


@pytest.fixture(params=["from memory", "from the journal"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "from the journal":
        monkeypatch.setattr(module, "RECENT_BYTES_MAX", 0)
    return str(request.param)


def test_frames_at_every_position_lead_to_the_certificate(
    farm: Farm, chain: Chain, told: Told, source: str
) -> None:
    chain.grow(20)
    told.tell_all()
    for first in range(1, 21):
        frame = told.history.frame(first)
        assert frame.batches == tuple(entry.batch for entry in chain.entries[first - 1 :])
        verify(farm, frame, told.history.peaks(first - 1))


def test_a_frame_ends_at_the_certified_slot(farm: Farm, chain: Chain, told: Told) -> None:
    chain.grow(9)
    for entry in chain.entries:
        told.decide(entry)
    told.certify(6)
    frame = told.history.frame(4)
    assert len(frame.batches) == 3
    verify(farm, frame, told.history.peaks(3))
    for slot in (-1, 0, 7, 9, 10):
        with pytest.raises(LookupError):
            told.history.frame(slot)


def test_without_a_certificate_there_is_no_frame(chain: Chain, told: Told) -> None:
    told.decide(chain.add())
    assert told.history.certified_slot == 0
    with pytest.raises(LookupError):
        told.history.frame(1)


def test_frames_are_bounded_in_bytes_and_slots(
    farm: Farm, chain: Chain, told: Told, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.grow(20)
    told.tell_all()
    one = module._size(chain.entries[0].batch)
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 3 * one)
    assert 3 <= len(told.history.frame(1).batches) <= 4
    verify(farm, told.history.frame(5), told.history.peaks(4))
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 1)
    assert len(told.history.frame(20).batches) == 1  # one batch always fits
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 1 << 20)
    monkeypatch.setattr(module, "FRAME_SLOTS_MAX", 7)
    assert len(told.history.frame(1).batches) == 7
    verify(farm, told.history.frame(3), told.history.peaks(2))


def test_a_walk_by_frames_tells_the_whole_log(
    chain: Chain, told: Told, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More slots than one read of the journal brings, in frames of several reads."""
    chain.grow(150)
    told.tell_all()
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 100 * module._size(chain.entries[0].batch))
    told_batches: list[Batch] = []
    while len(told_batches) < 150:
        told_batches += told.history.frame(len(told_batches) + 1).batches
    assert told_batches == [entry.batch for entry in chain.entries]


def test_memory_for_recent_batches_is_bounded(
    chain: Chain, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.grow(12)
    monkeypatch.setattr(module, "RECENT_BYTES_MAX", 3 * module._size(chain.entries[-1].batch))
    told.tell_all()
    recent: OrderedDict[int, Batch] = told.history._recent
    assert list(recent) == [10, 11, 12]
    assert told.history._recent_bytes == sum(map(module._size, recent.values()))


def test_a_slot_that_does_not_follow_is_refused(chain: Chain, told: Told) -> None:
    chain.grow(3)
    told.decide(chain.entries[0])
    for wrong in (chain.entries[0], chain.entries[2]):
        with pytest.raises(ValueError, match="does not follow"):
            told.history.decided(wrong)


def test_a_batch_that_the_journal_lost_is_no_endless_search(
    chain: Chain, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECENT_BYTES_MAX", 0)
    chain.grow(5)
    told.tell_all()
    told.journal._db.execute("DELETE FROM entries WHERE slot = 3")
    with pytest.raises(JournalError, match="slot 3 is missing"):
        told.history.frame(1)
    with pytest.raises(JournalError, match="slot 3 is missing"):
        told.history.placement(3, 0)


# -- placements --------------------------------------------------------------------------------------


def test_every_placement_makes_a_valid_receipt(farm: Farm, chain: Chain, told: Told, source: str) -> None:
    seq = 0
    for size in (1, 2, 3, 5, 8, 1, 7):
        chain.add(*(farm.submission(seq + at, client=at % 2) for at in range(size)))
        seq += size
    told.tell_all()
    key = load_public_key(farm.config.key.to_pem())
    certificate = chain.decision(7)
    for entry in chain.entries:
        for index, submission in enumerate(entry.batch.submissions):
            assert told.history.locate(submission, entry.slot) == index
            placement = told.history.placement(entry.slot, index)
            assert (placement.slot, placement.index) == (entry.slot, index)
            alliance_id, fingerprint = farm.config.alliance_id, key_fingerprint(key)
            for receipt in receipts(alliance_id, certificate, placement, submission, fingerprint):
                receipt.verify(key)


def test_a_placement_is_for_the_newest_certificate(farm: Farm, chain: Chain, told: Told) -> None:
    chain.grow(6)
    for entry in chain.entries:
        told.decide(entry)
    told.certify(3)
    at_three = told.history.placement(2, 0)
    told.certify(6)
    at_six = told.history.placement(2, 0)
    assert at_three != at_six
    for placement, slot in ((at_three, 3), (at_six, 6)):
        submission = chain.entries[1].batch.submissions[0]
        require_placed(submission.header(), placement, chain.decision(slot))


def test_the_placements_of_a_batch_share_one_tree(
    farm: Farm, chain: Chain, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree for each submission would block the loop for seconds at a full batch."""
    told.decide(chain.add(*(farm.submission(seq) for seq in range(30))))
    told.certify(1)
    built = []

    class Counted(MerkleLog):
        def append(self, data: bytes) -> None:
            built.append(data)
            super().append(data)

    monkeypatch.setattr("verifiable_log.batch.MerkleLog", Counted)
    placements = [told.history.placement(1, index) for index in range(30)]
    assert len(built) == 30
    assert len({placement.batch_path for placement in placements}) == 30


def test_what_is_not_there_has_no_place(farm: Farm, chain: Chain, told: Told) -> None:
    told.decide(chain.add(farm.submission(1)))
    told.certify(1)
    assert told.history.locate(farm.submission(2), 1) is None
    for slot in (0, 2):
        with pytest.raises(LookupError):
            told.history.locate(farm.submission(1), slot)
    with pytest.raises(LookupError):
        told.history.placement(1, 1)


# -- waiting -----------------------------------------------------------------------------------------


def test_listeners_are_woken_by_a_certificate_beyond_them(chain: Chain, told: Told, run: Run) -> None:
    chain.grow(3)

    async def scenario() -> None:
        waiting = asyncio.create_task(told.history.wait_beyond(1))
        already = asyncio.create_task(told.history.wait_beyond(-1))
        await already
        for entry in chain.entries:
            told.decide(entry)
        told.certify(1)
        told.certify(3)
        await waiting
        await told.history.wait_beyond(2)

    run(scenario())


def test_after_a_restart_it_tells_the_same(chain: Chain, told: Told) -> None:
    chain.grow(8)
    told.tell_all()
    before = told.history.frame(2), told.history.placement(4, 0), told.history.peaks(5)
    told.journal.close()
    again = Told(told.journal.path, chain)
    assert (again.history.frame(2), again.history.placement(4, 0), again.history.peaks(5)) == before
    again.journal.close()


# -- pruned ------------------------------------------------------------------------------------------


def test_what_is_left_after_pruning_is_proven(farm: Farm, chain: Chain, told: Told, source: str) -> None:
    chain.grow(20)
    told.tell_all()
    peaks = told.history.peaks(12)
    told.history.prune(11)
    for first in (1, 11):
        with pytest.raises(module.Pruned, match="no longer kept"):
            told.history.frame(first)
    verify(farm, told.history.frame(13), peaks)
    with pytest.raises(module.Pruned):
        told.history.locate(chain.entries[10].batch.submissions[0], 11)
    place = told.history.placement(12, 0)
    assert place.log_path == chain.log.inclusion_proof(11, 20)
    chain.grow(1, first_seq=21)
    told.decide(chain.entries[-1])
    told.certify(21)
    verify(farm, told.history.frame(13), peaks)


def test_an_offer_leads_from_the_checkpoint_to_the_certificate(farm: Farm, chain: Chain, told: Told) -> None:
    chain.grow(20)
    told.tell_all()
    checkpoint = chain.checkpoint(16)
    offer = told.history.offer(checkpoint)
    assert offer.peaks == chain.frontiers[16].peaks
    assert root_from_cover(chain.frontiers[16], 20, offer.cover) == chain.root(20)


def test_after_a_leap_the_history_goes_on(farm: Farm, chain: Chain, told: Told, run: Run) -> None:
    chain.grow(20)
    for entry in chain.entries[:3]:
        told.decide(entry)
    told.certify(3)

    async def scenario() -> None:
        waiting = asyncio.create_task(told.history.wait_beyond(5))
        await asyncio.sleep(0)
        checkpoint = chain.checkpoint(16)
        told.journal.append([SnapshotRecord(checkpoint, chain.certificate(18))])
        with pytest.raises(module.Pruned):  # written and not told yet: it is no damage that these are gone
            told.history.frame(2)
        told.history.install_snapshot(checkpoint)
        await asyncio.wait_for(waiting, 5)

    run(scenario())
    with pytest.raises(module.Pruned):
        told.history.frame(6)
    for entry in chain.entries[16:]:
        told.decide(entry)
    told.certify(20)
    verify(farm, told.history.frame(17), chain.frontiers[16].peaks)
