"""What failures cost: the gap when the leader is killed, and how long a member takes to come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import alliance.sync
from benchmarks.generator import Job
from benchmarks.histogram import Histogram
from benchmarks.measure import drive
from benchmarks.processes import Child, python
from benchmarks.report import Row
from benchmarks.servers import Servers, leader
from benchmarks.targets import PASSPHRASE

GAP = "The leader is killed with SIGKILL (s)"
RESTART = "A member is killed and started again (s)"
CALM_SECONDS = 0.5
GIVE_UP_SECONDS = 30.0


def leader_killed(servers: Servers, kills: int) -> Row:
    """The gap: from SIGKILL until a command that was proposed after it has its receipt. Each comes back."""
    folder = servers.folder / "clients" / "client-2"
    pulse = Child("pulse", python("benchmarks.pulse", str(folder)), {"ALLIANCE_PASSPHRASE": PASSPHRASE})
    try:
        with servers.client() as client:
            gaps = [_kill_leader(servers, client, pulse) for _ in range(kills)]
    finally:
        pulse.kill()
    histogram = Histogram.of(gaps)
    figures = {
        "kills": kills,
        "p50": histogram.percentile(50),
        "p95": histogram.percentile(95),
        "worst": max(gaps),
    }
    return Row(GAP, f"{len(servers.names)} members", figures)


def _kill_leader(servers: Servers, client: alliance.sync.Client, pulse: Child) -> float:
    _first_receipt(pulse, time.monotonic() + CALM_SECONDS)
    victim = leader(client.status())
    killed = time.monotonic()
    servers.kill(victim)
    gap = _first_receipt(pulse, killed) - killed
    servers.revive(victim)
    return gap


def _first_receipt(pulse: Child, moment: float) -> float:
    """When the first command that was proposed after ``moment`` had its receipt."""
    while True:
        intended, answered = map(float, pulse.line(GIVE_UP_SECONDS).split())
        if intended > moment:
            return answered


def restart(servers: Servers, slots: int, seconds: float) -> Row:
    """A follower with ``slots`` slots in its journal is killed and started again.

    The slots are made by real load, for so many ``seconds`` at most; ``journal_slots`` says how many
    there were. ``listens`` is until it serves clients, ``votes`` until it takes part again.
    """
    with servers.client() as client:
        decided = _fill(servers, client, slots, seconds)
        first = leader(client.status())
    victim = next(name for name in reversed(servers.names) if name != first)
    journal = sum(
        path.stat().st_size for path in (servers.folder / "members" / victim).glob("journal.sqlite*")
    )
    servers.kill(victim)
    back = servers.revive(victim)
    figures = {
        "journal_slots": decided,
        "journal_MiB": journal / 2**20,
        "listens": back.listens,
        "votes": back.votes,
    }
    return Row(RESTART, f"{len(servers.names)} members", figures)


def _fill(servers: Servers, client: alliance.sync.Client, slots: int, seconds: float) -> int:
    """Small commands of many clients, so that slots are many; how many are decided then."""
    deadline = time.monotonic() + seconds
    while (decided := _decided(client)) < slots and (left := deadline - time.monotonic()) > 0:
        job = Job("alliance", servers.client_folders(), 32, warmup_seconds=0.0, seconds=min(left, 5.0))
        drive(job, 1, servers.pids)
    return decided


def _decided(client: alliance.sync.Client) -> int:
    return max(member.decided for member in client.status() if member.reachable)


@contextmanager
def one_down(servers: Servers) -> Iterator[str]:
    """The last member that does not lead is killed within the block, and comes back after it."""
    with servers.client() as client:
        first = leader(client.status())
    victim = next(name for name in reversed(servers.names) if name != first)
    servers.kill(victim)
    try:
        yield victim
    finally:
        servers.revive(victim)
