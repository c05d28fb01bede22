"""ZooKeeper: three members with their defaults, and a client of its binary protocol on plain asyncio.

A client library would cost more than the protocol does: kazoo's asynchronous calls reach a quarter of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from alliance.cli.demo.cluster import free_addresses
from benchmarks.processes import Child

INSTALL = "apt-get install zookeeper"
JAR = Path("/usr/share/java/zookeeper.jar")
_CREATE, _DELETE, _SET_DATA, _GET_CHILDREN, _PING, _MULTI = 1, 2, 5, 8, 11, 14
_EPHEMERAL_SEQUENCE = 3
_HEAD = struct.Struct(">iqi")
"""Of an answer: number of the call, of the transaction, and error."""
_PING_XID = -2
_PING_SECONDS = 2.0
_RETRY_SECONDS = 0.1
_CONNECT_SECONDS = 40.0


def installed() -> bool:
    return JAR.exists() and shutil.which("java") is not None


def start(folder: Path, stack: ExitStack) -> tuple[list[str], list[int]]:
    """Client addresses and process ids; the processes end with ``stack``."""
    clients, quorum, election = free_addresses(3), free_addresses(3), free_addresses(3)
    servers = "".join(
        f"server.{number}={peer}:{vote.rpartition(':')[2]}\n"
        for number, (peer, vote) in enumerate(zip(quorum, election, strict=True), 1)
    )
    pids = []
    for number, client in enumerate(clients, 1):
        home = folder / f"zookeeper-{number}"
        home.mkdir()
        (home / "myid").write_text(f"{number}\n", "ascii")
        settings = (
            f"tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={home}\nmaxClientCnxns=0\n"
            f"clientPortAddress=127.0.0.1\nclientPort={client.rpartition(':')[2]}\nadmin.enableServer=false\n"
        )
        (home / "zoo.cfg").write_text(settings + servers, "ascii")
        command = ["java", "-cp", f"{home}:{JAR}", "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        child = Child(f"zookeeper {number}", [*command, str(home / "zoo.cfg")], log=home / "log")
        stack.callback(child.stop)
        pids.append(child.pid)
    return clients, pids


class ZooKeeperConnection:
    """One session. A single command is a setData, several are one multi."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._xid = 0
        self._path = ""
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, address: str) -> Self:
        """A session with a node of its own; waits for the members to find each other. Raises TimeoutError."""
        host, _, port = address.rpartition(":")
        async with asyncio.timeout(_CONNECT_SECONDS):
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    connection = cls(*await asyncio.open_connection(host, int(port)))
                    await connection._begin()
                    return connection
                await asyncio.sleep(_RETRY_SECONDS)

    async def _begin(self) -> None:
        self._writer.write(_frame(struct.pack(">iqiqi16s?", 0, 0, 10_000, 0, 16, bytes(16), False)))
        (length,) = struct.unpack(">i", await self._reader.readexactly(4))
        reply = await self._reader.readexactly(length)
        (session,) = struct.unpack_from(">q", reply, 8)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._ping())]
        self._path = f"/bench-{session:x}"
        await self._create(self._path)

    async def request(self, commands: list[bytes]) -> None:
        writes = [_text(self._path) + _frame(c) + struct.pack(">i", -1) for c in commands]
        if len(writes) == 1:
            await self._call(_SET_DATA, writes[0])
            return
        body = b"".join(struct.pack(">i?i", _SET_DATA, False, -1) + write for write in writes)
        await self._call(_MULTI, body + struct.pack(">i?i", -1, True, -1))

    async def _create(self, path: str, flags: int = 0) -> str:
        """The path of the new node, whose number the server has added if it is one of a sequence."""
        everybody = struct.pack(">ii", 1, 31) + _text("world") + _text("anyone")
        body = _text(path) + _frame(b"") + everybody + struct.pack(">i", flags)
        return _read_text(await self._call(_CREATE, body), 0)[0]

    async def _call(self, kind: int, body: bytes) -> bytes:
        """The answer without its head."""
        self._xid += 1
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[self._xid] = answer
        self._writer.write(_frame(struct.pack(">ii", self._xid, kind) + body))
        return await answer

    async def _read(self) -> None:
        try:
            while True:
                (length,) = struct.unpack(">i", await self._reader.readexactly(4))
                said = await self._reader.readexactly(length)
                xid, _, error = _HEAD.unpack_from(said)
                answer = self._answers.pop(xid, None)
                if answer is None or answer.done():
                    continue
                if error:
                    answer.set_exception(RuntimeError(f"ZooKeeper's error {error}"))
                else:
                    answer.set_result(said[_HEAD.size :])
        except (OSError, asyncio.IncompleteReadError) as error:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(RuntimeError(f"the session has ended: {error}"))

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            self._writer.write(_frame(struct.pack(">ii", _PING_XID, _PING)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._writer.close()


class ZooKeeperLock(ZooKeeperConnection):
    """A session with a lock of its own; each command is one acquire and one release.

    As kazoo does it with a lock that is used again: it looks for a node left behind, creates an ephemeral one
    in a sequence, and holds the lock when no other comes before it. The release deletes the node.
    """

    async def request(self, commands: list[bytes]) -> None:
        for _ in commands:
            await self._children()
            mine = await self._create(f"{self._path}/{secrets.token_hex(16)}__lock__", _EPHEMERAL_SEQUENCE)
            if min(await self._children(), key=_number) != mine.rpartition("/")[2]:
                raise RuntimeError("ZooKeeper: the lock is taken")
            await self._call(_DELETE, _text(mine) + struct.pack(">i", -1))

    async def _children(self) -> list[str]:
        body = await self._call(_GET_CHILDREN, _text(self._path) + b"\0")
        (count,) = struct.unpack_from(">i", body)
        names, place = [], 4
        for _ in range(count):
            name, place = _read_text(body, place)
            names.append(name)
        return names


def _number(name: str) -> str:
    """Of a node in a sequence: ten digits at the end."""
    return name[-10:]


def _frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _text(text: str) -> bytes:
    return _frame(text.encode())


def _read_text(body: bytes, place: int) -> tuple[str, int]:
    """A text and where it ends."""
    (length,) = struct.unpack_from(">i", body, place)
    end = place + 4 + length
    return body[place + 4 : end].decode(), end
