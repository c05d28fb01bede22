"""Executors certify what they have come to, bring each other up by it, and are misled by nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from alliance.client import listener
from alliance.errors import StateDiverged
from alliance.execution import (
    Command,
    Executor,
    Kind,
    StateMachine,
    executor,
    gathering,
    runner,
    snapshot_folder,
    state_bytes,
    transfer,
    wrap,
)
from alliance.execution import client as client_module
from alliance.execution import keeper as keeper_module
from alliance.execution.client import ExecutionClient
from alliance.execution.keeper import SNAPSHOT_SLOTS
from alliance.execution.runner import COMPARE_SLOTS
from alliance.execution.snapshot_folder import Held
from alliance.pb import application_pb2 as pb
from alliance.proofs.snapshot import alarm_path, newest_certified
from alliance.server.signer import Signer
from examples.kv.store import Store
from fab_paxos.limits import CHECKPOINT_SLOTS
from quorum import SnapshotStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office
from tests.execution.stage import InProcess, Stage

EVERY = 4


@pytest.fixture(autouse=True)
def _small_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (executor, runner):
        monkeypatch.setattr(module, "COMPARE_SLOTS", 2)
    for where in (state_bytes, snapshot_folder):
        monkeypatch.setattr(where, "CHUNK_BYTES", 256)
    monkeypatch.setattr(keeper_module, "SNAPSHOT_SLOTS", EVERY)
    monkeypatch.setattr(gathering, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(executor, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(executor, "COMPARE_SECONDS", 0.2)
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "HEDGE_SECONDS", 0.05)
    monkeypatch.setattr(client_module, "ROUND_PAUSE_SECONDS", 0.05)


def test_snapshots_are_made_where_members_make_checkpoints() -> None:
    assert SNAPSHOT_SLOTS == CHECKPOINT_SLOTS
    assert SNAPSHOT_SLOTS % COMPARE_SLOTS == 0


def hired(stage: Stage, member: int, machine: StateMachine, kind: type[Executor] = Executor) -> Executor:
    """The member's executor on this stage."""
    one = stage.executor(member, machine, kind)
    answer = partial(one._attestation._endorsed, stage.config.epoch)
    one._attestation._signer = cast(Signer, InProcess(answer, stage.farm, member))
    return one


async def until(what: Callable[[], object]) -> None:
    """Waits for others' work. The test has a deadline."""
    while not what():
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)


async def fill(client: ExecutionClient, first: int, last: int) -> None:
    for slot in range(first, last + 1):
        await client.execute(f"set key-{slot} {'x' * 200}".encode())


def newest(one: Executor) -> int:
    return max([held.slot for held in one._folder.certified], default=0)


class Counting(Store):
    """Remembers, beside its state, what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def apply(self, command: Command) -> bytes:
        self.told.append(command.slot)
        return super().apply(command)


def lose(stage: Stage, member: int) -> None:
    """Everything that its executor knew."""
    home = stage.home(member)
    shutil.rmtree(home / "kv.snapshots", ignore_errors=True)
    for name in ("kv.state", "kv.lock"):
        (home / name).unlink(missing_ok=True)


def test_one_that_lost_its_state_goes_on_where_the_log_is_pruned(
    farm: Farm, tmp_path: Path, office: Office, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """And answers for commands that it never executed, as it would have before."""
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            async with stage.running(*executors):
                await fill(client, 1, 2 * EVERY + 1)
                await until(lambda: {newest(one) for one in executors} == {2 * EVERY})
                receipt = await client.consensus.propose(client_command("set late 1"))
                first = await client.reply(receipt)
            office.history.prune(2 * EVERY)
            lose(stage, 2)
            machine = Counting()
            executors = [hired(stage, 0, Store()), hired(stage, 1, Store()), hired(stage, 2, machine)]
            async with stage.running(*executors):
                again = await client.reply(receipt)
                assert again.outcome == first.outcome
                again.verify(client.attestation_key)
                assert machine.told == [2 * EVERY + 1, 2 * EVERY + 2]
                assert json.loads((await client.read(b"key-3")).payload) == "x" * 200
                assert executors[2].runner.state() == executors[0].runner.state()
                assert newest(executors[2]) == 2 * EVERY
        assert "100 %" in caplog.text
        assert f"goes on from the certified snapshot after slot {2 * EVERY}" in caplog.text

    run(scenario())


def client_command(text: str) -> bytes:
    return wrap("kv", Kind.APPLY, text.encode())


def test_one_that_has_its_snapshot_but_no_state_needs_nobody(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            async with stage.running(*executors):
                await fill(client, 1, EVERY + 1)
                await until(lambda: {newest(one) for one in executors} == {EVERY})
            office.history.prune(EVERY)
            for name in ("kv.state", "kv.lock"):
                (stage.home(1) / name).unlink()
            machine = Counting()
            alone = hired(stage, 1, machine)
            async with stage.running(alone):
                await until(lambda: alone.runner.slot == EVERY + 1)
                assert machine.told == [EVERY + 1]

    run(scenario())


def test_without_a_snapshot_it_says_what_to_do_and_goes_on_when_there_is_one(
    farm: Farm, tmp_path: Path, office: Office, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            async with stage.running(*executors):
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in executors} == {EVERY})
            office.history.prune(EVERY)
            late = hired(stage, 4, Store())
            async with stage.running(late):
                await until(
                    lambda: "No executor that answers has a certified snapshot of 'kv'" in caplog.text
                )
                assert "a server that keeps the whole log" in caplog.text
                assert late.runner.slot == 0
                async with stage.running(hired(stage, 1, Store())):
                    await until(lambda: late.runner.slot == EVERY)

    run(scenario())


class Odd(Store):
    """Not deterministic: it knows which one it is."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Odd.made += 1
        self.number = Odd.made

    def apply(self, command: Command) -> bytes:
        answer = super().apply(command)
        self.values["odd"] = str(self.number)
        return answer


