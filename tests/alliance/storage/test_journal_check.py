"""Damage is found while the member runs: by reading on, a little at a time, and by what others certified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alliance.errors import JournalError
from alliance.server.receiver import PeerReceiver
from alliance.storage import journal_check as module
from alliance.storage.journal_check import PASS_SECONDS, JournalCheck
from alliance.storage.journal_records import _entry_seal, pack_batch
from fab_paxos.events import Received
from fab_paxos.messages import Certified
from quorum import AcceptedStatement
from tests.alliance.farm import Chain, Farm, Told


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told(tmp_path: Path, long_chain: Chain) -> Iterator[Told]:
    told = Told(tmp_path / "journal.sqlite", long_chain).tell_all()
    yield told
    told.journal.close()


def passes(check: JournalCheck, portions: int = 40) -> None:
    for _ in range(portions):
        check.portion()


def test_a_whole_pass_in_portions(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded by slots and by bytes; then nothing until the next one is due."""
    clock = Clock()
    check = JournalCheck(told.journal, told.history, clock)
    read: list[tuple[int, int]] = []
    batches = told.journal.batches
    monkeypatch.setattr(told.journal, "batches", lambda a, b: (read.append((a, b)), batches(a, b))[1])
    monkeypatch.setattr(module, "PORTION_SLOTS", 8)
    check.portion()
    assert check.passed is None
    passes(check)
    assert read == [(1, 8), (9, 16), (17, 20)]
    clock.now = 7.0
    assert check.passed == (20, 7.0)
    passes(check)
    assert len(read) == 3
    clock.now = PASS_SECONDS
    monkeypatch.setattr(module, "PORTION_BYTES", 1)
    passes(check)
    assert [first for first, _ in read[3:]] == list(range(1, 21))
    assert check.passed == (20, 0.0)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE entries SET batch = zeroblob(40) WHERE slot = 7", "damaged"),
        ("UPDATE entries SET root = zeroblob(32) WHERE slot = 20", "slot 20 was altered"),
        ("DELETE FROM entries WHERE slot = 3", "slot 3 is missing"),
        ("UPDATE meta SET value = zeroblob(9) WHERE key = 'starts'", "'starts' was altered"),
        ("UPDATE meta SET value = zeroblob(9) WHERE key = 'position'", "'position' was altered"),
    ],
)
def test_bits_that_rot_under_a_running_member(told: Told, damage: str, says: str) -> None:
    clock = Clock()
    check = JournalCheck(told.journal, told.history, clock)
    passes(check)
    told.journal._db.execute(damage)
    clock.now = PASS_SECONDS
    with pytest.raises(JournalError, match=says):
        passes(check)


def test_a_log_that_others_have_certified_otherwise(farm: Farm, told: Told) -> None:
    """Its rows fit their seals, and the log that they make is another one."""
    other = Chain(farm).grow(20, first_seq=500)
    row = other.entries[4]
    told.journal._db.execute(
        "UPDATE entries SET batch = ?, digest = ?, seal = ? WHERE slot = 5",
        (pack_batch(row.batch), row.batch.digest, _seal(told, row.batch.digest)),
    )
    with pytest.raises(JournalError, match="its log up to slot 20 is not the certified one"):
        passes(JournalCheck(told.journal, told.history))


def _seal(told: Told, digest: bytes) -> bytes:
    entry = told.chain.entries[4]
    return _entry_seal(entry.slot, entry.view, entry.root, digest, entry.signature)


def test_pruning_between_two_portions(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    check = JournalCheck(told.journal, told.history)
    monkeypatch.setattr(module, "PORTION_SLOTS", 4)
    check.portion()
    told.history.prune(10)
    passes(check)
    assert check.passed is not None
    assert check.passed[0] == 20


def test_nothing_is_checked_before_anything_is_certified(tmp_path: Path, long_chain: Chain) -> None:
    fresh = Told(tmp_path / "fresh.sqlite", long_chain)
    check = JournalCheck(fresh.journal, fresh.history)
    passes(check)
    assert check.passed is None
    fresh.journal.close()


def test_certificates_of_peers_are_compared(farm: Farm, told: Told, long_chain: Chain) -> None:
    """One of another log ends this member; one of a slot that is not decided here says nothing yet."""
    check = JournalCheck(told.journal, told.history)
    for known in (long_chain.certificate(5), long_chain.certificate(20), long_chain.election(1)):
        check.compare(known)
    unknown = farm.certify(AcceptedStatement(0, 21, b"x" * 32))
    check.compare(unknown)
    wrong = farm.certify(AcceptedStatement(0, 5, b"x" * 32))
    with pytest.raises(JournalError, match="slot 5 is certified with another log"):
        check.compare(wrong)
    failed: list[Exception] = []
    heard: list[object] = []
    whole: Any = SimpleNamespace(failed=failed.append, post=heard.append)

    def admission(sender: int, data: bytes, arrived_ms: int) -> Iterator[None]:
        yield
        return Received(sender, Certified(unknown if data == b"true" else wrong))

    whole.admission = admission
    receiver = PeerReceiver(whole, whole, whole, whole, whole, check, lambda: 0, whole)
    receiver.received(1, b"true")
    receiver.serve(lambda: 0.0)
    assert not failed
    receiver.received(1, b"wrong")
    receiver.serve(lambda: 0.0)
    assert isinstance(failed[0], JournalError)
    assert len(heard) == 2
