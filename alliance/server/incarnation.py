"""Which start of a member may vote: a handshake on every link, before anything else is said.

Every start has a number, which its journal raises, and a random session. A member votes only when n - f
members (itself included) have made its greeting, signed with both, durable in their journals. Before it
greets, each of them shows it what they hold of it: its newest greeting, and its furthest proposal and vote.
If its own journal does not know one of these, then its disk was rolled back, or a copy of it runs
elsewhere, and it stops. Only statements under the member's own signature count, so no peer can make a correct
member stop.

Any two sets of n - f members share a correct one besides the member itself. Therefore of any two starts that
came to vote, the journal of one knows the other: docs/concepts/protocol.md, section 8, gives the argument.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError

from alliance.config.file import AllianceConfig
from alliance.errors import IdentityConflict
from alliance.net.channels import NotServed, one_line
from alliance.pb import peer_pb2 as pb
from alliance.server.latest_statements import LatestStatements, SignedStatement, place
from alliance.storage.journal import Journal
from alliance.storage.journal_records import SESSION_BYTES, in_epoch
from alliance.wire.bounds import Malformed
from alliance.wire.envelope import require_match
from quorum import GreetingStatement, ProposeStatement, QuorumSystem

HANDSHAKE_SECONDS = 5.0
FAREWELL_SECONDS = 0.5
STATEMENTS_MAX = 3
"""What a peer shows: a greeting, a proposal and a vote. Each costs a verification."""

Read = Callable[[], Awaitable[object]]
Write = Callable[[bytes], Awaitable[object]]


class Doubt(Exception):
    """The peer's identity is in doubt, by its own account or because it greets as no correct member does."""


class Incarnation:
    """This start of this member, and what it knows of the others' starts."""

    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        key: Ed25519PrivateKey,
        journal: Journal,
        latest: LatestStatements,
    ) -> None:
        """Counts the start in the journal. Raises JournalError."""
        self._config = config
        self._me = me
        self._key = key
        self._journal = journal
        self._latest = latest
        self._doubted = in_epoch("members that doubted", config.epoch)
        self._session = secrets.token_bytes(SESSION_BYTES)
        self._recall()
        self._held = {peer: self._kept(peer) for peer in range(len(config.members)) if peer != me}
        self._known_by = {me}
        self._doubted_by = self._peers_that_doubted()
        self.settled = asyncio.Event()
        self.number = journal.begin(self._session)
        self._settle()

    async def shake_hands(self, peer: int, read: Read, write: Write) -> None:
        """Returns when both sides hold each other's greeting.

        Raises IdentityConflict when this member must stop, Doubt when the peer should, Mismatch when it runs
        another engine or epoch, Malformed, JournalError, and NotServed when the other side hangs up or takes
        too long.
        """
        epoch = self._config.epoch
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                shown = self._held[peer]
                await write(_step(epoch, memory=self._memory_of(peer)))
                self._examine(peer, (await _next(read, "memory", epoch)).memory)
                await write(_step(epoch, greeting=self._greeting(peer).encode()))
                greeting = (await _next(read, "greeting", epoch)).greeting
                self._take(peer, shown, SignedStatement.decode(greeting))
                await write(_step(epoch, welcome=pb.Welcome()))
                await _next(read, "welcome", epoch)
        except TimeoutError:
            raise NotServed(f"no handshake within {HANDSHAKE_SECONDS:g} s") from None
        self._known_by.add(peer)
        self._settle()

    def _settle(self) -> None:
        """With n - f members; with all of them when one has shown an unknown start to an earlier start."""
        system = self._config.system
        if len(self._known_by) < (system.member_count if self._doubted_by else system.report):
            return
        if self._doubted_by:
            self._journal.keep(self._doubted, b"")
            self._doubted_by = set()
        self.settled.set()

    # -- this member, as its peers remember it -------------------------------------------------------

    def _require_present(self) -> None:
        """Of an epoch that is over the journal does not know what was said. Raises NotServed."""
        if self._journal.epoch != self._config.epoch:
            raise NotServed(f"epoch {self._config.epoch} has ended within the handshake")

    def _examine(self, peer: int, memory: pb.Memory) -> None:
        self._require_present()
        if len(memory.statements) > STATEMENTS_MAX:
            raise Malformed(f"{len(memory.statements)} statements remembered")
        for shown in map(SignedStatement.decode, memory.statements):
            shown.verify(self._config.members[self._me].identity_key, self._config.context)
            said = shown.statement
            if isinstance(said, GreetingStatement):
                known = self._journal.starts.include(said.incarnation, said.session)
                known = known or self._is_passed_over(peer, said)
                what = f"its start number {said.incarnation}"
            else:
                known = place(said) <= self._journal.furthest
                kind = "proposal" if isinstance(said, ProposeStatement) else "vote"
                what = f"its {kind} in view {place(said)[0]}, slot {place(said)[1]}"
            if not known:
                way_out = self._note_doubt(peer) if isinstance(said, GreetingStatement) else ""
                raise IdentityConflict(
                    f"{self._config.members[peer].name} shows, signed by this member, {what}, of which the"
                    " journal here knows nothing: the disk was rolled back, or another machine has this"
                    " identity, too. This member has stopped: end the other one, or put the newest journal"
                    f" back; if that is lost, the member needs a new identity{way_out}",
                    what,
                )

    def _peers_that_doubted(self) -> set[int]:
        """Those that showed an unknown start to the starts since all members last knew of one."""
        return set(self._journal.kept(self._doubted) or b"")

    def _note_doubt(self, peer: int) -> str:
        """Durable before this peer may ever take a greeting again. Tells how the newest disk gets past it."""
        doubted = self._peers_that_doubted() | {peer}
        self._journal.keep(self._doubted, bytes(sorted(doubted)))
        if len(doubted) > passed_over_max(self._config.system):
            return ""
        return (
            ". Only if this is the newest journal, and an older one was started by mistake meanwhile: end"
            " that one, and start this member again while all the others are up; it votes when they all know"
            " of it"
        )

    def _is_passed_over(self, peer: int, said: GreetingStatement) -> bool:
        """So few peers have shown it that it cannot have voted, nor can once all know of this start."""
        return (
            peer in self._doubted_by
            and len(self._doubted_by) <= passed_over_max(self._config.system)
            and said.incarnation < self.number
            and not self.settled.is_set()
        )

    def _greeting(self, peer: int) -> SignedStatement:
        statement = GreetingStatement(self._me, peer, self.number, self._session)
        return SignedStatement(statement, self._key.sign(statement.encode(self._config.context)))

    # -- peers, as this member remembers them --------------------------------------------------------

    def _memory_of(self, peer: int) -> pb.Memory:
        greeting = self._held[peer]
        held = [*([greeting] if greeting is not None else []), *self._latest.furthest(peer)]
        return pb.Memory(statements=[statement.encode() for statement in held])

    def _take(self, peer: int, shown: SignedStatement | None, came: SignedStatement) -> None:
        """Makes a greeting durable if it is newer than the held one, which must be the one that was shown."""
        self._require_present()
        came.verify(self._config.members[peer].identity_key, self._config.context)
        greeting = came.statement
        if not isinstance(greeting, GreetingStatement):
            raise Malformed("no greeting where one was due")
        if (greeting.member, greeting.peer) != (peer, self._me):
            raise Malformed("a greeting for somebody else")
        held = self._held[peer]
        if held is not shown:
            raise NotServed("it greeted on another stream meanwhile")
        if held is not None and isinstance(held.statement, GreetingStatement):
            if held.statement == greeting:
                return
            if greeting.incarnation <= held.statement.incarnation:
                raise Doubt(
                    f"it greets with its start number {greeting.incarnation}, after"
                    f" {held.statement.incarnation} was seen: its disk was rolled back, or two machines have"
                    " its identity"
                )
        self._journal.keep(self._greeting_of(peer), came.pack())
        self._held[peer] = came

    def _kept(self, peer: int) -> SignedStatement | None:
        """Raises JournalError when what was kept is no greeting."""
        kept = self._journal.kept(self._greeting_of(peer))
        try:
            return SignedStatement.unpack(kept) if kept is not None else None
        except ValueError as error:
            raise self._journal.damaged(f"its {self._greeting_of(peer)}: {error}") from None

    def _greeting_of(self, peer: int) -> str:
        return in_epoch(f"greeting of member {peer + 1}", self._config.epoch)

    def _recall(self) -> None:
        try:
            self._latest.recall(self._journal.kept)
        except ValueError as error:
            raise self._journal.damaged(f"what it heard of others: {error}") from None


