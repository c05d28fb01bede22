"""What attackers do: each is a function that goes on until its time is over, and begins anew when cut off.

As a program, ``python -m tests.attacks.attackers``, it reads one JSON object from standard input: ``attack``,
``addresses``, ``folder`` (a client's; its passphrase is in ALLIANCE_PASSPHRASE), ``seconds`` and ``core``.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from alliance.config import file as config_file
from alliance.keys import folder as keys
from alliance.pb import client_pb2 as pb
from tests.attacks.wire import Closed, Connection, message, tls
from verifiable_log import UnsignedSubmission

MESSAGE_BYTES = 8 * 1024 * 1024 - 64
"""Within what a peer's envelope may have."""
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
LONG_BYTES = 2**31 - 1
BOMB_BYTES = 512 * 1024 * 1024
SILENT = 1300
WAIT_SECONDS = 0.05
ELSEWHERE = "127.0.0.2"
"""Attackers do not come from the address of those who are to get in meanwhile."""

AGAIN_SECONDS = 0.2
"""Between one connection and the next."""


@dataclass
class Target:
    """A server, and a client's folder with which it lets one in."""

    address: tuple[str, int]
    folder: Path
    seconds: float
    passphrase: bytes

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds
        self.counts: Counter[str] = Counter()
        self.config = config_file.load(self.folder)
        party = self.config.client(keys.load_name(self.folder, "client"))
        self.credentials = keys.load_credentials(self.folder, party, self.passphrase)
        self.tls = tls(self.credentials.channel())

    @property
    def running(self) -> bool:
        return time.monotonic() < self.end

    def again(self, work: Callable[[Connection], None], connections: int, *, reads: bool = True) -> None:
        """Does it on so many connections at a time, each anew when the server has closed it."""

        def live() -> None:
            while self.running:
                with contextlib.suppress(OSError, Closed):
                    connection = Connection(self.address, self.tls, reads=reads, source=ELSEWHERE)
                    self.counts["connections"] += 1
                    try:
                        connection.pump(WAIT_SECONDS)
                        work(connection)
                    finally:
                        self.counts["bytes"] += connection.sent
                        connection.close()
                time.sleep(AGAIN_SECONDS)

        threads = [threading.Thread(target=live, daemon=True) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.end + 1.0 - time.monotonic()))


def half_sent(path: str, streams: int, announced: int, connections: int) -> Callable[[Target], None]:
    """Messages that never end: all of it but the last byte, as fast as the server takes it."""

    def attack(target: Target) -> None:
        def work(connection: Connection) -> None:
            for _ in range(streams):
                stream = connection.open(path)
                stream.unsent, stream.announced = message(b"", announced=announced), announced - 1
            while target.running:
                connection.pump(0.0 if connection.push() else WAIT_SECONDS)
                if all(stream.ended for stream in connection.streams.values()):
                    return

        target.again(work, connections)

    return attack


def whole(path: str, streams: int, size: int, connections: int) -> Callable[[Target], None]:
    """One message after another, each as large as can be."""

    def attack(target: Target) -> None:
        def work(connection: Connection) -> None:
            opened = [connection.open(path) for _ in range(streams)]
            while target.running:
                for stream in opened:
                    if not stream.left:
                        stream.unsent, stream.announced = message(b"", announced=size), size
                connection.pump(0.0 if connection.push() else WAIT_SECONDS)
                if all(stream.ended for stream in opened):
                    return

        target.again(work, connections)

    return attack


def bomb(target: Target) -> None:
    """A small message that would be large when it is decompressed."""
    data = message(gzip.compress(bytes(BOMB_BYTES)), compressed=True)

    def work(connection: Connection) -> None:
        stream = connection.open("/alliance.v1.Client/Status", grpc_encoding="gzip")
        stream.unsent = data
        while target.running and not stream.ended:
            connection.pump(0.0 if connection.push(end=True) else WAIT_SECONDS)

    target.again(work, 4)


def stalled(target: Target) -> None:
    """64 listeners from the first slot, none of which reads."""

    def work(connection: Connection) -> None:
        request = pb.ListenRequest(first_slot=1).SerializeToString()
        for _ in range(64):
            connection.open("/alliance.v1.Client/Listen").unsent = message(request)
        while target.running:
            connection.pump(0.0 if connection.push(end=True) else WAIT_SECONDS)

    target.again(work, 1, reads=False)


