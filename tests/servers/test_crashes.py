"""Servers are killed with -9 while clients work: nothing that has a receipt is lost, and no one disagrees."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest

from alliance import sync
from alliance.cli.demo.verdict import difference
from alliance.proofs.receipt import Receipt
from tests.worlds.processes import Cluster

KILLS = 20
BETWEEN_KILLS = 12
AHEAD = 12
"""So many commands a stream proposes beyond what is waited for: there is always one under way."""


class Stream:
    """Proposes one command after another in a thread, and remembers what has a receipt."""

    def __init__(self, folder: Path, passphrase: str, tag: str) -> None:
        self.receipts: list[tuple[bytes, Receipt]] = []
        self._folder = folder
        self._passphrase = passphrase
        self._tag = tag
        self._news = threading.Condition()
        self._allowed = AHEAD
        self._stopping = False
        self._error: BaseException | None = None
        # Where the test fails before its end, nobody waits for this thread.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with sync.connect(self._folder, self._passphrase.encode()) as client:
                number = 0
                while self._may_go_on():
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

    def _may_go_on(self) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._stopping or len(self.receipts) < self._allowed)
            return not self._stopping

    def await_receipts(self, count: int) -> None:
        """Waits until so many more commands have their receipt; a few more will be under way then."""
        with self._news:
            goal = len(self.receipts) + count
            self._allowed = goal + AHEAD
            self._news.notify_all()
            done = self._news.wait_for(lambda: self._error or len(self.receipts) >= goal, timeout=90.0)
        if self._error is not None:
            raise self._error
        assert done, f"{len(self.receipts)} receipts, {goal} were awaited"

    def stop(self) -> None:
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._thread.join(timeout=90.0)
        assert not self._thread.is_alive(), f"no receipt after the {len(self.receipts)}th within 90 s"
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
    """Once all servers are level, each tells every receipt's command where its receipt says, and once."""
    cluster.await_level(*cluster.names)
    first, *others = cluster.names
    told = listened(cluster, first)
    for other in others:
        log = listened(cluster, other)
        assert log == told, f"{first} and {other}: {difference(told, log)}"
    places = {command: place for *place, command in told}
    assert len(places) == len(told), "a command was delivered twice"
    with cluster.client("client-2") as client:
        for command, receipt in receipts:
            receipt.verify(client.public_key)
            assert receipt.command == command
            assert places[command] == [receipt.slot, receipt.position, receipt.command_index]


@pytest.mark.timeout(900)  # each kill and each start has a time-out of its own
def test_twenty_kills_in_the_middle_of_a_stream_lose_nothing(running: Cluster) -> None:
    """Nothing that a client has a receipt for is lost. The victims are chosen by seed, leaders among them."""
    choose = Random(20)
    victims = running.names
    stream = Stream(running.client_folder("client-1"), running.passphrase, "kill")
    for _ in range(KILLS):
        stream.await_receipts(BETWEEN_KILLS)
        victim = choose.choice(victims)
        running.kill(victim)
        stream.await_receipts(3)  # the others go on
        running.start(victim)
    stream.stop()
    check_log(running, stream.receipts)
    assert len(stream.receipts) >= KILLS * BETWEEN_KILLS


def test_the_whole_alliance_loses_power_and_goes_on(running: Cluster) -> None:
    stream = Stream(running.client_folder("client-1"), running.passphrase, "power")
    stream.await_receipts(20)
    running.kill()
    running.start()
    stream.await_receipts(20)
    stream.stop()
    check_log(running, stream.receipts)


def test_a_member_that_was_away_catches_up(running: Cluster) -> None:
    running.stop("member-4")
    with running.client("client-1") as client:
        receipts = [(r.command, r) for r in client.propose_all(b"away %d" % n for n in range(5000))]
        for n in range(60):
            receipts.append((b"away too %d" % n, client.propose(b"away too %d" % n)))
    running.start("member-4")
    check_log(running, receipts)


def test_a_paused_member_holds_nobody_up_and_catches_up(running: Cluster) -> None:
    server = running.servers["member-5"]
    server.pause()
    try:
        with running.client("client-1") as client:
            receipts = [(b"pause %d" % n, client.propose(b"pause %d" % n)) for n in range(40)]
    finally:
        server.resume()
    check_log(running, receipts)
