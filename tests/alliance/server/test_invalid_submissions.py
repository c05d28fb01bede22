"""A client that sends what is not valid is answered in few frames, and soon not at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.net.channels import established, open_channel
from alliance.pb import client_pb2 as pb
from alliance.server.invalid_submissions import (
    FORGIVEN_PER_SECOND,
    INVALID_MAX,
    SERVED_AGAIN,
    InvalidSubmissions,
)
from alliance.server.services import CHECKS_PER_TURN
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, attempt, door
from tests.alliance.farm import Farm
from tests.alliance.network import Office, at, serving


def test_a_client_is_barred_at_the_bound_and_served_again_later() -> None:
    now = [100.0]
    invalid = InvalidSubmissions(lambda: now[0])
    for _ in range(INVALID_MAX - 1):
        assert not invalid.add(b"a")
    assert not invalid.bars(b"a")
    assert invalid.add(b"a")
    assert invalid.bars(b"a")
    assert not invalid.bars(b"b")
    now[0] += (INVALID_MAX - SERVED_AGAIN) / FORGIVEN_PER_SECOND - 0.1
    assert invalid.bars(b"a")
    now[0] += 0.2
    assert not invalid.bars(b"a")


def test_few_are_forgiven() -> None:
    now = [0.0]
    invalid = InvalidSubmissions(lambda: now[0])
    for _ in range(10 * INVALID_MAX):
        now[0] += 1 / FORGIVEN_PER_SECOND
        assert not invalid.add(b"a")
    now[0] += 1.0
    assert not invalid.count(b"a")
    assert not invalid._counts


@pytest.mark.parametrize("streams", [1, 4])
def test_rubbish_is_answered_together_and_then_its_client_is_not_heard(
    farm: Farm,
    office: Office,
    run: Run,
    streams: int,
) -> None:
    office.service._invalid = InvalidSubmissions(lambda: 0.0)  # nothing is forgiven, however long it takes
    rubbish = pb.Submissions(submissions=[farm.submission(1).encoded[:-64] + bytes(64)] * (INVALID_MAX + 44))

    async def scenario() -> None:
        async with (
            serving(farm, ME, office) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as mine,
            open_channel(at(farm.config, ME, port), farm.clients[1]) as hers,
        ):
            frames: list[pb.Outcomes] = []
            calls = [door(mine, "Submit", reply=pb.Outcomes)() for _ in range(streams)]
            for call in calls:  # all of them, before one has its client barred
                await established(call)

            async def send(call: Any) -> grpc.StatusCode:
                await call.write(rubbish)  # once: a write that meets the end hides how the call ended
                with suppress(grpc.aio.AioRpcError):
                    while (outcomes := await call.read()) is not grpc.aio.EOF:
                        frames.append(outcomes)
                return await call.code()  # type: ignore[no-any-return]

            codes = await asyncio.gather(*map(send, calls))
            assert set(codes) == {grpc.StatusCode.INVALID_ARGUMENT}
            assert sum(len(outcomes.outcomes) for outcomes in frames) <= INVALID_MAX
            assert len(frames) <= INVALID_MAX // CHECKS_PER_TURN
            assert await attempt(mine, "Submit") is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await attempt(mine, "Listen") is grpc.StatusCode.OK
            assert await attempt(hers, "Submit") is grpc.StatusCode.OK

    run(scenario())
