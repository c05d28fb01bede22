"""The servers of a run, and what is done to them: by name, each with the folder that it has now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from alliance.cli.demo.cluster import free_addresses
from consensus.control import ControlState
from tests.campaigns.epochs.plan import Blow, Harm, Kind, Step
from tests.worlds.council import Council
from tests.worlds.founding import found
from tests.worlds.processes import PASSPHRASE, ServerProcess, founding

NO_LONGER_MEMBER = 10


class Town:
    """Used as ``with``: no process is left behind. ``left`` are the folders of those that were replaced."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "farm"
        self._home = home
        found(founding(), self.folder, PASSPHRASE.encode())
        self.homes = {path.name: path for path in sorted((self.folder / "members").iterdir())}
        self.running: dict[str, ServerProcess] = {}
        self.left: list[tuple[Path, ServerProcess | None]] = []

    def __enter__(self) -> Town:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for server in (*self.running.values(), *(one for _, one in self.left if one is not None)):
            server.close()

    def client_folder(self, name: str) -> Path:
        return self.folder / "clients" / name

    def start(self, name: str) -> ServerProcess:
        """From this thread, since the processes end with the thread that has started them."""
        self.running[name] = ServerProcess(self.homes[name])
        return self.running[name]

    def again(self, home: Path) -> ServerProcess:
        """One that was replaced while it was dead is started by somebody who does not know.

        Elsewhere: its address is the new one's by now, on this machine, too.
        """
        server = ServerProcess(home, "--listen", *free_addresses(1))
        self.left = [(path, server if path == home else one) for path, one in self.left]
        return server

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def logs(self) -> Iterator[str]:
        for home in (*self.homes.values(), *(path for path, _ in self.left)):
            yield f"--- {home.parent.name}/{home.name}\n{(home / 'stderr.log').read_text('utf-8', 'replace')}"

    def replace(self, step: Step, council: Council, address: str) -> None:
        """The new one waits in a folder of its own; the old one is left where it is, running or not."""
        name, old = step.member, self.homes[step.member]
        server = self.running.pop(name)
        if step.gone:
            server.kill()
        home = self._home / f"new-{len(self.left) + 1}" / name
        home.parent.mkdir()
        council.ask(name, address if step.gone else free_addresses(1)[0], home)
        self.left.append((old, None if step.gone else server))
        self.homes[name] = home
        self.start(name)


class Disorder:
    """The blows of one step, as the log comes to their moments. ``settle`` returns when all is undone."""

    def __init__(self, town: Town, step: Step, epoch: int) -> None:
        self._town, self._epoch = town, epoch
        self._left = list(step.blows)
        self._begun = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()

    def seen(self, state: ControlState) -> None:
        if state.epoch > self._epoch:
            self._begun.set()
        for blow in [one for one in self._left if one.is_due(state, self._epoch)]:
            self._left.remove(blow)
            self._tasks.add(asyncio.create_task(self._strike(blow)))

    async def settle(self) -> None:
        self._begun.set()
        await asyncio.gather(*self._tasks)

    async def _strike(self, blow: Blow) -> None:
        await asyncio.sleep(blow.delay)
        victims = [
            name for name in ([blow.victim] if blow.victim else self._town.homes) if name not in self._busy
        ]
        if blow.harm is Harm.PAUSE:
            for name in victims:
                await self._pause(name)
            return
        for name in victims:
            self._town.kill(name)
        if blow.harm is Harm.AWAY:
            self._busy.update(victims)
            await self._begun.wait()
            self._busy.difference_update(victims)
        for name in victims:
            self._town.start(name)

    async def _pause(self, name: str) -> None:
        server = self._town.running[name]
        self._busy.add(name)
        server.pause()
        await self._begun.wait()
        server.resume()
        self._busy.discard(name)


def approvals(kind: Kind) -> int:
    """Of six operators, of whom one may be faulty."""
    return 2 if kind is Kind.SUSPEND else 4
