"""The directory of a process: it takes what is newer, tells it to all who follow, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.config.directory import Directory
from tests.alliance.epochs import new_member, next_epoch
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
        replace(config, dealing=1),
        replace(config, members=tuple(rest)),
        replace(config, members=(replace(one, identity=bytes(32)), *rest)),
        replace(config, members=(rest[0], one, *rest[1:])),
        replace(config, purpose_keys=()),
    ):
        with pytest.raises(ValueError, match="changes addresses and clients, and nothing else"):
            directory.update(other)
    founding = replace(config.founding, name="another")
    for other in (replace(config, founding=founding), replace(config, founding=founding, epoch=1)):
        with pytest.raises(ValueError, match="of another alliance"):
            directory.update(other)
    assert directory.config == farm.config


def test_a_later_epoch_changes_all_and_an_earlier_one_nothing(farm: Farm) -> None:
    directory, told = Directory(farm.config), list[int]()
    directory.follow(lambda config: told.append(config.epoch))
    second, _ = next_epoch(farm, {2: new_member("seventh")})
    third, _ = next_epoch(second, start=20)
    for config, taken in ((second.config, True), (farm.config, False), (third.config, True)):
        assert directory.update(config) is taken
    for stale in (moved(farm.config, 0, 4711), second.config, moved(second.config, 0, 4711)):
        assert not directory.update(stale)
    assert (directory.config, told) == (third.config, [1, 2])
