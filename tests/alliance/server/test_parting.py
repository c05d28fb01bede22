"""A member that is removed leaves when it is needed no more: not before another one has what it has."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from alliance.net.channels import Channels
from alliance.pb.client_pb2 import MembershipPart
from alliance.server import parting as module
from alliance.server.parting import passed_on
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import at, serving
from tests.alliance.server.test_arrival import Teller

ME = 5


class Named(Teller):
    """A member that is in this epoch, or, with None, one that does not let others in any more."""

    def __init__(self, epoch: int | None) -> None:
        super().__init__([], [])
        self.epoch = epoch
        self.was_asked = asyncio.Event()

    async def _membership(self, request: bytes, context: Any) -> None:
        self.was_asked.set()
        if self.epoch is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not known")
        await context.write(MembershipPart(epoch=self.epoch).SerializeToString())


@pytest.mark.parametrize("last", [1, 7, None])
def test_epoch_who_is_removed_stays_until_one_correct_member_has_gone_over(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch, last: int | None
) -> None:
    """One that says so may be the liar; another is slow, and the others are silent."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    assert farm.config.system.one_correct == 2

    async def scenario() -> None:
        slow, liar = Named(0), Named(1)
        async with AsyncExitStack() as stack:
            channels = Channels(farm.members[ME])
            stack.push_async_callback(channels.close)
            members = list(farm.config.members)
            for place, one in ((0, slow), (1, liar)):
                port = await stack.enter_async_context(serving(farm, place, one))
                members[place] = at(farm.config, place, port)

            class Next:
                epoch, system = 1, farm.config.system

            now: Any = Next()
            now.members = tuple(members)
            leaving = asyncio.create_task(passed_on(channels, now))
            for _ in range(3):
                for one in (liar, slow):
                    await one.was_asked.wait()
                slow.was_asked.clear()
            assert not leaving.done()
            slow.epoch = last
            await leaving

    run(scenario())


def test_it_does_not_wait_for_ever(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PARTING_SECONDS", 0.05)

    async def scenario() -> None:
        channels = Channels(farm.members[ME])
        await passed_on(channels, farm.config)
        await channels.close()

    run(scenario())
    assert "nobody was seen to go over" in caplog.text
