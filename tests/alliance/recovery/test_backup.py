"""Share backups: what opens them, what they are bound to, and that nothing secret is left to read in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.errors import AllianceError, ConfigError, KeyFileError
from alliance.keys import sealing
from alliance.keys.folder import OPERATOR
from alliance.keys.shares import Generation
from alliance.recovery.backup import ShareBackup, back_up, read_backup
from tests.alliance.farm import PASSPHRASE, Farm

NOW = datetime(2027, 1, 15, 8, 0, 1, tzinfo=UTC)


def operator(farm: Farm, member: int) -> Ed25519PrivateKey:
    path = farm.member_home(member) / OPERATOR
    return sealing.unseal_signing(sealing.read(path), path, PASSPHRASE)


@pytest.fixture(scope="module")
def made(farm: Farm) -> ShareBackup:
    return back_up(farm.member_home(2), farm.config, 2, PASSPHRASE, NOW)


def test_the_operators_key_opens_it_and_gives_the_members_shares(farm: Farm, made: ShareBackup) -> None:
    opened = made.open(operator(farm, 2), farm.config, "it")
    assert list(opened) == ["agreement", "attestation"]
    assert {share.member for share in opened.values()} == {2}
    assert made.time == NOW
    for other in (0, 1):
        with pytest.raises(KeyFileError, match=r"opens with the operator key that 'member-3' had"):
            made.open(operator(farm, other), farm.config, "it")


def test_it_is_one_text_that_is_read_back_and_has_no_secret_in_it(
    farm: Farm, made: ShareBackup, tmp_path: Path
) -> None:
    path = tmp_path / "it"
    path.write_text(made.to_json())
    assert read_backup(path) == made
    for text in (made.to_json(), repr(made)):
        assert str(farm.endorsers[2]._share._secret) not in text  # type: ignore[union-attr]
        assert PASSPHRASE.decode() not in text
    path.write_text(made.to_json().replace(":", ": ", 1))
    with pytest.raises(ConfigError, match="it was edited"):
        read_backup(path)


@pytest.mark.parametrize("field", ["alliance_id", "member", "index", "organisation", "operator", "made"])
def test_whatever_is_altered_in_it_it_does_not_open(farm: Farm, made: ShareBackup, field: str) -> None:
    other = {
        "alliance_id": bytes(32),
        "member": "member-4",
        "index": 3,
        "organisation": "member-4",
        "operator": bytes(32),
        "made": "2027-01-16T08:00:01Z",
    }
    with pytest.raises(AllianceError):
        replace(made, **{field: other[field]}).open(operator(farm, 2), farm.config, "it")


def test_another_members_shares_do_not_open_under_its_name(farm: Farm, made: ShareBackup) -> None:
    """Whoever holds two backups cannot mix them, nor can the maker of one seal to another's place."""
    other = back_up(farm.member_home(3), farm.config, 3, PASSPHRASE, NOW)
    with pytest.raises(KeyFileError, match="does not work"):
        replace(made, shares=other.shares).open(operator(farm, 2), farm.config, "it")
    with pytest.raises(KeyFileError, match="does not open"):
        replace(made, wrapped_key=other.wrapped_key).open(operator(farm, 2), farm.config, "it")


def test_one_of_an_earlier_dealing_is_refused_and_is_to_be_destroyed(farm: Farm, made: ShareBackup) -> None:
    later = replace(farm.config, dealing=1)
    with pytest.raises(ConfigError, match="destroy every copy of it"):
        made.require_current(later, "it")
    with pytest.raises(ConfigError, match="toml is an old one"):
        replace(made, generation=Generation(2)).require_current(later, "it")
    with pytest.raises(ConfigError, match="destroy every copy of it"):
        made.open(operator(farm, 2), later, "it")


def test_nothing_is_sealed_to_a_key_that_nobody_holds(farm: Farm) -> None:
    """A point of small order gives everybody the same secret."""
    terms = farm.config.terms
    operators = tuple((name, bytes(32)) for name, _ in terms.operators)
    bent = replace(farm.config, changed=replace(terms, operators=operators))
    with pytest.raises(ConfigError, match="nothing can be sealed to it"):
        back_up(farm.member_home(2), bent, 2, PASSPHRASE, NOW)


def test_every_field_of_the_file_is_needed(made: ShareBackup) -> None:
    table = json.loads(made.to_json())
    for key in table:
        less = {name: value for name, value in table.items() if name != key}
        wrong = {**table, key: 7.5}
        for spoilt in (less, wrong):
            with pytest.raises(ConfigError):
                ShareBackup.from_json(json.dumps(spoilt, indent=1) + "\n", "it")
