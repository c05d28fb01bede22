"""Real servers for tests: ``alliance serve`` processes over mutual TLS on loopback.

They are awaited by the line that they print when they listen; nobody sleeps. ``kill`` is SIGKILL, ``stop`` is
SIGTERM and expects a clean end, ``pause`` is SIGSTOP. Standard error goes to a file per member, so that a
failing test can show it::

    with Cluster.found(tmp_path / "farm") as cluster:
        cluster.start()
        cluster.kill("member-6")
        cluster.start("member-6")
        with cluster.client("client-1") as client:
            client.propose(b"open the gate")
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from alliance import sync
from alliance.cli.demo.cluster import free_addresses
from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.founding.plan import Founding
from tests.worlds.founding import found

PASSPHRASE = "correct horse battery staple"
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
LEVEL_SECONDS = 60.0
# "python -m MODULE", which the kernel kills when the tests are killed: no server is left behind.
_PR_SET_PDEATHSIG = 1
_SERVER = """
import ctypes, runpy, signal
ctypes.CDLL(None).prctl({}, signal.SIGKILL)
runpy.run_module("{}", run_name="__main__")
"""
# Set by the new process itself: a preexec_fn would fork this one, with gRPC's threads and a client at work.
_SMALL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""


class NotReady(AssertionError):
    """A server ended, or stayed silent, before it listened; the text holds its standard error."""


def environment(passphrase: str | None = PASSPHRASE) -> dict[str, str]:
    """The environment of a command, with this passphrase or with none."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("ALLIANCE_")}
    if passphrase is not None:
        variables["ALLIANCE_PASSPHRASE"] = passphrase
    return variables


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "alliance", *map(str, arguments)]


