"""How an executor that the log cannot bring up gets a certified snapshot from others.

One RSA verification says what is to come; each chunk is proven by its path as it comes, and written to a
file. A few chunks are on the way at once. Whoever sends a wrong one is asked for nothing more; whoever is
slow is asked after the others. What has come outlives a restart.
"""

from __future__ import annotations

import asyncio
import logging

from alliance.execution.others import Others, SaidSnapshot
from alliance.execution.snapshot_folder import Held, Incoming, SnapshotFolder
from quorum import InvalidCertificate, QuorumCertificate
from verifiable_log.merkle_tree import ProofError

log = logging.getLogger("alliance.execution")

AHEAD = 4
"""Chunks that are on the way, so that no round trip is waited for."""

HEDGE_SECONDS = 2.0
"""Without a chunk for so long, a second source is asked for it."""

CHUNK_SECONDS = 30.0
PROGRESS_SECONDS = 5.0
MEBIBYTE = 1024 * 1024

Chunk = tuple[bytes, tuple[bytes, ...]]


class Transfer:
    """One at a time."""

    def __init__(self, folder: SnapshotFolder, others: Others) -> None:
        self._folder = folder
        self._others = others

    async def fetch(self, beyond: int) -> Held | None:
        """The newest certified snapshot of a slot after ``beyond`` that others have; durably in the folder.

        What is half there is ended first, if somebody still has it. None: nobody has one. Raises StateError.
        """
        members = self._others.members
        answers = await asyncio.gather(*map(self._others.snapshots, members))
        sources: dict[SaidSnapshot, list[int]] = {}
        for member, said in zip(members, answers, strict=True):
            for one in said.certificates:
                if one.statement.slot > beyond:
                    sources.setdefault(one, []).append(member)
        begun = self._folder.begun()
        by_slot = sorted(sources, key=lambda one: (one.statement != begun, -one.statement.slot))
        for one in by_slot:
            try:
                self._folder.check(one.certificate)
            except InvalidCertificate as error:
                names = ", ".join(map(self._others.name, sources[one]))
                log.warning("%s: an invalid certificate of a snapshot: %s", names, error)
                continue
            held = await _Receiving(self._others, one.certificate, sources[one]).all(self._folder, one)
            if held is not None:
                return held
        return None


class _Receiving:
    """One snapshot, and who may still have it: ``sources`` in the order in which they are asked."""

    def __init__(self, others: Others, certificate: QuorumCertificate, sources: list[int]) -> None:
        self._others = others
        self._certificate = certificate
        self._sources = sources
        self._ahead: dict[int, asyncio.Task[Chunk | None]] = {}

    async def all(self, folder: SnapshotFolder, said: SaidSnapshot) -> Held | None:
        incoming = await asyncio.to_thread(folder.incoming, said.statement)
        try:
            held = None
            while held is None:
                if not await self._chunks(incoming):
                    return None
                held = await asyncio.to_thread(incoming.finish)
        finally:
            await self._drop()
            incoming.close()
        now = asyncio.get_running_loop().time()
        folder.add(held, now=now)
        folder.certify(held.slot, self._certificate, now)
        return held

    async def _chunks(self, incoming: Incoming) -> bool:
        """Whether all are there; otherwise no source is left that brings the next one."""
        loop = asyncio.get_running_loop()
        began, first, told = loop.time(), incoming.next, 0.0
        while incoming.next < incoming.count:
            if loop.time() - told >= PROGRESS_SECONDS:
                told = loop.time()
                self._tell(incoming, first, told - began)
            for index in range(incoming.next, min(incoming.next + AHEAD, incoming.count)):
                if index not in self._ahead:
                    self._ahead[index] = asyncio.create_task(self._chunk(incoming, index))
            chunk = await self._ahead.pop(incoming.next)
            if chunk is None:
                return False
            if not await asyncio.to_thread(incoming.add, *chunk):
                log.warning("what was received of a snapshot before is damaged: all of it is fetched again")
                await self._drop()
        self._tell(incoming, first, loop.time() - began)
        return True

    def _tell(self, incoming: Incoming, first: int, seconds: float) -> None:
        done, size = incoming.received, incoming.statement.size
        speed = (incoming.next - first) / seconds if seconds else 0.0
        log.info(
            "snapshot after slot %d: %.1f of %.1f MiB (%d %%) from %s, %.1f MiB/s",
            incoming.statement.slot,
            done / MEBIBYTE,
            size / MEBIBYTE,
            100 * done // size,
            self._others.name(self._sources[0]) if self._sources else "nobody",
            speed,
        )

    async def _chunk(self, incoming: Incoming, index: int) -> Chunk | None:
        """From whoever brings it first, checked; None when all sources were asked in vain."""
        asked: dict[asyncio.Task[Chunk | None], int] = {}
        tried: set[int] = set()
        try:
            while True:
                rest = [member for member in self._sources if member not in tried]
                if rest and len(asked) < 2:
                    tried.add(rest[0])
                    ask = self._others.chunk(rest[0], incoming.statement, index, CHUNK_SECONDS)
                    asked[asyncio.create_task(ask)] = rest[0]
                if not asked:
                    return None
                done, _ = await asyncio.wait(
                    asked, timeout=HEDGE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for late in asked.values() if not done else ():
                    self._put_last(late)
                for task in done:
                    member = asked.pop(task)
                    if self._is_right(incoming, index, member, task.result()):
                        return task.result()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    def _is_right(self, incoming: Incoming, index: int, member: int, chunk: Chunk | None) -> bool:
        """Whether it is the chunk; what becomes of its source if it is not."""
        if chunk is None:
            self._put_last(member)
            return False
        try:
            incoming.check(index, *chunk)
        except ProofError as error:
            if member in self._sources:
                self._sources.remove(member)
                name = self._others.name(member)
                log.warning("%s: it sends another snapshot than the certified one: %s", name, error)
            return False
        return True

    def _put_last(self, member: int) -> None:
        if member in self._sources:
            self._sources.remove(member)
            self._sources.append(member)

    async def _drop(self) -> None:
        for task in self._ahead.values():
            task.cancel()
        await asyncio.gather(*self._ahead.values(), return_exceptions=True)
        self._ahead.clear()
