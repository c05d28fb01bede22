"""Executors and their clients: certified replies, in spite of one that lies, is away, or goes astray."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from alliance.client import listener
from alliance.config.file import ATTESTATION
from alliance.errors import ConfigError, PortTaken, StateDiverged, Unreachable
from alliance.execution import (
    Command,
    ExecutionClient,
    Executor,
    Kind,
    Outcome,
    Reply,
    Status,
    executor,
    runner,
    wrap,
)
from alliance.execution import client as client_module
from alliance.execution.errors import CommandRefused, ReplyMissing
from alliance.pb import application_pb2 as pb
from alliance.proofs.receipt import Receipt
from examples.kv.store import Store
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, TIME_MS, Farm
from tests.alliance.network import Office
from tests.execution.stage import Stage


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "HEDGE_SECONDS", 0.05)
    monkeypatch.setattr(client_module, "ROUND_PAUSE_SECONDS", 0.05)


def setting(key: str, value: str) -> bytes:
    return f"set {key} {value}".encode()


GET = b"colour"


def test_replies_are_certified_and_refusals_too(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            three = [stage.executor(member, Store()) for member in (0, 3, 4)]
            async with stage.running(*three), stage.client() as client, stage.client(1) as other:
                three[1].directory.update(replace(stage.config, revision=7))
                first = await client.execute(setting("colour", "green"))
                second = await client.execute(setting("colour", "red"))
                asked = await other.read(GET, at_least=second.slot)
                assert [json.loads(reply.payload) for reply in (first, second, asked)] == [
                    None,
                    "green",
                    "red",
                ]
                assert first.slot < second.slot < asked.slot
                assert (first.time_ms, asked.time_ms) == (TIME_MS + first.slot, TIME_MS + asked.slot)
                for reply in (first, second, asked):
                    reply.verify(client.attestation_key)
                assert first.answers("kv", setting("colour", "green"))
                assert not first.answers("kv", setting("colour", "red"))
                assert not first.answers("lock", setting("colour", "green"))
                assert asked.answers("kv", GET, Kind.QUERY)
                assert not asked.answers("kv", GET)
                with pytest.raises(
                    CommandRefused, match="'kv' refused the command: say 'set KEY VALUE'"
                ) as caught:
                    await client.execute(b"paint it")
                refusal = caught.value.reply
                assert isinstance(refusal, Reply)
                assert refusal.status is Status.REFUSED
                refusal.verify(client.attestation_key)
                with pytest.raises(CommandRefused, match="this is not UTF-8"):
                    await client.read(b"\xff")
                assert (await client.read(GET)).payload == b'"red"'
                assert client.consensus.newest_membership == (0, 7)

    run(scenario())


class Thrifty(Executor):
    """Notes for what it was asked for a share."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        endorse, self.endorsed = self._attestation._signer.endorse, list[Any]()

        def noted(statement: Any, *, proven: bool) -> None:
            self.endorsed.append(statement)
            endorse(statement, proven=proven)

        self._attestation._signer.endorse = noted  # type: ignore[method-assign]


def test_the_answers_of_a_slot_cost_one_share(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            thrifty = [stage.executor(member, Store(), Thrifty) for member in (0, 1, 2)]
            async with stage.running(*thrifty), stage.client() as client:
                replies = await asyncio.gather(
                    *(client.execute(setting(f"key-{number}", "x")) for number in range(7))
                )
                for reply in replies:
                    reply.verify(client.attestation_key)
                roots = {reply.outcome.statement() for reply in replies}
                assert len(roots) < len(replies)
                assert sorted(reply.outcome.rank for reply in replies if reply.outcome.count == 7) == list(
                    range(7)
                )
                for executor in thrifty:
                    assert len(executor.endorsed) == len(roots) == len(set(executor.endorsed))

    run(scenario())


def test_clients_of_one_slot_ask_the_same_executors_and_late_ones_last(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with (
            Stage.set(farm, tmp_path, office) as stage,
            stage.client() as client,
            stage.client(1) as other,
        ):
            orders = [client._order(slot) for slot in range(7)]
            assert orders == [other._order(slot) for slot in range(7)]
            assert [order[:2] for order in orders] == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 0], [0, 1]]
            client._put_last(client.config.members[1])
            assert (client._order(0), client._order(1)) == ([0, 2, 3, 4, 5, 1], [2, 3, 4, 5, 0, 1])
            monkeypatch.setattr(client_module, "LATE_SECONDS", 0.0)
            client._put_last(client.config.members[1])
            assert client._order(0) == orders[0]

    run(scenario())


