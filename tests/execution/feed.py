"""Slots for a runner, without a network: batches as the log would hold them."""

from __future__ import annotations

from typing import Any

from alliance.client.delivery import DecidedSlot, deliver
from alliance.execution import Kind, Runner, wrap
from alliance.execution.runner import COMPARE_SLOTS, state_digest
from tests.worlds.cluster import submission
from verifiable_log import Batch
from verifiable_log.client_windows import ClientWindows


class Feed:
    """A log of one client's commands; hands its slots to runners, as a listener does."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._next = 1

    def add(self, *commands: bytes, application: str = "kv", time_ms: int = 0, raw: bool = False) -> None:
        """One slot with a submission for each command."""
        told = [command if raw else wrap(application, Kind.APPLY, command) for command in commands]
        submissions = [submission(1, self._next + at, command) for at, command in enumerate(told)]
        self._next += len(submissions)
        self.batches.append(Batch.of(submissions, time_ms))

    def ask(self, query: bytes, application: str = "kv") -> None:
        self.add(wrap(application, Kind.QUERY, query), raw=True)

    def tell(self, runner: Runner, until: int | None = None) -> None:
        for slot in range(runner.slot + 1, (until or len(self.batches)) + 1):
            runner.execute(delivered(slot, self.batches[slot - 1], runner.windows))
            if slot % COMPARE_SLOTS == 0:
                runner.keep_digest(slot, state_digest("kv", slot, runner.state().machine))


def delivered(slot: int, batch: Batch, windows: ClientWindows) -> DecidedSlot:
    proof: Any = None
    return DecidedSlot(slot, batch, tuple(deliver(slot, batch, windows, {}, proof)))
