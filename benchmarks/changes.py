"""What changes of the alliance cost while it works: ``python -m benchmarks change``.

Six members, and one client that proposes one command after the other all the time. A full change gives all
members new shares; a light one suspends a member; a revision moves an address. Founded with known primes, so
that it costs nothing: the handing on is of real size.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from alliance.cli.demo.cluster import free_addresses
from benchmarks.launch import CERTIFIED, EPOCH, VOTED
from benchmarks.report import Report, Row
from benchmarks.servers import Servers
from benchmarks.targets import PASSPHRASE
from tests.campaigns.epochs.pulse import Pulse
from tests.worlds.council import Council, Decided, Drafting
from tests.worlds.founding import cheaply

SECTION = (
    "Changes while one client proposes all the time (s): from the last approval to the first certificate, and"
    " of it from the certificate on the next members to the first vote; processor time is the servers'"
)
CALM_SECONDS = 2.0
STEPS = ("calm", "light", "revision", "full")


def run(report: Report, progress: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="alliance-bench-") as folder:
        progress("founding six members")
        with cheaply():
            servers = Servers(Path(folder) / "six")
        with servers.running(tapped=True):
            asyncio.run(_Changes(servers, report, progress).run())


class _Changes:
    def __init__(self, servers: Servers, report: Report, progress: Callable[[str], None]) -> None:
        self._servers, self._report, self._progress = servers, report, progress
        self._pulse = Pulse()

    async def run(self) -> None:
        home, secret = self._servers.folder, PASSPHRASE.encode()
        clients = home / "clients"
        working = asyncio.create_task(self._pulse.run(clients / "client-1", secret))
        async with Council(home, clients / "client-2", secret) as council:
            await self._calm()
            last, [place] = self._servers.names[-1], free_addresses(1)
            await self._change("light", council, council.leading([last], []), 2)
            await self._change("revision", council, council.moving(last, place), 1)
            await self._change("full", council, council.refreshing, 4)
        self._pulse.over = True
        await working

    async def _calm(self) -> None:
        """What the same client has while nothing changes."""
        self._progress("calm")
        began, used = time.monotonic(), self._servers.used()
        await asyncio.sleep(CALM_SECONDS)
        busy = self._servers.used().since(used).cpu_seconds
        self._add("calm", began, time.monotonic(), busy, {})

    async def _change(self, label: str, council: Council, draft: Drafting, approvals: int) -> None:
        self._progress(label)
        began, used = time.monotonic(), self._servers.used()
        decided = await council.decide(draft, approvals)
        figures: dict[str, float] = {}
        if decided.began:
            figures = await self._beginning(decided)
        else:
            figures["to_effect"] = decided.over - decided.approved
        busy = self._servers.used().since(used).cpu_seconds
        self._add(label, began, time.monotonic(), busy, figures)

    async def _beginning(self, decided: Decided) -> dict[str, float]:
        """Of the epoch that has begun, as the members have noted it."""
        epoch, slot = decided.control.epoch, decided.control.start + 1
        while (certified := self._first(CERTIFIED, slot)) is None:
            await self._pulse.next()
        named, voted = self._first(EPOCH, epoch), self._first(VOTED, slot)
        if named is None or voted is None:
            raise AssertionError(
                "an epoch is certified, and votes are cast, before there are certificates of it"
            )
        return {"to_first_certificate": certified - decided.approved, "switch": voted - named}

    def _first(self, what: int, least: int) -> float | None:
        """When any member first noted that of this number, or of a later one."""
        moments = [
            moment
            for name in self._servers.names
            for number, moment in self._servers.firsts(name, what).items()
            if number >= least
        ]
        return min(moments, default=None)

    def _add(self, label: str, began: float, ended: float, busy: float, figures: dict[str, float]) -> None:
        gap = self._pulse.longest_gap(began, ended)
        commands = sum(began < moment < ended for moment in self._pulse.moments)
        shared = {
            "longest_gap": gap,
            "commands": commands,
            "wall": ended - began,
            "processor": busy,
        }
        names = ("to_first_certificate", "switch", "to_effect")
        self._report.add(Row(SECTION, label, {name: figures.get(name, "") for name in names} | shared))
