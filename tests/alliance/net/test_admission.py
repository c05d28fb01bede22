"""Attacks in small on a real server: what no caller may do to it, by any of its methods."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import alliance
from alliance.net import admission, budget, limits
from alliance.net.channels import GREETING, established, open_channel
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, door
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office, at, serving
from tests.attacks.wire import Closed, Connection, message, tls

MIB = 1024 * 1024
SECONDS = 20.0


def attacking(farm: Farm, office: Office, work: Callable[[Connection], Any]) -> Any:
    """What the attacker's work returns, or Closed if the server ended it."""

    async def scenario() -> Any:
        async with serving(farm, ME, office) as port:
            return await asyncio.to_thread(attack, port)

    def attack(port: int) -> Any:
        client = farm.clients[0]
        connection = Connection(("127.0.0.1", port), tls(client.channel()))
        try:
            connection.pump(0.05)
            return work(connection)
        except (Closed, OSError):
            return Closed
        finally:
            connection.close()

    return scenario()


def until_ended(connection: Connection, *, end: bool = False) -> None:
    """Sends what it can until the server has ended all streams. Raises Closed."""
    limit = time.monotonic() + SECONDS
    while not all(stream.ended for stream in connection.streams.values()):
        assert time.monotonic() < limit, "the server goes on taking it"
        connection.pump(0.0 if connection.push(end=end) else 0.02)


@pytest.mark.parametrize("method", ["Submit", "Listen", "Status"])
def test_messages_that_never_end_are_cut_off(farm: Farm, office: Office, run: Run, method: str) -> None:
    def work(connection: Connection) -> None:
        for _ in range(4):
            stream = connection.open(f"/alliance.v1.Client/{method}")
            stream.unsent, stream.announced = message(b"", announced=2**31 - 1), 64 * MIB
        try:
            until_ended(connection)
        finally:
            sent.append(connection.sent)

    sent: list[int] = []
    assert run(attacking(farm, office, work)) is Closed
    assert sent[0] < 48 * MIB  # between two looks


def test_a_message_that_would_grow_is_not_inflated(farm: Farm, office: Office, run: Run) -> None:
    inflated: list[int] = []

    def work(connection: Connection) -> bytes:
        stream = connection.open("/alliance.v1.Client/Status", grpc_encoding="gzip")
        stream.unsent = message(gzip.compress(bytes(MIB)), compressed=True)
        until_ended(connection, end=True)
        return bytes(stream.got)

    request = admission.Metered.request

    async def watched(metered: admission.Metered) -> Any:
        parsed = metered._parsed

        def measure(data: bytes) -> Any:
            inflated.append(len(data))
            return parsed(data)

        metered._parsed = measure  # type: ignore[method-assign]
        return await request(metered)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission.Metered, "request", watched)
        run(attacking(farm, office, work))
    assert inflated
    assert max(inflated) < 64 * 1024


def test_a_request_has_so_much_time_to_arrive(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "REQUEST_SECONDS", 0.1)

    def work(connection: Connection) -> bool:
        connection.open("/alliance.v1.Client/Status").unsent = message(b"", announced=100)
        until_ended(connection)
        return True

    assert run(attacking(farm, office, work)) is True


def test_a_request_is_no_longer_than_its_method_takes(farm: Farm, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with (
            serving(farm, ME, office) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            ask: Any = channel.unary_unary("/alliance.v1.Client/Status")
            with pytest.raises(grpc.aio.AioRpcError, match="a message of this method has 65536 bytes"):
                await ask(bytes(limits.REQUEST_BYTES_MAX + 1))

    run(scenario())


def test_a_frame_of_a_stream_is_no_longer_than_its_method_takes(farm: Farm, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with (
            serving(farm, ME, office) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            submit: Any = channel.stream_stream("/alliance.v1.Client/Submit")
            call = submit(metadata=GREETING)
            await established(call)
            await call.write(bytes(limits.SUBMISSIONS_BYTES_MAX + 1))
            assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert f"has {limits.SUBMISSIONS_BYTES_MAX} bytes at most" in await call.details()

    run(scenario())


def test_a_stream_that_brings_nothing_is_ended_and_a_client_opens_another(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IDLE_SECONDS", 0.1)

    async def scenario() -> None:
        async with (
            serving(farm, ME, office) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            for number in (1, 2):
                call = door(channel, "Submit", reply=pb.Outcomes)()
                await established(call)
                await call.write(pb.Submissions(submissions=[farm.submission(number).encoded]))
                assert (await call.read()).outcomes[0].client_seq == number
                assert await call.read() is grpc.aio.EOF
                assert await call.code() is grpc.StatusCode.OK

    run(scenario())


def test_who_does_not_read_is_ended(
    farm: Farm, office: Office, chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TAKEN_SECONDS", 0.2)
    for number in range(1, 6):
        office.decide(chain.add(farm.submission(number, bytes(200_000))))
    office.certify(5)

    def work(connection: Connection) -> bool:
        connection._reads = False
        request = pb.ListenRequest(first_slot=1).SerializeToString()
        connection.open("/alliance.v1.Client/Listen").unsent = message(request)
        connection.push(end=True)
        began, end = False, time.monotonic() + SECONDS
        while not began or office.service._streams:
            assert time.monotonic() < end
            began = began or bool(office.service._streams)
            connection.pump(0.01)
        return began

    assert run(attacking(farm, office, work)) is True


def test_who_says_nothing_is_closed_when_a_handshake_should_be_done(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "HANDSHAKE_SECONDS", 0.2)

    def wait(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as silent:
            return silent.recv(1)

    async def scenario() -> None:
        async with serving(farm, ME, office) as port:
            assert await asyncio.to_thread(wait, port) == b""

    run(scenario())


def test_every_server_is_within_a_budget() -> None:
    folder = Path(alliance.__file__).parent
    makers = [path.name for path in folder.rglob("*.py") if "aio.server(" in path.read_text("utf-8")]
    assert makers == ["admission.py"]
