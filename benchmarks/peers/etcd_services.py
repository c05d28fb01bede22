"""etcd's lock as its own client takes it (a lease, a transaction, a deletion), and its watch."""

from __future__ import annotations

import itertools
import os
from typing import Any

from benchmarks.peers.etcd import channel, field, number, read_fields

LEASE_SECONDS = 60
"""Longer than any measurement: a client would keep it alive in the background."""

_serial = itertools.count()


class EtcdLock:
    """A session with a lock of its own; each command is one acquire and one release.

    As ``concurrency.Mutex`` does it: one transaction puts a key with the session's lease unless it is there,
    and asks who holds the lock; where nobody does, it is taken. The release deletes the key.
    """

    def __init__(self, address: str) -> None:
        self._channel = channel(address)
        self._grant: Any = self._channel.unary_unary("/etcdserverpb.Lease/LeaseGrant")
        self._txn: Any = self._channel.unary_unary("/etcdserverpb.KV/Txn")
        self._delete: Any = self._channel.unary_unary("/etcdserverpb.KV/DeleteRange")
        self._prefix = b"lock/%d/%d/" % (os.getpid(), next(_serial))
        self._key = b""
        self._acquire = b""

    async def request(self, commands: list[bytes]) -> None:
        if not self._acquire:
            await self._open()
        for _ in commands:
            said = read_fields(await self._txn(self._acquire, wait_for_ready=True))
            if not said.get(2):  # TxnResponse.succeeded: the key was not there before
                raise RuntimeError("etcd: the lock is taken")
            await self._delete(field(1, self._key))

    async def _open(self) -> None:
        """LeaseGrantRequest: TTL = 1; its response: ID = 2."""
        said = read_fields(await self._grant(number(1, LEASE_SECONDS), wait_for_ready=True))
        lease = said[2][0]
        self._key = self._prefix + b"%x" % lease
        # Compare: result = 1 (EQUAL 0), target = 2 (CREATE 1), key = 3, create_revision = 5 (0).
        compare = number(2, 1) + field(3, self._key) + number(5, 0)
        put = field(1, self._key) + number(3, lease)
        get = field(1, self._key)
        # RangeRequest: key = 1, range_end = 2, limit = 3, sort_order = 5 (not sent: ASCEND is 0 here too),
        # sort_target = 6 (CREATE 2).
        end = self._prefix[:-1] + bytes([self._prefix[-1] + 1])
        owner = field(1, self._prefix) + field(2, end) + number(3, 1) + number(5, 1) + number(6, 2)
        # TxnRequest: compare = 1, success = 2, failure = 3. RequestOp: request_range = 1, request_put = 2.
        self._acquire = (
            field(1, compare)
            + field(2, field(2, put))
            + field(2, field(1, owner))
            + field(3, field(1, get))
            + field(3, field(1, owner))
        )

    async def close(self) -> None:
        await self._channel.close()


class EtcdWatch:
    """A request is done when as many events have come as it has commands: puts to any key."""

    def __init__(self, address: str) -> None:
        self._channel = channel(address)
        self._call: Any = self._channel.stream_stream("/etcdserverpb.Watch/Watch")()
        self._events = 0

    async def request(self, commands: list[bytes]) -> None:
        while self._events < len(commands):
            await self._read()
        self._events -= len(commands)

    async def open(self) -> EtcdWatch:
        """WatchRequest: create_request = 1, with key = 1 and range_end = 2; both 0: all keys."""
        await self._call.write(field(1, field(1, b"\0") + field(2, b"\0")))
        await self._read()
        return self

    async def _read(self) -> None:
        """WatchResponse: events = 11."""
        self._events += len(read_fields(await self._call.read()).get(11, ()))

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()
