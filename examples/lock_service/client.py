"""The lock service's client: a session that is kept alive, and the locks that it holds.

::

    async with await connect("farm/clients/client-1", passphrase) as locks:
        async with locks.lock("reports/today") as held:
            print(held.token)

A lock is a lease. Whoever is paused for longer than ``ttl_seconds`` has lost it and may not know: what
protects a resource is the token, which the resource must check.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from alliance import execution
from alliance.errors import AllianceError, ConfigError, OutcomeUnknown, Unreachable
from alliance.execution import ExecutionClient, Reply
from alliance.execution.errors import ReplyMissing
from examples.lock_service import operations
from examples.lock_service.encoding import Invalid, Mode
from examples.lock_service.operations import (
    EXPLANATIONS,
    SESSION_BYTES,
    TTL_MS_MAX,
    TTL_MS_MIN,
    WAIT_MS_MAX,
    Acquire,
    Answer,
    Ask,
    Close,
    Done,
    Grant,
    Lease,
    Listing,
    LockView,
    Open,
    Operation,
    Page,
    Queued,
    Reason,
    Refused,
    Release,
    Renew,
)
from examples.lock_service.releases import Releases
from examples.lock_service.ticket import APPLICATION, Ticket
from examples.lock_service.withdrawals import Withdrawals

TTL_SECONDS = 30.0
ASK_SECONDS_MIN, ASK_SECONDS_MAX = 0.2, 5.0
"""How often who waits asks, whatever he hears of releases."""

END_SECONDS = 5.0
"""For letting go of everything at the end; what is not let go of ends with its lease."""


class LockTaken(AllianceError):
    """Others hold the lock, and did so until the time to wait was over."""

    exit_code = 6


class LockRefused(AllianceError):
    """The service does not do this; nothing has changed."""

    exit_code = 6


class LeaseLost(AllianceError):
    """The session was not renewed in time: others may hold its locks by now."""

    exit_code = 9


@dataclass(frozen=True)
class Held:
    """A lock that was granted. ``token`` is higher than in any grant of it before; ``ticket`` proves that."""

    name: str
    mode: Mode
    token: int
    ticket: Ticket = field(repr=False)


@dataclass(frozen=True)
class _Said:
    answer: Answer
    reply: Reply
    command: bytes


class LockClient:
    """One session. Make it with ``connect``; close it, or use ``async with``.

    ``lost`` is set when the session is over without having been closed: from then on nothing is held.
    """

    def __init__(self, client: ExecutionClient, ttl_seconds: float = TTL_SECONDS) -> None:
        """Raises ConfigError for a lease that is too short or too long (1 s to a day)."""
        if not TTL_MS_MIN <= ttl_seconds * 1000 <= TTL_MS_MAX:
            raise ConfigError(f"a lease lasts {TTL_MS_MIN // 1000} to {TTL_MS_MAX // 1000} seconds")
        self.ttl_seconds = ttl_seconds
        self.lost = asyncio.Event()
        self.config = client.config
        self._client = client
        self._releases = Releases(client.consensus)
        self._session = secrets.token_bytes(SESSION_BYTES)
        self._view_change: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._claims: set[str] = set()
        self._withdrawals = Withdrawals(
            client, self._say_release, self._claims.discard, self._give_up, ttl_seconds
        )

    async def __aenter__(self) -> LockClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the session, with all that it holds and waits for, and the connections."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            if not self.lost.is_set():
                with suppress(AllianceError):
                    await self._say(Close(self._session), END_SECONDS)
        await self._withdrawals.close()
        await self._releases.close()
        await self._client.close()

    # -- locks ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lock(
        self, name: str, *, shared: bool = False, wait: float | None = None
    ) -> AsyncIterator[Held]:
        """Holds the lock within the block; ``acquire`` and ``release``.

        Raises LeaseLost at the end of the block if the session was lost meanwhile.
        """
        held = await self.acquire(name, shared=shared, wait=wait)
        try:
            yield held
        except BaseException:
            self._withdrawals.begin(name)
            raise
        await self.release(held)

    async def acquire(self, name: str, *, shared: bool = False, wait: float | None = None) -> Held:
        """Waits for the lock, ``wait`` seconds of agreed time at most (0 tries; None: up to a day).

        Raises LockTaken, LockRefused, LeaseLost, and what ``ExecutionClient.execute`` raises; then, and when
        it is cancelled, nothing is held or waited for, or will not be for longer than the lease.
        """
        wait_ms = WAIT_MS_MAX if wait is None else min(max(0, round(wait * 1000)), WAIT_MS_MAX)
        mode = Mode.SHARED if shared else Mode.EXCLUSIVE
        operation = Acquire(self._session, mode, wait_ms, name)
        _check(operation)
        await self._withdrawals.wait(name)
        if name in self._claims:
            raise LockRefused(f"this session has '{name}' already, or waits for it")
        self._claims.add(name)
        claim: asyncio.Task[_Said] | None = None
        try:
            await self._begin()
            claim = asyncio.create_task(self._say(operation))
            said = await asyncio.shield(claim)
            while True:
                match said.answer:
                    case Grant(_, granted, token):
                        return Held(name, granted, token, Ticket(said.reply, said.command))
                    case Queued(_, _, _, next_ms, now_ms):
                        seconds = min(max(ASK_SECONDS_MIN, (next_ms - now_ms) / 1000), ASK_SECONDS_MAX)
                        await self._releases.wait(name, said.reply.slot, seconds)
                        said = await self._say(Ask(self._session, name))
                    case Refused(Reason.TAKEN | Reason.NOT_HELD):
                        raise LockTaken(f"others hold '{name}', or are before you: wait longer")
                    case answer:
                        self._refused(answer)
        except BaseException as error:
            if claim is None or isinstance(error, LockTaken):
                self._claims.discard(name)
            else:
                self._withdrawals.begin(name, claim)
            raise

    async def release(self, held: Held) -> None:
        """Lets go of the lock. Raises LeaseLost if it was lost before, and as ``ExecutionClient.execute``."""
        saying = asyncio.create_task(self._say(Release(self._session, held.token, held.name)))
        try:
            said = await asyncio.shield(saying)
        except BaseException:
            self._withdrawals.begin(held.name, saying)
            raise
        self._claims.discard(held.name)
        if not isinstance(said.answer, Done):
            self._refused(said.answer)

    async def locks(self) -> list[LockView]:
        """All locks that are held or waited for, in order of their names; certified page by page."""
        views: list[LockView] = []
        while True:
            said = await self._say(Listing(views[-1].name if views else ""))
            if not isinstance(said.answer, Page):
                raise LockRefused("the service does not list its locks")
            views += said.answer.locks
            if not said.answer.more:
                return views

    async def let_go(self, name: str) -> None:
        """Lets go of whatever we have of it: the lock, or a place in its queue. What takes longer than a
        moment goes on in the background, until it is certain or the session is over."""
        self._withdrawals.begin(name)
        await self._withdrawals.wait(name, END_SECONDS)

    async def _say_release(self, name: str) -> None:
        await self._say(Release(self._session, 0, name), END_SECONDS)

    # -- the session ---------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Opens the session, once."""
        if self._view_change is None or (self._view_change.done() and self._renewing is None):
            self._view_change = asyncio.create_task(self._open())
        await asyncio.shield(self._view_change)
        if self.lost.is_set():
            raise LeaseLost("the session was lost: connect again")

    async def _open(self) -> None:
        sent = asyncio.get_running_loop().time()
        said = await self._say(Open(self._session, round(self.ttl_seconds * 1000)))
        # If an earlier attempt to open it had no answer, it may be open: then it is renewed at once.
        if isinstance(said.answer, Refused) and said.answer.reason is Reason.SESSION_EXISTS:
            said = await self._say(Renew(self._session))
        if not isinstance(said.answer, Lease):
            self._refused(said.answer)
        self._renewing = asyncio.create_task(self._renew(sent))

    def _give_up(self) -> None:
        """The session is not renewed any more."""
        if self._renewing is not None:
            self._renewing.cancel()
        self.lost.set()

    async def _renew(self, sent: float) -> None:
        """Every third of the lease. It counts from when a renewal was sent: no later can it have begun."""
        now = asyncio.get_running_loop().time
        pause = self.ttl_seconds / 3
        try:
            while True:
                await asyncio.sleep(max(0.0, min(sent + pause, sent + self.ttl_seconds) - now()))
                begun = now()
                try:
                    async with asyncio.timeout_at(sent + self.ttl_seconds):
                        said = await self._say(Renew(self._session))
                except (OutcomeUnknown, ReplyMissing, Unreachable):
                    await asyncio.sleep(min(pause, 1.0))
                    if now() < sent + self.ttl_seconds:
                        continue
                    return
                if not isinstance(said.answer, Lease):
                    return
                sent = begun
        except TimeoutError:
            return
        finally:
            if (task := asyncio.current_task()) is not None and not task.cancelling():
                self.lost.set()

    async def _say(self, operation: Operation, timeout: float = execution.client.TIMEOUT_SECONDS) -> _Said:
        command = operations.encode(operation)
        reply = await self._client.execute(command, timeout=timeout)
        try:
            return _Said(operations.decode_answer(reply.payload), reply, command)
        except Invalid as error:
            raise LockRefused(
                f"'{APPLICATION}' answers in another way ({error}): is it this version?"
            ) from None

    def _refused(self, answer: Answer) -> None:
        """Raises what a refusal means."""
        if not isinstance(answer, Refused):
            raise LockRefused("the service answers something else: is it this version?")
        if answer.reason in (Reason.NO_SESSION, Reason.NOT_HELD):
            raise LeaseLost("the lease is over: others may hold the lock by now")
        raise LockRefused(EXPLANATIONS[answer.reason])


def _check(operation: Operation) -> None:
    """Raises LockRefused for what the service would not read."""
    try:
        operations.encode(operation)
    except Invalid as error:
        raise LockRefused(f"{error}: a name has A-Z, a-z, 0-9, '.', '_', '/', '-', 128 at most") from None


async def connect(folder: str | Path, passphrase: bytes, *, ttl_seconds: float = TTL_SECONDS) -> LockClient:
    """A client of the lock service, from a client's folder. Contacts nobody yet.

    Raises ConfigError, KeyFileError, ClockError.
    """
    client = await execution.connect(folder, passphrase, application=APPLICATION)
    return LockClient(client, ttl_seconds)
