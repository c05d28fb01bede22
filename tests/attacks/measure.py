"""One attack on servers of its own: six members, a victim, an attacker, and what became of them.

The attacker has the first core to itself and all else the others, where there is more than one core.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alliance.net.limits import HANDSHAKE_SECONDS
from tests.attacks.attackers import Target
from tests.attacks.wire import Closed, Connection, message
from tests.worlds.executors import give_addresses
from tests.worlds.processes import PASSPHRASE, Cluster, ServerProcess, environment, first_line

PEAK_MIB_MAX = 500
SLOWER_MAX = 5.0
SHUT_OUT_SECONDS_MAX = HANDSHAKE_SECONDS + 1.0
"""So long may nobody new get in."""
QUIET_SECONDS = 5.0
LOOK_SECONDS = 0.1
KNOCK_SECONDS, KNOCK_TIMEOUT_SECONDS = 0.5, 3.0
FILL_COMMANDS, FILL_BYTES = 96, 250_000
DESK_POLICY = """
purpose = "tokens"
kind = "jwt"
clients = ["client-1"]
issuers = ["https://farm.example"]
subjects = ["anna"]
audiences = ["gate"]
lifetime_seconds_max = 900
"""


@dataclass(frozen=True)
class Attack:
    """``door`` is what is attacked, at so many ``members``, by so many ``clients``, each in a process."""

    name: str
    about: str
    door: str = "server"
    clients: int = 1
    members: int = 1


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack("status", "400 half-sent Status calls of 8 MiB on one connection, on all six", members=6),
        Attack("submit", "Submit frames of 8 MiB over 64 streams"),
        Attack("crowd", "three clients, 16 connections each, half-sent frames of 1 MiB", clients=3),
        Attack("endless", "Submit frames said to have 2 GiB"),
        Attack("bomb", "compressed requests of half a megabyte that would become 512 MiB"),
        Attack("listen", "64 listeners of a log of 24 MB, none of which reads"),
        Attack("health", "400 half-sent Health.Check calls"),
        Attack("reflection", "400 half-sent messages of ServerReflection"),
        Attack("exchange", "400 half-sent envelopes, by a client"),
        Attack("reply", "an executor: 400 half-sent Reply calls", "executor"),
        Attack("digests", "an executor: 400 half-sent Digests calls", "executor"),
        Attack("share", "a signing desk: 400 half-sent Share calls", "desk"),
        Attack("silent", "1,300 TCP connections that say nothing, opened again when closed"),
        Attack("handshake", "1,300 TCP connections with the beginning of a TLS handshake"),
        Attack(
            "invalid",
            "submissions with wrong signatures, 1,024 to a frame, 16 streams, on all six",
            members=6,
        ),
        Attack("trickle", "the lock example's resource: 64 connections with endless headers", "resource"),
    )
}


@dataclass
class Measured:
    """``shut_out_seconds``: the longest time in which nobody new got in; ``attackers``: what they count."""

    name: str
    before_mib: int = 0
    peak_mib: int = 0
    quiet_ms: float = 0.0
    attacked_ms: float = 0.0
    shut_out_seconds: float = 0.0
    unanswered: int = 0
    attackers: list[dict[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def measure(attack: Attack, folder: Path, seconds: float) -> Measured:
    """Runs it for so long in an empty folder."""
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) > 1
    if apart:
        os.sched_setaffinity(0, set(cores[1:]))
    try:
        return _measure(attack, folder, seconds, cores[0] if apart else None)
    finally:
        os.sched_setaffinity(0, set(cores))


def _measure(attack: Attack, folder: Path, seconds: float, core: int | None) -> Measured:
    got = Measured(attack.name)
    with ExitStack() as stack:
        purposes = (("tokens", 4),)
        cluster = Cluster.found(folder / "farm", clients=attack.clients + 1, purposes=purposes)
        stack.enter_context(cluster)
        for application in ("kv", "sign"):
            give_addresses(cluster, application)
        cluster.start()
        processes, targets, knock = _door(attack, cluster, stack, folder)
        if attack.name == "listen":
            _fill(cluster)
        victim = stack.enter_context(_process("victim"))
        _give(victim, folder=str(cluster.client_folder("client-1")), seconds=QUIET_SECONDS + seconds)
        begun = json.loads(first_line(victim))["begun"]
        watch = stack.enter_context(Watch(processes, knock))
        time.sleep(max(0.0, begun + QUIET_SECONDS - time.monotonic()))
        got.before_mib, attacked = watch.peak, time.monotonic()
        attackers = [stack.enter_context(_process("attackers")) for _ in range(attack.clients)]
        for number, attacker in enumerate(attackers):
            home = str(cluster.client_folder(f"client-{number + 2}"))
            _give(attacker, attack=attack.name, addresses=targets, folder=home, seconds=seconds, core=core)
        for attacker in attackers:
            told, _ = attacker.communicate(timeout=seconds + 60.0)
            got.attackers.append(json.loads(told) if told else {"failed": 1})
        watch.stop()
        told, _ = victim.communicate(timeout=seconds + 60.0)
        _judge(got, json.loads(told), attacked, watch)
    return got


class Watch:
    """A thread that looks at the servers' memory, and knocks at the one that is attacked."""

    def __init__(self, processes: Sequence[ServerProcess], knock: Callable[[], None]) -> None:
        """``knock`` gets in as somebody new, or raises OSError or Closed."""
        self.processes = processes
        self.peak = 0
        self.shut_out_seconds = 0.0
        self._knock = knock
        self._end = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._look, self._try)]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            self.peak = max(self.peak, *(_rss_mib(process) for process in self.processes), 0)

    def _try(self) -> None:
        in_at = time.monotonic()
        while not self._end.wait(KNOCK_SECONDS):
            with contextlib.suppress(OSError, Closed, http.client.HTTPException):
                self._knock()
                in_at = time.monotonic()
            self.shut_out_seconds = max(self.shut_out_seconds, time.monotonic() - in_at)


