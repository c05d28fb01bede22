"""An alliance of real server processes on loopback: ``alliance serve``, mutual TLS, synced journals."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import alliance.sync
from alliance.cli.demo.cluster import free_addresses
from alliance.client import MemberStatus
from alliance.config import file as config_file
from alliance.founding import dealer
from alliance.founding.plan import Founding
from benchmarks.launch import CERTIFIED, DECIDED, NOTE, TAP
from benchmarks.processes import BenchmarkFailed, Child, python
from benchmarks.targets import PASSPHRASE
from benchmarks.usage import Usage, used
from examples.lock_service import APPLICATION

READY_SECONDS = 60.0
CATCH_UP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Return:
    """How long a member took to come back, in seconds after its process was started."""

    listens: float
    votes: float


class Servers:
    """The members of one alliance. ``client-1`` is the benchmark's own; the others are for the load."""

    def __init__(
        self,
        folder: Path,
        *,
        members: int = 6,
        faults: int = 1,
        clients: int = 17,
        profile: str | None = None,
    ) -> None:
        """Founds it in ``folder``; nothing runs yet. Takes seconds."""
        self.folder = folder
        self.names = [f"member-{number}" for number in range(1, members + 1)]
        self._clients = [f"client-{number}" for number in range(1, clients + 1)]
        dealer.found(
            Founding(
                "bench", self.names, free_addresses(members), self._clients, faults, 2048, profile=profile
            ),
            folder,
            PASSPHRASE.encode(),
        )
        self._give_addresses(APPLICATION)
        self._running: dict[str, Child] = {}

    def _give_addresses(self, application: str) -> None:
        """Free ones for the application's executors: the derived ones may be another program's here."""
        files = list(self.folder.rglob(config_file.FILE))
        config = config_file.load(files[0].parent)
        addresses = free_addresses(len(config.members))
        members = tuple(
            replace(member, applications=((application, address),))
            for member, address in zip(config.members, addresses, strict=True)
        )
        for path in files:
            path.write_text(replace(config, members=members).to_toml(), "utf-8")

    def client_folders(self) -> list[str]:
        """For the load; each is one identity."""
        return [str(self.folder / "clients" / name) for name in self._clients[1:]]

    def client(self) -> alliance.sync.Client:
        """A blocking client in this process."""
        return alliance.sync.connect(self.folder / "clients" / self._clients[0], PASSPHRASE.encode())

    @contextlib.contextmanager
    def running(self, *, tapped: bool = False) -> Iterator[Servers]:
        """All members run inside the block, and none afterwards. ``tapped``: see ``notes``."""
        try:
            for name in self.names:
                self._launch(name, tapped=tapped)
            for child in self._running.values():
                _await_ready(child)
            yield self
        finally:
            for child in self._running.values():
                child.process.terminate()
            for name in list(self._running):
                self._running.pop(name).stop()

    def _launch(self, name: str, *, tapped: bool = False) -> Child:
        home = self.folder / "members" / name
        environment = {"ALLIANCE_PASSPHRASE": PASSPHRASE}
        if tapped:
            environment[TAP] = str(home / "tap")
        command = python(
            "benchmarks.launch", "alliance", "serve", str(home), "-o", "json", "--log-level", "info"
        )
        child = Child(name, command, environment, home / "server.log")
        self._running[name] = child
        return child

    @contextlib.contextmanager
    def executing(self, module: str, count: int) -> Iterator[list[int]]:
        """Executors beside the first members, inside the block: ``python -m module serve``; their pids."""
        with contextlib.ExitStack() as stack:
            children = []
            for name in self.names[:count]:
                home = self.folder / "members" / name
                command = python("benchmarks.launch", module, "serve", str(home))
                environment = {"ALLIANCE_PASSPHRASE": PASSPHRASE}
                child = Child(f"{name}'s executor", command, environment, home / "executor.log")
                stack.callback(child.stop)
                children.append(child)
            for child in children:
                stack.callback(child.process.terminate)
                _await_ready(child)
            yield [child.pid for child in children]

    def kill(self, name: str) -> None:
        """SIGKILL: no farewell, no last write."""
        self._running.pop(name).kill()

    def revive(self, name: str, timeout: float = CATCH_UP_SECONDS) -> Return:
        """Starts a member again; returns when it votes. Raises BenchmarkFailed."""
        log = self.folder / "members" / name / "server.log"
        place = log.stat().st_size
        begin = time.monotonic()
        child = self._launch(name)
        _await_ready(child)
        listens = time.monotonic() - begin
        while b"votes from now on" not in log.read_bytes()[place:]:
            if time.monotonic() > begin + timeout:
                raise BenchmarkFailed(f"{name} does not vote {timeout:g} s after its start: see {log}")
            time.sleep(0.005)
        return Return(listens, time.monotonic() - begin)

    def pids(self) -> list[int]:
        return [child.pid for child in self._running.values()]

    def used(self) -> Usage:
        return used(self.pids())

    def notes(self, name: str) -> dict[int, tuple[float, float]]:
        """When each slot was decided and certified at a tapped member, ``time.monotonic`` of the machine."""
        decided, certified = self.firsts(name, DECIDED), self.firsts(name, CERTIFIED)
        return {slot: (moment, certified.get(slot, 0.0)) for slot, moment in decided.items()}

    def firsts(self, name: str, what: int) -> dict[int, float]:
        """When that was first noted at a tapped member, by slot; by epoch where it is EPOCH."""
        data = (self.folder / "members" / name / "tap").read_bytes()
        firsts: dict[int, float] = {}
        for number, moment, noted in NOTE.iter_unpack(data[: len(data) // NOTE.size * NOTE.size]):
            if noted == what:
                firsts.setdefault(number, moment)
        return firsts


def leader(members: list[MemberStatus]) -> str:
    """Who leads the highest view that anybody is in."""
    known = [member for member in members if member.reachable]
    if not known:
        raise BenchmarkFailed("no server answers")
    return max(known, key=lambda member: member.view).leader


def _await_ready(child: Child) -> None:
    line = child.line(READY_SECONDS)
    if json.loads(line).get("event") != "ready":
        raise BenchmarkFailed(f"{child.name} says {line!r}")
