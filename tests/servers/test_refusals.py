"""Servers whose disk was lost, put back, copied, damaged or filled: they do not vote, and say why."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest

from alliance.cli.demo.cluster import free_addresses
from tests.worlds.processes import LEVEL_SECONDS, Cluster, ServerProcess

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def decided(running: Cluster) -> None:
    """They have decided something together."""
    decide(running, 2)


def decide(cluster: Cluster, count: int, size: int = 20) -> None:
    with cluster.client("client-1") as client:
        for _ in range(count):
            client.propose((b"%010d" % next(_NUMBERS)).ljust(size, b"0"))


def await_alarm(cluster: Cluster, text: str, logged: str = "") -> None:
    """Waits until some member raises this alarm, and some log says that; whoever it is about may be gone."""
    deadline = time.monotonic() + LEVEL_SECONDS
    with cluster.client("client-2") as client:
        while True:
            alarms = [alarm for member in client.status() for alarm in member.alarms]
            if any(text in alarm for alarm in alarms) and logged in cluster.logs():
                return
            late = f"no alarm with {text!r} and no log with {logged!r} within {LEVEL_SECONDS:g} s: {alarms}"
            assert time.monotonic() < deadline, late


def await_calm(cluster: Cluster) -> None:
    """Waits until all alarms have ended, as they do when whom they are about greets well."""
    deadline = time.monotonic() + LEVEL_SECONDS
    with cluster.client("client-2") as client:
        while alarms := [a for member in client.status() for a in member.alarms if "(ended" not in a]:
            assert time.monotonic() < deadline, f"alarms that do not end: {alarms}"


def refused(cluster: Cluster, name: str, code: int) -> str:
    """What a server says that must not vote."""
    server = cluster.launch(name)
    assert server.wait() == code, server.stderr()
    del cluster.servers[name]
    return last_line(server)


def last_line(server: ServerProcess) -> str:
    """What it says when it ends: one error, in the form for programs, and no traceback."""
    assert "Traceback" not in server.stderr()
    return str(json.loads(server.stderr().splitlines()[-1])["error"])


def test_a_disk_from_before_the_last_start(running: Cluster, tmp_path: Path) -> None:
    running.stop("member-6")
    running.keep_disk("member-6", tmp_path / "old")
    running.start("member-6")
    running.await_level("member-6")
    running.stop("member-6")
    running.keep_disk("member-6", tmp_path / "new")
    running.put_disk("member-6", tmp_path / "old")
    assert "its start number" in refused(running, "member-6", 7)
    running.wipe("member-6")
    (running.member("member-6") / "journal.started").unlink()  # only its keys came back, it seems
    assert "its start number" in refused(running, "member-6", 7)
    doubt = "member-6: its journal does not know its start number"
    await_alarm(running, doubt, "WARNING member-6: the link was refused")
    decide(running, 2)  # the others go on
    running.put_disk("member-6", tmp_path / "new")
    running.start("member-6")
    running.await_level("member-6")


def test_a_disk_from_a_moment_within_the_last_start(running: Cluster, tmp_path: Path) -> None:
    """Its greetings are all known; what it said afterwards is not."""
    running.await_level("member-2")
    running.keep_disk("member-2", tmp_path / "old")
    running.stop("member-6")  # so that nothing is decided without a word of member-2
    decide(running, 3)
    running.await_level("member-2")
    running.kill("member-2")
    running.keep_disk("member-2", tmp_path / "new")
    running.put_disk("member-2", tmp_path / "old")
    said = refused(running, "member-2", 7)  # whichever was shown first: it may have led
    assert "its vote in view" in said or "its proposal in view" in said
    running.put_disk("member-2", tmp_path / "new")
    running.start("member-2", "member-6")
    running.await_level("member-2", "member-6")


def test_a_cloned_machine(running: Cluster, tmp_path: Path) -> None:
    """Two processes with one identity and one past: one of them votes, the other one stops at once."""
    original = running.servers.pop("member-6")
    clone_folder = tmp_path / "member-6"
    shutil.copytree(running.member("member-6"), clone_folder, ignore=shutil.ignore_patterns("journal.*"))
    running.keep_disk("member-6", clone_folder)
    (address,) = free_addresses(1)
    clone = ServerProcess(clone_folder, "--listen", address)
    try:
        clone.await_ready()
        assert original.wait() == 7
        assert "another machine has this identity" in last_line(original)
        await_alarm(running, "two machines have its identity")
        running.stop("member-1")
        decide(running, 2)  # five are needed: the clone is a member like any other now
        assert "its start number" in refused(running, "member-6", 7)
        assert clone.stop() == 0
    finally:
        clone.close()
    running.put_disk("member-6", clone_folder)
    running.start("member-6")
    running.await_level("member-6")
    await_calm(running)


def test_a_full_disk(running: Cluster) -> None:
    """Nothing is acknowledged that is not on disk; with space again the member goes on."""
    running.stop("member-5")
    journal = running.member("member-5") / "journal.sqlite"
    server = running.launch("member-5", file_bytes_max=journal.stat().st_size + 100_000)
    decide(running, 20, size=20_000)
    assert server.wait() == 4
    line = last_line(server)
    assert "cannot be written" in line
    assert "free space or replace the disk, then start it again" in line
    running.start("member-5")
    running.await_level("member-5")


def test_lost_halved_and_damaged_journals(running: Cluster, tmp_path: Path) -> None:
    """docs/concepts/protocol.md, section 7: amnesia is a fault, so the member must not vote."""
    running.stop("member-4")  # so that what was decided is in the database itself
    running.start("member-4")
    running.await_level("member-4")
    running.kill("member-4")  # so that what it said last is in the WAL
    running.keep_disk("member-4", tmp_path / "kept")
    journal = running.member("member-4") / "journal.sqlite"
    wal, marker = journal.with_name("journal.sqlite-wal"), journal.with_name("journal.started")

    def flip_in_wal() -> None:
        data = bytearray(wal.read_bytes())
        data[len(data) // 2] ^= 1
        wal.write_bytes(data)

    def flip() -> None:
        data = bytearray(journal.read_bytes())
        data[data.rindex(b"0000000000")] ^= 1  # within a command that a client sent
        journal.write_bytes(data)

    for damage, says in (
        (lambda: running.wipe("member-4"), "is gone, but this member has run before"),
        (wal.unlink, "its journal.sqlite-wal is missing"),
        (lambda: (journal.unlink(), marker.unlink()), "is gone, but journal.sqlite-wal is here"),
        (marker.unlink, "journal.started is gone, but journal.sqlite is here"),
        (flip, "is damaged"),
        (flip_in_wal, "journal.sqlite"),
    ):
        damage()  # type: ignore[no-untyped-call]
        line = refused(running, "member-4", 4)
        assert says in line
        assert "new identity" in line
        running.put_disk("member-4", tmp_path / "kept")
    running.start("member-4")
    running.await_level("member-4")


def test_a_journal_that_is_taken_away_under_a_running_member(running: Cluster, tmp_path: Path) -> None:
    """It ends before it says more, whether it has something to write or not, and can be put back."""
    journal = running.member("member-5") / "journal.sqlite"
    server = running.servers.pop("member-5")
    journal.rename(tmp_path / "moved.sqlite")
    assert server.wait() == 4
    assert "journal.sqlite was removed, renamed or replaced while this member ran" in last_line(server)
    (tmp_path / "moved.sqlite").rename(journal)
    running.start("member-5")
    running.await_level("member-5")


def test_nothing_of_this_left_a_traceback(running: Cluster) -> None:
    """All end at once, and are dialled while they end."""
    names = list(running.servers)
    running.stop()
    for name in names:
        assert "Traceback" not in (running.member(name) / "stderr.log").read_text()
