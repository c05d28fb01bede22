"""The listening client: the true log, each command once, in order; or an error, never a lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.client import listener
from alliance.client.delivery import LogEntry
from alliance.client.listener import Listener
from alliance.errors import Unreachable
from alliance.net import channels
from alliance.pb import client_pb2, peer_pb2
from alliance.proofs.receipt import load_public_key
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.frame_lies import LIES, SLOTS, another_log, serves, wire
from tests.alliance.network import Doors, Handler, Office, Villain, serving


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)


@pytest.fixture
def office(tmp_path: Path, long_chain: Chain) -> Any:
    office = Office(tmp_path / "journal.sqlite", long_chain)
    office.tell_all()
    yield office
    office.journal.close()


@asynccontextmanager
async def listening(
    farm: Farm, servers: dict[int, Any], start: int = 1, first: int | None = None
) -> AsyncIterator[Listener]:
    async with AsyncExitStack() as stack:
        ports = {at: await stack.enter_async_context(serving(farm, at, it)) for at, it in servers.items()}
        doors = await stack.enter_async_context(Doors(farm, ports))
        yield Listener(farm.config, doors, start, first)


async def collect(client: Listener, until: int | None = SLOTS, count: int | None = None) -> list[LogEntry]:
    entries = []
    async with aclosing(client.entries(until)) as stream:
        async for entry in stream:
            entries.append(entry)
            if len(entries) == count:
                break
    return entries


def truth(chain: Chain, start: int = 1, until: int = SLOTS) -> list[tuple[int, int, int, bytes]]:
    return [
        (entry.slot, position, index, command)
        for entry in chain.entries[start - 1 : until]
        for position, submission in enumerate(entry.batch.submissions)
        for index, command in enumerate(submission.commands())
    ]


def told(entries: list[LogEntry]) -> list[tuple[int, int, int, bytes]]:
    return [(entry.slot, entry.position, entry.command_index, entry.command) for entry in entries]


@pytest.mark.parametrize("start", [1, 2, 7, 8, 19, 20])
def test_an_honest_server_tells_the_log_with_its_proofs(
    farm: Farm, office: Office, long_chain: Chain, run: Run, start: int
) -> None:
    key = load_public_key(farm.config.key.to_pem())

    async def scenario() -> None:
        async with listening(farm, {0: office}, start) as client:
            entries = await collect(client)
        assert told(entries) == truth(long_chain, start)
        assert {entry.client for entry in entries} == {"client-1"}
        for entry in entries:
            receipt = entry.receipt()
            receipt.verify(key)
            assert receipt.command == entry.command
            assert (receipt.slot, receipt.position, receipt.command_index) == told([entry])[0][:3]

    run(scenario())


def test_epoch_listener_reads_a_log_of_later_members(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Whose alliance.toml is of an earlier epoch: the public key is the same."""
    later = replace(farm, config=replace(farm.config, epoch=3))
    chain = Chain(later).grow(SLOTS)
    office = Office(tmp_path / "journal.sqlite", chain)
    office.tell_all()
    key = load_public_key(farm.config.key.to_pem())

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            entries = await collect(client)
        assert told(entries) == truth(chain)
        receipt = entries[-1].receipt()
        receipt.verify(key)
        assert receipt.context.epoch == 3

    try:
        run(scenario())
    finally:
        office.journal.close()


@pytest.mark.parametrize("until", [1, 5, 19])
def test_nothing_comes_after_the_last_slot_that_was_asked_for(
    farm: Farm, office: Office, long_chain: Chain, run: Run, until: int
) -> None:
    """The frame holds more; who asked for what is certified now gets no more than that."""

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            assert told(await collect(client, until)) == truth(long_chain, until=until)

    run(scenario())


