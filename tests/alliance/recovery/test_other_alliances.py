"""The same recovery of four lean members, and of keys with two factors: from reports to new members."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from alliance.config import control as config_control
from alliance.config import file as config_file
from alliance.errors import ConfigError
from alliance.founding import dealer, party
from alliance.founding.plan import Founding
from alliance.keys import shares
from alliance.keys.ed25519 import has_signed
from alliance.keys.shares import Generation, load_endorser
from alliance.recovery import ceremony
from alliance.storage.journal import Journal
from consensus.control import CheckedControl
from consensus.limits import RECOVERY_ATTEMPT
from quorum import Endorsement, SuspectStatement, combine
from quorum.threshold_rsa import factors_of
from tests.alliance.farm import CLIENTS, PASSPHRASE, Chain, Farm
from tests.alliance.recovery.wreck import BEYOND, SLOTS, Wreck
from tests.worlds import factors, founding
from tests.worlds.founding import receiver

NEW = Generation(1, RECOVERY_ATTEMPT)
KINDS = {"lean": (4, 1), "composite": (6, 2), "lean and composite": (4, 2)}
"""Members, and dealers of each key."""


@pytest.fixture(scope="module", params=KINDS)
def wreck(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wreck]:
    members, dealers = KINDS[request.param]
    home, numbers = tmp_path_factory.mktemp("other"), itertools.count()
    names = tuple(f"member-{number}" for number in range(1, members + 1))
    plan = Founding("farm", names, [f"127.0.0.1:{7400 + at}" for at in range(members)], CLIENTS, 1, 2048)
    found = founding.found if dealers == 1 else factors.found
    with (
        founding.cheap_key_files(),
        patch.object(dealer, "generate_receiver", lambda _: receiver(next(numbers))),
        patch.object(party, "generate_receiver", lambda _: receiver(next(numbers))),
    ):
        farm = Farm.open(home / "farm", found(plan, home / "farm", PASSPHRASE))
        assert len(factors_of(farm.config.key)) == dealers
        assert farm.config.system.lean == (members == 4)
        yield Wreck.of(farm, Chain(farm).grow(SLOTS + BEYOND), home / "wreck")


@pytest.mark.campaign
def test_recovery_from_reports_to_members_that_sign_under_the_old_public_key(wreck: Wreck) -> None:
    """Too few of anything are counted on the way: nothing is written before all is there."""
    config, needed = wreck.config, wreck.config.system.decision
    assert len(wreck.survivors) < needed == len(wreck.holders)
    counted = rf"{needed - 1} members' shares have %s \(.*\), and it takes {needed}: .* nobody can recover"
    with pytest.raises(ConfigError, match=counted % "dealt"):
        ceremony.conclude(wreck.log, wreck.dealings[:-1])
    with pytest.raises(ConfigError, match=counted % "signed"):
        wreck.concluded.certificate(wreck.shares[1:])
    for name in wreck.names:
        assert wreck.finish(name).anew
        assert not wreck.finish(name).anew
    begun, made = wreck.concluded.config, list[Endorsement]()
    statement = SuspectStatement(0)
    for number, name in enumerate(wreck.names):
        folder = wreck.folder(name)
        assert (config_file.load(folder), shares.pieces(folder)) == (begun, (NEW,))
        _has_entered(folder, wreck, name)
        for purpose, key in begun.purpose_keys:
            load_endorser(folder, begun, number, PASSPHRASE, purpose).test_itself()
            assert key.modulus == dict(config.purpose_keys)[purpose].modulus
        endorser = load_endorser(folder, begun, number, PASSPHRASE)
        made.append(
            Endorsement(statement, number, endorser.endorse(statement.encode(begun.context), proven=True))
        )
    for chosen in (made[:needed], made[-needed:]):
        combine(begun.scheme, chosen).verify(config.scheme.in_epoch(1))


def _has_entered(folder: Path, wreck: Wreck, name: str) -> None:
    journal = Journal(folder / "journal.sqlite", wreck.config.alliance_id, name)
    try:
        replayed = journal.replay(CheckedControl(config_control.founded(wreck.config), has_signed))
        assert (journal.epoch, journal.shares, replayed.state.start) == (1, NEW, SLOTS)
    finally:
        journal.close()
