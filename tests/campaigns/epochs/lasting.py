"""``make lasting``: members go through many epochs in one process, which must not grow by it.

Four lean members, a client that proposes, and one that listens. In each epoch a member is suspended or
reinstated; every tenth gives all of them new shares. What there is of everything, in the process and in a
member's folder, is counted after each ten epochs, and compared with what there was after the first ten: by
then everything is there that is made once. Members keep KEEP_SLOTS of the log: it does not grow, either.
Memory is compared with that of ten epochs before. Exits 1 when anything has grown.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is imported

from alliance.client.client import connect
from alliance.keys import handover, shares
from alliance.server.server import Server
from consensus.control import record
from tests.campaigns.epochs.census import Census, Folder
from tests.worlds.council import Council
from tests.worlds.founding import found
from tests.worlds.processes import PASSPHRASE, founding

SECRET = PASSPHRASE.encode()
MEMBERS, KEEP_SLOTS = 4, 256
TO_SUSPEND, ALL = 2, 3  # operators' approvals, of four, of whom one may be faulty
FEW, PART, SLOW = 10, 0.05, 0.03
LOOK_SECONDS = 0.02
CLIENTS = 3
SOCKETS_MAX = 2 * MEMBERS * (2 * (MEMBERS - 1) + CLIENTS) + 3 * MEMBERS
"""Both ends of all connections that there can be: to each member the others have one as peers and one as
those who ask, and each client has one; and what a member has beside: to listen, and for its signer."""


class Town:
    """``member``: whose folder is looked at."""

    def __init__(self, home: Path) -> None:
        found(founding(members=MEMBERS, clients=CLIENTS), home, SECRET)
        self.home = home
        self.member = home / "members" / "member-2"
        self._folders = sorted((home / "members").iterdir())
        self.servers = [Server.open(folder, SECRET, keep_slots=KEEP_SLOTS) for folder in self._folders]
        self.ordered = self.heard = 0
        self._quiet, self._may = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """They run, and so do a client and a listener."""
        async with AsyncExitStack() as stack:
            for server in self.servers:
                stack.push_async_callback(server.stop)
                await server.start(SECRET)
            working = [asyncio.create_task(server.run()) for server in self.servers]
            working += [asyncio.create_task(self._propose()), asyncio.create_task(self._listen())]
            self._may.set()
            yield
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            for task in working:
                with suppress(asyncio.CancelledError):
                    task.result()

    async def _propose(self) -> None:
        async with await connect(self.home / "clients" / "client-1", SECRET) as client:
            while True:
                await client.propose(b"command %d" % self.ordered)
                self.ordered += 1
                if not self._may.is_set():
                    self._quiet.set()
                    await self._may.wait()

    async def _listen(self) -> None:
        async with await connect(self.home / "clients" / "client-3", SECRET) as client:
            async for entry in client.listen():
                self.heard = entry.slot

    async def change(self, council: Council, number: int) -> None:
        """To the next epoch, in which everybody is and takes part."""
        if number % FEW == 0:
            decided = await council.decide(council.refreshing, ALL)
        else:
            suspended = list(council.control.directory.suspended)
            lead = council.leading([] if suspended else ["member-1"], suspended)
            decided = await council.decide(lead, ALL if suspended else TO_SUSPEND)
        if not decided.began:
            raise AssertionError(f"no epoch has come of change {number}")
        await self._until(lambda: all(self._takes_part(one, decided.control.epoch) for one in self.servers))

    async def settled(self) -> tuple[Census, Folder]:
        """With nothing under way: what is over is erased, and all that is decided is certified and heard."""
        await self._until(lambda: all(map(self._has_erased, self._folders)))
        self._may.clear()
        await self._quiet.wait()
        await self._until(lambda: {one.term.engine.status.certified for one in self.servers} == {self.heard})
        counted = Census.take(), Folder.of(self.member)
        self._quiet.clear()
        self._may.set()
        return counted

    @staticmethod
    def _has_erased(folder: Path) -> bool:
        """What its last shares were dealt to, and what it has dealt; it is ready for the next time."""
        ready = len(shares.pieces(folder)) == len(handover.receivers(folder)) == 1
        return ready and not handover.dealings(folder)

    @staticmethod
    def _takes_part(server: Server, epoch: int) -> bool:
        return server.term.config.epoch == epoch and server.term.incarnation.settled.is_set()

    @staticmethod
    async def _until(holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 - members and clients have no event in common
            await asyncio.sleep(LOOK_SECONDS)


async def live(home: Path, epochs: int) -> list[str]:
    """What has grown from the tenth epoch to the last one, and should not have."""
    town = Town(home)
    counted: list[tuple[Census, Folder]] = []
    async with (
        town.living(),
        Council(home, home / "clients" / "client-2", SECRET) as council,
    ):
        for number in range(1, epochs + 1):
            await town.change(council, number)
            if number % FEW == 0:
                counted.append(await town.settled())
                told = "; ".join(one.line() for one in counted[-1])
                sys.stdout.write(f"epoch {number}, {town.heard:,} slots, {town.ordered:,} commands: {told}\n")
                sys.stdout.flush()
    (census, folder), (last, last_folder) = counted[0], counted[-1]
    return (
        last.swelling(counted[-2][0], SLOW)
        + last.growth(census, PART, SOCKETS_MAX)
        + last_folder.growth(folder, PART)
    )


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="make lasting", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=50)
    options = parser.parse_args(arguments)
    if options.epochs < 2 * FEW:
        parser.error(f"it takes {2 * FEW} epochs to compare anything")
    began, used = time.monotonic(), time.process_time()
    with (
        tempfile.TemporaryDirectory(prefix="alliance-lasting-") as folder,
        patch.object(record, "EDIT_MS", 1),  # no operators change an alliance so often
    ):
        grown = asyncio.run(live(Path(folder) / "farm", options.epochs))
    seconds, processor = time.monotonic() - began, time.process_time() - used
    sys.stdout.write(f"{seconds:.0f} s, {processor:.0f} s of this process's processors\n")
    sys.stdout.write("".join(f"GROWN: {line}\n" for line in grown) or "nothing has grown\n")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
