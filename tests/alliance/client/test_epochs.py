"""A client whose alliance changes its members: it goes over to them, by one signature, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from alliance.client import Client, LogEntry, listener
from alliance.client import revisions as follower
from alliance.config import file as config_file
from alliance.config.file import FILE
from alliance.errors import OutcomeUnknown
from alliance.keys.revision import load_founded
from alliance.net.admission import Admission
from alliance.pb import client_pb2 as pb
from consensus.control.published import Published
from tests.alliance.conftest import Run
from tests.alliance.epochs import END, new_member, next_epoch, proof
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Doors, Office, Villain, at, serving
from tests.alliance.outcome_lies import liar, refusing, silent

pytestmark = pytest.mark.usefixtures("hurry")

GONE, STAYS = 0, 1
"""Numbers of members in the first epoch. In the place of the first there is a newcomer in the second one."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "PAUSES_SECONDS", (0.0,) * 5)
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.05)


@dataclass
class World:
    """Three servers, a log, and a client of the first epoch's alliance.toml."""

    farm: Farm
    later: Farm
    membership: Published
    chain: Chain
    old: Office
    staying: Office
    new: Office
    client: Client
    doors: tuple[Admission, Admission]
    """Of the two servers of the first epoch."""
    stop: AsyncExitStack
    """Ends the server of the member that stays."""

    def cross(self) -> None:
        """The second epoch begins, at the servers of those that are in it."""
        self.chain.farm = self.later
        for office in (self.staying, self.new):
            office.directory.update(self.later.config)
            office.voucher.proof = proof(
                self.farm, self.later, self.membership, self.chain.frontiers[-1].root
            )

    def grow(self, *offices: Office, slots: int = 1, certified: bool = True) -> None:
        """More of the log, which the offices come to know up to its end."""
        first = len(self.chain.entries) + 1
        self.chain.grow(slots, first_seq=first)
        self.tell(*offices, certified=certified)

    def tell(self, *offices: Office, certified: bool = True) -> None:
        for office in offices:
            for entry in self.chain.entries[office.history.slot :]:
                office.decide(entry)
                office.sessions.decided(entry)
            if certified:
                office.certify(len(self.chain.entries))


@asynccontextmanager
async def world(
    farm: Farm, folder: Path, *, villain: Villain | None = None, removed: tuple[str, ...] = ()
) -> AsyncIterator[World]:
    """``villain`` answers in the place of the member that goes; ``removed`` are clients that go, too."""
    chain, seventh = Chain(farm), new_member("seventh")
    async with AsyncExitStack() as stack:
        offices = []
        for name in ("old", "staying", "new"):
            (folder / name).mkdir()
            offices.append(Office(folder / name / "journal.sqlite", chain))
            stack.callback(offices[-1].journal.close)
        old, staying, new = offices
        stop = await stack.enter_async_context(AsyncExitStack())
        doors = Admission(farm.config), Admission(farm.config)
        here = await stack.enter_async_context(serving(farm, GONE, villain or old, admission=doors[0]))
        stays = await stop.enter_async_context(serving(farm, STAYS, staying, admission=doors[1]))
        ports = {GONE: here, STAYS: stays}
        there = await stack.enter_async_context(serving(farm, GONE, new, mine=seventh))
        nobody = (await stack.enter_async_context(Doors(farm, {}))).dead_port
        members = tuple(at(farm.config, number, ports.get(number, nobody)) for number in range(6))
        farm = replace(farm, config=replace(farm.config, members=members))
        chain.farm = farm
        home = folder / "client"
        home.mkdir()
        (home / FILE).write_text(farm.config.to_toml())
        addresses = {GONE: f"127.0.0.1:{there}"}
        later, membership = next_epoch(farm, {GONE: seventh}, addresses=addresses, removed=removed)
        client = await stack.enter_async_context(Client(farm.config, farm.clients[0], home))
        yield World(farm, later, membership, chain, old, staying, new, client, doors, stop)


async def known(client: Client, epoch: int) -> None:
    """Until it knows that epoch."""
    while client.config.epoch < epoch:
        await client.status()


@pytest.mark.parametrize("start", [1, None], ids=["whole", "from now"])
def test_epoch_listener_crosses(farm: Farm, tmp_path: Path, run: Run, start: int | None) -> None:
    """In the middle of a stream, and then to a server that it had never heard of; no slot is missing."""

    async def scenario() -> None:
        async with world(farm, tmp_path) as it:
            it.grow(it.old, it.staying, slots=END)
            heard: list[LogEntry] = []
            async with aclosing(it.client.listen(start)) as entries:

                async def hear(until: int) -> None:
                    async for entry in entries:
                        heard.append(entry)
                        if entry.slot == until:
                            return

                if start is not None:
                    await hear(END)
                it.cross()
                it.grow(it.staying, slots=2)
                if start is None:
                    it.grow(it.staying)
                await hear(END + 2)
                await known(it.client, 1)
                await it.stop.aclose()
                it.grow(it.new, slots=3)
                await hear(END + 5)
            first = start or heard[0].slot
            assert [entry.slot for entry in heard] == list(range(first, END + 6))
            epochs = [entry.receipt().context.epoch for entry in heard]
            assert epochs == sorted(epochs)
            assert epochs[-1] == 1
            for entry in heard:
                entry.receipt().verify(it.client.public_key)
            assert it.client.config.members == it.later.config.members
            assert (it.client.config.key, it.client.config.dealing) == (it.later.config.key, 1)

    run(scenario())


