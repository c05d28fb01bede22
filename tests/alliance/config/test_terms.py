"""alliance.toml after changes: members and keys of now, beside the founding, whose alliance_id stays."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

import shoup_rsa
from alliance.config.control import at, founded
from alliance.config.file import AllianceConfig
from alliance.config.parties import Client, Member
from alliance.config.rows import client_row, member_row
from alliance.errors import ConfigError
from consensus.control import ControlState
from consensus.control.directory import config_digest
from consensus.control.rows import ClientLimits, OperatorRow, PolicyRow
from quorum import QuorumSystem
from quorum.threshold_rsa import AgreementKey
from tests.alliance.farm import Farm
from tests.alliance.newcomers import newcomer


def handed_on(key: AgreementKey, system: QuorumSystem, threshold: int, dealing: int) -> AgreementKey:
    """The same public key for other members; what their verification keys are does not matter here."""
    assert isinstance(key, shoup_rsa.ThresholdPublicKey)
    more = (key.verification_keys * 2)[: system.member_count]
    parties, f = system.member_count, system.faulty_max
    return replace(
        key, parties=parties, threshold=threshold, corruptions=f, epoch=dealing, verification_keys=more
    )


@pytest.fixture(scope="module")
def state(farm: Farm) -> ControlState:
    """Epoch 2, revision 3: a seventh member, another third one, other clients and operators."""
    begun = founded(farm.config)
    old = begun.directory
    third, seventh = newcomer("third").party, newcomer("seventh").party
    places = [(third, "127.0.0.1:1"), (seventh, "127.0.0.1:2")]
    new = [
        member_row(
            Member(one.name, one.identity, one.certificate, address, "north", (("kv", "a.example:1"),))
        )
        for one, address in places
    ]
    members = (*old.members[:2], new[0], *old.members[3:], new[1])
    guest = newcomer("guest").party
    client = Client(guest.name, guest.identity, guest.certificate, "north", ClientLimits(7, 4096), 300)
    leaving = replace(client_row(farm.config.clients[0]), until_slot=400)
    gone = replace(client_row(farm.config.clients[1]), until_slot=306)
    rows = (client_row(client), leaving, gone)
    operators = sorted((*old.operators, OperatorRow("north", b"o" * 32)), key=lambda row: row.organisation)
    directory = replace(
        old,
        members=members,
        operators=tuple(operators),
        policy=PolicyRow(1, 50, 60, 30),
        clients={row.client_id: row for row in rows},
        suspended=(members[4].name,),
    )
    return replace(
        begun,
        directory=directory,
        epoch=2,
        dealing=1,
        revision=3,
        start=300,
        slot=305,
        transcript_digest=b"t" * 32,
    )


@pytest.fixture(scope="module")
def present(farm: Farm, state: ControlState) -> AllianceConfig:
    system = state.directory.system
    purposes = [handed_on(key, system, key.threshold, 1) for _, key in farm.config.purpose_keys]
    return at(farm.config, state, (handed_on(farm.config.key, system, system.decision, 1), *purposes))


def test_the_founding_is_what_members_certify_at_first(farm: Farm) -> None:
    assert farm.config.canonical == founded(farm.config).config
    assert (farm.config.changed, farm.config.start) == (None, 0)
    assert "[membership]" not in farm.config.to_toml()
    assert at(farm.config, founded(farm.config)) == farm.config


def test_it_says_what_members_have_certified(
    farm: Farm, state: ControlState, present: AllianceConfig
) -> None:
    """And comes back as it was written. The alliance_id is that of the founding, whoever the members are."""
    assert present.canonical == state.config
    assert config_digest(present.canonical) == state.config_digest
    again = AllianceConfig.from_toml(present.to_toml())
    assert again == present
    assert (again.alliance_id, again.founding) == (farm.config.alliance_id, farm.config.founding)
    assert sha256(again.key.to_pem()).digest() == sha256(farm.config.key.to_pem()).digest()
    assert (again.membership, again.dealing, again.start, again.context.epoch) == ((2, 3), 1, 300, 2)
    assert again.system == QuorumSystem(7, 1, leaders=(0, 1, 2, 3, 5, 6)) != farm.config.system
    assert again.terms.suspended == (again.members[4].name,)
    assert [member.name for member in again.members] == [row.name for row in state.directory.members]
    assert [client.name for client in again.clients] == ["client-1", "guest"]
    assert again.client("guest").limits == ClientLimits(7, 4096)
    assert again.scheme.dealing == 1


def test_a_revision_keeps_members_and_keys(farm: Farm) -> None:
    begun = founded(farm.config)
    first, *others = begun.directory.members
    moved = replace(begun.directory, members=(replace(first, address="127.0.0.1:9"), *others))
    later = replace(begun, directory=moved, revision=1, slot=200)
    config = at(farm.config, later)
    assert config.canonical == later.config
    assert (config.membership, config.members[0].address) == ((0, 1), "127.0.0.1:9")
    assert at(config, replace(later, revision=2)).membership == (0, 2)
    with pytest.raises(ConfigError, match=r"epoch 0, revision 1, not as it was founded"):
        founded(config)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("revision = 3", "revision = 4", "its config_digest is not"),
        ("epoch = 2", "epoch = 3", "its config_digest is not"),
        ("start = 300", "start = 301", "its config_digest is not"),
        ("faulty = 1,", "faulty = 0,", "its config_digest is not"),
        ("127.0.0.1:2", "127.0.0.1:3", "its config_digest is not"),
        ("waiting = 7", "waiting = 8", "its config_digest is not"),
        ("from_slot = 300", "from_slot = 400", "its config_digest is not"),
        ('suspended = ["member-5"]', "suspended = []", "its config_digest is not"),
        ('suspended = ["member-5"]', 'suspended = ["member-3"]', "at most faulty_max members are suspended"),
        ('name = "seventh"', 'name = "sixth"', "the certificate of 'sixth'"),
        ("waiting = 7", "waiting = 0", "submissions of a client wait"),
        ("until_slot = 400", "until_slot = -1", "a 'from_slot' behind its 'until_slot'"),
        ("dealing = 1", "dealing = 0", "its keys are not those of"),
        ("dealing = 1", "dealing = 2", "by dealing 1, the alliance needs 6 of 7 by dealing 2"),
        ("dealing = 1", "dealing = 3", "at most once"),
        ("refresh_days = 30", "refresh_days = 65536", "'refresh_days' counts from 0 to"),
        ("attempt_seconds = 60", "attempt_seconds = 1", "an attempt has"),
        ("faulty = 1,", "", "'faulty' is missing"),
        ("faulty_max = 1\nstart", "faulty_max = 2\nstart", "7"),
        ("start = 300", "start = -1", "'start' counts from 0"),
        ('transcript = "74', 'transcript = "', "must be 64 hex digits"),
        ("[membership]", "[memberships]", "unknown key 'memberships'"),
        ("[[membership.founding_keys]]", "[[membership.keys]]", "unknown key 'keys'"),
        ('organisation = "north"', 'organisation = "south"', "an organisation without an operator"),
    ],
)
def test_what_was_altered_is_refused(present: AllianceConfig, old: str, new: str, says: str) -> None:
    text = present.to_toml()
    assert old in text
    with pytest.raises(ConfigError, match=says) as caught:
        AllianceConfig.from_toml(text.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_keys_of_another_alliance_are_no_later_dealing(
    farm: Farm, state: ControlState, present: AllianceConfig
) -> None:
    """The modulus of the founding stays; its key is in the file, by which [founding] knows it."""
    (purpose, other), *_ = present.purpose_keys
    assert other.modulus != present.key.modulus
    foreign = replace(present, key=handed_on(other, present.system, present.system.decision, 1))
    terms = present.terms
    for config in (
        replace(foreign, purpose_keys=((purpose, present.key),)),
        replace(present, changed=replace(terms, founding_keys=terms.founding_keys[:1])),
        replace(present, changed=replace(terms, founding_keys=terms.founding_keys[::-1])),
        replace(present, changed=replace(terms, founding_keys=(present.key, *terms.founding_keys[1:]))),
    ):
        with pytest.raises(ConfigError, match="its keys are not those of"):
            AllianceConfig.from_toml(config.to_toml())
    for keys in ((), (present.key,)):
        with pytest.raises((ValueError, ConfigError)):
            at(farm.config, state, keys)


def test_only_an_epoch_changes_members(farm: Farm, present: AllianceConfig) -> None:
    for change in ({"epoch": 0, "dealing": 0, "key": farm.config.key}, {"members": present.members[:6]}):
        values: dict[str, Any] = {"purpose_keys": farm.config.purpose_keys, **change}
        with pytest.raises(ConfigError):
            AllianceConfig.from_toml(replace(present, **values).to_toml())
    fewer = replace(farm.config, members=farm.config.members[:5], revision=1)
    with pytest.raises(ConfigError, match=r"members|needs|5"):
        AllianceConfig.from_toml(fewer.to_toml())
    without = replace(farm.config, revision=1).to_toml().split("[membership]")[0]
    with pytest.raises(ConfigError, match=r"\[membership\] is missing"):
        AllianceConfig.from_toml(without)
    founded_twice = replace(farm.config, revision=1).to_toml().replace("revision = 1", "revision = 0")
    with pytest.raises(ConfigError, match="nothing was changed since the founding"):
        AllianceConfig.from_toml(founded_twice)
