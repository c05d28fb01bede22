"""The listening half of a client: the decided commands, each once, in order, with its proof.

Any server will do, and none is believed: each frame is checked against a certificate, from the frontier of
what was checked before. A server that is silent, wrong or gone is left for the next one, at the same slot.

The members may change meanwhile. A certificate of any epoch proves all slots up to its own, as the
alliance's public key is the same in all of them; and a server that is none of the members any more is left.

Who begins in the middle of the log and wants each command only where it came first, as a listener from slot 1
gets it, begins from a checkpoint below (``brought_state``), or from slot 1 where there is none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio

from alliance.client.brought_state import BroughtState
from alliance.client.delivery import DecidedSlot, LogEntry, deliver
from alliance.client.race import NobodyServes, first_established
from alliance.client.server_choice import Channels
from alliance.client.submitter import PAUSE_SECONDS
from alliance.config.directory import place_of
from alliance.config.file import AllianceConfig
from alliance.errors import LogPruned, ServerLied, Unreachable
from alliance.net.channels import GREETING, one_line, parser
from alliance.pb import client_pb2, peer_pb2
from alliance.proofs.epoch_keys import EpochKeys, UnknownKey, verify_in
from alliance.proofs.receipt import Receipt, receipts
from alliance.wire.bounds import Malformed
from alliance.wire.log_frames import decode_frame
from quorum import DecisionCertificate, InvalidCertificate, InvalidStatement
from verifiable_log.batch import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import Frontier, MerkleLog, slot_leaf
from verifiable_log.merkle_proofs import inclusion_from_cover, root_from_cover
from verifiable_log.merkle_tree import ProofError
from verifiable_log.placement import Placement
from verifiable_log.submission import InvalidSubmission

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
"""Without news for so long, another server is asked: this one may be behind, or hiding something."""


class _Frame:
    """A verified frame: what its entries' receipts are made from, when somebody asks for one."""

    def __init__(
        self, listener: Listener, frame: LogFrame, certificate: DecisionCertificate, base: Frontier
    ) -> None:
        self._config = listener.config
        self._fingerprint = listener.keys.of(certificate.epoch).fingerprint
        self._frame = frame
        self._certificate = certificate
        self._base = base
        self._made: tuple[tuple[int, int], list[Receipt]] | None = None

    def receipt(self, slot: int, position: int, command_index: int) -> Receipt:
        if self._made is None or self._made[0] != (slot, position):
            # Kept for the other commands of the submission: its tree for each of them takes quadratic time.
            self._made = (slot, position), self._receipts(slot, position)
        return self._made[1][command_index]

    def _receipts(self, slot: int, position: int) -> list[Receipt]:
        frame = self._frame
        tree = MerkleLog(self._base)
        for at, batch in enumerate(frame.batches, frame.first_slot):
            tree.append(slot_leaf(at, batch.digest))
        batch = frame.batches[slot - frame.first_slot]
        leaves = batch.tree()
        placement = Placement(
            slot,
            position,
            leaves.size,
            batch.time_ms,
            leaves.inclusion_proof(position, leaves.size),
            inclusion_from_cover(tree, slot - 1, self._certificate.slot, frame.cover),
        )
        submission = batch.submissions[position]
        alliance_id = self._config.alliance_id
        return receipts(alliance_id, self._certificate, placement, submission, self._fingerprint)


