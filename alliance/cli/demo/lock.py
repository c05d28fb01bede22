"""The demo's ending: a lock whose holder dies, the next holder, and a resource that refuses the old token.

The lock service is an example (examples/lock_service), and a program of its own to the demo.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.demo.cluster import Cluster, free_addresses
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.proofs import PartFailed, run
from alliance.config.file import FILE

if TYPE_CHECKING:
    from alliance.config.file import AllianceConfig

MODULE, APPLICATION = "examples.lock_service", "lock"
NAME, HOLDER = "reports/today", "the first holder"
LEASE_SECONDS = 2
REFUSED = 6


def available() -> bool:
    """The examples come with the source, and not with an installed package."""
    return find_spec("examples") is not None and find_spec(MODULE) is not None


class Locking:
    """Works in the folder of an alliance whose servers run; no other client may use its clients' folders."""

    def __init__(
        self, folder: Path, config: AllianceConfig, passphrase: str, cluster: Cluster, narration: Narration
    ) -> None:
        self._folder = folder
        self._config = config
        self._environment = {**os.environ, "ALLIANCE_PASSPHRASE": passphrase}
        self._cluster = cluster
        self._narration = narration
        self._old, self._new = folder / "old.json", folder / "new.json"

    async def run(self) -> list[int]:
        """The whole part; both tokens. Raises PartFailed or ServerFailed."""
        self._narration.chapter(
            "A lock, and why its token matters",
            "An application of the alliance: a lock service, whose answers are signed by one member more than"
            " may lie. A lock is a lease. Its holder may die, or be paused and never notice that the lease"
            " is over; so each grant has a token, higher than any before, and a resource that the lock is to"
            " protect checks it.",
        )
        await self._serve()
        url = await self._resource()
        first = await self._take()
        await self._write(url, self._old, "client-1 writes with it")
        pid = await self._cluster.kill(HOLDER)
        self._narration.fact(
            f"its holder is dead (process {pid}); the lease ends {LEASE_SECONDS} s later at most"
        )
        second = await self._follow(url)
        if second <= first:
            raise PartFailed(f"token {second} was granted after token {first}")
        code, said = await self._alone("write", url, NAME, "--ticket", str(self._old))
        if code != REFUSED or "stale" not in said:
            raise PartFailed(f"the old token is not refused (code {code}): {said}")
        self._narration.fact(f"a late write with token {first}: refused as stale")
        return [first, second]

    async def _serve(self) -> None:
        """One executor more than has to answer, so that one could be down."""
        members = self._config.members[-self._config.attestation.threshold - 1 :]
        addresses = dict(zip([m.name for m in members], free_addresses(len(members)), strict=True))
        config = replace(
            self._config,
            members=tuple(
                replace(member, applications=((APPLICATION, addresses[member.name]),))
                if member.name in addresses
                else member
                for member in self._config.members
            ),
        )
        for path in self._folder.rglob(FILE):
            path.write_text(config.to_toml(), "utf-8")
        with self._narration.waiting("the lock service starts"):
            for member in members:
                home = self._cluster.home(member.name)
                log = home / f"{APPLICATION}.log"
                await self._cluster.launch(f"{APPLICATION} at {member.name}", log, MODULE, "serve", str(home))
        self._narration.fact(f"the lock service runs at {', '.join(addresses)}")

    async def _resource(self) -> str:
        key = self._folder / "public-attestation.pem"
        options = ("--key", str(key), "--listen", "127.0.0.1:0")
        log = self._folder / "resource.log"
        files = str(self._folder / "files")
        said = await self._cluster.launch("the resource", log, MODULE, "resource", files, *options)
        return f"http://{said['address']}"

    async def _take(self) -> int:
        client = str(self._folder / "clients" / "client-1")
        options = ("--ttl", str(LEASE_SECONDS), "--ticket", str(self._old), "-o", "json")
        log = self._folder / "holder.log"
        with self._narration.waiting("client-1 takes the lock"):
            said = await self._cluster.launch(HOLDER, log, MODULE, "lock", client, NAME, *options)
        token = int(said["token"])
        self._narration.fact(f"client-1 has '{NAME}', with token {token}")
        return token

    async def _follow(self, url: str) -> int:
        """The next holder writes, too; its token."""
        client = str(self._folder / "clients" / "client-2")
        program = [sys.executable, "-c", "import os; print('token', os.environ['LOCK_TOKEN'])"]
        with self._narration.waiting("client-2 waits for the lock"):
            code, said = await self._alone(
                "lock", client, NAME, "--ticket", str(self._new), "--wait", "60", "--", *program
            )
        _, _, token = said.rpartition("token ")
        if code != 0 or not token.isdecimal():
            raise PartFailed(f"client-2 does not get the lock (code {code}): {said}")
        self._narration.fact(f"client-2 has it next, with token {token}")
        await self._write(url, self._new, "client-2 writes with it")
        return int(token)

    async def _write(self, url: str, ticket: Path, fact: str) -> None:
        code, said = await self._alone("write", url, NAME, "--ticket", str(ticket))
        if code != 0:
            raise PartFailed(f"the resource refuses a good ticket (code {code}): {said}")
        self._narration.fact(f"{fact}: the resource knows the alliance's public key, and asks nobody")

    async def _alone(self, *arguments: str) -> tuple[int, str]:
        return await run(sys.executable, "-m", MODULE, *arguments, environment=self._environment)
