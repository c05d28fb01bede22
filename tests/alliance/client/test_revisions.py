"""How a client learns of a revision: what one answer names, one signature proves, and nothing less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.client import revisions as module
from alliance.config import file as config_file
from alliance.config.control import founded
from alliance.config.file import FILE, AllianceConfig
from alliance.keys.revision import load_founded
from alliance.wire import membership as wire
from alliance.wire.membership import MembershipProof
from consensus.control.encoding import MalformedControl
from consensus.control.published import Published
from quorum import AcceptedStatement, MembershipStatement
from tests.alliance.client.test_client import connected
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office
from tests.alliance.newcomers import admitting, moved, newcomer


def published(config: AllianceConfig) -> Published:
    """What members say of it, behind some slot."""
    return Published.of(replace(founded(replace(config, revision=0, changed=None)), revision=config.revision))


def said_by(config: AllianceConfig) -> tuple[object, ...]:
    """What a revision changes."""
    return config.revision, config.members, config.clients


def proof(farm: Farm, config: AllianceConfig, said: Published | None = None) -> MembershipProof:
    """``said``: on which the certificate is, if that is not what the file says."""
    membership = published(config)
    on = said or membership
    statement = MembershipStatement(0, config.revision, 128, b"r" * 32, bytes(32), on.digest)
    return MembershipProof(farm.certify(statement), membership)


async def asked(client: module.Follower, revision: int) -> None:
    """An answer has named this revision, and whoever was asked has answered."""
    client._doubted_until = float("-inf")
    client.heard(module.Membership(0, revision).named_in(module.pb.StatusReply()))
    if client._task is not None:
        await client._task


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(farm.config.to_toml())
    return tmp_path


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(wire, "PART_BYTES", 300)


def test_what_an_answer_names_and_a_signature_proves_is_taken(
    farm: Farm, home: Path, office: Office, run: Run
) -> None:
    new = newcomer()

    async def scenario() -> None:
        async with connected(farm, home, {0: office}) as client:
            now = replace(admitting(moved(client.config, 3, 4711), new), revision=5)
            office.directory.update(replace(farm.config, revision=5, clients=now.clients))
            await client.propose(b"no proof yet")
            assert client.newest_membership == (0, 5)
            await asked(client._follower, 5)
            assert client.config.revision == 0
            office.voucher.proof = proof(farm, now)
            await asked(client._follower, 5)
            assert said_by(client.config) == said_by(now)
            assert client.channel(client.config.members[3]) is client._channels.to(now.members[3])
            assert config_file.load(home) == client.config
            assert load_founded(home) == farm.config
            office.voucher.proof = proof(farm, replace(now, revision=6, clients=()))
            await asked(client._follower, 6)
            assert config_file.load(home).clients == ()
            assert load_founded(home) == farm.config

    run(scenario())


def test_nothing_is_taken_that_the_alliance_has_not_signed(
    farm: Farm, home: Path, office: Office, run: Run
) -> None:
    def lies(config: AllianceConfig) -> Sequence[MembershipProof]:
        true, thief = proof(farm, config), newcomer()
        signature = bytearray(true.certificate.signature)
        signature[-1] ^= 1
        other = published(admitting(config, thief))
        decided = farm.certify(AcceptedStatement(0, 128, b"r" * 32))
        return (
            replace(true, certificate=replace(true.certificate, signature=bytes(signature))),
            replace(true, certificate=decided),
            replace(true, certificate=replace(true.certificate, epoch=1)),
            replace(true, membership=other),
            replace(true, membership=replace(true.membership, clients=other.clients)),
            replace(true, membership=replace(true.membership, config=true.membership.config[:-1])),
            proof(farm, replace(config, revision=9), said=published(config)),
        )

    async def scenario() -> None:
        async with connected(farm, home, {0: office}) as client:
            first = client.config
            for lie in lies(moved(first, 3, 4711)):
                office.voucher.proof = lie
                await asked(client._follower, 9)
                assert client.config == first
            assert config_file.load(home) == farm.config
            newer = replace(moved(first, 3, 4711), revision=9)
            office.voucher.proof = proof(farm, newer)
            await asked(client._follower, 9)
            office.voucher.proof = proof(farm, replace(first, revision=8))
            await asked(client._follower, 10)
            assert said_by(client.config) == said_by(newer)

    run(scenario())


def test_who_names_what_nobody_proves_is_asked_now_and_then(
    farm: Farm, home: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, home, {0: office}) as client:
            await asked(client._follower, 2**63)
            task = client._follower._task
            for _ in range(100):
                client._follower.heard(module.Membership(0, 2**63).named_in(module.pb.StatusReply()))
            assert client._follower._task is task

    run(scenario())


def test_a_proof_is_kept_in_a_file_as_it_was(farm: Farm) -> None:
    made = proof(farm, moved(farm.config, 3, 4711))
    again = MembershipProof.decode(made.encode())
    again.verify(farm.config.scheme)
    assert again == made
    for end in range(0, len(made.encode()), 101):
        with pytest.raises(MalformedControl):
            MembershipProof.decode(made.encode()[:end])
