"""The control state that an alliance.toml begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.control import current, founded
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from alliance.keys.channel import Credentials
from consensus.control.published import Published
from consensus.control.rows import ClientRow
from tests.alliance.epochs import new_member, next_epoch
from tests.alliance.farm import Farm
from tests.alliance.newcomers import client_of, moved, newcomer, removing


def test_the_rows_are_those_of_the_file(farm: Farm) -> None:
    config = replace(
        farm.config,
        members=(
            replace(farm.config.members[0], applications=(("z", "z.example:1"), ("a", "a.example:1"))),
            *farm.config.members[1:],
        ),
    )
    state = founded(config)
    assert founded(AllianceConfig.from_toml(config.to_toml())) == state
    assert (state.alliance_id, state.directory.system) == (config.alliance_id, config.system)
    for row, member in zip(state.directory.members, config.members, strict=True):
        assert (row.name, row.organisation) == (member.name, member.organisation)
        assert (row.client_id, row.address) == (member.client_id, member.address)
        assert row.certificate == member.certificate.public_bytes(Encoding.DER)
    assert state.directory.members[0].applications == (("a", "a.example:1"), ("z", "z.example:1"))
    for client in config.clients:
        assert state.directory.clients[client.client_id].organisation == client.organisation
        assert state.admits(client.client_id, 1)
    assert not state.admits(bytes(32), 1)
    organisations = [row.organisation for row in state.directory.operators]
    assert organisations == sorted(name for name, _ in config.founding.operators)


def test_a_file_that_says_more_than_the_log_holds_is_refused(farm: Farm) -> None:
    many = tuple((f"app-{number:02}", f"x.example:{number + 1}") for number in range(65))
    one, *rest = farm.config.members
    with pytest.raises(ConfigError, match=r"alliance\.toml: a member lists at most 64 applications"):
        founded(replace(farm.config, members=(replace(one, applications=many), *rest)))


def published(config: AllianceConfig, *more: ClientRow) -> Published:
    """The membership of this file, with these rows of clients, too."""
    directory = founded(replace(config, revision=0)).directory
    clients = {**directory.clients, **{row.client_id: row for row in more}}
    rows = replace(directory, clients=clients)
    return Published(b"", b"", config.alliance_id, 0, 0, 7, 0, bytes(32), rows)


def row(client: Credentials, **other: Any) -> ClientRow:
    """As its organisation gives it in."""
    certificate = client.party.certificate.public_bytes(Encoding.DER)
    return replace(ClientRow(client.party.name, "member-1", client.party.identity, certificate), **other)


def test_the_file_follows_the_control_state(farm: Farm) -> None:
    new = newcomer("aaa")
    there = moved(farm.config, 2, 4711)
    now = current(farm.config, published(there, row(new)))
    assert now.revision == 7
    assert now.members == there.members
    assert now.clients == (client_of(new), *farm.config.clients)
    assert AllianceConfig.from_toml(now.to_toml()) == now
    assert current(now, published(removing(farm.config, "client-1"))).clients == farm.config.clients[1:]


def test_a_certificate_that_is_not_its_identitys_own_lets_nobody_in(farm: Farm) -> None:
    """The log takes any bytes from an operator: no server stumbles, and nobody passes for another party."""
    new, victim = newcomer(), farm.config.clients[0].certificate.public_bytes(Encoding.DER)
    renamed = newcomer("renamed")
    for certificate in (b"no certificate", victim, row(renamed).certificate, row(new).certificate + b"\0"):
        now = current(farm.config, published(farm.config, row(new, certificate=certificate)))
        assert now.clients == farm.config.clients


@pytest.mark.parametrize("handed_on", [True, False], ids=["full", "light"])
def test_a_later_epoch_takes_the_place_of_all(farm: Farm, handed_on: bool) -> None:
    """Members, sizes, keys and terms: the file is that which the members of the epoch before certify."""
    second, membership = next_epoch(farm, {2: new_member("seventh")}, handed_on=handed_on)
    third, later = next_epoch(second, {0: new_member("eighth")}, start=20, revision=2)
    assert second.config.canonical == membership.config
    assert [member.name for member in second.config.members][2] == "seventh"
    assert (second.config.dealing, second.config.start) == (int(handed_on), 6)
    assert (second.config.key == farm.config.key) == (not handed_on)
    keys = third.config.handed_on
    assert current(farm.config, later, keys) == current(second.config, later, keys) == third.config
    assert third.config.canonical == later.config
    assert (third.config.membership, third.config.start) == ((2, 2), 20)
    assert third.config.terms.founding_keys[0] == farm.config.key
    assert AllianceConfig.from_toml(third.config.to_toml()) == third.config


def test_what_is_no_later_epoch_is_refused(farm: Farm) -> None:
    second, membership = next_epoch(farm, {2: new_member("seventh")})
    third, later = next_epoch(second, start=20)
    keys = third.config.handed_on
    other = replace(membership, alliance_id=bytes(32))
    members = replace(later.directory, members=later.directory.members[::-1])
    for config, said, given in (
        (third.config, membership, second.config.handed_on),
        (second.config, other, second.config.handed_on),
        (second.config, next_epoch(farm)[1], second.config.handed_on),
        (second.config, replace(later, dealing=0), ()),
        (farm.config, later, ()),
        (farm.config, later, keys[:1]),
        (farm.config, later, keys[::-1]),
        (farm.config, later, second.config.handed_on),
        (third.config, replace(later, directory=members), keys),
    ):
        with pytest.raises(ValueError, match=r"."):
            current(config, said, given)
