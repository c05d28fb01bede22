"""The client's own queue: commands that are proposed at the same time travel in one submission."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

from alliance.client.life import closed
from alliance.client.submitter import Submitter
from alliance.errors import Unreachable
from alliance.proofs.receipt import Receipt
from verifiable_log import UnsignedSubmission
from verifiable_log.limits import SUBMISSION_BYTES_MAX
from verifiable_log.submission import submission_bytes

CHUNK_COMMANDS = 1024
"""Commands in one submission of ``propose_all``: large enough to be cheap, small enough to show progress."""

IN_FLIGHT_MAX = 4
TOGETHER_SECONDS = 0.1
"""Commands whose deadlines are further apart travel apart, so that none waits much longer than asked."""


class _Waiting:
    """A command and who waits for its receipt; its time begins to run in the queue."""

    def __init__(self, command: bytes, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self.command = command
        self.receipt: asyncio.Future[Receipt] = loop.create_future()
        self.timeout = timeout
        self.deadline = loop.time() + timeout
        self._timer = loop.call_at(self.deadline, self._expire, timeout)

    def leave_queue(self) -> bool:
        """False if it was given up. From now on its submission looks after the time."""
        self._timer.cancel()
        return not self.receipt.done()

    def _expire(self, timeout: float) -> None:
        if not self.receipt.done():
            self.receipt.set_exception(
                Unreachable(
                    f"not sent within {timeout:g} s, for what this client proposed before still waits for its"
                    " outcome: 'alliance status' shows whether enough members are up"
                )
            )


class Proposals:
    """Owns the commands that wait to be submitted, and the few submissions of them that are under way."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._queue: deque[_Waiting] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def propose(self, command: bytes, timeout: float) -> Receipt:
        """See ``Client.propose``."""
        UnsignedSubmission(bytes(32), 0, [command])  # refuse what no server would take, before it is mixed
        waiting = _Waiting(command, timeout)
        self._queue.append(waiting)
        self._flush()
        try:
            return await waiting.receipt
        finally:
            waiting.leave_queue()

    async def close(self) -> None:
        """To be called when the submitter is closed: nothing of it is under way any more."""
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.leave_queue():
                waiting.receipt.set_exception(closed())
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _flush(self) -> None:
        if self._queue and len(self._in_flight) < IN_FLIGHT_MAX:
            # Begun on the next turn of the loop: calls made in this one travel together.
            task = asyncio.create_task(self._submit_queued())
            self._in_flight.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._flush()

    async def _submit_queued(self) -> None:
        together = self._take_queued()
        if not together:
            return
        left = max(waiting.deadline for waiting in together) - asyncio.get_running_loop().time()
        try:
            commands = [waiting.command for waiting in together]
            asked = max(waiting.timeout for waiting in together)
            receipts = await self._submitter.propose(commands, left, asked)
        except Exception as error:  # whatever it is, it is for those who wait
            for waiting in together:
                if not waiting.receipt.done():
                    waiting.receipt.set_exception(error)
        else:
            for waiting, receipt in zip(together, receipts, strict=True):
                if not waiting.receipt.done():
                    waiting.receipt.set_result(receipt)
        finally:
            for waiting in together:
                waiting.receipt.cancel()

    def _take_queued(self) -> list[_Waiting]:
        """The next commands that fit into one submission, and whose time is over together."""
        together: list[_Waiting] = []
        size = submission_bytes(())
        while self._queue and len(together) < CHUNK_COMMANDS:
            waiting = self._queue[0]
            if together and abs(waiting.deadline - together[0].deadline) > TOGETHER_SECONDS:
                break
            size += 4 + len(waiting.command)
            if together and size > SUBMISSION_BYTES_MAX:
                break
            self._queue.popleft()
            if waiting.leave_queue():
                together.append(waiting)
        return together


def chunks(commands: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The commands in lists that each make one submission."""
    chunk: list[bytes] = []
    size = submission_bytes(())
    for command in commands:
        if chunk and (len(chunk) == CHUNK_COMMANDS or size + 4 + len(command) > SUBMISSION_BYTES_MAX // 2):
            yield chunk
            chunk, size = [], submission_bytes(())
        chunk.append(command)
        size += 4 + len(command)
    if chunk:
        yield chunk