class Liar(Executor):
    """Its shares are good ones, on another outcome."""

    async def attest(self, outcome: Outcome, *, proven: bool) -> bytes | None:
        another = Outcome(*outcome.key, outcome.slot, 0, outcome.command_digest, Status.DONE, b'"blue"')
        return await super().attest(another, proven=proven)


def test_one_that_lies_convinces_nobody(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    """Asked first, it spoils the first attempt to combine; then proofs are asked for, and it has none."""

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            liar = stage.executor(0, Store(), Liar)
            honest = [stage.executor(member, Store()) for member in (1, 2, 3)]
            async with stage.running(liar, *honest), stage.client() as client:
                for number in range(3):
                    reply = await client.execute(setting("colour", str(number)))
                    reply.verify(client.attestation_key)
                    assert json.loads(reply.payload) == (str(number - 1) if number else None)

    run(scenario())


def test_too_few_executors_are_said_and_the_reply_comes_later(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            *some, last = (stage.executor(member, Store()) for member in (3, 4, 5))
            async with stage.client() as client, stage.running(*some):
                await client.consensus.propose(b"zero")  # so that the time is not that of the handshake
                with pytest.raises(ReplyMissing, match="3 executors of 'kv' have not answered") as caught:
                    await client.execute(setting("colour", "green"), timeout=1.0)
                receipt = caught.value.receipt
                assert isinstance(receipt, Receipt)
                async with stage.running(last):
                    reply = await client.reply(receipt)
                    assert reply.slot == receipt.slot
                    assert len(office.posted) == 2

    run(scenario())


class Counting(Store):
    """Remembers, beside its state, what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def apply(self, command: Command) -> bytes:
        self.told.append(command.slot)
        return super().apply(command)


def test_a_restart_goes_on_from_the_saved_state(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            async with stage.running(*(stage.executor(member, Store()) for member in range(3))):
                for number in range(3):
                    earlier = await client.execute(setting("colour", str(number)))
            machines = [Counting(), Counting(), Counting()]
            executors = [stage.executor(member, machine) for member, machine in enumerate(machines)]
            assert [one.runner.slot for one in executors] == [earlier.slot] * 3
            async with stage.running(*executors):
                reply = await client.execute(setting("colour", "red"))
                assert json.loads(reply.payload) == "2"
            assert [machine.told for machine in machines] == [[reply.slot]] * 3

    run(scenario())


class Odd(Store):
    """Not deterministic: it knows who it is."""

    def apply(self, command: Command) -> bytes:
        answer = super().apply(command)
        self.values["odd"] = "odd"
        return answer


def test_who_comes_to_another_state_halts_and_is_named(
    farm: Farm,
    tmp_path: Path,
    office: Office,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in (executor, runner):
        monkeypatch.setattr(module, "COMPARE_SLOTS", 2)
    monkeypatch.setattr(executor, "COMPARE_SECONDS", 0.1)

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            machines = [Store(), Store(), Odd(), Store()]
            executors = [stage.executor(member, machine) for member, machine in enumerate(machines)]
            async with stage.running(*executors) as (first, second, odd, fourth), stage.client() as client:
                for number in range(4):
                    await client.execute(setting("colour", str(number)))
                with pytest.raises(StateDiverged, match="member-3 has another state than 2 other executors"):
                    await odd
                while "member-3: its state of 'kv'" not in caplog.text:
                    await client.read(GET)
                assert (await client.read(GET)).payload == b'"3"'
                assert not any(one.done() for one in (first, second, fourth))

    run(scenario())


async def code(client: ExecutionClient, **changes: Any) -> grpc.StatusCode:
    fields = {"application": "kv", "slot": 1, "client_seq": 0, "command_index": 0} | changes
    ask = client.channel(client.config.members[0]).unary_unary(
        "/alliance.v1.Application/Reply", request_serializer=pb.ReplyRequest.SerializeToString
    )
    try:
        await ask(pb.ReplyRequest(**fields))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_what_nobody_is_told(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    """Another application, another client's command, a slot that is none, a command that is none of its."""

    async def scenario() -> None:
        async with (
            Stage.set(farm, tmp_path, office) as stage,
            stage.running(*(stage.executor(member, Store()) for member in range(3))),
            stage.client() as client,
            stage.client(1) as other,
        ):
            reply = await client.execute(setting("colour", "green"))
            mine = {"slot": reply.slot, "client_seq": reply.client_seq}
            assert await code(client, **mine) is grpc.StatusCode.OK
            assert await code(client, **mine, application="lock") is grpc.StatusCode.UNIMPLEMENTED
            assert await code(other, **mine) is grpc.StatusCode.NOT_FOUND
            assert await code(client, **mine, command_index=1) is grpc.StatusCode.NOT_FOUND
            for slot in (0, 2**63):
                bad = mine | {"slot": slot}
                assert await code(client, **bad) is grpc.StatusCode.INVALID_ARGUMENT
            plain = await client.consensus.propose(wrap("another", Kind.APPLY, b"x"))
            with pytest.raises(ReplyMissing):
                await client.reply(plain, timeout=0.5)

    run(scenario())


def test_who_waits_for_a_reply_when_the_client_is_closed_keeps_the_receipt(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with (
            Stage.set(farm, tmp_path, office) as stage,
            stage.running(stage.executor(0, Store())),
            stage.client() as client,
        ):
            receipt = await client.consensus.propose(wrap("kv", Kind.APPLY, setting("colour", "green")))
            waiting = asyncio.create_task(client.reply(receipt))
            while not client._channels:
                await asyncio.wait([waiting], timeout=0.01)
            await client.close()
            with pytest.raises(ReplyMissing, match="was closed before") as caught:
                await waiting
            assert caught.value.receipt is receipt
            for late in (client.reply(receipt), client.execute(b"x"), client.read(b"x")):
                with pytest.raises(Unreachable, match="this client is closed"):
                    await late
            assert not client._channels

    run(scenario())


def test_wrong_arguments_of_an_application_are_named(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            with pytest.raises(TypeError, match="payload must be bytes, not str"):
                await client.execute("text")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="timeout must be a number of seconds"):
                await client.read(b"x", timeout=None)  # type: ignore[arg-type]

    run(scenario())


def test_a_name_that_is_none_is_refused(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            for name in ("", "K V", "x" * 65):
                with pytest.raises(ConfigError, match="names no application"):
                    async with stage.client(application=name):
                        pass

    run(scenario())
    assert farm.config.purpose_key(ATTESTATION).threshold == farm.config.system.mostly_correct


def test_who_has_the_port_is_named_if_it_is_another_application(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.running(stage.executor(0, Store())):
            member = stage.config.members[0]
            (_, where) = member.applications[0]
            meeting = replace(member, applications=(("kv", where), ("other", where)))
            stage.config = replace(stage.config, members=(meeting, *stage.config.members[1:]))
            stage.application = "other"
            second = stage.executor(0, Store())
            try:
                with pytest.raises(PortTaken, match=f"{where} .* the application 'kv' of this member does"):
                    await second.start(PASSPHRASE)
            finally:
                await second.stop()

    run(scenario())
