"""Letting go of what was claimed, until that is certain: a session that lives on would keep it alive.

Who gives up does not always know what it has: a claim without an answer may be granted later, and a
withdrawal without an answer may never arrive. So first the claim is settled, by asking for its outcome; then
the withdrawal is repeated until it is ordered. If neither comes about within a lease, the session is given
up: not renewed any more, it ends, with all that it claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from alliance.errors import AllianceError, OutcomeUnknown, SubmissionRefused, Unreachable
from alliance.execution import ExecutionClient
from verifiable_log import Submission

ASK_SECONDS = 5.0
PAUSE_SECONDS = 0.5


class Withdrawals:
    """Those of one session, by the names of the locks."""

    def __init__(
        self,
        client: ExecutionClient,
        release: Callable[[str], Awaitable[object]],
        done: Callable[[str], None],
        give_up: Callable[[], None],
        seconds: float,
    ) -> None:
        """``release`` says once that whatever the session has of a lock is let go of; ``done`` is called when
        that is certain, ``give_up`` if it is not within ``seconds``."""
        self._client = client
        self._release = release
        self._done = done
        self._give_up = give_up
        self._seconds = seconds
        self._going: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, claim: asyncio.Task[object] | None = None) -> None:
        """In the background. ``claim`` is what was said of the lock before, if its outcome is not certain."""
        if name not in self._going:
            self._going[name] = asyncio.create_task(self._withdraw(name, claim))

    async def wait(self, name: str, timeout: float | None = None) -> None:
        """Until it is certain that nothing of this lock is claimed, or the session is over."""
        if name in self._going:
            await asyncio.wait([self._going[name]], timeout=timeout)

    async def close(self) -> None:
        """Leaves the rest to the end of the session."""
        for task in self._going.values():
            task.cancel()
        await asyncio.gather(*self._going.values(), return_exceptions=True)

    async def _withdraw(self, name: str, claim: asyncio.Task[object] | None) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                if claim is not None:
                    await self._is_ordered(claim)
                while True:
                    if await self._is_ordered(self._release(name)):
                        return
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            self._give_up()
        finally:
            del self._going[name]
            self._done(name)

    async def _is_ordered(self, saying: Awaitable[object]) -> bool:
        """Waits until what is being said is ordered, whatever the answer, or never will be."""
        try:
            await saying
        except OutcomeUnknown as error:
            return await self._settled(error.submission)
        except (Unreachable, SubmissionRefused):
            return False
        except AllianceError:  # ordered and not answered, or refused by the service
            return True
        return True

    async def _settled(self, submission: Submission) -> bool:
        while True:
            try:
                await self._client.consensus.resume(submission, ASK_SECONDS)
            except SubmissionRefused:
                return False
            except (OutcomeUnknown, Unreachable):
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return True
