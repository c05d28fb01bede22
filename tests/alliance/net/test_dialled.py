"""A server that lies to those who dial it: a message that never ends does not end them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.net import dialled, sockets
from alliance.net.channels import open_channel
from alliance.net.dialled import Meter
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.doors import ME
from tests.alliance.farm import Farm
from tests.alliance.network import at
from tests.attacks import wire
from tests.attacks.wire import Closed, Connection, Stream, frame, message, tls

MIB = 1024 * 1024
SECONDS = 20.0


class Liar(Connection):
    """A server: whatever it is asked, it answers with a message that is said to have 2 GiB."""

    def __init__(self, held: ssl.SSLSocket) -> None:
        self._socket, self._reads, self._buffer = held, False, b""
        self._initial = self.window = wire.WINDOW
        self.streams, self.sent, self._number = {}, 0, -1
        preface = b""
        while len(preface) < len(wire.PREFACE):
            preface += held.recv(len(wire.PREFACE) - len(preface))
        held.sendall(frame(wire.SETTINGS, 0, 0))

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == wire.HEADERS and number not in self.streams:
            told = wire.literal(":status", "200") + wire.literal("content-type", "application/grpc")
            self._socket.sendall(frame(wire.HEADERS, wire.END_HEADERS, number, told))
            stream = self.streams[number] = Stream(self._initial)
            stream.unsent, stream.announced = message(b"", announced=2**31 - 1), 512 * MIB
        else:
            super()._take(kind, flags, number, payload)


def lie(listening: socket.socket, context: ssl.SSLContext, sent: list[int]) -> None:
    listening.settimeout(SECONDS)
    accepted, _ = listening.accept()
    accepted.settimeout(SECONDS)
    held = context.wrap_socket(accepted, server_side=True)
    liar, limit = Liar(held), time.monotonic() + SECONDS
    try:
        while time.monotonic() < limit:
            liar.pump(0.0 if liar.push() else 0.02)
    except (Closed, OSError):
        sent.append(liar.sent)
    finally:
        liar.close()


@pytest.mark.skipif(not sockets.AVAILABLE, reason="connections cannot be measured here")
def test_an_answer_that_never_ends_is_cut_off(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dialled, "DIALLED_BYTES_MAX", MIB)
    context = tls(farm.members[ME].channel(), server=True)
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lie, args=(listening, context, sent))
        thread.start()

        async def scenario() -> grpc.StatusCode:
            async with open_channel(
                at(farm.config, ME, listening.getsockname()[1]), farm.clients[0]
            ) as channel:
                ask: Any = channel.unary_unary(
                    "/alliance.v1.Client/Status",
                    request_serializer=pb.StatusRequest.SerializeToString,
                    response_deserializer=pb.StatusReply.FromString,
                )
                call = ask(pb.StatusRequest(), timeout=SECONDS)
                return await asyncio.wait_for(call.code(), SECONDS)

        assert run(scenario()) is grpc.StatusCode.UNAVAILABLE
        thread.join(3 * SECONDS)
        assert not thread.is_alive()
    assert 0 < sent[0] < 256 * MIB  # between two looks
    assert "closed the connection to member-" in caplog.text


def sample(key: str, received: int, descriptor: int = 7) -> sockets.Sample:
    return sockets.Sample(descriptor, key, received, 0)


def test_what_is_handed_over_is_not_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialled, "DIALLED_BYTES_MAX", 100)
    meter = Meter("member-1", "127.0.0.1:1")
    count = meter.counting(None)
    received = 0
    for _ in range(50):
        count(bytes(90))
        received += 100
        assert meter.measured([sample("a:1", received)], meter.handed_over, 0.0) == []
    assert meter.measured([sample("a:1", received + 101)], meter.handed_over, 0.0) == [
        sample("a:1", received + 101)
    ]


def test_each_connection_begins_at_nothing_and_none_pays_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialled, "DIALLED_BYTES_MAX", 100)
    meter = Meter("member-1", "127.0.0.1:1")
    assert meter.measured([sample("a:1", 60)], 0, 0.0) == []
    assert meter.measured([sample("a:1", 50)], 0, 0.0) == [sample("a:1", 50)]  # 60 more, then 50 of a new one
    assert meter.measured([], 0, 0.0) == []
    assert meter.measured([sample("a:1", 90), sample("a:1", 90, 8)], 0, 0.0) == []


def test_channels_to_one_address_share_a_meter() -> None:
    watch = dialled.Watch()
    one, other = watch.meter("member-1", "127.0.0.1:1"), watch.meter("member-1", "127.0.0.1:1")
    assert one is other
    assert watch.meter("member-2", "127.0.0.1:2") is not one
