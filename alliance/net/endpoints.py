"""Where a process answers: at its address and, when the alliance has another for it, there as well.

Others learn of a new address one after the other, and some are in the middle of something. So the address
before the newest one is answered at, too, until the next change or the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import grpc.aio

from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.channels import bind, server_credentials

log = logging.getLogger("alliance.net")

OPEN_MAX = 2
"""The newest address and the one before."""

Equip = Callable[[grpc.aio.Server], None]


class Endpoints:
    """The gRPC servers of one process, all with the same services and within one budget."""

    def __init__(self, admission: Admission, credentials: Credentials, equip: Equip) -> None:
        """``equip`` adds the services to a server that does not listen yet."""
        self._admission = admission
        self._credentials = credentials
        self._equip = equip
        self._open: dict[str, grpc.aio.Server] = {}
        self._wanted = ""
        self._news = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it answers now, the newest last."""
        return tuple(self._open)

    async def open(self, address: str) -> bool:
        """Whether it can listen there, and now does."""
        server = self._admission.server()
        self._equip(server)
        if not bind(server, address, server_credentials(self._admission.identities, self._credentials)):
            return False
        await server.start()
        self._admission.start(address)
        self._open[address] = server
        return True

    def follow(self, address: str) -> None:
        """The alliance says that this process is to be found there: ``run`` sees to it."""
        self._wanted = address
        self._news.set()

    async def run(self) -> None:
        """Listens wherever ``follow`` says, as far as this machine has that address; until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._move(self._wanted)

    async def _move(self, address: str) -> None:
        if (here := self._open.pop(address, None)) is not None:
            self._open[address] = here  # the newest again
        elif await self.open(address):
            log.info("listens at %s, too: the alliance finds it there now", address)
        else:
            log.warning(
                "the alliance looks for this process at %s, and it cannot listen there: if that leads to"
                " another address of this machine, start it with --listen, else start it there",
                address,
            )
        while len(self._open) > OPEN_MAX:
            oldest = next(iter(self._open))
            await self._open.pop(oldest).stop(None)

    async def stop(self, grace: float | None) -> None:
        """Ends all of them; calls that are under way may take ``grace`` seconds."""
        servers = list(self._open.values())
        self._open.clear()
        await asyncio.gather(*(server.stop(grace) for server in servers))
        self._admission.stop()
