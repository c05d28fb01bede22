"""A folder's alliance.toml goes along with the alliance, and how that began stays beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alliance.config import file as config_file
from alliance.config.control import current, founded
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError
from alliance.keys.revision import FOUNDED, keep, load_founded
from alliance.server.revisions import beginning
from consensus.control.published import Published
from tests.alliance.farm import Farm


def later(config: AllianceConfig, number: int) -> AllianceConfig:
    """The file of a revision that the log has decided."""
    return current(config, Published.of(replace(founded(config), revision=number)))


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(farm.config.to_toml())
    return tmp_path


def test_a_later_revision_takes_the_place_of_an_earlier_one_and_of_no_other(farm: Farm, home: Path) -> None:
    assert load_founded(home) == farm.config
    for number, kept in ((2, 2), (1, 2), (2, 2), (3, 3)):
        keep(home, later(farm.config, number))
        assert config_file.load(home) == later(farm.config, kept)
        assert load_founded(home) == farm.config
    another = replace(farm.config, founding=replace(farm.config.founding, created="2001-01-01"))
    keep(home, later(another, 9))
    assert config_file.load(home).revision == 3


def test_a_member_that_starts_again_reads_the_log_from_the_founding(farm: Farm, home: Path) -> None:
    """And not from what its alliance.toml says now: its state would differ from the others'."""
    first = beginning(home, config_file.load(home))
    keep(home, later(farm.config, 2))
    again = beginning(home, config_file.load(home))
    assert first is not None
    assert again is not None
    assert again.state == first.state == founded(farm.config)


def test_without_how_it_began_no_member_starts(farm: Farm, home: Path) -> None:
    keep(home, later(farm.config, 2))
    (home / FOUNDED).write_text(later(farm.config, 1).to_toml())
    with pytest.raises(ConfigError, match="is not how this alliance began"):
        load_founded(home)
    (home / FOUNDED).unlink()
    with pytest.raises(ConfigError, match="is missing, which says how the alliance began"):
        load_founded(home)


def test_a_folder_that_cannot_be_written_stops_nobody(farm: Farm, home: Path) -> None:
    (home / FOUNDED).mkdir()
    keep(home, later(farm.config, 2))
    assert config_file.load(home) == farm.config
