"""New public keys of an alliance that runs: members and clients go over, and receipts of both verify."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alliance.client import Client
from alliance.config import file as config_file
from alliance.proofs import Receipt
from alliance.resharing import process, work
from alliance.resharing.work import Answer, Task
from consensus.control.changes import ChangeKind
from consensus.control.operations import NewKeys
from consensus.control.transcript import transcript_digest
from quorum.new_keys import NewKeysDealing, seal_new_keys
from quorum.receivers import read_receiver
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.server.test_epochs import Changes, proposing
from tests.alliance.server.test_revisions import running, until
from tests.alliance.server.test_server import Six
from tests.worlds.founding import KEY_BITS, dealt, receiver


def new_keys(farm: Farm, dealing: int) -> tuple[NewKeysDealing, NewKeys]:
    """With other moduli than those of the founding, for the members that there are."""
    config = farm.config
    made = [
        dealt(config.system, key.threshold, KEY_BITS, stock=1, place=place, dealing=dealing)[0]
        for place, key in enumerate(config.keys)
    ]
    receivers = [read_receiver(member.receiver.key) for member in config.members if member.receiver]
    dealing_of_new = seal_new_keys(made, receivers)
    digest = transcript_digest([key.to_bytes() for key, _ in made])
    return dealing_of_new, NewKeys(digest, dealing_of_new.encode())


@asynccontextmanager
async def following(client: Client, heard: list[bytes]) -> AsyncIterator[None]:
    async def work() -> None:
        async for entry in client.listen():
            heard.append(entry.command)

    listening = asyncio.create_task(work())
    yield
    assert not listening.done(), listening
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def in_a_thread(folder: Path, task: Task) -> Answer:
    """As ``process.perform``, without a process to start."""
    return await asyncio.to_thread(work.work, folder, task)


@pytest.mark.campaign
def test_epoch_new_keys(farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks all the time, one that comes back later, and receipts of before and after."""
    numbers = itertools.count(6)  # the founding's have those before
    monkeypatch.setattr(process, "perform", in_a_thread)
    monkeypatch.setattr(work, "generate_receiver", lambda _: receiver(next(numbers)))
    six, done, heard, told = Six(farm, tmp_path), list[bytes](), list[bytes](), list[Receipt]()
    late = Path(shutil.copytree(farm.client_home(1), tmp_path / "late"))
    dealing, operation = new_keys(farm, 1)

    async def scenario() -> None:
        async with running(six) as client:
            old = client.public_key
            told.append(await client.propose(b"before"))
            changes = Changes(six, client)
            async with following(client, heard), proposing(client, done):
                await changes.order(ChangeKind.FULL, 4, operation)
                await changes.entered(1)
                count = len(done)
                await until(lambda: len(done) >= count + 5)
            told.append(await client.propose(b"after"))
            new = client.public_key
            assert new.public_numbers().n == dealing.keys[0].modulus != old.public_numbers().n
            assert [receipt.context.epoch for receipt in told] == [0, 1]
            for receipt, key in zip(told, (old, new), strict=True):
                receipt.verify(key)
                receipt.verify(client.public_key_of(receipt.context.epoch))
            async with Client(six.config, farm.clients[1], late) as another:
                told.append(await another.propose(b"late"))
                told[-1].verify(new)
                commands = [entry.command async for entry in another.listen(follow=False)]
                assert [command for command in commands if command.isdigit()] == done
            for home in (*six.homes, six.client_home, late):
                config = config_file.load(home)
                assert (config.epoch, config.dealing, len(config.key_changes)) == (1, 1, 1)
                assert config.key == dealing.keys[0]

    run(scenario())
