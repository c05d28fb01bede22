"""The gRPC side of an executor: clients ask for answers to their commands, others for what it has come to."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import grpc
import grpc.aio

from alliance.config.directory import Directory
from alliance.execution.others import STATEMENTS_MAX
from alliance.execution.outcome import Outcome
from alliance.execution.runner import Runner
from alliance.execution.snapshot_folder import SnapshotFolder
from alliance.net.channels import Identities
from alliance.pb import application_pb2 as pb
from alliance.wire.bounds import SLOT_MAX
from alliance.wire.certificates import encode_certificate
from quorum import QuorumCertificate

CHUNKS_PER_MEMBER_MAX = 16
"""Chunks that one member may have asked for and not taken yet."""

Context = grpc.aio.ServicerContext[Any, Any]


class Attester(Protocol):
    async def attest(self, outcome: Outcome, *, proven: bool) -> bytes | None:
        """This member's share on an outcome; None if its signer refuses."""
        ...

    async def said(self, *, proven: bool) -> list[QuorumCertificate]:
        """What it says of snapshots, each with its share in the place of a signature."""
        ...


class ApplicationService:
    """alliance.v1.Application."""

    def __init__(
        self,
        directory: Directory,
        identities: Identities,
        application: str,
        runner: Runner,
        attester: Attester,
        folder: SnapshotFolder,
    ) -> None:
        self._directory = directory
        self._identities = identities
        self._application = application
        self._runner = runner
        self._attester = attester
        self._folder = folder
        self._reading: Counter[int] = Counter()
        self._reader = ThreadPoolExecutor(1, "chunks")  # apart: what others ask for delays no command
        self._news = asyncio.Event()

    def close(self) -> None:
        """No chunk is read any more."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def executed(self) -> None:
        """Wakes those who wait for a slot."""
        self._news.set()
        self._news = asyncio.Event()

    async def Reply(self, request: pb.ReplyRequest, context: Context) -> pb.SignedOutcome:  # noqa: N802
        client = self._identities.client(context)
        if client is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only clients of this alliance ask")
        await self._require(request.application, context)
        if not 1 <= request.slot <= SLOT_MAX:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "slots count from 1")
        while self._runner.slot < request.slot:
            await self._news.wait()
        outcome = self._runner.outcomes.get(client.client_id, request.client_seq, request.command_index)
        if outcome is None or outcome.slot != request.slot:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, "no such command of this application is there, or no longer kept"
            )
        share = await self._attester.attest(outcome, proven=request.proven)
        if share is None:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "another answer was signed before, or there is no share of the present keys",
            )
        answer = pb.SignedOutcome(
            status=outcome.status,
            time_ms=outcome.time_ms,
            command_digest=outcome.command_digest,
            payload=outcome.payload,
            share=share,
            rank=outcome.rank,
            count=outcome.count,
            path=outcome.path,
        )
        return self._directory.config.membership.named_in(answer)

    async def Digests(self, request: pb.DigestsRequest, context: Context) -> pb.StateDigests:  # noqa: N802
        if self._identities.known(context) is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only members and clients are served")
        await self._require(request.application, context)
        digests = sorted(self._runner.digests.items())
        return pb.StateDigests(
            executed=self._runner.slot,
            digests=[pb.StateDigest(slot=slot, digest=digest) for slot, digest in digests],
        )

    async def Snapshots(  # noqa: N802
        self, request: pb.SnapshotsRequest, context: Context
    ) -> pb.SnapshotsReply:
        await self._require_member(context)
        await self._require(request.application, context)
        certified = [held.certificate for held in self._folder.certified if held.certificate is not None]
        return pb.SnapshotsReply(
            shares=map(encode_certificate, await self._attester.said(proven=request.proven)),
            certificates=map(encode_certificate, certified[-STATEMENTS_MAX:]),
        )

    async def Chunk(self, request: pb.ChunkRequest, context: Context) -> None:  # noqa: N802
        """A snapshot holds what all clients were told, and every answer: members have that, others do not."""
        member = await self._require_member(context)
        await self._require(request.application, context)
        held = self._folder.get(request.slot)
        if held is None or held.certificate is None or held.statement.tree != request.tree:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such snapshot is here, or no longer")
        if self._reading[member] >= CHUNKS_PER_MEMBER_MAX:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many chunks are asked for at the same time"
            )
        loop = asyncio.get_running_loop()
        self._folder.lease(member, held.slot, loop.time())
        self._reading[member] += 1
        try:
            data, path = await loop.run_in_executor(self._reader, self._folder.chunk, held, request.index)
            await context.write(pb.ChunkReply(data=data, path=path))
        except LookupError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"this chunk is not here: {error}")
        finally:
            self._reading[member] -= 1

    async def _require_member(self, context: Context) -> int:
        member = self._identities.member(context)
        if member is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only members' executors are served this")
        return member

    async def _require(self, application: str, context: Context) -> None:
        if application != self._application:
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"this is the executor of '{self._application}'"
            )