class Listener:
    """One pass over the log from a slot on."""

    def __init__(
        self,
        config: AllianceConfig,
        channels: Channels,
        start: int | None,
        server: int | None,
        windows: ClientWindows | None = None,
        frontier: Frontier | None = None,
        *,
        exact: bool = False,
    ) -> None:
        """``start``: the first slot that is delivered; None: the one after what is certified now.

        ``server`` is the first one asked; others only if it fails. Who has followed the log up to
        ``start - 1`` before hands in the frontier and the clients' windows. Others, if they are to be
        ``exact``, learn them first, always so where ``start`` is None.
        """
        if start is not None and start < 1:
            raise ValueError("slots count from 1")
        self.config = config
        self.keys = EpochKeys(lambda: channels.config)
        self._channels = channels
        self._start = start
        # The first slot that is not known here, the log before it, and what was delivered of that.
        self._next = start or 1
        self._frontier = Frontier() if self._next == 1 else frontier
        self._windows = windows if windows is not None else ClientWindows()
        # Whether windows, or the start itself, are yet to be learnt.
        self._exact = self._begins = start is None or (exact and start > 1 and windows is None)
        self._brought = BroughtState(config.scheme, start)
        self._names: dict[bytes, str] = {}
        self._named: AllianceConfig | None = None
        self._server = server if server is not None else 0
        self._passed = 0  # how many servers the newest attempt has used up
        self.epoch = 0
        """The highest one that a certificate of the log was of, as far as it was read."""

    def names(self) -> Mapping[bytes, str]:
        """Of all clients that were admitted since the listener was made, by their ids."""
        config = self._channels.config
        if config is not self._named:
            self._named = config
            self._names |= {client.client_id: client.name for client in config.clients}
        return self._names

    async def entries(self, until: int | None) -> AsyncGenerator[LogEntry, None]:
        """The entries of ``slots``, one by one."""
        async with aclosing(self.slots(until)) as slots:
            async for decided in slots:
                for entry in decided.entries:
                    yield entry

    async def slots(self, until: int | None) -> AsyncGenerator[DecidedSlot, None]:
        """Slots up to and including ``until``, without gaps; forever if None.

        When one is yielded, the windows are those after it. Raises Unreachable when two rounds over all
        servers brought nothing, LogPruned if some said that they keep these slots no more. A server that has
        no news is no failure as long as the end is open.
        """
        failures = 0
        pruned: dict[str, str] = {}
        while until is None or max(self._next, self._start or 1) <= until:
            helped, again = False, 0
            self._renew()
            count = len(self.config.members)
            try:
                async with aclosing(self._frames()) as frames:
                    async for frame in frames:
                        if self._begins and not self._begin_from(frame):
                            continue
                        proof, batches = self._check(frame)
                        helped = True
                        for slot, batch in batches:
                            if until is not None and slot > until:
                                return
                            entries = tuple(deliver(slot, batch, self._windows, self.names(), proof))
                            if self._start is not None and slot >= self._start:
                                yield DecidedSlot(slot, batch, entries)
                        if until is not None and self._next > until:
                            return
            except _Left:
                helped, again = True, 1
            except _Idle:
                helped = helped or (until is None and not self._begins)
            except NobodyServes as error:
                log.debug("%s: %s", *error.problem)
            except grpc.aio.AioRpcError as error:
                details = one_line(error.details() or "")
                log.debug("%s: %s", self._name, details)
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    pruned[self._name] = details
                    if self._exact and not self._begins and self._next <= (self._start or self._next):
                        self._begins, again = True, 1  # nothing is delivered yet: its checkpoint will do
            except UnknownKey as error:
                log.debug("%s: %s", self._name, error)
                await asyncio.sleep(PAUSE_SECONDS)
            except (Malformed, InvalidSubmission, InvalidStatement, InvalidCertificate, ServerLied) as error:
                log.warning("%s sent a log that does not verify: %s", self._name, error)
            self._server = (self._server + 1 - again) % len(self.config.members)
            failures = 0 if helped else failures + self._passed
            if failures >= 2 * count:
                raise (LogPruned if pruned else Unreachable)(self._nobody(pruned))
            if failures % count < self._passed <= failures:  # another round is over
                await asyncio.sleep(PAUSE_SECONDS)

    def _nobody(self, pruned: dict[str, str]) -> str:
        """What to say when no server gives the log; ``pruned`` is what those said who have it no longer."""
        wanted = self._start if self._begins else self._next
        where = f"slot {wanted}" if wanted is not None else "now"
        message = f"no server gives the log from {where} on: 'alliance status' shows who is up"
        if pruned:
            said = ", ".join(f"{name}: {details}" for name, details in sorted(pruned.items()))
            message += f"; or begin at a later slot, for some keep only the end of the log ({said})"
        return message

    @property
    def _name(self) -> str:
        return self.config.members[self._server].name

    def _renew(self) -> bool:
        """Takes the newest members that are known; whether the server is still one of them."""
        now, before = self._channels.config, self.config
        if now.epoch == before.epoch:
            return True
        there = place_of(now, before.members[self._server].identity)
        self.config, self._server = now, there or 0
        return there is not None

    def _begin(self, member: int) -> Any:
        return self._channels.channel(self.config.members[member]).unary_stream(
            "/alliance.v1.Client/Listen",
            request_serializer=client_pb2.ListenRequest.SerializeToString,
            response_deserializer=parser(peer_pb2.LogFrame),
        )(self._request(), metadata=GREETING)

    def _request(self) -> client_pb2.ListenRequest:
        if self._begins:
            return client_pb2.ListenRequest(first_slot=self._start or 0, with_state=True)
        return client_pb2.ListenRequest(first_slot=self._next)

    async def _frames(self) -> AsyncGenerator[peer_pb2.LogFrame, None]:
        """Frames of one server from the next slot on. Raises _Idle when it is silent for too long."""
        first, self._passed = self._server, len(self.config.members)
        order = ((first + further) % self._passed for further in range(self._passed))
        self._server, call = await first_established(self._begin, order)
        self._passed = 1 + (self._server - first) % self._passed
        self._brought = BroughtState(self._channels.config.scheme, self._start)
        read: asyncio.Future[Any] | None = None
        try:
            while True:
                # A read that is cancelled leaks, so it is waited for and, when idle, the call is ended.
                read = asyncio.ensure_future(call.read())
                await asyncio.wait([read], timeout=IDLE_SECONDS)
                if not read.done():
                    raise _Idle
                frame = read.result()
                if frame is grpc.aio.EOF:
                    return
                if frame is None:
                    raise Malformed("not a message")
                yield frame
                if not self._renew():
                    raise _Left
        finally:
            call.cancel()
            if read is not None:
                await asyncio.gather(read, return_exceptions=True)
                read = None  # what it raised holds this frame: together they would outlive their use

    def _begin_from(self, wire: peer_pb2.LogFrame) -> bool:
        """Whether the message is a frame of the log; before it comes what was delivered up to there.

        Raises ServerLied and others.
        """
        brought = self._brought
        self._channels.heard(wire)
        if not brought.take(wire):  # it has no checkpoint below what is wanted
            self._goes_on_after(Frontier(), ClientWindows())
            return True
        if brought.whole:
            self._goes_on_after(brought.frontier, brought.windows())
            if self._start is None:
                self._start = brought.certified + 1
        return False

    def _goes_on_after(self, frontier: Frontier, windows: ClientWindows) -> None:
        self._next, self._frontier, self._windows = frontier.size + 1, frontier, windows
        self._begins = False

    def _check(self, wire: peer_pb2.LogFrame) -> tuple[_Frame, list[tuple[int, Batch]]]:
        """The frame's batches, proven to be the log from the next slot on; raises ServerLied and others."""
        self._channels.heard(wire)
        frame = decode_frame(wire)
        if frame.first_slot != self._next:
            raise ServerLied(f"the frame does not begin at slot {self._next}")
        certificate = DecisionCertificate.of(frame.certificate)
        verify_in(self._channels.config, certificate)
        self.epoch = max(self.epoch, certificate.epoch)
        try:
            base = self._frontier
            if base is None:
                # Not believed: only if it leads to the certified root together with the batches.
                base = Frontier.from_parts(self._next - 1, tuple(wire.peaks))
            frontier = base
            slots = []
            for slot, batch in enumerate(frame.batches, self._next):
                frontier = frontier.append(slot_leaf(slot, batch.digest))
                slots.append((slot, batch))
            if root_from_cover(frontier, certificate.slot, frame.cover) != certificate.root:
                raise ServerLied("the batches are not those of the certified log")
        except (ProofError, ValueError) as error:
            raise ServerLied(f"the proof of the frame is broken: {error}") from None
        self._frontier = frontier
        self._next = frontier.size + 1
        if self._start is None:
            self._start = certificate.slot + 1
        return _Frame(self, frame, certificate, base), slots


class _Left(Exception):
    """The server is no member any more."""


class _Idle(Exception):
    """The server has had no news for too long."""
