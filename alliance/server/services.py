"""The gRPC services of a consensus server: what peers and clients may ask, and within which bounds."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import grpc
import grpc.aio

from alliance.config.directory import Directory
from alliance.config.membership import Membership, Named
from alliance.errors import JournalError
from alliance.net.channels import GREETING, Identities, protocol_problem, require_protocol
from alliance.net.tasks import until_first
from alliance.pb import client_pb2 as pb
from alliance.pb.peer_pb2 import LogFrame
from alliance.server.driver import Inbox
from alliance.server.failure import Failure
from alliance.server.gate import Gate
from alliance.server.invalid_submissions import INVALID_MAX, InvalidSubmissions
from alliance.server.kept_votes import KeptVotes
from alliance.server.leadership import Leadership
from alliance.server.peers import Peers
from alliance.server.sessions import Session, Sessions, refusal
from alliance.server.status import StatusSource
from alliance.server.vouching import Voucher
from alliance.storage.history import History, Pruned
from alliance.wire.bounds import SLOT_MAX, Malformed
from alliance.wire.checkpoints import encode_offer, encode_part
from alliance.wire.log_frames import encode_frame
from alliance.wire.membership import encode_proof
from fab_paxos.events import ProofsWanted, Submitted
from quorum import InvalidStatement, VoteStatement
from verifiable_log.checkpoint_offer import StatePart
from verifiable_log.limits import LISTEN_PART_BYTES
from verifiable_log.ordering_state import part
from verifiable_log.submission import InvalidSubmission

SUBMISSIONS_PER_FRAME_MAX = 1024

CHECKS_PER_TURN = 32
"""Signatures that are checked before others get their turn: some milliseconds."""

_INVALID = (
    f"{INVALID_MAX} submissions of this client were not valid: its program, its folder or its clock is wrong;"
    " none of it is taken for some seconds"
)

LISTEN_BYTES = 256 * 1024
"""A frame for a listener ends with the batch that reaches this: who reads slowly holds no more than that."""

Context = grpc.aio.ServicerContext[Any, Any]


class Linked(Protocol):
    """What of a member's epoch its peers meet; ``me`` counts from 0."""

    @property
    def me(self) -> int: ...
    @property
    def peers(self) -> Peers: ...


class InLinkedEpoch(Protocol):
    """A member: its part in its present epoch, which another one takes the place of."""

    @property
    def term(self) -> Linked: ...


class PeerService:
    """alliance.v1.Peer: frames pass through as bytes, the link decodes them."""

    def __init__(self, identities: Identities, member: InLinkedEpoch) -> None:
        self._identities = identities
        self._member = member

    def handler(self) -> grpc.GenericRpcHandler:
        exchange: Any = grpc.stream_stream_rpc_method_handler(self.exchange)
        return grpc.method_handlers_generic_handler("alliance.v1.Peer", {"Exchange": exchange})

    async def exchange(self, _: object, context: Context) -> None:
        peer, term = self._identities.member(context), self._member.term
        if peer is None or peer <= term.me:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, "only members with a higher index open this stream"
            )
        if problem := protocol_problem(context.invocation_metadata() or ()):
            term.peers.mismatched(peer, problem)
        await require_protocol(context)
        await context.send_initial_metadata(GREETING)
        try:
            await term.peers.answer(peer, context)
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


class Served(Protocol):
    """What of a member's epoch its clients meet."""

    @property
    def gate(self) -> Gate: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def leadership(self) -> Leadership: ...
    @property
    def status(self) -> StatusSource: ...


class InServedEpoch(Protocol):
    """A member: its part in its present epoch, which another one takes the place of."""

    @property
    def term(self) -> Served: ...


