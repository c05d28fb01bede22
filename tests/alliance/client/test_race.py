"""A server that swallows everything costs a client a moment; the race for a stream has one winner."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from alliance.client import race
from alliance.client.listener import Listener
from alliance.client.proven import ProvenSlot
from alliance.client.race import NobodyServes, first_established
from alliance.client.sequence import Sequence
from alliance.client.submitter import Submitter
from alliance.net import channels
from alliance.net.channels import GREETING
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Doors, Office, serving

FOREVER = 3600.0


class Call:
    """A call that is taken up, refused, or swallowed; how it ended."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.cancelled = False

    async def initial_metadata(self) -> Any:
        if self.how == "swallows":
            await asyncio.sleep(FOREVER)
        return GREETING if self.how == "serves" else ()

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    async def details(self) -> str:
        return "connection refused"

    def cancel(self) -> None:
        self.cancelled = True


problems: list[tuple[int, str]] = []


def raced(run: Run, *hows: str) -> tuple[int | None, list[Call]]:
    """Who of these wins, if anybody, and the calls that were begun."""
    calls: list[Call] = []
    problems.clear()

    def begin(member: int) -> Call:
        calls.append(Call(hows[member]))
        return calls[-1]

    async def scenario() -> int | None:
        try:
            winner, call = await first_established(begin, range(len(hows)))
        except NobodyServes as error:
            problems.append(error.problem)
            return None
        assert call is calls[winner]
        return winner

    return run(scenario()), calls


def test_the_first_has_time_and_nobody_else_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "STAGGER_SECONDS", FOREVER)
    assert raced(run, "serves", "serves")[0] == 0
    winner, calls = raced(run, "refuses", "refuses", "serves", "serves")  # who refuses is not waited for
    assert (winner, [call.cancelled for call in calls]) == (2, [True, True, False])


def test_who_swallows_is_overtaken_and_its_call_is_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "STAGGER_SECONDS", 0.01)
    winner, calls = raced(run, "swallows", "refuses", "swallows", "serves", "serves")
    assert (winner, [call.cancelled for call in calls]) == (3, [True, True, True, False])


def test_when_nobody_serves_all_were_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "STAGGER_SECONDS", 0.01)
    winner, calls = raced(run, "refuses", "refuses", "refuses")
    assert (winner, [call.cancelled for call in calls]) == (None, [True] * 3)
    assert problems == [(2, "connection refused")]


def test_whenever_a_race_is_cancelled_no_call_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each turn of the loop, and so also when it is won and those that have lost are ended."""
    monkeypatch.setattr(race, "STAGGER_SECONDS", 0.0)

    async def scenario(turns: int) -> bool:
        calls: list[Call] = []

        def begin(member: int) -> Call:
            calls.append(Call("serves" if member else "swallows"))
            return calls[-1]

        racing = asyncio.create_task(first_established(begin, range(2)))
        for _ in range(turns):
            await asyncio.sleep(0)
        racing.cancel()
        await asyncio.wait([racing])
        if racing.cancelled():
            assert all(call.cancelled for call in calls)
        return not racing.cancelled()

    turns = 0
    while not run(scenario(turns)):
        turns += 1
    assert turns > 5


def test_clients_neither_propose_nor_listen_slower_for_members_that_swallow_everything(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of six take connections and never answer; the time-out is longer than this test may take."""
    monkeypatch.setattr(channels, "CONNECT_SECONDS", FOREVER)
    office = Office(tmp_path / "journal.sqlite", chain)
    mine = farm.clients[0]

    async def scenario(stack: AsyncExitStack) -> None:
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # connects, and never answers
        port = hole.getsockname()[1]
        good = await stack.enter_async_context(serving(farm, 2, office))
        doors = await stack.enter_async_context(Doors(farm, {0: port, 1: port, 2: good}))
        submitter = Submitter(
            farm.config,
            mine.party.client_id,
            mine.signing_key,
            Sequence(tmp_path),
            ProvenSlot(tmp_path),
            doors,
        )
        stack.push_async_callback(submitter.close)
        (receipt,) = await submitter.propose([b"one"], 50.0)
        listener = Listener(farm.config, doors, 1, 0)
        async with aclosing(listener.entries(receipt.slot)) as entries:
            assert [entry.command async for entry in entries] == [b"one"]

    async def within() -> None:
        async with AsyncExitStack() as stack:
            await scenario(stack)

    try:
        run(within())
    finally:
        office.journal.close()
