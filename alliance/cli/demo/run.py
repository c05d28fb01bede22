"""What every course of the demo has: servers, two clients, parts that may fail, and figures."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from alliance.cli.demo.cluster import Cluster
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.proofs import PartFailed, Proofs
from alliance.cli.output import write_file
from alliance.errors import AllianceError

if TYPE_CHECKING:
    from alliance.client import Client, MemberStatus
    from alliance.config.file import AllianceConfig
    from alliance.proofs.receipt import Receipt

SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.02


@dataclass
class Figures:
    """What a course reports; its own figures are fields, and ``PARTS`` name what has to hold."""

    PARTS: ClassVar[tuple[str, ...]] = ()
    members: int
    faults: int
    decided_commands: int = 0
    seconds: float = 0.0
    held: dict[str, bool] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        value = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("held", "failed")}
        value |= {name: self.held.get(name, False) for name in self.PARTS}
        return {**value, "failed": self.failed, "ok": not self.failed}


class Run(ABC):
    """One run. ``run`` goes through the parts; what does not hold is noted, the rest goes on if it can."""

    ESSENTIAL: ClassVar[tuple[str, ...]] = ("servers",)
    figures: Figures

    def __init__(self, folder: Path, config: AllianceConfig, passphrase: str, narration: Narration) -> None:
        self.folder = folder
        self.config = config
        self.narration = narration
        self.names = [member.name for member in config.members]
        self.cluster = Cluster(folder, passphrase)
        self.receipts: list[Receipt] = []
        self._passphrase = passphrase

    @abstractmethod
    async def live(self, first: Client, second: Client) -> None:
        """The parts between the start of the servers and the proofs."""

    @property
    def shown(self) -> Receipt:
        """The receipt that is proven to strangers."""
        return self.receipts[-1]

    async def prove(self) -> None:
        """The receipt, before those who trust nobody."""
        self.narration.chapter(
            "A receipt convinces strangers",
            "The responses of the quorum are combined into one RSA signature. Whoever has public.pem can"
            " check it with tools that never heard of this project.",
        )
        await self.part("openssl", Proofs(self.folder, self.narration).openssl)

    async def run(self) -> None:
        from alliance.client import connect

        try:
            await self.part("servers", self._servers)
            secret = self._passphrase.encode()
            home = self.folder / "clients"
            async with (
                await connect(home / "client-1", secret) as first,
                await connect(home / "client-2", secret) as second,
            ):
                await self.live(first, second)
            write_file(self.folder / "receipt.json", self.shown.to_json().encode())
            await self.prove()
        except _Over:
            pass
        finally:
            self.figures.decided_commands = len(self.receipts)
            with self.narration.waiting("ending the servers"):
                await self.cluster.stop()

    async def part(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (AllianceError, OSError) as error:
            self.figures.failed.append(f"{name}: {error}")
            self.figures.held[name] = False
            self.narration.fault(str(error))
            if name in self.ESSENTIAL:
                raise _Over from None
        else:
            self.figures.held[name] = True

    async def _servers(self) -> None:
        count = len(self.names)
        self.narration.chapter(
            "Each organisation runs its own server",
            "Real processes with mutual TLS between them. Each knows the others by their certificates, keeps"
            " a journal that is synced before it speaks, and holds its share of the key in a process apart.",
        )
        with self.narration.waiting(f"starting {count} servers"):
            begin = time.monotonic()
            await self.cluster.start(self.names)
        self.narration.fact(f"{count} servers are ready after {time.monotonic() - begin:.1f} s")

    async def settled(self, client: Client, names: Sequence[str], linked: Sequence[str] = ()) -> MemberStatus:
        """Waits until these members have all of the log, and links to those; what one of them says then.

        Nothing is due then, so that a member may be exchanged without being missed. Raises PartFailed.
        """
        members: list[MemberStatus] = []
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    members = [member for member in await client.status() if member.name in names]
                    places = {
                        (member.view, member.accepted, member.decided, member.certified) for member in members
                    }
                    calm = len(places) == 1 and members[0].accepted == members[0].certified
                    reached = all({*linked} <= {m.name, *m.connected} for m in members if m.reachable)
                    if calm and reached and all(member.reachable for member in members):
                        return members[0]
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            there = "; ".join(
                f"{m.name} in view {m.view} has accepted {m.accepted} slots and proven {m.certified}"
                if m.reachable
                else f"{m.name} does not answer"
                for m in members
            )
            raise PartFailed(f"the members did not agree within {SETTLE_SECONDS:g} s: {there}") from None


class _Over(Exception):
    """What follows makes no sense any more."""