def _door(
    attack: Attack, cluster: Cluster, stack: ExitStack, folder: Path
) -> tuple[list[ServerProcess], list[tuple[str, int]], Callable[[], None]]:
    """The processes that are attacked, where they listen, and how to knock at the first of them."""
    name = cluster.names[0]
    member, home = cluster.config.members[0], cluster.member(name)
    if attack.door == "resource":
        key = str(cluster.folder / "public-attestation.pem")
        (folder / "files").mkdir()
        process = ServerProcess(
            folder / "files",
            "--key",
            key,
            "--listen",
            "127.0.0.1:0",
            module="examples.lock_service",
            words=("resource",),
        )
        stack.callback(process.close)
        place = _place(process.await_ready()["address"])
        return [process], [place], lambda: _http(place)
    if attack.door == "server":
        servers = [cluster.servers[each] for each in cluster.names[: attack.members]]
        places = [_place(each.address) for each in cluster.config.members[: attack.members]]
    else:
        if attack.door == "executor":
            process = ServerProcess(home, module="examples.kv")
        else:
            policy = folder / "tokens.toml"
            policy.write_text(DESK_POLICY)
            process = ServerProcess(home, "--policy", str(policy), words=("sign", "serve"))
        stack.callback(process.close)
        process.await_ready()
        servers = [process]
        places = [_place(member.application_address({"executor": "kv", "desk": "sign"}[attack.door]))]
    visitor = Target(places[0], cluster.client_folder("client-1"), 0.0, PASSPHRASE.encode())

    def knock() -> None:
        connection = Connection(places[0], visitor.tls)
        try:
            stream = connection.open("/grpc.health.v1.Health/Check")
            stream.unsent = message(b"")
            connection.push(end=True)
            end = time.monotonic() + KNOCK_TIMEOUT_SECONDS
            while not stream.ended and time.monotonic() < end:
                connection.pump(0.1)
            if not stream.ended:
                raise Closed
        finally:
            connection.close()

    return servers, places, knock


def _http(place: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*place, timeout=KNOCK_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/gate")
        connection.getresponse()
    finally:
        connection.close()


def _fill(cluster: Cluster) -> None:
    """A log that is worth listening to."""
    with cluster.client("client-1") as client:
        for _ in client.propose_all([os.urandom(FILL_BYTES) for _ in range(FILL_COMMANDS)], timeout=60.0):
            pass


def _process(module: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", f"tests.attacks.{module}"]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )


def _give(process: subprocess.Popen[bytes], **job: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(job).encode())
    process.stdin.close()
    process.stdin = None


def _judge(got: Measured, took: Sequence[tuple[float, float | None]], attacked: float, watch: Watch) -> None:
    quiet = [each for begun, each in took if begun < attacked and each is not None]
    later = [each for begun, each in took if begun >= attacked and each is not None]
    got.unanswered = sum(each is None for _, each in took)
    got.quiet_ms = 1000 * statistics.median(quiet or [float("inf")])
    got.attacked_ms = 1000 * statistics.median(later or [float("inf")])
    got.peak_mib, got.shut_out_seconds = watch.peak, round(watch.shut_out_seconds, 1)
    bars = (
        (got.peak_mib < PEAK_MIB_MAX, f"a peak of {got.peak_mib} MiB, of {PEAK_MIB_MAX}"),
        (got.attacked_ms < SLOWER_MAX * got.quiet_ms, f"slower by {got.attacked_ms / got.quiet_ms:.1f}"),
        (not got.unanswered, f"{got.unanswered} proposals were not answered"),
        (got.shut_out_seconds < SHUT_OUT_SECONDS_MAX, f"nobody new got in for {got.shut_out_seconds} s"),
        (all(process.running for process in watch.processes), "a server has ended"),
        (not any("failed" in each for each in got.attackers), "an attacker failed"),
    )
    got.problems = [text for holds, text in bars if not holds]


def _rss_mib(process: ServerProcess) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
