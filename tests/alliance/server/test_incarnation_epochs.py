"""Which start may vote is told anew in each epoch, and by what the members said there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.errors import IdentityConflict
from alliance.net.channels import NotServed
from fab_paxos.effects import EntryRecord, ProvenRecord
from quorum import GreetingStatement, VoteStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.server.test_incarnation import ME, PEER, Member, meet, started
from tests.alliance.storage.test_journal_epochs import END, entering_record


@pytest.fixture
def later(farm: Farm) -> Farm:
    """The same members, in the next epoch."""
    return replace(farm, config=replace(farm.config, epoch=1))


def enter(member: Member, chain: Chain) -> None:
    """What it writes at the end of the first epoch."""
    entries = map(EntryRecord, chain.entries[:END])
    member.journal.append([*entries, ProvenRecord(END, chain.certificate(END))])
    member.journal.append([entering_record(chain)])


def test_what_was_said_in_the_epoch_before_is_not_shown(
    farm: Farm, later: Farm, long_chain: Chain, tmp_path: Path, run: Run
) -> None:
    """Its signature would be none in this epoch, and its view and slot would lie beyond all that was said."""

    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me, started(farm, PEER, tmp_path / "peer") as peer:
            assert await meet(me, peer) == (None, None)
            vote = VoteStatement(0, END, long_chain.root(END))
            signature = farm.members[ME].signing_key.sign(vote.encode(farm.config.context))
            peer.latest.note(ME, vote, signature)
            peer.journal.append([EntryRecord(long_chain.entries[0])], peer.latest.take_news())
            for member in (me, peer):
                enter(member, long_chain)
        with started(later, ME, tmp_path / "me") as me, started(later, PEER, tmp_path / "peer") as peer:
            assert peer.latest.furthest(ME) == []
            assert await meet(me, peer) == (None, None)
            held = peer.incarnation._held[ME]
            assert held is not None
            assert isinstance(held.statement, GreetingStatement)
            assert held.statement.incarnation == me.incarnation.number == 2

    run(scenario())


def test_a_handshake_that_the_end_of_the_epoch_overtakes_convicts_nobody(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run
) -> None:
    """Its journal is in the next epoch already, and knows nothing of what it said in the one before."""

    async def scenario() -> None:
        for late in (ME, PEER):
            home = tmp_path / str(late)
            home.mkdir()
            with started(farm, ME, home / "me") as me, started(farm, PEER, home / "peer") as peer:
                vote = VoteStatement(3, 0, long_chain.root(END))
                signature = farm.members[ME].signing_key.sign(vote.encode(farm.config.context))
                peer.latest.note(ME, vote, signature)
                enter(me if late == ME else peer, long_chain)
                ended = (await meet(me, peer))[0 if late == ME else 1]
                assert isinstance(ended, NotServed)
                assert "epoch 0 has ended" in str(ended)

    run(scenario())


def test_a_disk_set_back_to_the_epoch_before_is_found(
    farm: Farm, later: Farm, long_chain: Chain, tmp_path: Path, run: Run
) -> None:
    """It enters the epoch again as if for the first time; who heard it there knows better."""

    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me, started(farm, PEER, tmp_path / "peer") as peer:
            enter(peer, long_chain)
            assert me.journal.epoch == 0
        shutil.copytree(tmp_path / "me", tmp_path / "old")
        for disk, told in (("me", None), ("old", IdentityConflict)):
            with started(farm, ME, tmp_path / disk) as me:
                enter(me, long_chain)
            with started(later, ME, tmp_path / disk) as me, started(later, PEER, tmp_path / "peer") as peer:
                found, _ = await meet(me, peer)
                assert found is None if told is None else isinstance(found, told)

    run(scenario())
