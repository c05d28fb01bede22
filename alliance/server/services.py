"""The gRPC services of a consensus server: what peers and clients may ask, and within which bounds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import grpc
import grpc.aio

from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, JournalError
from alliance.net.channels import GREETING, Identities
from alliance.net.tasks import until_first
from alliance.pb import client_pb2 as pb
from alliance.server.driver import Driver
from alliance.server.gate import Gate
from alliance.server.peers import Peers
from alliance.server.sessions import Session, Sessions, refusal
from alliance.storage.history import History, Pruned
from alliance.version import VERSION
from alliance.wire.bounds import SLOT_MAX
from alliance.wire.log_frames import encode_frame
from fab_paxos.events import ProofsWanted, Submitted
from fab_paxos.messages import Status
from verifiable_log.submission import InvalidSubmission

STREAMS_PER_CLIENT_MAX = 64
"""Open Submit and Listen streams of one client: more than its processes need, fewer than would hurt."""

SUBMISSIONS_PER_FRAME_MAX = 1024

Context = grpc.aio.ServicerContext[Any, Any]


class Freshness(Protocol):
    """Where this member stands, for Status."""

    def status(self) -> Status: ...
    def blamed(self) -> list[int]: ...
    def evidence(self) -> Mapping[str, int]: ...
    def rejected(self, peer: int) -> int: ...
    def alarm(self, peer: int) -> str: ...
    def failed(self, error: AllianceError) -> None: ...


class PeerService:
    """alliance.v1.Peer: frames pass through as bytes, the link decodes them."""

    def __init__(self, identities: Identities, me: int, peers: Peers) -> None:
        self._identities = identities
        self._me = me
        self._peers = peers

    def handler(self) -> grpc.GenericRpcHandler:
        exchange: Any = grpc.stream_stream_rpc_method_handler(self.exchange)
        return grpc.method_handlers_generic_handler("alliance.v1.Peer", {"Exchange": exchange})

    async def exchange(self, _: object, context: Context) -> None:
        peer = self._identities.member(context)
        if peer is None or peer <= self._me:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, "only members with a higher index open this stream"
            )
        await context.send_initial_metadata(GREETING)
        await self._peers.answer(peer, context)


class ClientService:
    """alliance.v1.Client."""

    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        gate: Gate,
        driver: Driver,
        history: History,
        sessions: Sessions,
        peers: Peers,
        freshness: Freshness,
    ) -> None:
        self._config = config
        self._me = me
        self._gate = gate
        self._driver = driver
        self._history = history
        self._sessions = sessions
        self._peers = peers
        self._standing = freshness
        self._identities = Identities(config)
        self._streams: Counter[bytes] = Counter()
        self._started = time.monotonic()
        driver.post(ProofsWanted(False))

    async def Submit(self, _: object, context: Context) -> None:  # noqa: N802
        client = self._identities.client(context)
        if client is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only clients of this alliance submit")
        await self._admit(client.fingerprint, context)
        session = Session(client.client_id)
        try:
            await context.send_initial_metadata(GREETING)
            await until_first(
                self._hear(session, context), self._answer(session, context), session.overrun.wait()
            )
            if session.overrun.is_set():
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "outcomes are not being read")
        finally:
            self._sessions.leave(session)
            self._leave(client.fingerprint)

    async def _hear(self, session: Session, context: Context) -> None:
        while (frame := await context.read()) is not grpc.aio.EOF:
            if len(frame.submissions) > SUBMISSIONS_PER_FRAME_MAX:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"a frame has {SUBMISSIONS_PER_FRAME_MAX} submissions at the most",
                )
            for encoded in frame.submissions:
                self._submit(session, encoded)
            await self._driver.room()

    def _submit(self, session: Session, encoded: bytes) -> None:
        try:
            submission = self._gate.admit_submission(session.client_id, encoded)
        except InvalidSubmission as error:
            # The number as far as it can be read, so that the client knows which one is meant.
            seq = int.from_bytes(encoded[32:40], "big")
            session.put(refusal(seq, "invalid", str(error)))
            return
        self._sessions.expect(session, submission)
        self._driver.post(Submitted(submission))

    async def _answer(self, session: Session, context: Context) -> None:
        while True:
            for outcomes in await session.take():
                await context.write(outcomes)

    async def Listen(self, request: pb.ListenRequest, context: Context) -> None:  # noqa: N802
        if not 1 <= request.first_slot <= SLOT_MAX:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "first_slot counts from 1")
        holder = await self._known(context)
        await self._admit(holder, context)
        try:
            await context.send_initial_metadata(GREETING)
            slot, first = request.first_slot, True
            while True:
                await self._history.wait_beyond(slot - 1)
                try:
                    frame = self._history.frame(slot)
                except Pruned as error:
                    await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
                peaks = self._history.peaks(slot - 1) if first else ()
                await context.write(encode_frame(frame, peaks))
                slot, first = slot + len(frame.batches), False
        except JournalError as error:  # what it cannot read back it must not vote on
            self._standing.failed(error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this member's journal is damaged")
        finally:
            self._leave(holder)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusReply:  # noqa: N802
        await self._known(context)
        status = self._standing.status()
        members = self._config.members
        leader = self._config.system.leader(status.view)
        return pb.StatusReply(
            name=members[self._me].name,
            version=VERSION,
            view=status.view,
            leader=members[leader].name,
            accepted=status.accepted,
            decided=status.decided,
            certified=status.certified,
            uptime_seconds=time.monotonic() - self._started,
            peers=[
                pb.PeerStatus(
                    name=members[peer].name,
                    connected=link.connected,
                    rejected=self._standing.rejected(peer),
                    alarm=self._standing.alarm(peer),
                )
                for peer, link in self._peers.links.items()
            ],
            blamed=[members[member].name for member in self._standing.blamed()],
            evidence=[
                pb.Evidence(culprit=name, files=files)
                for name, files in sorted(self._standing.evidence().items())
            ],
        )

    async def _known(self, context: Context) -> bytes:
        """The fingerprint of the member or client at the other end; aborts for anybody else."""
        fingerprint = self._identities.known(context)
        if fingerprint is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only members and clients are served")
        return fingerprint

    async def _admit(self, holder: bytes, context: Context) -> None:
        if self._streams[holder] >= STREAMS_PER_CLIENT_MAX:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{STREAMS_PER_CLIENT_MAX} streams of this client are open here: close some",
            )
        if not self._streams.total():
            self._driver.post(ProofsWanted(True))
        self._streams[holder] += 1

    def _leave(self, holder: bytes) -> None:
        self._streams[holder] -= 1
        if not self._streams.total():
            self._driver.post(ProofsWanted(False))
