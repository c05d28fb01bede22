"""When a client ends, and what it leaves behind: deadlines hold, and the garbage collector finds nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from alliance.client import Client, proposals, submitter
from alliance.errors import OutcomeUnknown, Unreachable
from alliance.net.problems import plainly
from tests.alliance.client.test_client import connected
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office, Villain, at, run_program, serving
from tests.alliance.outcome_lies import aborts, closes, silent

# -- deadlines ---------------------------------------------------------------------------------------

pytestmark = pytest.mark.usefixtures("hurry")


def test_the_time_in_the_clients_own_queue_counts(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "CHUNK_COMMANDS", 1)
    office.certifies = False

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            first = [asyncio.create_task(client.propose(b"%d" % n)) for n in range(proposals.IN_FLIGHT_MAX)]
            while len(office.posted) < len(first):
                await asyncio.wait(first, timeout=0.01)
            with pytest.raises(Unreachable, match=r"not sent within 0\.1 s"):
                await client.propose(b"late", timeout=0.1)
            office.certifies = True
            office.certify(len(first))
            assert [receipt.command for receipt in await asyncio.gather(*first)] == [b"0", b"1", b"2", b"3"]
            await client.propose(b"next")
        assert b"late" not in [command for each in office.posted for command in each.commands()]

    run(scenario())


def test_nobody_waits_longer_or_shorter_than_asked_because_of_others(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"zero")  # so that the time is not that of the handshake
            office.certifies = False
            patient = asyncio.create_task(client.propose(b"patient"))
            hasty = asyncio.create_task(client.propose(b"hasty", timeout=0.5))
            with pytest.raises(OutcomeUnknown, match=r"no receipt within 0\.5 s"):
                await hasty
            assert not patient.done()
            office.certify(len(office.chain.entries))
            assert (await patient).command == b"patient"

    run(scenario())


@asynccontextmanager
async def far_away(port: int, seconds: float) -> AsyncIterator[int]:
    """A port that leads to another one, over a line that delays everything in both directions."""
    loop = asyncio.get_running_loop()
    open_lines: list[asyncio.Transport] = []

    class End(asyncio.Protocol):
        def __init__(self) -> None:
            self.other: asyncio.Future[asyncio.Transport] = loop.create_future()

        def connection_made(self, transport: Any) -> None:
            open_lines.append(transport)

        def data_received(self, data: bytes) -> None:
            loop.call_later(seconds, self._forward, data)

        def _forward(self, data: bytes) -> None:
            self.other.add_done_callback(lambda other: other.result().write(data))

    class Near(End):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.dialling = asyncio.create_task(self._dial(transport))

        async def _dial(self, transport: Any) -> None:
            far = End()
            far.other.set_result(transport)
            other, _ = await loop.create_connection(lambda: far, "127.0.0.1", port)
            self.other.set_result(other)

    server = await loop.create_server(Near, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for line in open_lines:
            line.abort()


def test_a_server_at_the_other_side_of_the_world_is_reached_at_once(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    """A handshake takes some round trips, of 300 ms here; the first attempt must bear that."""

    async def scenario() -> None:
        async with serving(farm, 0, office) as port, far_away(port, 0.15) as distant:
            config = replace(farm.config, members=(at(farm.config, 0, distant), *farm.config.members[1:]))
            async with Client(config, farm.clients[0], tmp_path) as client:
                assert (await client._status(client.config, 0)).problem == ""

    run(scenario())


# -- nothing is left ---------------------------------------------------------------------------------


def calls() -> list[object]:
    return [thing for thing in gc.get_objects() if isinstance(thing, grpc.aio.Call)]


async def proposes(client: Client) -> None:
    await client.propose(b"one")


async def gives_up(client: Client) -> None:
    with pytest.raises(OutcomeUnknown):
        await client.propose(b"one", timeout=2.0)


async def listens(client: Client) -> None:
    await client.propose(b"one")
    async for _ in client.listen():
        break


@pytest.mark.parametrize("work", [proposes, gives_up, listens])
@pytest.mark.parametrize("first", [closes, aborts, silent])
def test_no_call_outlives_its_client(
    farm: Farm,
    tmp_path: Path,
    office: Office,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    work: Any,
    first: Any,
) -> None:
    """A call that only the garbage collector would find makes the end of the program wait for two seconds."""
    monkeypatch.setattr(submitter, "STALL_TIMEOUTS", 0.2)
    office.certifies = work is not gives_up

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: Villain(first, first), 1: office}) as client:
            await work(client)
            assert calls() or work is listens
        del client
        assert not calls()

    gc.collect()
    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()


PROGRAM = """
import atexit, gc, sys
gc.disable()

def check():
    import grpc.aio
    print(sum(isinstance(thing, grpc.aio.Call) for thing in gc.get_objects()), "calls are left")

atexit.register(check)  # runs after what is registered later
import alliance.sync
client = alliance.sync.connect(sys.argv[1], sys.argv[2].encode())
print(client.propose(b"one").command.decode())
if sys.argv[3] == "close":
    client.close()
"""


@pytest.mark.parametrize("end", ["close", "forget"])
def test_a_program_with_the_blocking_twin_leaves_nothing_either(
    farm: Farm, tmp_path: Path, office: Office, run: Run, end: str
) -> None:
    async def scenario() -> None:
        async with serving(farm, 0, office) as port:
            code, out, err = await run_program(farm, tmp_path / "client", port, PROGRAM, end)
        assert (code, err) == (0, "")
        assert out.splitlines() == ["one", "0 calls are left"]

    run(scenario())


# -- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("unavailable: failed to connect …: connect: Connection refused (111)", "connection refused"),
        ("unavailable: DNS resolution failed for x:1: …", "its host name is not known here"),
        ("unavailable: …: Ssl handshake failed (TSI…): SSL_ERROR_SSL", "TLS handshake failed: another"),
        ("unavailable: …: Handshake read failed", "it does not answer"),
        ("unavailable: …: recvmsg:Connection reset by peer", "the connection broke"),
        ("unavailable: …: connect: Network is unreachable (101)", "there is no route to it"),
        ("unavailable: something new", "unavailable: something new"),
        ("permission_denied: connection refused", "permission_denied: connection refused"),
        ("no answer within 3 s", "no answer within 3 s"),
    ],
)
def test_grpcs_words_are_not_shown_to_people(problem: str, words: str) -> None:
    assert plainly(problem).startswith(words)


def test_the_last_problem_is_told_plainly(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {}) as client:
            with pytest.raises(Unreachable, match=r"the last answer was: member-\d: connection refused$"):
                await client.propose(b"one")

    run(scenario())