class ClientService:
    """alliance.v1.Client. Streams go on from one epoch to the next."""

    def __init__(
        self,
        member: InServedEpoch,
        directory: Directory,
        history: History,
        sessions: Sessions,
        failure: Failure,
        identities: Identities,
        voucher: Voucher,
    ) -> None:
        self._member = member
        self._history = history
        self._sessions = sessions
        self._failure = failure
        self._directory = directory
        self._identities = identities
        self._voucher = voucher
        self._votes: dict[int, KeptVotes] = {}
        self._streams = 0
        self._invalid = InvalidSubmissions()
        self._checking = asyncio.Lock()  # one stream's turn is everybody's: not one for each stream

    def start(self) -> None:
        """An epoch begins, or the first one: nobody waits for proofs until the first stream is opened.

        The votes of the epoch before are still told: receipts of its last slots are asked for now.
        """
        votes = self._member.term.gate.votes
        before = {epoch: kept for epoch, kept in self._votes.items() if epoch == votes.epoch - 1}
        self._votes = before | {votes.epoch: votes}
        self._member.term.inbox.post(ProofsWanted(self._streams > 0))

    async def Submit(self, _: object, context: Context) -> None:  # noqa: N802
        client = self._identities.client(context)
        if client is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only clients of this alliance submit")
        await require_protocol(context)
        if self._invalid.bars(client.client_id):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _INVALID)
        self._enter()
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
            self._leave()

    async def _hear(self, session: Session, context: Context) -> None:
        while (frame := await context.read()) is not grpc.aio.EOF:
            if len(frame.submissions) > SUBMISSIONS_PER_FRAME_MAX:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"a frame has {SUBMISSIONS_PER_FRAME_MAX} submissions at most",
                )
            for first in range(0, len(frame.submissions), CHECKS_PER_TURN):
                async with self._checking:
                    for encoded in frame.submissions[first : first + CHECKS_PER_TURN]:
                        self._submit(session, encoded)
                    await asyncio.sleep(0)
                if self._invalid.bars(session.client_id):
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _INVALID)
            await self._member.term.inbox.room()
            await session.room()

    def _submit(self, session: Session, encoded: bytes) -> None:
        """Nothing happens to the rest of a frame whose client is barred for what came before it."""
        if self._invalid.bars(session.client_id):
            return
        try:
            submission = self._member.term.gate.admit_submission(session.client_id, encoded)
        except InvalidSubmission as error:
            # The number as far as it can be read, so that the client knows which one is meant.
            seq = int.from_bytes(encoded[32:40], "big")
            session.put(refusal(seq, "invalid", str(error)))
            self._invalid.add(session.client_id)
            return
        self._sessions.expect(session, submission)
        self._member.term.inbox.post(Submitted(submission))

    async def _answer(self, session: Session, context: Context) -> None:
        while True:
            for outcomes in await session.take():
                await context.write(self._named(outcomes))
                session.written(outcomes)

    async def Listen(self, request: pb.ListenRequest, context: Context) -> None:  # noqa: N802
        if not (0 if request.with_state else 1) <= request.first_slot <= SLOT_MAX:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "first_slot counts from 1")
        await self._known(context)
        await require_protocol(context)
        self._enter()
        try:
            await context.send_initial_metadata(GREETING)
            slot, first = request.first_slot, True
            if request.with_state:
                slot = await self._tell_state(slot, context)
            while True:
                await self._history.wait_beyond(slot - 1)
                try:
                    frame = self._history.frame(slot, LISTEN_BYTES)
                except Pruned as error:
                    await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
                peaks = self._history.peaks(slot - 1) if first else ()
                await context.write(self._named(encode_frame(frame, peaks)))
                slot, first = slot + len(frame.batches), False
        except JournalError as error:  # what it cannot read back it must not vote on
            self._failure.failed(error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this member's journal is damaged")
        finally:
            self._leave()

    async def _tell_state(self, wanted: int, context: Context) -> int:
        """What was delivered before, up to a checkpoint below the slot that is wanted; the slot after it."""
        checkpoint, pruned = self._history.checkpoint, self._history.pruned
        if checkpoint is None or 0 < wanted <= checkpoint.slot:
            if pruned:
                known = checkpoint.slot if checkpoint is not None else pruned
                await context.abort(
                    grpc.StatusCode.OUT_OF_RANGE,
                    f"slots up to {pruned} are no longer kept here, and what was delivered before a later one"
                    f" is known from slot {known + 1} on",
                )
            return 1
        try:
            offer = self._history.offer(checkpoint)
        except LookupError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this member is being brought up")
        await context.write(self._named(LogFrame(offer=encode_offer(offer))))
        items, first = checkpoint.snapshot.state, 0
        while first < len(items):
            told = StatePart(checkpoint.slot, first, part(items, first, LISTEN_PART_BYTES))
            await context.write(self._named(LogFrame(state_part=encode_part(told))))
            first += len(told.items)
        return checkpoint.slot + 1

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusReply:  # noqa: N802
        await self._known(context)
        return self._member.term.status.reply()

    async def Votes(self, request: pb.VotesRequest, context: Context) -> pb.VotesReply:  # noqa: N802
        await self._known(context)
        try:
            asked = VoteStatement(request.view, request.slot, request.root)
        except InvalidStatement as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        kept, reply = self._votes.get(request.epoch), pb.VotesReply()
        if kept is not None:
            votes = kept.of(asked)
            reply.votes.extend(pb.MemberVote(member=at, signature=votes[at]) for at in sorted(votes))
        return self._named(reply)

    async def GetMembership(self, request: pb.MembershipRequest, context: Context) -> None:  # noqa: N802
        if self._identities.former(context) is None:
            await self._known(context)
        proof = self._voucher.told(Membership(request.have_epoch, request.have_revision))
        if proof is None:
            await context.write(self._named(pb.MembershipPart()))
            return
        for piece in encode_proof(proof):
            await context.write(self._named(piece))

    async def MembershipShare(  # noqa: N802
        self, request: pb.MembershipShareRequest, context: Context
    ) -> pb.MembershipShareReply:
        if self._identities.member(context) is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only members make certificates")
        return pb.MembershipShareReply(share=self._voucher.share(request.epoch, request.revision))

    async def StepDown(self, _: pb.StepDownRequest, context: Context) -> pb.StepDownReply:  # noqa: N802
        await self._require_operator(context, "a member steps down for nobody but its own operator")
        done = await self._member.term.leadership.hand_over()
        return pb.StepDownReply(
            led=done.led, leader=self._directory.config.members[done.leader].name, view=done.view
        )

    async def Alarms(self, request: pb.AlarmsRequest, context: Context) -> pb.AlarmsReply:  # noqa: N802
        await self._require_operator(context, "a member tells its alarms to nobody but its own operator")
        return self._member.term.status.alarms(acknowledge=request.acknowledge)

    def _named(self, answer: Named) -> Named:
        return self._directory.config.membership.named_in(answer)

    async def _require_operator(self, context: Context, why: str) -> None:
        """Aborts for anybody who does not hold this member's own keys."""
        if self._identities.member(context) != self._member.term.leadership.me:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, why)

    async def _known(self, context: Context) -> None:
        """Aborts for anybody but a member or client."""
        if self._identities.known(context) is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only members and clients are served")

    def _enter(self) -> None:
        if not self._streams:
            self._member.term.inbox.post(ProofsWanted(True))
        self._streams += 1

    def _leave(self) -> None:
        self._streams -= 1
        if not self._streams:
            self._member.term.inbox.post(ProofsWanted(False))
