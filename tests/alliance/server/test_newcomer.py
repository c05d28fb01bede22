"""A member to be, while the others run: let in, told what it waits for, and then one of them."""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.cli.newcomer import awaited, become_member
from alliance.config.control import founded
from alliance.config.file import FILE
from alliance.config.parties import Member
from alliance.config.rows import member_row
from alliance.errors import NoLongerMember
from alliance.keys import folder as keys
from alliance.keys import shares
from alliance.keys.channel import Credentials, certify, utc_now
from alliance.server import succession
from alliance.server.server import JOURNAL, Server
from consensus.control.changes import Change, ChangeKind
from consensus.control.draft import key_message
from consensus.control.operations import PutMember
from consensus.control.pending import ActiveChange, ApprovedChange, PostedDealing, PostedReady
from consensus.control.rows import Role
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.newcomers import newcomer
from tests.alliance.server.test_epochs import Changes
from tests.alliance.server.test_revisions import running, until
from tests.alliance.server.test_server import Six

SEAT = 5


def in_place_of(old: Member) -> Credentials:
    """Whoever comes under the same name, with an identity of its own."""
    made = newcomer(old.name)
    party = replace(old, identity=made.party.identity, certificate=made.party.certificate, receiver=None)
    return Credentials(party, made.signing_key, certify(party, made.signing_key, utc_now()))


def put(farm: Farm, one: Credentials) -> PutMember:
    party = one.party
    assert isinstance(party, Member)
    message = key_message(farm.config.alliance_id, party.organisation, Role.MEMBER, party.identity)
    return PutMember(member_row(party), one.signing_key.sign(message))


@pytest.mark.campaign
def test_a_newcomer_is_let_in_and_takes_part_when_its_epoch_begins(
    farm: Farm,
    tmp_path: Path,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes with the shares of its predecessor, as it may where no keys are handed on."""
    monkeypatch.setattr(succession, "ALONE_SECONDS", 0.2)
    six = Six(farm, tmp_path)
    mine = in_place_of(six.config.members[SEAT])
    home = Path(shutil.copytree(farm.member_home(SEAT), tmp_path / "home"))
    (home / FILE).write_text(six.config.to_toml())
    for name in (keys.IDENTITY, keys.TLS_KEY):
        (home / name).unlink()
    keys.write_keys(home, mine.party, mine.signing_key, PASSPHRASE)

    async def scenario() -> None:
        async with running(six) as client:
            await six.stop(SEAT)
            await client.propose(b"before")
            waits = asyncio.create_task(
                become_member(home, six.config, six.config, mine, PASSPHRASE, pause=0.05)
            )
            await until(lambda: "waits to be let in" in caplog.text)
            changes = Changes(six, client)
            await changes.order(ChangeKind.LIGHT, 4, put(farm, mine))
            await changes.entered(1)
            await waits
            assert "waits for the end of epoch 0 at slot" in caplog.text
            server = Server.open(home, PASSPHRASE)
            six.servers[SEAT] = server
            await server.start(PASSPHRASE)
            six.tasks[SEAT] = asyncio.create_task(server.run())
            assert server.term.config.epoch == 1
            await until(server.term.incarnation.settled.is_set)
            await six.stop(4)  # so that it takes the newcomer to decide
            receipt = await client.propose(b"after")
            receipt.verify(client.public_key)
            # Its predecessor, which was down, hears that it is a member no more, and keeps no share.
            before = Server(six.config, SEAT, farm.members[SEAT], six.homes[SEAT])
            try:
                await before.start(PASSPHRASE, "127.0.0.1:0")
                with pytest.raises(NoLongerMember, match="member-6 takes no part in epoch 1"):
                    await before.run()
            finally:
                await before.stop()
            assert shares.pieces(six.homes[SEAT]) == ()

    caplog.set_level(logging.INFO, "alliance.server")
    run(scenario())
    assert (home / JOURNAL).exists()


def test_what_a_newcomer_waits_for_is_said(farm: Farm) -> None:
    without = tuple(replace(member, receiver=None) for member in farm.config.members)
    bare, new = founded(replace(farm.config, members=without)), in_place_of(farm.config.members[SEAT])
    keyed = {"receiver": b"r" * 64, "receiver_signature": b"s" * 64}
    rows = tuple(replace(row, **keyed) for row in bare.directory.members)
    state = replace(bare, directory=replace(bare.directory, members=rows))
    operation = put(farm, new)
    operations = (replace(operation, row=replace(operation.row, **keyed)),)
    assert new.party.certificate.public_bytes(Encoding.DER) == operations[0].row.certificate
    change = ApprovedChange(b"c" * 32, Change(ChangeKind.FULL, 0, bytes(32), 0, 0, operations), 9)
    active = ActiveChange(change, 9, 0)
    dealings = tuple(PostedDealing(f"member-{number}", 10, b"d") for number in range(1, 6))
    readies = tuple(PostedReady(f"member-{number}", 11, b"t" * 32, b"r", b"s" * 64, b"") for number in (1, 2))
    expected = {
        "a change that adds 'member-6': none is approved": state,
        "dealings of the keys: 3 members have dealt, 5 are needed": replace(
            state, active=replace(active, dealings=dealings[:3])
        ),
        "ready for the next epoch: 0 are, 5 are needed": replace(
            state, active=replace(active, dealings=dealings)
        ),
        "ready for the next epoch: 2 are, 5 are needed": replace(
            state, active=replace(active, dealings=dealings, readies=readies)
        ),
        "the end of epoch 0 at slot 140": replace(
            state, active=active, scheduled=(change,), end=140, slot=12
        ),
        "become impossible (no receiver key": replace(bare, active=replace(active, dealings=dealings)),
        "its change begins again there": replace(state, carried=change),
    }
    for text, now in expected.items():
        assert text in awaited(now, new.party)
        assert awaited(replace(now, slot=now.slot + 1), new.party) == awaited(now, new.party), "a line a slot"
