"""The thread that saves checkpoints, so that no vote waits for their state."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from alliance.errors import JournalError
from alliance.server.driver import Inbox
from alliance.server.failure import Failure
from alliance.storage.journal import Journal
from fab_paxos.events import CheckpointSaved
from verifiable_log.ordering_state import Checkpoint

log = logging.getLogger("alliance.server")


class CheckpointWriter:
    """One checkpoint after the other; the engine hears of each that is durable."""

    def __init__(self, journal: Journal, inbox: Inbox, failure: Failure) -> None:
        self._journal = journal
        self._inbox = inbox
        self._failure = failure
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def save(self, checkpoint: Checkpoint) -> None:
        """Returns at once. A checkpoint that cannot be saved ends this member."""
        loop = asyncio.get_running_loop()
        begin = time.monotonic()
        saved = self._thread.submit(self._journal.save, checkpoint)
        done = partial(self._done, checkpoint, begin)
        saved.add_done_callback(lambda future: loop.call_soon_threadsafe(done, future))

    def _done(self, checkpoint: Checkpoint, begin: float, saved: Future[None]) -> None:
        if saved.cancelled():
            return
        error = saved.exception()
        if error is None:
            log.debug("checkpoint at slot %d: saved in %.3f s", checkpoint.slot, time.monotonic() - begin)
            self._inbox.post(CheckpointSaved(checkpoint.slot))
        elif isinstance(error, JournalError):
            self._failure.failed(error)
        else:
            raise error

    def close(self) -> None:
        """Waits for the one that is being saved; what is not begun is not needed: it does not count yet."""
        self._thread.shutdown(wait=True, cancel_futures=True)
