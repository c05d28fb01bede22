"""What a listener begins from that begins in the middle of the log: the state of a checkpoint.

A server offers its checkpoint and then tells its state, part by part. Nothing is believed: the offer proves
itself by its certificates, each part by the offer's list of hashes. So memory is bounded by what the alliance
certified, and a server can only be slow or stop, and is left for another one then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import grpc.aio

from alliance.errors import ServerLied
from alliance.net.channels import GREETING, NotServed, established, parser
from alliance.pb import client_pb2, peer_pb2
from alliance.wire.bounds import Malformed
from alliance.wire.checkpoints import decode_offer, decode_part
from alliance.wire.log_frames import decode_frame
from quorum import DecisionCertificate, QuorumCertificate
from quorum.threshold_rsa import ThresholdRsaScheme
from verifiable_log.batch import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart, check_part, offered_frontier
from verifiable_log.client_windows import CLIENT_ITEM, ClientWindows
from verifiable_log.limits import LISTEN_PART_BYTES
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_tree import ProofError
from verifiable_log.ordering_state import Checkpoint, Snapshot

PART_SECONDS = 5.0
"""So long a server has for each part of what it is asked for."""
SLOW_SECONDS, SLOW_BYTES = 30.0, 64 * 1024
"""Who tells less than so many bytes a second, after so long, is left for another one: it may be a liar that
tells a slot every few seconds."""


class BroughtState:
    """The state of one checkpoint, as one server brings it."""

    def __init__(self, scheme: ThresholdRsaScheme, start: int | None) -> None:
        """``start``: the first slot that is wanted; None: any."""
        self._scheme = scheme
        self._start = start
        self._offer: Offer | None = None
        self._items: list[bytes] = []
        self.frontier = Frontier()
        """Of the log up to the checkpoint."""
        self.certified = 0
        """The slot of the decision certificate that came with it."""

    def take(self, wire: peer_pb2.LogFrame) -> bool:
        """A message of the stream; whether it is about the state. If not, it begins the log, from slot 1.

        Raises ServerLied, Malformed, InvalidStatement or InvalidCertificate.
        """
        if wire.HasField("offer"):
            self._offered(decode_offer(wire.offer))
        elif wire.HasField("state_part"):
            self._add(decode_part(wire.state_part))
        elif self._offer is not None:
            raise ServerLied("it goes on before the state of its checkpoint is whole")
        else:
            return False
        return True

    def _offered(self, offer: Offer) -> None:
        if self._offer is not None:
            raise ServerLied("it offers a second checkpoint")
        # Each is of the epoch in which it was made: the log goes on where one ends.
        for certificate in (offer.checkpoint, offer.certificate):
            certificate.verify(self._scheme.in_epoch(certificate.epoch))
        decision = DecisionCertificate.of(offer.certificate)
        try:
            self.frontier = offered_frontier(offer)
        except ProofError as error:
            raise ServerLied(f"its offer of a checkpoint is broken: {error}") from None
        if self._start is not None and self.frontier.size >= self._start:
            raise ServerLied(f"its checkpoint at slot {self.frontier.size} is not below slot {self._start}")
        self.certified = decision.slot
        self._offer = offer

    @property
    def whole(self) -> bool:
        """Whether no part is missing."""
        return self._offer is not None and len(self._items) == len(self._offer.leaves)

    @property
    def checkpoint(self) -> tuple[Checkpoint, QuorumCertificate]:
        """With the decision certificate that came with it, when the state is whole."""
        if self._offer is None:
            raise AssertionError("nothing is offered yet")
        snapshot = Snapshot(self.frontier, tuple(self._items))
        return Checkpoint(snapshot, self._offer.checkpoint), self._offer.certificate

    def _add(self, part: StatePart) -> None:
        if self._offer is None:
            raise ServerLied("it tells the state of a checkpoint that it did not offer")
        if (part.slot, part.first) != (self.frontier.size, len(self._items)):
            raise ServerLied(f"a part of the state at slot {part.slot} that is not the next one")
        fault = check_part(self._offer.leaves, part, LISTEN_PART_BYTES)
        if fault is not None:
            raise ServerLied(f"a part of the state at slot {part.slot}: {fault.value}")
        self._items += part.items

    @property
    def control_items(self) -> tuple[bytes, ...]:
        """What the log up to the checkpoint says of the alliance itself, when the state is whole."""
        return tuple(item for item in self._items if item[:1] != bytes([CLIENT_ITEM]))

    def windows(self) -> ClientWindows:
        """Those of the clients at the checkpoint, when the state is whole. Raises ServerLied."""
        try:
            return ClientWindows.read(item for item in self._items if item[:1] == bytes([CLIENT_ITEM]))
        except ValueError as error:
            raise ServerLied(f"the state at slot {self.frontier.size} cannot be read: {error}") from None


async def newest_checkpoint(channel: grpc.aio.Channel, scheme: ThresholdRsaScheme) -> BroughtState:
    """The newest checkpoint of a server, with all of its state.

    Raises NotServed, also when it has none or is silent; AioRpcError; ServerLied, Malformed, InvalidStatement
    and InvalidCertificate.
    """
    brought = BroughtState(scheme, None)

    def is_all(frame: peer_pb2.LogFrame) -> bool:
        if not brought.take(frame):
            raise NotServed("it has no checkpoint yet")
        return brought.whole

    await _listen(channel, client_pb2.ListenRequest(first_slot=0, with_state=True), is_all)
    return brought


async def batches_after(channel: grpc.aio.Channel, slot: int, end: int, bytes_max: int) -> list[Batch]:
    """What a server says of the slots after ``slot``, up to ``end``. Nothing of it is proven.

    Raises NotServed, also where they take more than ``bytes_max`` on the wire; AioRpcError; ServerLied,
    Malformed, InvalidSubmission and InvalidStatement.
    """
    found: list[Batch] = []
    size = 0

    def is_all(wire: peer_pb2.LogFrame) -> bool:
        nonlocal size
        frame, size = decode_frame(wire), size + wire.ByteSize()
        if frame.first_slot != slot + len(found) + 1:
            raise ServerLied(f"the frame does not begin at slot {slot + len(found) + 1}")
        if size > bytes_max:
            raise NotServed(f"the slots up to {end} take more than {bytes_max} bytes")
        found.extend(frame.batches[: end - slot - len(found)])
        return slot + len(found) == end

    await _listen(channel, client_pb2.ListenRequest(first_slot=slot + 1), is_all)
    return found


async def _listen(
    channel: grpc.aio.Channel,
    request: client_pb2.ListenRequest,
    is_all: Callable[[peer_pb2.LogFrame], bool],
) -> None:
    """Hands over what a server says until that ``is_all``."""
    listen = channel.unary_stream(
        "/alliance.v1.Client/Listen",
        request_serializer=client_pb2.ListenRequest.SerializeToString,
        response_deserializer=parser(peer_pb2.LogFrame),
    )
    call = listen(request, metadata=GREETING)
    read: asyncio.Future[Any] | None = None
    until = monotonic() + SLOW_SECONDS
    try:
        await established(call)
        while True:
            # A read that is cancelled leaks, so it is waited for, and ends with the call.
            read = asyncio.ensure_future(call.read())
            await asyncio.wait([read], timeout=PART_SECONDS)
            if not read.done():
                raise NotServed(f"nothing came for {PART_SECONDS:g} s")
            if (frame := read.result()) is grpc.aio.EOF:
                raise NotServed("it hung up")
            if frame is None:
                raise Malformed("not a message")
            if is_all(frame):
                return
            until += frame.ByteSize() / SLOW_BYTES
            if monotonic() > until:
                raise NotServed(f"it tells less than {SLOW_BYTES} bytes in a second")
    finally:
        call.cancel()
        if read is not None:
            await asyncio.gather(read, return_exceptions=True)
