"""The ceiling: what the product's parts could do if there were no protocol to run.

One process per member with the product's certificates and channel options: grpc.aio streams over mutual TLS,
one envelope per flush, a synced SQLite journal on the loop, one Ed25519 signature per group of votes, each
vote checked by everybody. No clients, no log tree, no receipts, no certificates, no view changes: the leader
makes up its batches, and its latency is from proposal to decision there. Nothing here is safe to use.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from alliance.config import file as config_file
from alliance.keys import folder as keys
from alliance.net.channels import SERVER_OPTIONS, Identities, open_channel, server_credentials
from alliance.wire.envelope import envelope, open_envelope
from benchmarks.histogram import Histogram
from benchmarks.launch import die_with_parent

_HEAD = struct.Struct(">BQ")
_PROPOSE, _VOTE = 1, 2
_METHOD = "/benchmarks.Skeleton/Exchange"
DIAL_SECONDS = 0.05
EPOCH = 0


class Outbox:
    """What waits for one peer; leaves as one envelope."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.wake = asyncio.Event()

    def send(self, message: bytes) -> None:
        self.messages.append(message)
        self.wake.set()

    async def empty(self, write: Callable[[bytes], Any]) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            messages, self.messages = self.messages, []
            if messages:
                await write(envelope(messages, EPOCH))


