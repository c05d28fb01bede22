"""A client that proposes one command after the other all the time, and keeps every receipt."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from alliance.client.client import connect
from alliance.errors import OutcomeUnknown, Unreachable
from alliance.proofs.receipt import Receipt

TRY_SECONDS = 30.0
PAUSE_SECONDS = 0.1


@dataclass
class Pulse:
    """``receipts`` in the order of the commands; ``moments`` when each came, by ``time.monotonic``."""

    receipts: list[Receipt] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    over: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, folder: Path, passphrase: bytes) -> None:
        """Until ``over``; a command whose outcome is unknown is asked for until it is known."""
        async with await connect(folder, passphrase) as client:
            while not self.over:
                submission = client.sign([b"pulse %d" % len(self.receipts)])
                while True:
                    try:
                        [receipt] = await client.resume(submission, TRY_SECONDS)
                        break
                    except (OutcomeUnknown, Unreachable):
                        await asyncio.sleep(PAUSE_SECONDS)
                self.receipts.append(receipt)
                self.moments.append(time.monotonic())
                self._news.set()

    async def next(self) -> None:
        """Waits for one more receipt."""
        self._news.clear()
        await self._news.wait()

    def longest_gap(self, since: float, until: float) -> float:
        """Between two receipts, within these moments, in seconds."""
        inside = [since, *(one for one in self.moments if since < one < until), until]
        return max(later - earlier for earlier, later in pairwise(inside))
