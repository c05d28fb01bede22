"""For whom an alliance's new public keys are not made, and what is said instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.changes.new_keys import new_keys
from alliance.errors import ConfigError
from tests.consensus.alliance import found
from tests.worlds.cluster import SIX
from tests.worlds.signed_gate import founded


def test_keys_of_several_dealers_are_not_replaced_by_one_dealers() -> None:
    config, _ = founded(SIX, factors=2)
    with pytest.raises(
        ConfigError,
        match=r"by several dealers, .* 'alliance refresh' without --new-key .* 'alliance ceremony'",
    ):
        new_keys(found(), "org-a", config, 0)


def test_whoever_does_not_know_the_present_keys_is_told_to_come_again() -> None:
    config, _ = founded(SIX)
    with pytest.raises(ConfigError, match="of dealing 1 of the keys, and the alliance of 0: repeat"):
        new_keys(found(), "org-a", replace(config, dealing=1), 0)
