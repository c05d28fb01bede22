"""What an executor has come to, written down beside its work: no command waits for it.

One state is written at a time, and one waits; both are copies that the state machine froze. If writing takes
longer than it takes to reach the next state, states are left out: the one that waits gives way only to one
whose slot has more factors of two. So executors of any speed leave out other states and still write the same
ones now and then, which is what makes certificates possible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alliance.execution.runner import FrozenState, Runner, RunnerState, state_digest
from alliance.execution.snapshot_folder import Held, SnapshotFolder
from alliance.execution.state_file import StateFile
from alliance.net.tasks import Threads

SNAPSHOT_SLOTS = 1024
"""A snapshot is made at each multiple of so many slots: where members make checkpoints of the log."""

REST = 9
"""The state file is not written again before so many times the time that it took: it spares commands that
would be executed once more after a crash, and is not worth a whole disk's time."""


class Keeper:
    """``offer`` what is to be written; ``run`` writes it. ``made`` is told of each new snapshot."""

    def __init__(
        self,
        application: str,
        runner: Runner,
        state_file: StateFile,
        folder: SnapshotFolder,
        made: Callable[[Held], None],
        threads: Threads,
    ) -> None:
        self._application = application
        self._runner = runner
        self._state_file = state_file
        self._folder = folder
        self._made = made
        self._threads = threads
        self._waiting: FrozenState | None = None
        self._work = asyncio.Event()
        self._rests_until = 0.0
        self.saved = runner.slot
        """The slot of the state file."""

    def offer(self, frozen: FrozenState) -> None:
        """The state after a multiple of COMPARE_SLOTS."""
        if self._waiting is None or _twos(frozen.slot) > _twos(self._waiting.slot):
            self._waiting = frozen
            self._work.set()

    async def run(self) -> None:
        """Raises StateError."""
        while True:
            await self._work.wait()
            frozen, self._waiting = self._waiting, None
            self._work.clear()
            if frozen is not None:
                await self._keep(frozen)

    async def _keep(self, frozen: FrozenState) -> None:
        """A runner that meanwhile went on from another state is not concerned any more."""
        now = asyncio.get_running_loop().time
        runner = self._runner
        state = await self._threads.run(frozen.thaw)
        digest = await self._threads.run(state_digest, self._application, state.slot, state.machine)
        if runner.slot >= state.slot:
            runner.keep_digest(state.slot, digest)
        begun = now()
        if begun >= self._rests_until and state.slot > self.saved:
            await self.save(state)
            self._rests_until = now() + REST * (now() - begun)
        known = self._folder.get(state.slot) is not None  # what is executed once more is there already
        if state.slot % SNAPSHOT_SLOTS == 0 and not known:
            self._made(await self._threads.run(self._folder.write, state))

    async def save(self, state: RunnerState) -> None:
        """Writes the state file. Raises StateError."""
        await self._threads.run(self._state_file.save, state)
        self.saved = state.slot


def _twos(slot: int) -> int:
    """How often two divides it."""
    return (slot & -slot).bit_length()
