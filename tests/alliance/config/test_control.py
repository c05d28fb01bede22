"""The control state that an alliance.toml begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.control import founded
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from tests.alliance.farm import Farm


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