def test_a_repetition_in_the_log_is_delivered_once(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    once, other = farm.submission(1, b"once"), farm.submission(2, b"other")
    chain.add(once)
    chain.add(other, once, farm.submission(1, b"conflict"))
    chain.add(once, farm.submission(1, b"hers", client=1))
    office = Office(tmp_path / "journal.sqlite", chain)
    office.tell_all()

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            entries = await collect(client, 3)
        assert [entry.command for entry in entries] == [b"once", b"other", b"hers"]
        assert [(entry.slot, entry.position) for entry in entries] == [(1, 0), (2, 0), (3, 1)]

    run(scenario())
    office.journal.close()


def test_servers_that_are_down_are_passed_over(
    farm: Farm, office: Office, long_chain: Chain, run: Run
) -> None:
    async def scenario() -> None:
        async with listening(farm, {4: office}, first=5) as client:
            assert told(await collect(client)) == truth(long_chain)

    run(scenario())


@pytest.mark.parametrize("until", [SLOTS, None])
def test_without_any_server_it_says_so(farm: Farm, run: Run, until: int | None) -> None:
    async def scenario() -> None:
        async with listening(farm, {}) as client:
            with pytest.raises(Unreachable, match="no server gives the log from slot 1"):
                await collect(client, until)

    run(scenario())


def test_where_the_beginning_is_no_longer_kept_it_says_from_where_on_it_is(
    farm: Farm, office: Office, run: Run
) -> None:
    office.history.prune(7)

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            with pytest.raises(
                Unreachable, match=r"begin at a later slot.*member-1: slots up to 7 are no longer kept"
            ):
                await collect(client)
        async with listening(farm, {0: office}, start=8) as client:
            assert told(await collect(client)) == truth(office.chain, 8)

    run(scenario())


# -- one villain --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
def test_one_lying_server_changes_nothing(
    farm: Farm, office: Office, long_chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    if lie.startswith("the end"):
        monkeypatch.setattr(listener, "IDLE_SECONDS", 0.1)

    async def scenario() -> None:
        villain = Villain(listen=serves(LIES[lie], long_chain))
        async with listening(farm, {0: villain, 1: office}) as client:
            assert told(await collect(client)) == truth(long_chain)
        assert villain.calls == 1

    run(scenario())


@pytest.mark.parametrize("lie", ["none", "of the root", "of another slot", "too many", "short hashes"])
def test_false_peaks_do_not_help_to_begin_in_the_middle(
    farm: Farm, office: Office, long_chain: Chain, run: Run, lie: str
) -> None:
    true = long_chain.frontiers[6].peaks
    peaks = {
        "none": (),
        "of the root": (long_chain.root(6),) * len(true),
        "of another slot": long_chain.frontiers[5].peaks,
        "too many": (*true, b"x" * 32),
        "short hashes": tuple(peak[:-1] for peak in true),
    }[lie]

    async def scenario() -> None:
        villain = Villain(listen=serves(lambda c: [wire(c.frame(7, 12, SLOTS), peaks)], long_chain))
        async with listening(farm, {0: villain, 1: office}, start=7) as client:
            assert told(await collect(client)) == truth(long_chain, 7)
        honest = Villain(listen=serves(lambda c: [wire(c.frame(7, SLOTS, SLOTS), true)], long_chain))
        async with listening(farm, {0: honest}, start=7) as client:
            assert told(await collect(client)) == truth(long_chain, 7)

    run(scenario())


@pytest.mark.parametrize("until", [SLOTS, None])
def test_lying_servers_and_dead_ones_are_no_endless_search(
    farm: Farm, long_chain: Chain, run: Run, until: int | None
) -> None:
    """A frame that does not verify is no sign of life."""

    async def scenario() -> None:
        villain = Villain(listen=serves(another_log, long_chain))
        async with listening(farm, {2: villain}) as client:
            with pytest.raises(Unreachable):
                await collect(client, until)
        assert villain.calls == 3  # two rounds over all servers are over with the third

    run(scenario())


async def closes(_: object, context: Any) -> None:
    pass


async def aborts(_: object, context: Any) -> None:
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "not\nyou")


async def raises(_: object, context: Any) -> None:
    raise ArithmeticError


@pytest.mark.parametrize("behaviour", [closes, aborts, raises])
def test_servers_that_end_the_stream_are_no_endless_search(
    farm: Farm, office: Office, long_chain: Chain, run: Run, behaviour: Handler
) -> None:
    async def scenario() -> None:
        async with listening(farm, {0: Villain(listen=behaviour), 1: office}) as client:
            assert told(await collect(client)) == truth(long_chain)
        async with listening(farm, {0: Villain(listen=behaviour)}) as client:
            with pytest.raises(Unreachable):
                await collect(client, None)

    run(scenario())


def test_a_promise_that_no_server_keeps_ends(
    farm: Farm, office: Office, long_chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lie about what is certified now must not make 'listen up to now' wait forever."""
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.05)

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            entries: list[LogEntry] = []

            async def all_of_them() -> None:
                async for entry in client.entries(SLOTS + 5):
                    entries.append(entry)

            with pytest.raises(Unreachable, match=f"from slot {SLOTS + 1}"):
                await all_of_them()
            assert told(entries) == truth(long_chain)

    run(scenario())


def test_a_server_without_news_is_left_for_one_that_has_some(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.05)
    hides = Office(tmp_path / "other.sqlite", office.chain)
    for entry in office.chain.entries[:6]:
        hides.decide(entry)
    hides.certify(6)

    async def scenario() -> None:
        async with listening(farm, {0: hides, 1: office}) as client:
            entries = await collect(client, None, count=2 * SLOTS)
        assert told(entries) == truth(office.chain)

    run(scenario())
    hides.journal.close()


def test_following_brings_what_is_decided_later(farm: Farm, tmp_path: Path, chain: Chain, run: Run) -> None:
    office = Office(tmp_path / "journal.sqlite", chain)
    chain.grow(5)

    async def scenario() -> None:
        async with listening(farm, {0: office}) as client, aclosing(client.entries(None)) as stream:
            for entry in chain.entries:
                office.decide(entry)
                office.certify(entry.slot)
                assert (await anext(stream)).slot == entry.slot

    run(scenario())
    office.journal.close()


def test_a_server_that_never_takes_up_the_stream_is_left(
    farm: Farm, office: Office, long_chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "CONNECT_SECONDS", 0.2)

    class Mute(Villain):
        def _counted(self, handler: Handler) -> Any:
            return handler

    async def hangs(_: object, context: Any) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with listening(farm, {0: Mute(listen=hangs), 1: office}) as client:
            assert told(await collect(client)) == truth(long_chain)

    run(scenario())


def test_stopping_in_the_middle_leaves_nothing_running(
    farm: Farm, office: Office, long_chain: Chain, run: Run
) -> None:
    async def scenario() -> None:
        async with listening(farm, {0: office}) as client:
            assert told(await collect(client, None, count=3)) == truth(long_chain)[:3]
        async with listening(farm, {0: office}, start=SLOTS + 1) as client:
            waiting = asyncio.create_task(collect(client, None))
            while not office.service._streams:
                await asyncio.wait([waiting], timeout=0.01)
            waiting.cancel()
            await asyncio.wait([waiting])

    run(scenario())


def test_the_wire_types_are_those_of_the_service() -> None:
    method = client_pb2.DESCRIPTOR.services_by_name["Client"].methods_by_name["Listen"]
    assert method.input_type == client_pb2.ListenRequest.DESCRIPTOR
    assert method.output_type == peer_pb2.LogFrame.DESCRIPTOR