def test_executors_that_differ_certify_nothing_and_are_named_and_the_log_still_works(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Odd()) for member in range(3)]
            async with stage.running(*executors) as lives:
                alarm = alarm_path(stage.home(0) / "kv.snapshots")
                for slot in range(1, EVERY + 1):
                    await client.consensus.propose(client_command(f"set a {slot}"))
                await until(alarm.exists)
                await until(lambda: "member-2, member-3 came to another state" in alarm.read_text())
                assert f"no certified snapshot after slot {EVERY}" in alarm.read_text()
                assert not any(newest(one) for one in executors)
                assert not any(life.done() for life in lives), "nobody is outvoted"
            lose(stage, 0)
            machine = Counting()
            async with stage.running(hired(stage, 0, machine)):
                await until(lambda: machine.told == list(range(1, EVERY + 1)))

    run(scenario())


class Forgetful(Store):
    """Its state is that of the others; one of its answers is not."""

    def apply(self, command: Command) -> bytes:
        answer = super().apply(command)
        return b'"lies"' if command.slot == 1 else answer


def test_who_differs_from_what_is_certified_halts(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            good = [hired(stage, member, Store()) for member in range(3)]
            wrong = hired(stage, 3, Forgetful())
            async with stage.running(*good, wrong) as lives:
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in good} == {EVERY})
                with pytest.raises(StateDiverged, match=r"member-4 has another state .* than is certified"):
                    await lives[3]
                assert not any(life.done() for life in lives[:3])
                assert newest_certified(wrong._folder.path, farm.config.attestation, "kv") == 0
                assert not list(wrong._folder.path.glob("*.snapshot"))

    run(scenario())


