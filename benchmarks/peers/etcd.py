"""etcd: three members with their defaults, and a client over its gRPC interface (KV.Put and KV.Txn)."""

from __future__ import annotations

import itertools
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc.aio

from alliance.cli.demo.cluster import free_addresses
from alliance.wire.fastpath import varint
from benchmarks.processes import Child

INSTALL = "apt-get install etcd-server"
_serial = itertools.count()


def installed() -> bool:
    return shutil.which("etcd") is not None


def start(folder: Path, stack: ExitStack) -> tuple[list[str], list[int]]:
    """Client addresses and process ids; the processes end with ``stack``."""
    clients, peers = free_addresses(3), free_addresses(3)
    cluster = ",".join(f"member{number}=http://{address}" for number, address in enumerate(peers))
    pids = []
    for number, (client, peer) in enumerate(zip(clients, peers, strict=True)):
        home = folder / f"etcd-{number}"
        command = ["etcd", "--name", f"member{number}", "--data-dir", str(home)]
        for option, value in (
            ("--listen-client-urls", f"http://{client}"),
            ("--advertise-client-urls", f"http://{client}"),
            ("--listen-peer-urls", f"http://{peer}"),
            ("--initial-advertise-peer-urls", f"http://{peer}"),
            ("--initial-cluster", cluster),
        ):
            command += [option, value]
        child = Child(f"etcd {number}", command, log=folder / f"etcd-{number}.log")
        stack.callback(child.stop)
        pids.append(child.pid)
    return clients, pids


def channel(address: str) -> grpc.aio.Channel:
    """A connection that nobody else shares."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.aio.insecure_channel(address, options)


class EtcdConnection:
    """One channel of its own. A single command is a Put, several are one Txn of Puts (128 at most)."""

    def __init__(self, address: str) -> None:
        self._channel = channel(address)
        self._put: Any = self._channel.unary_unary("/etcdserverpb.KV/Put")
        self._txn: Any = self._channel.unary_unary("/etcdserverpb.KV/Txn")
        self._key = b"bench/%d/" % next(_serial)

    async def request(self, commands: list[bytes]) -> None:
        if len(commands) == 1:
            await self._put(put_request(self._key, commands[0]), wait_for_ready=True)
            return
        puts = (put_request(self._key + b"%d" % number, command) for number, command in enumerate(commands))
        # TxnRequest.success = 2, each a RequestOp with request_put = 2; no condition, so all succeed.
        await self._txn(b"".join(field(2, field(2, put)) for put in puts), wait_for_ready=True)

    async def close(self) -> None:
        await self._channel.close()


def put_request(key: bytes, value: bytes) -> bytes:
    """PutRequest: key = 1, value = 2."""
    return field(1, key) + field(2, value)


def field(name: int, data: bytes) -> bytes:
    """A length-delimited field of protobuf's wire format."""
    return varint(name << 3 | 2) + varint(len(data)) + data


def number(name: int, value: int) -> bytes:
    """A field that is a whole number from 0 on."""
    return varint(name << 3) + varint(value)


def read_fields(message: bytes) -> dict[int, list[Any]]:
    """The fields of a message by number: whole numbers and bytes."""
    fields: dict[int, list[Any]] = {}
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        value, place = _read_varint(message, place)
        if tag & 7 == 2:
            fields.setdefault(tag >> 3, []).append(message[place : place + value])
            place += value
        else:
            fields.setdefault(tag >> 3, []).append(value)
    return fields


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
