"""What links bring: messages for the engine, and what is to be held against a peer."""

from __future__ import annotations

import time

from alliance.errors import AllianceError, JournalError
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Inbox
from alliance.server.failure import Failure
from alliance.server.gate import Gate, Rejected
from alliance.server.member_log import MemberLog
from alliance.storage.journal_check import JournalCheck
from fab_paxos.events import PeerConnected
from fab_paxos.messages import Certified, Status


class PeerReceiver:
    """The links' ``Receiver``: whatever comes in passes the gate first."""

    def __init__(
        self,
        gate: Gate,
        inbox: Inbox,
        log: MemberLog,
        clocks: PeerClocks,
        failure: Failure,
        check: JournalCheck,
    ) -> None:
        self._check = check
        self._gate = gate
        self._clocks = clocks
        self._inbox = inbox
        self._log = log
        self._failure = failure

    def received(self, sender: int, data: bytes) -> None:
        arrived_ms = round(1000 * time.time())
        admitted = self._gate.admit(sender, data, arrived_ms)
        if isinstance(admitted, Rejected):
            self._log.rejected(sender, f"a message was refused: {admitted.reason}")
            return
        if isinstance(admitted.message, Status):
            self._clocks.note(sender, admitted.message.clock_ms, arrived_ms)
        if isinstance(admitted.message, Certified):
            try:
                self._check.compare(admitted.message.certificate)
            except JournalError as error:
                self._failure.failed(error)
        self._inbox.post(admitted)

    def rejected_frame(self, sender: int, reason: str) -> None:
        self._log.rejected(sender, f"the link was closed: it sent {reason}")

    def connected(self, peer: int) -> None:
        self._log.connected(peer)
        self._inbox.post(PeerConnected(peer))

    def lost(self, peer: int) -> None:
        self._clocks.lost(peer)
        self._log.lost(peer)

    def mismatched(self, peer: int, reason: str) -> None:
        self._log.mismatched(peer, reason)

    def doubted(self, peer: int, reason: str) -> None:
        self._log.doubted(peer, reason)

    def failed(self, error: AllianceError) -> None:
        self._failure.failed(error)

    async def room(self) -> None:
        await self._inbox.room()
