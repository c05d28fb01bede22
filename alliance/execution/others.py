"""What an executor asks the other members' executors of its application. No answer is believed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio

from alliance.config.directory import Directory, place_of
from alliance.config.file import AllianceConfig
from alliance.net.channels import Channels, parser
from alliance.pb import application_pb2 as pb
from alliance.wire.bounds import PROOF_HASHES_MAX, Malformed
from alliance.wire.certificates import decode_certificate
from quorum import InvalidStatement, QuorumCertificate, SnapshotStatement

ASK_SECONDS = 2.0
STATEMENTS_MAX = 8
"""Shares, and certificates, of one answer that are looked at; an executor has no use for more."""


@dataclass(frozen=True, slots=True)
class SaidSnapshot:
    """A statement, with a member's share on it or with the alliance's signature, which is not checked."""

    epoch: int
    statement: SnapshotStatement
    signature: bytes

    @property
    def certificate(self) -> QuorumCertificate:
        return QuorumCertificate(self.epoch, self.statement, self.signature)


@dataclass(frozen=True, slots=True)
class SaidSnapshots:
    shares: tuple[SaidSnapshot, ...] = ()
    certificates: tuple[SaidSnapshot, ...] = ()


class Others:
    """The other executors.

    Each has a number as long as this process lives, whatever the epoch: its place among the members that were
    there first, and a further one if it came later. ``place`` gives that in the epoch that is known now.
    """

    def __init__(self, directory: Directory, me: int, application: str, channels: Channels) -> None:
        """``me``: this executor's own place."""
        self._directory = directory
        self._application = application
        self._channels = channels
        self._mine = directory.config.members[me].identity
        self._known = list(directory.config.members)
        self._config = directory.config

    @property
    def members(self) -> list[int]:
        """The numbers of those that are members now."""
        config = self._present()
        here = {member.identity for member in config.members} - {self._mine}
        return [number for number, one in enumerate(self._known) if one.identity in here]

    @property
    def me(self) -> int | None:
        """This executor's own place in this epoch; None: it has none."""
        return place_of(self._directory.config, self._mine)

    def place(self, member: int) -> int | None:
        """Whose number that is, among the members of this epoch; None: it is none of them."""
        return place_of(self._directory.config, self._known[member].identity)

    def name(self, member: int) -> str:
        return self._known[member].name

    def _present(self) -> AllianceConfig:
        """The newest membership; who is new in it gets a number."""
        config = self._directory.config
        if config is not self._config:
            self._config = config
            numbers = {one.identity: number for number, one in enumerate(self._known)}
            for member in config.members:
                if member.identity in numbers:
                    self._known[numbers[member.identity]] = member
                else:
                    self._known.append(member)
        return config

    async def digests(self, member: int) -> dict[int, bytes]:
        """By slot; none if it does not answer."""
        request = pb.DigestsRequest(application=self._application)
        said = await self._ask(member, "Digests", request, pb.StateDigests, ASK_SECONDS)
        return {} if said is None else {one.slot: one.digest for one in said.digests}

    async def snapshots(self, member: int, *, proven: bool = False) -> SaidSnapshots:
        """What it says of its state after slots; nothing if it does not answer."""
        request = pb.SnapshotsRequest(application=self._application, proven=proven)
        said = await self._ask(member, "Snapshots", request, pb.SnapshotsReply, ASK_SECONDS)
        if said is None:
            return SaidSnapshots()
        return SaidSnapshots(_read(said.shares), _read(said.certificates))

    async def chunk(
        self, member: int, statement: SnapshotStatement, index: int, seconds: float
    ) -> tuple[bytes, tuple[bytes, ...]] | None:
        """A chunk and its path; None if it does not come in time."""
        request = pb.ChunkRequest(
            application=self._application, slot=statement.slot, tree=statement.tree, index=index
        )
        ask: Any = self._channel(member).unary_stream(
            "/alliance.v1.Application/Chunk",
            request_serializer=pb.ChunkRequest.SerializeToString,
            response_deserializer=parser(pb.ChunkReply),
        )
        call = ask(request, timeout=seconds)
        read = asyncio.ensure_future(call.read())
        try:  # a read that is cancelled leaks, so the call is ended and the read waited for
            await asyncio.wait([read])
        finally:
            call.cancel()
            await asyncio.gather(read, return_exceptions=True)
        said = None if read.cancelled() or read.exception() is not None else read.result()
        if said is None or said is grpc.aio.EOF:
            return None
        return said.data, tuple(said.path[:PROOF_HASHES_MAX])

    async def _ask(self, member: int, method: str, request: Any, reply: Any, seconds: float) -> Any:
        """None if no such answer comes in time."""
        ask: Any = self._channel(member).unary_unary(
            f"/alliance.v1.Application/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=parser(reply),
        )
        try:
            return await ask(request, timeout=seconds)
        except grpc.aio.AioRpcError:
            return None

    def _channel(self, member: int) -> grpc.aio.Channel:
        self._present()
        party = self._known[member]
        return self._channels.to(replace(party, address=party.application_address(self._application)))


def _read(certificates: Any) -> tuple[SaidSnapshot, ...]:
    """Those that are of snapshots."""
    found = []
    for wire in certificates[:STATEMENTS_MAX]:
        try:
            certificate = decode_certificate(wire)
        except (Malformed, InvalidStatement):
            continue
        if isinstance(certificate.statement, SnapshotStatement):
            found.append(SaidSnapshot(certificate.epoch, certificate.statement, certificate.signature))
    return tuple(found)