@contextlib.contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process with pipes for all that it hears and says. When the block is left it is gone."""
    pipe = subprocess.PIPE
    with subprocess.Popen(words, **{"stdin": pipe, "stdout": pipe, "stderr": pipe} | options) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[bytes], timeout: float = READY_SECONDS) -> bytes:
    """Its standard output up to the first newline. Raises NotReady if it ends, or says none for so long."""
    pipe = process.stdout
    assert pipe is not None
    deadline = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise NotReady(f"no line within {timeout:g} s, but {line!r}")
        part = os.read(pipe.fileno(), 4096)
        if not part:
            raise NotReady(f"it ended with {process.wait(STOP_SECONDS)} and said {line!r}")
        line += part
    return line


def founding(
    members: int = 6,
    faults: int = 1,
    clients: int = 2,
    addresses: Sequence[str] = (),
    purposes: Sequence[tuple[str, int]] = (),
) -> Founding:
    """What the tests found: at free ports, unless they say where."""
    return Founding(
        name="test",
        member_names=[f"member-{number}" for number in range(1, members + 1)],
        addresses=list(addresses) or free_addresses(members),
        client_names=[f"client-{number}" for number in range(1, clients + 1)],
        faulty_max=faults,
        key_size=2048,
        purposes=purposes,
    )


class ServerProcess:
    """One ``alliance serve``, or the ``serve`` of an application; made when it is started."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        passphrase: str = PASSPHRASE,
        file_bytes_max: int | None = None,
        module: str = "alliance",
        words: Sequence[str] = ("serve",),
    ) -> None:
        """``file_bytes_max`` is its disk's size, so to speak: no file of it grows beyond that.

        ``words`` are the command before the folder.
        """
        program = _SERVER.format(_PR_SET_PDEATHSIG, module)
        if file_bytes_max is not None:
            program = _SMALL_DISK.format(file_bytes_max) + program
        if module == "alliance":
            arguments = ("-o", "json", *arguments)
        self.folder = folder
        plain = module == "alliance" and len(words) == 1
        self.log = folder / ("stderr.log" if plain else f"{module}-{words[0]}.log")
        with self.log.open("ab") as log:
            # A session of its own, so that no signal for the tests reaches it, and it has no terminal.
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words, str(folder), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(passphrase),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stderr(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def await_ready(self, timeout: float = READY_SECONDS) -> dict[str, Any]:
        """Its ready line, parsed. Raises NotReady with what it said instead."""
        try:
            line = first_line(self.process, timeout)
        except NotReady as error:
            raise NotReady(f"{self.folder.name}: {error}:\n{self.stderr()}") from None
        event: dict[str, Any] = json.loads(line)
        if event.get("event") != "ready":
            raise NotReady(f"{self.folder.name} says {line!r}")
        return event

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        self.process.kill()
        self._reap()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end, and waits; its exit code."""
        self.process.send_signal(number)
        return self._reap()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        """Waits until it ends by itself; its exit code."""
        self.process.wait(timeout)
        return self._reap()

    def close(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        if self.running:
            self.process.kill()
        self._reap()

    def _reap(self) -> int:
        code = self.process.wait(STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


class Cluster:
    """The servers of one alliance, by name. Leaving the ``with`` block ends all of them."""

    def __init__(self, folder: Path, passphrase: str = PASSPHRASE) -> None:
        self.folder = folder
        self.passphrase = passphrase
        self.config: AllianceConfig = config_file.load(folder)
        self.names = [member.name for member in self.config.members]
        self.servers: dict[str, ServerProcess] = {}

    @classmethod
    def found(
        cls,
        folder: Path,
        *,
        members: int = 6,
        faults: int = 1,
        clients: int = 2,
        purposes: Sequence[tuple[str, int]] = (),
    ) -> Cluster:
        """A fresh alliance at free ports; nothing runs yet."""
        found(founding(members, faults, clients, purposes=purposes), folder, PASSPHRASE.encode())
        return cls(folder)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def member(self, name: str) -> Path:
        return self.folder / "members" / name

    def client_folder(self, name: str) -> Path:
        return self.folder / "clients" / name

    def client(self, name: str) -> sync.Client:
        """A blocking client in this process; close it, or use ``with``."""
        return sync.connect(self.client_folder(name), self.passphrase.encode())

    def start(self, *names: str) -> None:
        """Starts these members (all, if none is named) and waits until they listen."""
        started = [self.launch(name) for name in names or self.names]
        for server in started:
            server.await_ready()

    def complete(self) -> None:
        """Starts those members that do not run, and waits until they are like the others."""
        gone = [name for name in self.names if name not in self.servers or not self.servers[name].running]
        if gone:
            self.start(*gone)
            self.await_level(*gone)

    def await_level(self, *names: str) -> None:
        """Waits until these have proven as much as any other member, and have links to all that answer."""
        deadline = time.monotonic() + LEVEL_SECONDS
        with self.client("client-2") as client:
            while time.monotonic() < deadline:  # each question takes its time
                members = client.status()
                up = {member.name: member for member in members if member.reachable}
                most = max((member.certified for member in up.values()), default=0)
                here = [up[name] for name in names if name in up and up[name].certified == most]
                if len(here) == len(names) and all({m.name, *m.connected} >= up.keys() for m in here):
                    return
        there = [
            f"{m.name} has proven {m.certified} slots and has links to {', '.join(m.connected) or 'nobody'}"
            if m.reachable
            else f"{m.name} does not answer: {m.problem}"
            for m in members
        ]
        raise AssertionError(
            f"{', '.join(names)} should have proven as much as any other within {LEVEL_SECONDS:g} s, and be"
            " linked to all that answer; " + "; ".join(there)
        )

    def launch(self, name: str, *arguments: str, file_bytes_max: int | None = None) -> ServerProcess:
        """Starts a member without waiting."""
        if name in self.servers:
            self.servers[name].close()
        server = ServerProcess(
            self.member(name), *arguments, passphrase=self.passphrase, file_bytes_max=file_bytes_max
        )
        self.servers[name] = server
        return server

    def kill(self, *names: str) -> None:
        """SIGKILL to these members (all, if none is named: the whole alliance loses power)."""
        chosen = names or tuple(self.servers)
        for name in chosen:
            self.servers[name].process.kill()
        for name in chosen:
            self.servers.pop(name).close()

    def stop(self, *names: str) -> None:
        """SIGTERM; each must end cleanly."""
        chosen = names or tuple(self.servers)
        for name in chosen:
            self.servers[name].process.terminate()
        for name in chosen:
            server = self.servers.pop(name)
            code = server.wait()
            assert code == 0, f"{name} ended with {code}:\n{server.stderr()}"

    def keep_disk(self, name: str, folder: Path) -> None:
        """Copies what the member remembers, as a backup or a snapshot would; it may be running."""
        folder.mkdir(exist_ok=True)
        # The mark first: it may be behind its journal, and never ahead.
        for path in sorted(self.member(name).glob("journal.*"), key=lambda path: path.suffix != ".started"):
            shutil.copy(path, folder)

    def put_disk(self, name: str, folder: Path) -> None:
        """Puts that in place of what the member, which is not running, remembers now."""
        for path in self.member(name).glob("journal.*"):
            path.unlink()
        for path in folder.glob("journal.*"):
            shutil.copy(path, self.member(name))

    def wipe(self, name: str) -> None:
        """The member's journal is lost, as with a new disk."""
        for path in self.member(name).glob("journal.sqlite*"):
            path.unlink()

    def copy(self, folder: Path) -> Cluster:
        """The same alliance elsewhere, to damage it; nothing runs there, and the addresses are the same."""
        shutil.copytree(self.folder, folder)
        return Cluster(folder, self.passphrase)

    def logs(self) -> str:
        """What all members said on standard error, for the report of a failing test."""
        said = []
        for name in self.names:
            with contextlib.suppress(FileNotFoundError):
                said.append(f"--- {name}\n{(self.member(name) / 'stderr.log').read_text('utf-8', 'replace')}")
        return "\n".join(said)

    def close(self) -> None:
        """Ends everything at once."""
        for server in self.servers.values():
            server.close()
        self.servers.clear()
