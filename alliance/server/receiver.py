"""What links bring: messages for the engine, and what is to be held against a peer.

Each peer's messages wait in a queue of its own, bounded in bytes, and what checking them costs is shared: the
queues are served in turn, a moment each, and a peer that does not lead gets a part of this process's time at
most. So a member that sends as fast as it can fills its own queue, and then its own link.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeAlias

from alliance.errors import AllianceError, JournalError
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Inbox
from alliance.server.failure import Failure
from alliance.server.gate import Cause, Gate, Rejected
from alliance.server.member_log import MemberLog
from alliance.storage.journal_check import JournalCheck
from alliance.wire.bounds import ENVELOPE_BYTES_MAX
from fab_paxos.events import PeerConnected, Received
from fab_paxos.messages import Certified, Status

QUEUE_BYTES_MAX = ENVELOPE_BYTES_MAX
"""What waits of one peer before no more is read from it; what is read then may be one envelope more."""

MESSAGE_BYTES = 256
"""What a message takes in memory beside its own bytes."""

SLICE_SECONDS = 0.001
"""After so long others have their turn; one step (a signature, a certificate) may exceed it."""

SHARE = 0.125
"""Of this process's time a peer that does not lead gets for its messages, once its credit is used up."""

CREDIT_SECONDS = 0.05
"""So much may be saved up: what an honest member sends at once never waits for its share."""

ENGINE_SECONDS = 0.00003
"""What the engine does with a message, on the average; it is charged, too."""

Admission: TypeAlias = Generator[None, None, Received | Rejected]


class PeerQueue:
    """What waits of one peer, each message with the time of its arrival; and the time that it may take."""

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._under_way: Admission | None = None
        self._credit = CREDIT_SECONDS
        self._counted = 0.0
        self.room = asyncio.Event()
        self.room.set()

    def __bool__(self) -> bool:
        return bool(self._messages) or self._under_way is not None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self._bytes

    def put(self, message: bytes, arrived_ms: int) -> None:
        self._messages.append((message, arrived_ms))
        self._bytes += len(message) + MESSAGE_BYTES
        if self._bytes > QUEUE_BYTES_MAX:
            self.room.clear()

    def step(self, admit: Callable[[bytes, int], Admission]) -> Received | Rejected | None:
        """A step of admitting the oldest message; the result with the last one."""
        if self._under_way is None:
            message, arrived_ms = self._messages.popleft()
            self._bytes -= len(message) + MESSAGE_BYTES
            if self._bytes <= QUEUE_BYTES_MAX:
                self.room.set()
            self._under_way = admit(message, arrived_ms)
        try:
            next(self._under_way)
        except StopIteration as end:
            self._under_way = None
            result: Received | Rejected = end.value
            return result
        return None

    def wait_seconds(self, now: float) -> float:
        """How long it has to wait for its share; not at all while there is credit."""
        self._credit = min(CREDIT_SECONDS, self._credit + SHARE * (now - self._counted))
        self._counted = now
        return max(0.0, -self._credit / SHARE)

    def charge(self, seconds: float) -> None:
        self._credit -= seconds


class PeerReceiver:
    """The links' ``Receiver``: whatever comes in waits for its turn, and passes the gate."""

    def __init__(
        self,
        gate: Gate,
        inbox: Inbox,
        log: MemberLog,
        clocks: PeerClocks,
        failure: Failure,
        check: JournalCheck,
        leader: Callable[[], int],
        later: Callable[[], None],
    ) -> None:
        """``leader`` says who leads now: everybody waits for its messages, so it gets what time there is.

        ``later`` is called when a peer says that it is in a later epoch.
        """
        self._later = later
        self._check = check
        self._gate = gate
        self._inbox = inbox
        self._log = log
        self._clocks = clocks
        self._failure = failure
        self._leader = leader
        self._queues: dict[int, PeerQueue] = {}
        self._wake = asyncio.Event()

    # -- the links -----------------------------------------------------------------------------------

    def received(self, sender: int, data: bytes) -> None:
        """A message has arrived; what it says is looked at in its turn."""
        self._queue(sender).put(data, round(1000 * time.time()))
        self._wake.set()

    async def room(self, sender: int) -> None:
        """Waits while too much of this peer is waiting."""
        await self._queue(sender).room.wait()

    def rejected_frame(self, sender: int, reason: str) -> None:
        self._log.rejected(sender, f"the link was closed: it sent {reason}")

    def connected(self, peer: int) -> None:
        self._log.connected(peer)
        self._inbox.post(PeerConnected(peer))

    def lost(self, peer: int) -> None:
        self._clocks.lost(peer)
        self._log.lost(peer)

    def mismatched(self, peer: int, reason: str, *, later: bool = False) -> None:
        self._log.mismatched(peer, reason)
        if later:
            self._later()

    def doubted(self, peer: int, reason: str) -> None:
        self._log.doubted(peer, reason)

    def failed(self, error: AllianceError) -> None:
        self._failure.failed(error)

    # -- taking turns --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves all queues, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._inbox.peer_room()
            self._wake.clear()
            pause = self.serve(loop.time)
            if pause:
                timer = loop.call_later(pause, self._wake.set) if pause < float("inf") else None
                await self._wake.wait()
                if timer is not None:
                    timer.cancel()
            else:
                await asyncio.sleep(0)

    def serve(self, now: Callable[[], float]) -> float:
        """A moment for each peer of whom something waits; for how many seconds nothing is to be done then."""
        pause, leader = float("inf"), self._leader()
        for sender, queue in self._queues.items():
            if not queue:
                continue
            wait = queue.wait_seconds(now())
            if wait and sender != leader:
                pause = min(pause, wait)
                continue
            self._serve(sender, queue, now)
            pause = 0.0
        return pause

    def _serve(self, sender: int, queue: PeerQueue, now: Callable[[], float]) -> None:
        begun, seconds = now(), 0.0
        while queue and seconds < SLICE_SECONDS:
            result = queue.step(partial(self._gate.admission, sender))
            seconds = now() - begun
            if result is not None:
                queue.charge(ENGINE_SECONDS)
                self._admitted(sender, result)
        queue.charge(seconds)

    def _admitted(self, sender: int, result: Received | Rejected) -> None:
        if isinstance(result, Rejected):
            if result.cause is not Cause.STRANGER:  # its sender may know more of the log
                self._log.rejected(sender, f"a message was refused: {result.reason}")
            return
        if isinstance(result.message, Status) and result.arrived_ms is not None:
            self._clocks.note(sender, result.message.clock_ms, result.arrived_ms)
        if isinstance(result.message, Certified):
            try:
                self._check.compare(result.message.certificate)
            except JournalError as error:
                self._failure.failed(error)
        self._inbox.post(result)

    def _queue(self, sender: int) -> PeerQueue:
        """Of one of the other members: there are no more queues than these."""
        if sender not in self._queues:
            self._queues[sender] = PeerQueue()
        return self._queues[sender]