def invalid(target: Target) -> None:
    """Frames of 1,024 submissions whose signatures are wrong, over 16 streams."""
    client_id = target.credentials.party.client_id
    unsigned = UnsignedSubmission(client_id, 1, [b"x"])
    signature = target.credentials.signing_key.sign(unsigned.message(target.config.context))
    rubbish = unsigned.sign(signature[:-1] + bytes([signature[-1] ^ 1])).encoded
    data = message(pb.Submissions(submissions=[rubbish] * 1024).SerializeToString())

    def work(connection: Connection) -> None:
        opened = [connection.open("/alliance.v1.Client/Submit") for _ in range(16)]
        while target.running:
            for stream in opened:
                if not stream.left and not stream.ended:
                    stream.unsent = data
                    target.counts["frames"] += 1
            connection.pump(0.0 if connection.push() else WAIT_SECONDS)
            if all(stream.ended for stream in opened):
                return

    target.again(work, 1)


def silent(greeting: bytes) -> Callable[[Target], None]:
    """SILENT connections without a certificate; what the server closes is opened again."""

    def attack(target: Target) -> None:
        held: list[socket.socket] = []
        while target.running:
            for connection in list(held):
                with contextlib.suppress(BlockingIOError):
                    try:
                        if connection.recv(4096):
                            continue
                    except ConnectionError:
                        pass
                    connection.close()
                    held.remove(connection)
                    target.counts["closed"] += 1
            with contextlib.suppress(OSError):
                while len(held) < SILENT and target.running:
                    connection = socket.create_connection(
                        target.address, timeout=1.0, source_address=(ELSEWHERE, 0)
                    )
                    if greeting:
                        connection.sendall(greeting)
                    connection.setblocking(False)
                    held.append(connection)
                    target.counts["connections"] += 1
            time.sleep(WAIT_SECONDS)

    return attack


def trickle(target: Target) -> None:
    """HTTP requests whose headers never end: a byte each second, on 64 connections."""
    held: list[socket.socket] = []
    while target.running:
        for connection in list(held):
            try:
                connection.sendall(b"X")
            except OSError:
                held.remove(connection)
                target.counts["closed"] += 1
        with contextlib.suppress(OSError):
            while len(held) < 64:
                connection = socket.create_connection(
                    target.address, timeout=1.0, source_address=(ELSEWHERE, 0)
                )
                connection.sendall(b"PUT /gate HTTP/1.1\r\nX-")
                held.append(connection)
                target.counts["connections"] += 1
        time.sleep(1.0)


ATTACKS: dict[str, Callable[[Target], None]] = {
    "status": half_sent("/alliance.v1.Client/Status", 400, MESSAGE_BYTES, 1),
    "submit": whole("/alliance.v1.Client/Submit", 64, MESSAGE_BYTES, 1),
    "crowd": half_sent("/alliance.v1.Client/Submit", 16, 1024 * 1024, 16),
    "endless": half_sent("/alliance.v1.Client/Submit", 1, LONG_BYTES, 4),
    "health": half_sent("/grpc.health.v1.Health/Check", 400, MESSAGE_BYTES, 1),
    "reflection": half_sent(REFLECTION, 400, MESSAGE_BYTES, 1),
    "exchange": half_sent("/alliance.v1.Peer/Exchange", 400, MESSAGE_BYTES, 1),
    "reply": half_sent("/alliance.v1.Application/Reply", 400, MESSAGE_BYTES, 1),
    "digests": half_sent("/alliance.v1.Application/Digests", 400, MESSAGE_BYTES, 1),
    "share": half_sent("/alliance.v1.Signing/Share", 400, MESSAGE_BYTES, 1),
    "bomb": bomb,
    "listen": stalled,
    "invalid": invalid,
    "silent": silent(b""),
    "handshake": silent(b"\x16\x03\x01\x02\x00\x01"),
    "trickle": trickle,
}


def main() -> int:
    job = json.load(sys.stdin)
    if job["core"] is not None:
        os.sched_setaffinity(0, {job["core"]})
    passphrase = os.environb[b"ALLIANCE_PASSPHRASE"]
    targets = [Target(tuple(a), Path(job["folder"]), job["seconds"], passphrase) for a in job["addresses"]]
    with ThreadPoolExecutor(len(targets)) as threads:
        list(threads.map(ATTACKS[job["attack"]], targets))
    sys.stdout.write(json.dumps(sum((target.counts for target in targets), Counter())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
