"""The directory of a process: it takes what is newer, tells it to all who follow, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.config.directory import Directory
from tests.alliance.farm import Farm
from tests.alliance.newcomers import admitting, moved, newcomer


def test_only_a_higher_revision_is_taken_and_told(farm: Farm) -> None:
    directory, told = Directory(farm.config), list[int]()
    directory.follow(
        lambda config: told.append(config.revision), lambda config: told.append(-config.revision)
    )
    third = replace(moved(farm.config, 0, 4711), revision=3)
    assert directory.update(third)
    assert directory.config == third
    for stale in (farm.config, moved(farm.config, 1, 4711), replace(third, clients=())):
        assert not directory.update(stale)
        assert directory.config == third
    assert directory.update(admitting(third, newcomer()))
    assert told == [3, -3, 4, -4]


def test_what_a_revision_does_not_change_is_never_taken(farm: Farm) -> None:
    directory, config = Directory(farm.config), replace(farm.config, revision=9)
    one, *rest = config.members
    for other in (
        replace(config, epoch=1),
        replace(config, dealing=1),
        replace(config, members=tuple(rest)),
        replace(config, members=(replace(one, identity=bytes(32)), *rest)),
        replace(config, members=(rest[0], one, *rest[1:])),
        replace(config, founding=replace(config.founding, name="another")),
        replace(config, purpose_keys=()),
    ):
        with pytest.raises(ValueError, match="changes addresses and clients, and nothing else"):
            directory.update(other)
    assert directory.config == farm.config