class Member:
    """One member: turns as the product's driver takes them, with next to nothing done in each."""

    def __init__(self, folder: Path, passphrase: bytes) -> None:
        self.config = config_file.load(folder)
        self.me, party = keys.member_party(self.config, folder)
        self.mine = keys.load_credentials(folder, party, passphrase)
        self.outboxes = {peer: Outbox() for peer in range(len(self.config.members)) if peer != self.me}
        self.linked: set[int] = set()
        self.all_linked = asyncio.Event()
        self._inbox: list[tuple[int, bytes]] = []
        self._wake = asyncio.Event()
        self._db = sqlite3.connect(folder / "skeleton.sqlite", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "locking_mode=EXCLUSIVE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE IF NOT EXISTS entries (slot INTEGER PRIMARY KEY, batch BLOB)")
        self._voted = dict.fromkeys(range(len(self.config.members)), 0)
        self._digests: dict[int, bytes] = {}
        self.decided = self.tip = 0
        self.load: Load | None = None

    def received(self, sender: int, frame: bytes) -> None:
        self._inbox.extend((sender, message) for message in open_envelope(frame, EPOCH))
        self._wake.set()

    def nudge(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._turn()
            await asyncio.sleep(0)

    def _turn(self) -> None:
        inbox, self._inbox = self._inbox, []
        rows = []
        for sender, message in inbox:
            kind, slot = _HEAD.unpack_from(message)
            if kind == _PROPOSE:
                rows.append((slot, message[_HEAD.size :]))
            else:
                self._vote(sender, slot, message[_HEAD.size :])
        proposals = self.load.proposals(self.tip, self.decided) if self.load is not None else []
        rows += proposals
        if rows:
            self._write(rows)
        for slot, batch in proposals:
            self._broadcast(_HEAD.pack(_PROPOSE, slot) + batch)
        if rows and not proposals:
            word = _HEAD.pack(_VOTE, self.tip)
            self._broadcast(word + self.mine.signing_key.sign(word))
        if rows:
            self._voted[self.me] = self.tip
            self._voted[0] = max(self._voted[0], self.tip)
        self._decide()

    def _write(self, rows: list[tuple[int, bytes]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", rows)
        self._db.execute("COMMIT")
        for slot, batch in rows:
            self._digests[slot] = sha256(batch).digest()
            self.tip = slot

    def _vote(self, sender: int, slot: int, signature: bytes) -> None:
        self.config.members[sender].identity_key.verify(signature, _HEAD.pack(_VOTE, slot))
        self._voted[sender] = max(self._voted[sender], slot)

    def _decide(self) -> None:
        decided = sorted(self._voted.values(), reverse=True)[self.config.system.decision - 1]
        decided = min(decided, self.tip)
        for slot in range(self.decided + 1, decided + 1):
            del self._digests[slot]
            if self.load is not None:
                self.load.decided(slot)
        self.decided = max(self.decided, decided)
        if self.load is not None and self.load.more(self.tip, self.decided):
            self._wake.set()

    def _broadcast(self, message: bytes) -> None:
        for outbox in self.outboxes.values():
            outbox.send(message)

    # -- links ---------------------------------------------------------------------------------------

    async def serve(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        identities = Identities(self.config)

        async def exchange(_: object, context: Any) -> None:
            peer = identities.member(context)
            if peer is None:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "members only")
                return
            await context.send_initial_metadata(())
            await self._converse(peer, context.read, context.write)

        handler: Any = grpc.stream_stream_rpc_method_handler(exchange)
        service, _, method = _METHOD[1:].rpartition("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        server.add_secure_port(
            self.config.members[self.me].address, server_credentials(identities, self.mine)
        )
        await server.start()
        return server

    async def dial(self, peer: int) -> None:
        while True:
            async with open_channel(self.config.members[peer], self.mine) as channel:
                stream: Any = channel.stream_stream(_METHOD)
                call = stream()
                try:
                    await call.write(envelope([], EPOCH))
                    await self._converse(peer, call.read, call.write)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await asyncio.sleep(DIAL_SECONDS)

    async def _converse(self, peer: int, read: Callable[[], Any], write: Callable[[bytes], Any]) -> None:
        writer = asyncio.create_task(self.outboxes[peer].empty(write))
        try:
            await write(envelope([], EPOCH))
            while (frame := await read()) is not grpc.aio.EOF:
                self.linked.add(peer)
                if len(self.linked) == len(self.outboxes):
                    self.all_linked.set()
                self.received(peer, frame)
        finally:
            writer.cancel()


class Load:
    """The leader's batches: ``pipeline`` of them undecided, and how long each took."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._batch = os.urandom(job["commands"] * job["size"])
        self._commands: int = job["commands"]
        self._pipeline: int = job["pipeline"]
        self._begin = time.monotonic() + job["warmup_seconds"]
        self._end = self._begin + job["seconds"]
        self._sent: dict[int, float] = {}
        self._done = 0
        self._histogram = Histogram()
        self.over = asyncio.Event()

    def more(self, tip: int, decided: int) -> bool:
        return tip - decided < self._pipeline and time.monotonic() < self._end

    def proposals(self, tip: int, decided: int) -> list[tuple[int, bytes]]:
        if not self.more(tip, decided):
            return []
        slots = range(tip + 1, decided + self._pipeline + 1)
        now = time.monotonic()
        self._sent.update(dict.fromkeys(slots, now))
        return [(slot, self._batch) for slot in slots]

    def decided(self, slot: int) -> None:
        now, sent = time.monotonic(), self._sent.pop(slot)
        if self._begin <= now < self._end:
            self._done += self._commands
            self._histogram.add(now - sent, self._commands)
        elif now >= self._end and not self._sent:
            self.over.set()

    def result(self) -> dict[str, Any]:
        return {"commands": self._done, "histogram": self._histogram.to_dict()}


async def _live(folder: Path) -> None:
    member = Member(folder, os.environb[b"ALLIANCE_PASSPHRASE"])
    server = await member.serve()
    tasks = [asyncio.create_task(member.run())]
    tasks += [asyncio.create_task(member.dial(peer)) for peer in range(member.me)]
    await member.all_linked.wait()
    _say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        member.load = Load(json.loads(line))
        member.nudge()
        await member.load.over.wait()
        _say(json.dumps(member.load.result()))
        member.load = None
    await server.stop(None)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    die_with_parent()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    asyncio.run(_live(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
