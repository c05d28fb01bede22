"""Entering an epoch: wherever it is cut short, the member is in one epoch, with the files of that one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError, JournalError
from alliance.keys import revision, shares
from alliance.keys.shares import Generation
from alliance.storage import epoch_entry, epochs
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.keys.disks import ends
from tests.alliance.keys.generations import AGAIN, NEW, OLD, Opener, endorsers
from tests.alliance.storage.test_epochs import changed
from tests.alliance.storage.test_journal_epochs import END
from verifiable_log.ordering_state import Checkpoint


@dataclass
class Kept:
    """As much of a journal as decides; ``before`` looks at the folder when it is about to be durable."""

    epoch: int = 0
    membership: EpochMembership | None = None
    shares: Generation | None = None
    appended: list[EpochRecord] = field(default_factory=list)
    fails: bool = False

    def append(self, records: list[EpochRecord]) -> None:
        if self.fails:
            raise JournalError("the disk is full")
        (record,) = records
        self.appended.append(record)
        self.epoch, self.membership = record.membership.epoch, record.membership
        self.shares = record.shares


@pytest.fixture(autouse=True)
def quick_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def opener(farm: Farm) -> Opener:
    return Opener(farm.config, PASSPHRASE)


@pytest.fixture
def home(farm: Farm, tmp_path: Path, cheap_scrypt: None) -> Path:
    """A member in epoch 0 that holds shares for the next one."""
    folder = tmp_path / "home"
    folder.mkdir()
    shares.write_shares(folder, 0, endorsers(OLD), PASSPHRASE)
    shares.add_shares(folder, AGAIN, endorsers(AGAIN), PASSPHRASE)
    (folder / FILE).write_text(farm.config.to_toml())
    return folder


@pytest.fixture
def config(farm: Farm, long_chain: Chain) -> AllianceConfig:
    return changed(farm, 1, long_chain.snapshot(END))[0]


@pytest.fixture
def record(farm: Farm, long_chain: Chain) -> EpochRecord:
    snapshot = long_chain.snapshot(END)
    membership = changed(farm, 1, snapshot)[1]
    checkpoint = Checkpoint(snapshot, membership.certificate)
    return EpochRecord(membership, checkpoint, long_chain.certificate(END), AGAIN)


def entered(folder: Path, opener: Opener, config: AllianceConfig, counting: Generation = AGAIN) -> bool:
    whole = (folder / FILE).read_text() == config.to_toml()
    return whole and opener.counted(folder) == counting and shares.pieces(folder) == (counting,)


def test_epoch_kill_at_every_point_after_the_record(
    farm: Farm, opener: Opener, home: Path, config: AllianceConfig, record: EpochRecord, tmp_path: Path
) -> None:
    """The journal has it: whatever is left of the rest, the next start ends it."""
    archive = tmp_path / "archive"
    archive.mkdir()
    epochs.keep(archive, config, record.membership)
    journal = Kept(1, record.membership, AGAIN)
    outcomes = set()
    for left in ends(home, lambda folder: epoch_entry._finish(folder, config, AGAIN)):
        text = (left / FILE).read_text()
        counted = opener.counted(left)
        assert (text, counted) in {
            (farm.config.to_toml(), OLD),
            (config.to_toml(), OLD),
            (config.to_toml(), AGAIN),
        }
        assert counted == AGAIN or opener.opens(left, OLD)  # nothing is erased that counts
        is_new, whole = text == config.to_toml(), entered(left, opener, config)
        outcomes.add((is_new, counted, opener.opens(left, OLD), whole))
        shutil.copytree(archive / epochs.FOLDER, left / epochs.FOLDER)
        present = AllianceConfig.from_toml(text)
        assert epoch_entry.resume(left, present, journal) == config
        assert entered(left, opener, config)
        before = {path: path.stat().st_mtime_ns for path in left.iterdir()}
        assert epoch_entry.resume(left, config, journal) == config
        assert {path: path.stat().st_mtime_ns for path in left.iterdir()} == before
    assert outcomes >= {
        (False, OLD, True, False),
        (True, OLD, True, False),
        (True, AGAIN, True, False),
        (True, AGAIN, False, True),
    }


def test_epoch_nothing_changes_before_the_record_is_durable(
    farm: Farm, opener: Opener, home: Path, config: AllianceConfig, record: EpochRecord
) -> None:
    journal = Kept(fails=True)
    shares.add_shares(home, NEW, endorsers(NEW), PASSPHRASE)  # of an attempt that failed
    for _ in range(2):
        with pytest.raises(JournalError, match="full"):
            epoch_entry.enter(home, config, record, journal)
        assert (home / FILE).read_text() == farm.config.to_toml()
        assert opener.counted(home) == OLD
        assert shares.pieces(home) == (OLD, NEW, AGAIN)
        assert epochs.of_epoch(home, farm.config, 1) == config  # who takes part is there before
        assert epoch_entry.resume(home, farm.config, journal) == farm.config
    journal.fails = False
    mode = (home / FILE).stat().st_mode
    epoch_entry.enter(home, config, record, journal)
    assert journal.appended == [record]
    assert entered(home, opener, config)
    assert (home / FILE).stat().st_mode == mode


def test_an_epoch_without_a_dealing_keeps_the_shares(
    farm: Farm, opener: Opener, home: Path, config: AllianceConfig, record: EpochRecord
) -> None:
    shares.erase_shares(home, AGAIN)
    light = EpochRecord(record.membership, record.checkpoint, record.decision)
    epoch_entry.enter(home, config, light, Kept())
    assert entered(home, opener, config, OLD)


def test_a_member_without_the_new_share_enters_nevertheless(
    opener: Opener, home: Path, config: AllianceConfig, record: EpochRecord
) -> None:
    """It follows the log, and cannot sign; a later share, or dealing, makes it whole."""
    journal = Kept()
    shares.erase_shares(home, AGAIN)
    epoch_entry.enter(home, config, record, journal)
    assert entered(home, opener, config, OLD)
    shares.add_shares(home, AGAIN, endorsers(AGAIN), PASSPHRASE)
    epoch_entry.resume(home, config, journal)
    assert entered(home, opener, config)


def test_what_does_not_belong_together_is_refused(
    farm: Farm, home: Path, config: AllianceConfig, record: EpochRecord
) -> None:
    other = changed(farm, 2)
    with pytest.raises(ValueError, match="of other members"):
        epoch_entry.enter(home, other[0], record, Kept())
    assert not (home / epochs.FOLDER).exists()
    for present, journal, says in (
        (config, Kept(), r"0\.toml does not exist, and .* is of epoch 1"),
        (farm.config, Kept(1, record.membership), r"1\.toml does not exist"),
        (config, Kept(1, changed(farm, 1)[1]), "have certified another file"),
    ):
        with pytest.raises(ConfigError, match=says):
            epoch_entry.resume(home, present, journal)
    assert (home / FILE).read_text() == farm.config.to_toml()


def test_the_journal_decides_though_another_program_knows_of_a_later_epoch(
    farm: Farm, home: Path, config: AllianceConfig
) -> None:
    """An executor beside a member that sleeps keeps the folder's alliance.toml as new as it can."""
    epochs.keep(home, farm.config, None)
    revision.keep(home, config)
    assert config_file.load(home) == config
    assert epoch_entry.resume(home, config, Kept()) == farm.config
    assert config_file.load(home) == farm.config == revision.load_founded(home)


def test_how_the_alliance_was_founded_stays_in_the_folder(
    farm: Farm, home: Path, config: AllianceConfig, record: EpochRecord
) -> None:
    epoch_entry.enter(home, config, record, Kept())
    assert config_file.load(home) == config
    assert revision.load_founded(home) == farm.config
