"""Connections to the systems that are measured, all behind ``request``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from alliance.client import Client
from alliance.client.proposals import CHUNK_COMMANDS
from alliance.config import file as config_file
from alliance.keys import folder as keys
from benchmarks.generator import Connection, Job

CONNECTING_MAX = 16

PASSPHRASE = "only for measuring"  # noqa: S105  # of alliances in temporary folders


class AllianceConnection:
    """A client of the alliance; done is: it holds verified receipts."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def request(self, commands: list[bytes]) -> None:
        """One submission: through ``propose`` for a single command, ``propose_all`` for more."""
        if len(commands) == 1:
            await self._client.propose(commands[0])
            return
        async for _ in self._client.propose_all(commands):
            pass

    async def close(self) -> None:
        await self._client.close()


async def _connected(connections: list[Connection]) -> list[Connection]:
    """After one request of each, few at a time: handshakes are not what is measured."""
    room = asyncio.Semaphore(CONNECTING_MAX)

    async def first(connection: Connection) -> None:
        async with room:
            await connection.request([b"hello"])

    await asyncio.gather(*map(first, connections))
    return connections


def _clients(job: Job) -> list[Client]:
    """The identities take turns; a key file takes tenths of a second to open, so each is opened once."""
    passphrase = os.environb[b"ALLIANCE_PASSPHRASE"]
    identities = []
    for place in job.places[: job.connections]:
        folder = Path(place)
        config = config_file.load(folder)
        party = config.client(keys.load_name(folder, "client"))
        identities.append((config, keys.load_credentials(folder, party, passphrase), folder))
    return [Client(*identities[number % len(identities)]) for number in range(job.connections)]


async def open_connections(job: Job) -> list[Connection]:
    """All of them connected and served."""
    if job.commands > CHUNK_COMMANDS:
        raise ValueError(f"a submission has {CHUNK_COMMANDS} commands at most")
    if job.target == "alliance":
        return await _connected([AllianceConnection(client) for client in _clients(job)])
    if job.target in ("locks", "replies", "publish", "subscribe"):
        return await _of_services(job)
    places = [job.places[n % len(job.places)] for n in range(job.connections)]
    if job.target.startswith("etcd"):
        return await _of_etcd(job.target, places)
    if job.target.startswith("zookeeper"):
        from benchmarks.peers.zookeeper import ZooKeeperConnection, ZooKeeperLock

        kind = ZooKeeperLock if job.target == "zookeeper-locks" else ZooKeeperConnection
        return list(await asyncio.gather(*map(kind.open, places)))
    raise ValueError(f"no system {job.target!r} is known")


async def _of_services(job: Job) -> list[Connection]:
    from benchmarks.services import LockConnection, PublishConnection, ReplyConnection, SubscribeConnection

    clients = _clients(job)
    if job.target == "subscribe":  # nothing may have been published yet
        return list(await asyncio.gather(*map(SubscribeConnection.open, clients)))
    kinds: dict[str, Callable[[Client], Connection]] = {
        "locks": LockConnection,
        "replies": ReplyConnection,
        "publish": PublishConnection,
    }
    return await _connected([kinds[job.target](client) for client in clients])


async def _of_etcd(target: str, places: list[str]) -> list[Connection]:
    from benchmarks.peers.etcd import EtcdConnection
    from benchmarks.peers.etcd_services import EtcdLock, EtcdWatch

    if target == "etcd-watch":
        return [await EtcdWatch(address).open() for address in places]
    kind: Callable[[str], Connection] = EtcdLock if target == "etcd-locks" else EtcdConnection
    return await _connected([kind(address) for address in places])
