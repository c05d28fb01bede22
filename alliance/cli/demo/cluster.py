"""The demo's servers: real processes, started, killed and started again; one of them may be a liar."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alliance.config import file as config
from alliance.errors import AllianceError

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG = "server.log"
PLAYGROUND = "only-for-the-demo"
"""The file in a member's folder without which nobody may let it lie."""


class ServerFailed(AllianceError):
    """A server of the demo did not start."""


class Cluster:
    """``alliance serve`` for each member of the alliance in ``folder``."""

    def __init__(self, folder: Path, passphrase: str) -> None:
        self._folder = folder
        # In the environment, not in the arguments, which every user of the machine can read.
        self._environment = {**os.environ, "ALLIANCE_PASSPHRASE": passphrase}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, names: Sequence[str], patience: float = READY_SECONDS) -> None:
        """Returns when all of them listen. Raises ServerFailed, also after ``patience`` seconds."""
        options = ("-o", "json", "--log-level", "warning")
        await asyncio.gather(
            *(
                self._start(name, "alliance", "serve", str(self.home(name)), *options, patience=patience)
                for name in names
            )
        )

    async def start_liar(self, name: str, attack: str) -> None:
        """The member's keys and journal in the hands of ``alliance.hostile``. Raises ServerFailed."""
        home = self.home(name)
        (home / PLAYGROUND).write_text(config.load(home).alliance_id.hex(), "ascii")
        await self._start(name, "alliance.hostile", str(home), attack)

    async def end_liar(self, name: str) -> dict[str, int]:
        """SIGTERM to a liar; how often it did what. Raises ServerFailed."""
        process = self._processes.pop(name, None)
        if process is None:
            raise ServerFailed(f"{name or 'a liar'} does not run: it was not started")
        _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                said, _ = await process.communicate()
            lies: dict[str, int] = json.loads(said.splitlines()[-1])["lies"]
        except (TimeoutError, ValueError, LookupError):
            raise ServerFailed(f"{name} does not say what it did: {_last_line(self.log(name))}") from None
        finally:
            _signal(process, signal.SIGKILL)
        return lies

    def home(self, name: str) -> Path:
        return self._folder / "members" / name

    def log(self, name: str) -> Path:
        """What its servers say on standard error."""
        return self.home(name) / LOG

    async def _start(self, name: str, module: str, *arguments: str, patience: float = READY_SECONDS) -> None:
        said = await self.launch(name, self.log(name), module, *arguments, patience=patience)
        if said.get("event") != "ready":
            raise ServerFailed(f"{name} says something else than that it is ready: {said}")

    async def launch(
        self, name: str, log_file: Path, module: str, *arguments: str, patience: float = READY_SECONDS
    ) -> dict[str, Any]:
        """Starts ``python -m module``; the JSON of its first line. Raises ServerFailed."""
        with log_file.open("ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends its servers in order.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", module, *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._processes[name] = process
        if process.stdout is None:
            raise ServerFailed(f"{name} has no standard output")
        try:
            async with asyncio.timeout(patience):
                line = await process.stdout.readline()
                if not line:
                    await process.wait()
        except TimeoutError:
            last = _last_line(log_file)
            raise ServerFailed(f"{name} was not ready within {patience:g} s: {last}") from None
        if not line:
            raise ServerFailed(f"{name} ended with code {process.returncode}: {_last_line(log_file)}")
        said: dict[str, Any] = json.loads(line)
        return said

    async def kill(self, name: str) -> int:
        """SIGKILL, if it still runs: no farewell, no last write. Returns the process id that was killed."""
        process = self._processes.pop(name)
        _signal(process, signal.SIGKILL)
        await process.wait()
        return process.pid

    async def stop(self) -> None:
        """Ends all servers, those that do not listen by force."""
        for process in self._processes.values():
            _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(process.wait() for process in self._processes.values()))
        self.abandon()

    def abandon(self) -> None:
        """Ends what is left at once, without waiting."""
        for process in self._processes.values():
            _signal(process, signal.SIGKILL)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def free_addresses(count: int) -> list[str]:
    """Addresses on this machine that nobody listens on.

    Their ports are below those that the kernel gives to outgoing connections, where it can be helped: else
    one of those might take the port of a server that is just being started again.
    """
    with contextlib.ExitStack() as sockets:
        addresses = []
        for attempt in range(100 * count):
            bound = sockets.enter_context(socket.socket())
            port = 10_000 + secrets.randbelow(_ephemeral_begin() - 10_000) if attempt < 50 * count else 0
            with contextlib.suppress(OSError):
                bound.bind(("127.0.0.1", port))
                addresses.append(f"127.0.0.1:{bound.getsockname()[1]}")
            if len(addresses) == count:
                return addresses
    raise ServerFailed(f"{count} free ports were not found on 127.0.0.1")


def _ephemeral_begin() -> int:
    try:
        begin = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        begin = 32_768
    return max(begin, 11_000)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