class BadShares(Executor):
    """What it says of snapshots bears no share of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        sign = self._attestation.sign

        async def spoilt(statement: Any, *, proven: bool) -> bytes | None:
            share = await sign(statement, proven=proven)
            if share is None or not isinstance(statement, SnapshotStatement):
                return share
            return share[:-1] + bytes([share[-1] ^ 1])

        self._attestation.sign = spoilt  # type: ignore[method-assign]


def test_a_bad_share_delays_a_certificate_and_its_member_is_named(
    farm: Farm, tmp_path: Path, office: Office, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            liar = hired(stage, 0, Store(), BadShares)
            good = [hired(stage, member, Store()) for member in range(1, 4)]
            async with stage.running(liar, *good):
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in good} == {EVERY})
        assert "member-1: its share on a snapshot is wrong" in caplog.text

    run(scenario())


# -- sources that lie, or stall ----------------------------------------------------------------------


def spoil(one: Executor) -> None:
    """What it sends of snapshots is something else."""
    chunk = one._folder.chunk

    def spoilt(held: Held, index: int) -> transfer.Chunk:
        data, path = chunk(held, index)
        return bytes([data[0] ^ 1]) + data[1:], path

    one._folder.chunk = spoilt  # type: ignore[method-assign]


def test_a_source_that_lies_is_left_for_the_next_one(
    farm: Farm,
    tmp_path: Path,
    office: Office,
    run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            for liar in executors[:2]:
                spoil(liar)
            async with stage.running(*executors):
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in executors} == {EVERY})
                office.history.prune(EVERY)
                lost = hired(stage, 5, Store())
                async with stage.running(lost):
                    await until(lambda: lost.runner.slot == EVERY)
                    assert lost.runner.state() == executors[2].runner.state()
        for name in ("member-1", "member-2"):
            assert caplog.text.count(f"{name}: it sends another snapshot") == 1

    run(scenario())


def test_a_source_that_stalls_is_asked_after_the_others_and_a_restart_goes_on(
    farm: Farm,
    tmp_path: Path,
    office: Office,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first source never answers. The second one stops in the middle; then the executor is ended."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(transfer, "HEDGE_SECONDS", 0.02)

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            sent: list[int] = []
            last = 3

            def stalling(of: Executor) -> None:
                chunk = of._service.Chunk

                async def wait(request: pb.ChunkRequest, context: Any) -> None:
                    if of is executors[0] or request.index >= last:
                        await asyncio.Event().wait()
                    sent.append(request.index)
                    await chunk(request, context)

                of._service.Chunk = wait  # type: ignore[method-assign]

            for one in executors:
                stalling(one)
            async with stage.running(*executors):
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in executors} == {EVERY})
                office.history.prune(EVERY)
                cut = hired(stage, 5, Store())
                async with stage.running(cut):
                    await until(lambda: set(sent) == {0, 1, 2} and begun(stage, 5) >= last)
                assert cut.runner.slot == 0
                last, sent[:] = 1000, []
                lost = hired(stage, 5, Store())
                async with stage.running(lost):
                    await until(lambda: lost.runner.slot == EVERY)
                    assert lost.runner.state() == executors[2].runner.state()
                assert min(sent) == 3, "what had come did not come again"

    run(scenario())


def begun(stage: Stage, member: int) -> int:
    """Chunks that have come."""
    path = stage.home(member) / "kv.snapshots" / "incoming"
    return (path.stat().st_size - snapshot_folder.HEAD_BYTES) // 256 if path.exists() else 0


async def code(channel: Any, method: str, request: Any) -> grpc.StatusCode:
    ask = channel.unary_unary(
        f"/alliance.v1.Application/{method}", request_serializer=type(request).SerializeToString
    )
    try:
        await ask(request)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_snapshots_are_for_members_executors_alone(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            executors = [hired(stage, member, Store()) for member in range(3)]
            async with stage.running(*executors):
                await fill(client, 1, EVERY)
                await until(lambda: {newest(one) for one in executors} == {EVERY})
                held = executors[0]._folder.certified[0]
                there = {"slot": EVERY, "tree": held.statement.tree}
                chunk = pb.ChunkRequest(application="kv", **there)
                denied, missing = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND
                mine = client.channel(stage.config.members[0])
                assert await code(mine, "Chunk", chunk) is denied
                assert await code(mine, "Snapshots", pb.SnapshotsRequest(application="kv")) is denied
                others, party = executors[1]._others, stage.config.members[0]
                assert (await others.chunk(0, held.statement, 0, 5.0)) is not None
                assert (await others.chunk(0, held.statement, 10**6, 5.0)) is None
                there_is = replace(party, address=party.application_address("kv"))
                member = others._channels.to(there_is)
                for wrong, expected in (
                    ({"application": "lock"} | there, grpc.StatusCode.UNIMPLEMENTED),
                    ({"application": "kv"} | there | {"slot": 2}, missing),
                    ({"application": "kv"} | there | {"tree": b"x"}, missing),
                    ({"application": "kv"} | there | {"index": 2**63}, missing),
                ):
                    assert await code(member, "Chunk", pb.ChunkRequest(**wrong)) is expected

    run(scenario())


# -- machines whose state is large -------------------------------------------------------------------


class Frozen(Store):
    """Takes its time to write its state down, and does it when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.frozen: list[int] = []

    def freeze(self) -> Callable[[], bytes]:
        values = dict(self.values)
        self.frozen.append(len(values))

        def write() -> bytes:
            self.may_end.wait()
            return json.dumps(values, sort_keys=True).encode()

        return write


def test_no_command_waits_for_a_state_that_is_slow_to_be_written(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    """Commands are answered while nothing is written. Then all write what has most factors of two."""

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage, stage.client() as client:
            machines = [Frozen() for _ in range(3)]
            executors = [hired(stage, member, machine) for member, machine in enumerate(machines)]
            try:
                async with stage.running(*executors):
                    await fill(client, 1, 4 * EVERY + 2)
                    assert not any(newest(one) for one in executors)
                    assert {one._keeper._waiting.slot for one in executors if one._keeper._waiting} == {16}
                    for machine in machines:
                        machine.may_end.set()
                    await until(lambda: {newest(one) for one in executors} == {4 * EVERY})
                    states = [one._folder.read(one._folder.certified[-1]) for one in executors]
                    assert {len(json.loads(state.machine)) for state in states} == {4 * EVERY}
            finally:
                for machine in machines:
                    machine.may_end.set()

    run(scenario())
