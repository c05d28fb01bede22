"""A closed client, one in the wrong event loop, one with a broken background: each call says so at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alliance.client import Client
from alliance.client.submitter import Submitter
from alliance.errors import OutcomeUnknown, Unreachable
from tests.alliance.client.test_client import connected
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office, Villain
from tests.alliance.outcome_lies import silent

Call = Callable[[Client, Farm], Any]
CALLS: dict[str, Call] = {
    "propose": lambda client, _: client.propose(b"x"),
    "propose_all": lambda client, _: anext(client.propose_all([b"x"])),
    "resume": lambda client, farm: client.resume(farm.submission(1)),
    "listen": lambda client, _: anext(client.listen()),
    "listen up to now": lambda client, _: anext(client.listen(follow=False)),
    "status": lambda client, _: client.status(),
}


# -- closed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_a_closed_client_says_so_and_opens_nothing(
    farm: Farm, tmp_path: Path, office: Office, run: Run, name: str
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"before")
            await client.close()
            await client.close()
            with pytest.raises(Unreachable, match="this client is closed"):
                await CALLS[name](client, farm)
            assert not client._channels

    run(scenario())


def test_who_listens_when_the_client_is_closed_is_told(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"one")
            heard: asyncio.Event = asyncio.Event()

            async def follow() -> None:
                async for _ in client.listen():
                    heard.set()

            following = asyncio.create_task(follow())
            await heard.wait()
            asking = asyncio.create_task(client.status())
            await asyncio.wait([asking], timeout=0)
            await client.close()
            for task in (following, asking):
                with pytest.raises(Unreachable, match="this client is closed"):
                    await task

    run(scenario())


def test_who_is_cancelled_while_the_client_is_closed_stays_cancelled(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            listening = asyncio.create_task(anext(client.listen()))
            await asyncio.wait([listening], timeout=0)
            listening.cancel()
            await client.close()
            await asyncio.wait([listening])
            assert listening.cancelled()

    run(scenario())


@pytest.mark.parametrize("name", ["propose", "propose_all", "resume"])
def test_what_was_sent_before_the_client_was_closed_can_be_asked_for(
    farm: Farm, tmp_path: Path, run: Run, name: str
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: Villain(silent)}) as client:
            waiting = asyncio.ensure_future(CALLS[name](client, farm))
            while not any(pending.sent for pending in client._submitter._pending.values()):
                await asyncio.wait([waiting], timeout=0.01)
            (pending,) = client._submitter._pending.values()
            await client.close()
            with pytest.raises(OutcomeUnknown, match="was closed before a receipt came") as caught:
                await waiting
            assert caught.value.submission == pending.submission

    run(scenario())


# -- the event loop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CALLS, "close"])
def test_a_second_event_loop_is_refused_at_once(
    farm: Farm, tmp_path: Path, office: Office, run: Run, name: str
) -> None:
    """It waited out its time-out and blamed the network."""
    call = CALLS.get(name, lambda client, _: client.close())

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"here")
            caught: list[BaseException] = []

            async def there() -> None:
                try:
                    await call(client, farm)
                except RuntimeError as error:
                    caught.append(error)

            thread = threading.Thread(target=asyncio.run, args=(there(),))
            thread.start()
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
            assert "another event loop" in str(*caught)
            assert (await client.propose(b"here again")).command == b"here again"

    run(scenario())


# -- the background ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["propose", "propose_all", "resume"])
def test_a_background_that_dies_fails_who_waits_with_the_true_error(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:

            async def fails(*_: object) -> None:
                raise ArithmeticError("a bug")

            with monkeypatch.context() as patch:
                patch.setattr(Submitter, "_stream", fails)
                with pytest.raises(ArithmeticError, match="a bug"):
                    await CALLS[name](client, farm)
            assert (await client.propose(b"next")).command == b"next"

    run(scenario())


# -- arguments ---------------------------------------------------------------------------------------


def test_what_is_written_into_a_buffer_later_is_not_signed(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            buffer = bytearray(b"meant")
            proposing = asyncio.create_task(client.propose(buffer))
            buffer[:] = b"later"
            assert (await proposing).command == b"meant"
            assert (await client.propose(memoryview(b"view"))).command == b"view"
            both = [receipt.command async for receipt in client.propose_all([bytearray(b"x"), b"y"])]
            assert both == [b"x", b"y"]

    run(scenario())


WRONG: dict[str, tuple[Call, type[Exception], str]] = {
    "a string": (lambda c, _: c.propose("text"), TypeError, "command must be bytes, not str"),
    "a number": (lambda c, _: c.propose(5), TypeError, "command must be bytes, not int"),
    "no time-out": (lambda c, _: c.propose(b"x", timeout=None), TypeError, "timeout must be a number"),
    "NaN": (lambda c, _: c.propose(b"x", timeout=float("nan")), ValueError, "timeout must be a number"),
    "strings": (lambda c, _: anext(c.propose_all([b"x", "y"])), TypeError, r"commands\[1\] must be bytes"),
    "one command": (lambda c, _: anext(c.propose_all(b"x")), TypeError, r"commands\[0\] must be bytes"),
    "all in no time": (lambda c, _: anext(c.propose_all([b"x"], timeout=None)), TypeError, "timeout must"),
    "a receipt": (lambda c, _: c.resume(b"x"), TypeError, "submission must be a Submission, not bytes"),
    "no time": (lambda c, f: c.resume(f.submission(1), timeout=None), TypeError, "timeout must"),
    "slot 0": (lambda c, _: anext(c.listen(0)), ValueError, "start must be the number of a slot"),
    "slot 2^64": (lambda c, _: anext(c.listen(2**64)), ValueError, "start must be the number of a slot"),
    "slot 'one'": (lambda c, _: anext(c.listen("one")), TypeError, "start must be the number of a slot"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named(farm: Farm, tmp_path: Path, office: Office, run: Run, name: str) -> None:
    call, error, text = WRONG[name]

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            with pytest.raises(error, match=text):
                await call(client, farm)
        assert not office.posted

    run(scenario())