def test_its_folder_goes_along_and_it_leaves_who_is_gone(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with world(farm, tmp_path) as it:
            it.grow(it.old, it.staying, slots=END)
            it.cross()
            await known(it.client, 1)
            home = tmp_path / "client"
            assert config_file.load(home) == it.client.config == it.later.config
            assert load_founded(home) == it.farm.config
            gone = it.farm.config.members[GONE].identity
            assert gone not in {identity for identity, _ in it.client._channels._open}

    run(scenario())


def test_epoch_listener_leaves_a_server_that_is_gone(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not when it has been silent for long: its words are true, and it may end any moment."""
    monkeypatch.setattr(listener, "IDLE_SECONDS", 1000.0)

    async def scenario() -> None:
        async with world(farm, tmp_path) as it:
            it.grow(it.old, it.staying, slots=END)
            async with aclosing(it.client.listen(server="member-1")) as entries:
                slots = [(await anext(entries)).slot for _ in range(END)]
                it.cross()
                await known(it.client, 1)
                it.tell(it.new)
                it.grow(it.staying, it.new, slots=2)
                slots += [(await anext(entries)).slot for _ in range(2)]
            assert slots == list(range(1, END + 3))

    run(scenario())


def test_epoch_pending_submission_survives(farm: Farm, tmp_path: Path, run: Run) -> None:
    """It is signed for the alliance, and goes to those who are members now, the newcomer among them."""

    async def scenario() -> None:
        async with world(farm, tmp_path, villain=Villain(silent)) as it:
            submission = it.client.sign([b"one"])
            receipt = asyncio.create_task(it.client.resume(submission))
            while it.client._submitter._choice.server != GONE or not it.client._submitter._asked:
                await it.client.status()
            it.chain.grow(END, first_seq=1000)
            it.tell(it.staying, it.new)
            it.cross()
            await known(it.client, 1)
            (found,) = await receipt
            found.verify(it.client.public_key)
            assert (found.command, found.context.epoch) == (b"one", 1)
            assert it.new.posted + it.staying.posted == [submission]

    run(scenario())


def test_refusals_of_two_epochs_do_not_add_up(farm: Farm, tmp_path: Path, run: Run) -> None:
    """f of the members of each may lie."""

    async def scenario() -> None:
        async with world(farm, tmp_path, villain=Villain(liar(refusing(pb.Refusal.CONFLICT), farm))) as it:
            it.staying.certifies = False
            submission = it.client.sign([b"one"])
            receipt = asyncio.create_task(it.client.resume(submission))
            while not it.staying.posted:
                await it.client.status()
            assert len(it.client._submitter._pending[submission.client_seq].refusals) == 1
            it.cross()
            await known(it.client, 1)
            while it.client._submitter._crossed.is_set():
                await it.client.status()
            assert not it.client._submitter._pending[submission.client_seq].refusals
            it.staying.certify(1)
            (found,) = await receipt
            found.verify(it.client.public_key)

    run(scenario())


@pytest.mark.parametrize("certified", [True, False], ids=["proven before", "proven after"])
def test_epoch_client_removed_in_flight(farm: Farm, tmp_path: Path, run: Run, certified: bool) -> None:
    """What it submitted was ordered in the last slot of its epoch. It has its receipt, or hears that it may
    be; whoever listens has the proof."""

    async def scenario() -> None:
        async with world(farm, tmp_path, removed=("client-1",)) as it:
            it.chain.grow(END - 1, first_seq=1000)
            it.tell(it.staying, it.old)
            it.old.certifies = certified
            receipt = asyncio.create_task(it.client.propose(b"last", timeout=0.5))
            while not it.old.posted:
                await it.client.status()
            it.tell(it.staying)
            it.cross()
            for door in it.doors:
                door.update(it.later.config)
            if certified:
                found = await receipt
                assert (found.slot, found.context.epoch) == (END, 0)
                return
            with pytest.raises(OutcomeUnknown, match="may or may not be ordered"):
                await receipt
            other = Client(it.client.config, it.farm.clients[1], tmp_path / "client")
            async with other, aclosing(other.listen(END)) as entries:
                entry = await anext(entries)
                entry.receipt().verify(other.public_key)
                assert (entry.command, entry.client) == (b"last", "client-1")

    run(scenario())
