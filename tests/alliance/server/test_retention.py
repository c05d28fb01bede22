"""How much of the log a member keeps: never less than an application beside it would still need."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.errors import ConfigError
from alliance.execution.snapshot_folder import SnapshotFolder
from alliance.proofs.snapshot import alarm_path, certificate_path
from alliance.server import retention as module
from alliance.server.retention import ApplicationState, Retention
from tests.alliance.farm import Chain, Farm, Told
from tests.execution.snapshots import keep, states


@pytest.fixture
def told(tmp_path: Path, long_chain: Chain) -> Iterator[Told]:
    told = Told(tmp_path / "journal.sqlite", long_chain).tell_all()
    yield told
    told.journal.close()


def folder(farm: Farm, home: Path, application: str = "kv") -> SnapshotFolder:
    made = SnapshotFolder(home, application, lambda: farm.config.attestation)
    made.add(*made.load())
    return made


def test_without_applications_the_log_is_pruned_as_it_was_asked(
    farm: Farm, tmp_path: Path, told: Told
) -> None:
    retention = Retention(farm.config, tmp_path, told.history)
    retention.prune(7)
    assert told.history.pruned == 7
    retention.look()
    assert (told.history.pruned, retention.applications) == (7, [])
    bare = replace(farm.config, purpose_keys=())
    Retention(bare, tmp_path, told.history).prune(8)
    assert told.history.pruned == 8
    with pytest.raises(ConfigError, match="leave out --await-snapshot kv"):
        Retention(bare, tmp_path, told.history, ["kv"])


def test_the_log_is_kept_as_long_as_an_application_needs_it(
    farm: Farm,
    tmp_path: Path,
    told: Told,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of them: the log is kept for the one that lags behind."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "NOTED_SLOTS", 5)
    reached = states(12)
    for name in ("kv", "lock"):
        (tmp_path / f"{name}.lock").touch()
    retention = Retention(farm.config, tmp_path, told.history)
    retention.prune(10)
    assert told.history.pruned == 0
    assert retention.applications == [ApplicationState("kv", 0, ""), ApplicationState("lock", 0, "")]
    kv, lock = folder(farm, tmp_path), folder(farm, tmp_path, "lock")
    keep(farm, kv, reached[11])
    retention.look()
    assert told.history.pruned == 0
    lock.add(lock.write(reached[7]))
    retention.look()
    assert told.history.pruned == 0, "that one is not certified"
    keep(farm, lock, reached[7])
    retention.look()
    assert told.history.pruned == 8
    for _ in range(2):
        retention.prune(20)
        assert told.history.pruned == 8
    keep(farm, lock, reached[10])
    retention.look()
    assert told.history.pruned == 11
    lines = [record.getMessage() for record in caplog.records if "delete lock.lock" in record.getMessage()]
    assert len(lines) == 2, "when it began to lag behind, each time"
    assert lines[0].startswith("the log is kept from slot 1 on, not from slot 11: 'lock' has no certified")


def test_an_application_that_is_still_to_come_is_waited_for(farm: Farm, tmp_path: Path, told: Told) -> None:
    retention = Retention(farm.config, tmp_path, told.history, ["kv"])
    retention.prune(10)
    assert told.history.pruned == 0
    keep(farm, folder(farm, tmp_path), states(4)[3])
    retention.look()
    assert told.history.pruned == 4


def test_what_the_alliance_did_not_sign_lets_nothing_be_forgotten(
    farm: Farm, tmp_path: Path, told: Told
) -> None:
    """A certificate that is damaged, of another application, or without its snapshot."""
    kv = folder(farm, tmp_path)
    reached = states(4)
    held = keep(farm, kv, reached[3])
    certificate = certificate_path(kv.path, held.slot)
    good = certificate.read_bytes()

    def pruned() -> int:
        retention = Retention(farm.config, tmp_path, told.history)
        retention.prune(10)
        return told.history.pruned

    for bad in (b"", good[:-1] + bytes([good[-1] ^ 1]), good[:40]):
        certificate.write_bytes(bad)
        assert pruned() == 0
    certificate.write_bytes(good)
    snapshot = kv.path / "4.snapshot"
    snapshot.rename(tmp_path / "away")
    assert pruned() == 0
    (tmp_path / "away").rename(snapshot)
    certificate.rename(certificate_path(kv.path, 5))
    snapshot.rename(kv.path / "5.snapshot")
    assert pruned() == 0, "it speaks of slot 4"
    kv.path.rename(tmp_path / "lock.snapshots")
    assert pruned() == 0, "it speaks of kv"


def test_what_is_wrong_is_told_in_few_words(farm: Farm, tmp_path: Path, told: Told) -> None:
    kv = folder(farm, tmp_path)
    alarm_path(kv.path).write_bytes(b"\xff" + b"x" * 5000)
    retention = Retention(farm.config, tmp_path, told.history)
    retention.look()
    (one,) = retention.applications
    assert len(one.alarm) == module.ALARM_BYTES_MAX
    alarm_path(kv.path).unlink()
    retention.look()
    assert retention.applications == [ApplicationState("kv", 0, "")]
