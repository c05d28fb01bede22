"""Every method of every service, given what is no request, and handlers that fail: told in one line each."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

import alliance.pb
from alliance.config.directory import Directory
from alliance.execution.service import ApplicationService
from alliance.net import guard
from alliance.net.channels import GREETING, Identities, open_channel
from alliance.pb import application_pb2_grpc, signing_pb2_grpc
from alliance.server.peers import EXCHANGE
from alliance.signing.member import SigningService
from tests.alliance.conftest import Run
from tests.alliance.doors import ME
from tests.alliance.farm import Farm
from tests.alliance.links import HIGH, Side
from tests.alliance.network import Office, at, serving

GARBAGE = b"\xff\xff\xff\xff"
ROOT = Path(__file__).parents[3]


def methods() -> list[MethodDescriptor]:
    """All of them, of our own services and of those that are served beside them."""
    ours = [import_module(f"alliance.pb.{m.name}") for m in pkgutil.iter_modules(alliance.pb.__path__)]
    found = []
    for module in (*ours, health_pb2, reflection_pb2):
        services = module.DESCRIPTOR.services_by_name if hasattr(module, "DESCRIPTOR") else {}
        found += [method for service in services.values() for method in service.methods]
    return found


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


class Others:
    """The services that Office and Side are not."""

    def __init__(self, farm: Farm) -> None:
        nothing: Any = None
        directory, identities = Directory(farm.config), Identities(farm.config)
        self._application = ApplicationService(directory, identities, "kv", nothing, nothing, nothing)
        self._signing = SigningService(directory, identities, nothing)

    def serve(self, server: grpc.aio.Server) -> None:
        application_pb2_grpc.add_ApplicationServicer_to_server(self._application, server)  # type: ignore[no-untyped-call]
        signing_pb2_grpc.add_SigningServicer_to_server(self._signing, server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(health_aio.HealthServicer(), server)
        reflection.enable_server_reflection([reflection.SERVICE_NAME], server)


async def end_of(channel: grpc.aio.Channel, path: str, kind: str, request: bytes) -> tuple[Any, str]:
    """The status with which the call ends, and its text. ``request`` is sent as it is."""
    start: Any = getattr(channel, kind)(path)
    call = start(request, metadata=GREETING) if kind.startswith("unary") else start(metadata=GREETING)
    with suppress(grpc.aio.AioRpcError):
        if kind.startswith("stream"):
            await call.write(request)
        if kind.endswith("stream"):
            async for _ in call:
                pass
    return await call.code(), await call.details()


def kind_of(method: MethodDescriptor) -> str:
    request, reply = method.client_streaming, method.server_streaming
    return "_".join("stream" if streams else "unary" for streams in (request, reply))


def test_what_is_no_request_gets_a_plain_status_and_one_line(
    farm: Farm, office: Office, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.time, "monotonic", lambda: 7.0)  # all of it within one second
    side = Side(farm, ME)

    async def scenario() -> None:
        services = (office, side, Others(farm))
        async with serving(farm, ME, *services) as port:
            for party in (farm.clients[0], farm.members[HIGH]):
                async with open_channel(at(farm.config, ME, port), party) as channel:
                    for method in methods():
                        path = path_of(method)
                        if (path == EXCHANGE) == (party is farm.clients[0]):
                            continue  # a member's stream
                        end = await end_of(channel, path, kind_of(method), GARBAGE)
                        wanted = "step of a handshake" if path == EXCHANGE else method.input_type.name
                        assert end == (grpc.StatusCode.INVALID_ARGUMENT, f"not a {wanted}"), path

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    told = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len(told) == 1, caplog.text
    assert told[0].exc_info is None
    assert "by client-1: not a" in told[0].getMessage()
    assert side.ear.rejections == [(HIGH, "not a step of a handshake")]
    assert not office.posted


def test_the_methods_are_those_that_exist() -> None:
    """The list above is made by reflection: this many there are at least."""
    assert {path_of(method) for method in methods()} >= {
        "/alliance.v1.Client/Submit",
        "/alliance.v1.Application/Reply",
        "/alliance.v1.Signing/Share",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        EXCHANGE,
    }


class Failing:
    """Handlers of all kinds that have an error."""

    def serve(self, server: grpc.aio.Server) -> None:
        async def fail(request: Any, context: Any) -> None:
            if hasattr(request, "__aiter__"):
                await context.read()
            raise RuntimeError("a secret")

        async def fail_late(request: Any, context: Any) -> AsyncIterator[bytes]:
            yield b"an answer"
            raise RuntimeError("a secret")

        handlers = {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(fail)
            for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        }
        handlers["late"] = grpc.unary_stream_rpc_method_handler(fail_late)  # type: ignore[arg-type]
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("failing", handlers),))


def test_what_a_handler_raises_is_told_to_the_log_and_not_to_the_caller(
    farm: Farm, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(guard.time, "monotonic", lambda: now[0])
    kinds = ["unary_unary", "unary_stream", "stream_unary", "stream_stream", "late"]

    async def scenario() -> None:
        async with (
            serving(farm, ME, Failing()) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            for kind in kinds:
                for _ in range(3):
                    way = "unary_stream" if kind == "late" else kind
                    end = await end_of(channel, f"/failing/{kind}", way, b"")
                    assert end == (
                        grpc.StatusCode.INTERNAL,
                        "this server has made an error: its log says more",
                    )
                now[0] += 1.0

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == [f"/failing/{kind} failed" for kind in kinds]
    assert all(record.exc_info for record in caplog.records)


def test_every_server_is_guarded() -> None:
    """There is one place that makes them."""
    makers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "alliance").rglob("*.py")
        if "grpc.aio.server(" in path.read_text()
    ]
    assert makers == ["alliance/net/admission.py"]
