"""Servers are killed with -9 while clients work: nothing that has a receipt is lost, and no one disagrees."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from alliance import sync
from alliance.receipt import Receipt
from tests.processes import Cluster

KILLS = 20
BETWEEN_KILLS = 12


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.found(tmp_path_factory.mktemp("crashes") / "farm") as cluster:
        yield cluster


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Cluster]:
    """All six serve, whatever the test before did."""
    cluster.start(*(name for name in cluster.names if name not in cluster.servers))
    try:
        yield cluster
    except BaseException:
        print(cluster.logs())  # noqa: T201
        raise


class Stream:
    """Proposes one command after another in a thread, and remembers what has a receipt."""

    def __init__(self, folder: Path, passphrase: str, tag: str) -> None:
        self.receipts: list[tuple[bytes, Receipt]] = []
        self._folder = folder
        self._passphrase = passphrase
        self._tag = tag
        self._news = threading.Condition()
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with sync.connect(self._folder, self._passphrase.encode()) as client:
                number = 0
                while not self._stopping:
                    command = b"%s %d" % (self._tag.encode(), number)
                    receipt = client.propose(command, timeout=60.0)
                    number += 1
                    with self._news:
                        self.receipts.append((command, receipt))
                        self._news.notify_all()
        except BaseException as error:
            with self._news:
                self._error = error
                self._news.notify_all()

    def await_receipts(self, count: int) -> None:
        """Waits until so many commands in all have their receipt."""
        with self._news:
            done = self._news.wait_for(lambda: self._error or len(self.receipts) >= count, timeout=90.0)
        if self._error is not None:
            raise self._error
        assert done, f"{len(self.receipts)} receipts, {count} were awaited"

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(timeout=90.0)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


def listened(cluster: Cluster, server: str) -> list[tuple[int, int, int, bytes]]:
    """The whole log, as a listener hears it that asks this server first."""
    with cluster.client("client-2") as client:
        return [
            (entry.slot, entry.position, entry.command_index, entry.command)
            for entry in client.listen(start=1, follow=False, server=server)
        ]


def check_log(cluster: Cluster, receipts: list[tuple[bytes, Receipt]]) -> None:
    """Every receipt's command is where its receipt says, once, by every server."""
    logs = [listened(cluster, server) for server in cluster.names]
    assert all(log == logs[0] for log in logs)
    places = {command: place for *place, command in logs[0]}
    assert len(places) == len(logs[0]), "a command was delivered twice"
    with cluster.client("client-2") as client:
        for command, receipt in receipts:
            receipt.verify(client.public_key)
            assert receipt.command == command
            assert places[command] == [receipt.slot, receipt.position, receipt.command_index]


def await_level(cluster: Cluster, name: str) -> None:
    """Asks until this member has proven as much as any other one. Each question takes its time."""
    with cluster.client("client-2") as client:
        for _ in range(2000):
            members = client.status()
            certified = {member.name: member.certified for member in members if member.reachable}
            if certified.get(name, -1) == max(certified.values()):
                return
    raise AssertionError(f"{name} does not catch up: {certified}")


def test_twenty_kills_in_the_middle_of_a_stream_lose_nothing(running: Cluster) -> None:
    """Nothing that a client has a receipt for is lost. The victims are chosen by seed, leaders among them."""
    choose = Random(20)
    victims = running.names
    stream = Stream(running.client_folder("client-1"), running.passphrase, "kill")
    for kill in range(KILLS):
        stream.await_receipts(BETWEEN_KILLS * (kill + 1))
        victim = choose.choice(victims)
        running.kill(victim)
        stream.await_receipts(len(stream.receipts) + 3)  # the others go on
        running.start(victim)
    stream.stop()
    for name in running.names:
        await_level(running, name)
    check_log(running, stream.receipts)
    assert len(stream.receipts) >= KILLS * BETWEEN_KILLS


def test_the_whole_alliance_loses_power_and_goes_on(running: Cluster) -> None:
    stream = Stream(running.client_folder("client-1"), running.passphrase, "power")
    stream.await_receipts(20)
    running.kill()
    running.start()
    stream.await_receipts(40)
    stream.stop()
    check_log(running, stream.receipts)


def test_a_member_that_was_away_catches_up(running: Cluster) -> None:
    running.stop("member-4")
    with running.client("client-1") as client:
        receipts = [(r.command, r) for r in client.propose_all(b"away %d" % n for n in range(5000))]
        for n in range(60):
            receipts.append((b"away too %d" % n, client.propose(b"away too %d" % n)))
    running.start("member-4")
    await_level(running, "member-4")
    check_log(running, receipts)


def test_a_paused_member_holds_nobody_up_and_catches_up(running: Cluster) -> None:
    server = running.servers["member-5"]
    server.pause()
    try:
        with running.client("client-1") as client:
            receipts = [(b"pause %d" % n, client.propose(b"pause %d" % n)) for n in range(40)]
    finally:
        server.resume()
    await_level(running, "member-5")
    check_log(running, receipts)