async def farewell(read: Read, write: Write, conflict: IdentityConflict, epoch: int) -> None:
    """Tells a peer, instead of greeting it, why not; waits a moment until it has heard."""
    with suppress(TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
        async with asyncio.timeout(FAREWELL_SECONDS):
            await write(_step(epoch, farewell=conflict.unknown))
            while await read() is not grpc.aio.EOF:
                pass


def _step(epoch: int, **step: Any) -> bytes:
    return pb.Handshake(engine=pb.FAB_PAXOS, epoch=epoch, **step).SerializeToString()


async def _next(read: Read, step: str, epoch: int) -> pb.Handshake:
    """The peer's next step, which must be this one. Raises Malformed, Mismatch, NotServed or Doubt."""
    frame = await read()
    if frame is grpc.aio.EOF or not isinstance(frame, bytes):
        raise NotServed("it closed the stream within the handshake")
    try:
        handshake = pb.Handshake.FromString(frame)
    except DecodeError:
        raise Malformed("not a step of a handshake") from None
    require_match(handshake, epoch)
    came = handshake.WhichOneof("step")
    if came == "farewell":
        raise Doubt(
            f"its journal does not know {one_line(handshake.farewell)}: its disk was rolled back, or two"
            " machines have its identity"
        )
    if came != step:
        raise Malformed(f"{came or 'nothing'} where its {step} was due")
    return handshake


def passed_over_max(system: QuorumSystem) -> int:
    """So many peers may hold a start that the newest journal does not know, if all then take its greeting.

    docs/concepts/protocol.md, section 8: of two starts of which neither knows the other, only one then votes.
    """
    others = system.member_count - 1 - system.faulty_max  # correct ones
    return max(0, min(system.faulty_max, (others - 1) // 2, others - system.faulty_max - 1))
