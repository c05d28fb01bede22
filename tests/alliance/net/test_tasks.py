"""Work that lives and dies together: nothing left running, no error unseen."""

from __future__ import annotations

import asyncio

import pytest

from alliance.net.tasks import until_first
from tests.alliance.conftest import Run


class Work:
    def __init__(self) -> None:
        self.ended = False

    async def forever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def fail(text: str) -> None:
    raise ArithmeticError(text)


async def succeed() -> int:
    return 5


def test_the_first_end_ends_all(run: Run) -> None:
    async def scenario() -> None:
        one, two = Work(), Work()
        await until_first(one.forever(), succeed(), two.forever())
        assert one.ended
        assert two.ended

    run(scenario())


def test_the_error_of_the_first_is_raised_and_none_is_lost(run: Run) -> None:
    async def scenario() -> None:
        work = Work()
        with pytest.raises(ArithmeticError, match="left"):
            await until_first(work.forever(), fail("left"), fail("right"), succeed())
        assert work.ended

    run(scenario())


def test_an_error_while_being_ended_does_not_hide_the_first(run: Run) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("while ending")

    async def scenario() -> None:
        with pytest.raises(ArithmeticError):
            await until_first(stubborn(), fail("first"))
        await until_first(stubborn(), succeed())

    run(scenario())


def test_whoever_is_cancelled_ends_its_work_first(run: Run) -> None:
    async def scenario() -> None:
        one, two = Work(), Work()
        whole = asyncio.create_task(until_first(one.forever(), two.forever()))
        await asyncio.wait([whole], timeout=0.01)
        whole.cancel()
        await asyncio.wait([whole])
        assert whole.cancelled()
        assert one.ended
        assert two.ended

    run(scenario())
