"""What a member must not outlive."""

from __future__ import annotations

import asyncio

from alliance.errors import AllianceError, IdentityConflict
from alliance.server.driver import Inbox
from alliance.server.incarnation import FAREWELL_SECONDS


class Failure:
    """The error that ends this member: from that moment it says nothing more."""

    def __init__(self) -> None:
        self._inbox: Inbox | None = None
        self._error: AllianceError | None = None
        self._occurred = asyncio.Event()

    def halts(self, inbox: Inbox) -> None:
        """Of this one no turn begins any more when the member fails, or has failed."""
        self._inbox = inbox
        if self._error is not None:
            inbox.halt()

    def failed(self, error: AllianceError) -> None:
        """This member must not go on. Of several errors the first one is raised."""
        if self._error is None:
            self._error = error
            if self._inbox is not None:
                self._inbox.halt()
            self._occurred.set()

    async def raised(self) -> None:
        """Waits for a failure and raises it; after a conflict the peer may hear the farewell first."""
        while self._error is None:
            await self._occurred.wait()
        if isinstance(self._error, IdentityConflict):
            await asyncio.sleep(FAREWELL_SECONDS)
        raise self._error
