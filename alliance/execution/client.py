"""The client of an application: has commands ordered, and collects what executors say came of them.

::

    async with await connect("farm/clients/client-1", passphrase, application="kv") as client:
        reply = await client.execute(b"set colour green")
        print(reply.payload, reply.slot)
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

import alliance.client as consensus
from alliance.client.arguments import command_bytes, seconds
from alliance.config.directory import place_of
from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.parties import Member, require_application
from alliance.errors import Unreachable
from alliance.execution.errors import CommandRefused, ReplyMissing
from alliance.execution.machine import REPLY_BYTES_MAX, Kind, wrap
from alliance.execution.outcome import PATH_MAX, Outcome, Status
from alliance.execution.reply import Reply
from alliance.net.channels import Channels, one_line, parser
from alliance.pb import application_pb2 as pb
from alliance.proofs.epoch_keys import EpochKeys
from alliance.proofs.receipt import Receipt
from alliance.wire.bounds import SHARE_BYTES_MAX
from quorum import CombineFailed, Endorsement, InvalidEndorsement, ReplyStatement
from quorum.threshold_rsa import ThresholdRsaScheme
from verifiable_log.limits import TIME_MS_MAX
from verifiable_log.merkle_tree import ProofError

TIMEOUT_SECONDS = 30.0
HEDGE_SECONDS = 0.5
"""Without an answer for so long, one more executor is asked than have to answer."""

LATE_SECONDS = 30.0
"""An executor that did not help is asked after the others for so long."""

ROUND_PAUSE_SECONDS = 0.2


class ExecutionClient:
    """A client of one application. Make it with ``connect``; close it, or use ``async with``."""

    def __init__(self, client: consensus.Client, application: str) -> None:
        """Raises ConfigError when the alliance has no attestation key."""
        self.consensus = client
        self.application = require_application(application)
        self.keys = EpochKeys(lambda: client.config, client.config.place_of(ATTESTATION))
        self._channels = Channels(client.credentials)
        client.directory.follow(self._channels.keep_to)
        self._late_until: dict[bytes, float] = {}

    @property
    def config(self) -> AllianceConfig:
        """As the client knows it now."""
        return self.consensus.config

    @property
    def attestation_key(self) -> RSAPublicKey:
        """The key that checks the replies of now; ``keys`` has those of earlier epochs."""
        return self.keys.of(self.config.epoch).key

    @property
    def scheme(self) -> ThresholdRsaScheme:
        """That of the members who are known now."""
        return self.config.attestation

    async def __aenter__(self) -> ExecutionClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections, those to the consensus servers included, as ``Client.close``.

        Who waits for the reply to a command that is ordered hears ReplyMissing.
        """
        await self.consensus.close()
        if not self.consensus.life.is_copy:
            await self._channels.close()

    async def execute(self, payload: bytes, *, timeout: float = TIMEOUT_SECONDS) -> Reply:
        """Has one command ordered and executed; returns the certified reply.

        Raises what ``Client.propose`` raises, ReplyMissing when the command is ordered and too few executors
        answer in time, and CommandRefused when the application did not accept it, or failed on it.
        """
        deadline = asyncio.get_running_loop().time() + seconds(timeout)
        return await self._order_and_ask(Kind.APPLY, command_bytes(payload, "payload"), deadline)

    async def read(self, query: bytes, *, at_least: int = 0, timeout: float = TIMEOUT_SECONDS) -> Reply:
        """A certified answer to a query, from the state at ``reply.slot``, which is ``at_least`` or higher.

        The query takes a place in the log like a command, so the answer shows everything that was certified
        before the call. Raises as ``execute``.
        """
        deadline = asyncio.get_running_loop().time() + seconds(timeout)
        query = command_bytes(query, "query")
        while True:
            reply = await self._order_and_ask(Kind.QUERY, query, deadline)
            if reply.slot >= at_least:
                return reply

    async def reply(self, receipt: Receipt, *, timeout: float = TIMEOUT_SECONDS) -> Reply:
        """Asks (again) for the reply to a command that is ordered. Raises ReplyMissing, CommandRefused."""
        self.consensus.life.require()
        try:
            with self.consensus.life.use():
                async with asyncio.timeout(seconds(timeout)):
                    reply = await self._collect(receipt)
        except Unreachable:
            raise ReplyMissing(
                f"the command is ordered in slot {receipt.slot}, but this client was closed before its reply",
                receipt,
            ) from None
        except TimeoutError:
            raise ReplyMissing(
                f"the command is ordered in slot {receipt.slot}, but {self.scheme.threshold} executors of"
                f" '{self.application}' have not answered alike in time: are they running?",
                receipt,
            ) from None
        if reply.status is not Status.DONE:
            text = one_line(reply.payload.decode("utf-8", "replace"))
            what = "refused the command" if reply.status is Status.REFUSED else "failed on the command"
            raise CommandRefused(f"'{self.application}' {what}: {text}", reply)
        return reply

    async def _order_and_ask(self, kind: Kind, payload: bytes, deadline: float) -> Reply:
        now = asyncio.get_running_loop().time
        command = wrap(self.application, kind, payload)
        receipt = await self.consensus.propose(command, timeout=max(0.0, deadline - now()))
        return await self.reply(receipt, timeout=max(0.0, deadline - now()))

    # -- collecting ----------------------------------------------------------------------------------

    async def _collect(self, receipt: Receipt) -> Reply:
        """Asks as many executors as the attestation key needs, more of them when these do not help, all of
        them again until it is done."""
        collection = _Collection(self, receipt)
        while True:
            reply = await self._round(collection)
            if reply is not None:
                return reply
            await asyncio.sleep(ROUND_PAUSE_SECONDS)

    async def _round(self, collection: _Collection) -> Reply | None:
        members, order = self.config.members, self._order(collection.slot)
        waiting = [members[place] for place in order if collection.wants(members[place])]
        asked: dict[asyncio.Task[bool], Member] = {}

        def ask_one_more() -> None:
            if waiting:
                member = waiting.pop(0)
                asked[asyncio.create_task(collection.ask(member))] = member

        for _ in range(self.scheme.threshold):
            ask_one_more()
        try:
            while asked:
                done, _ = await asyncio.wait(
                    asked, timeout=HEDGE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    self._put_last(next(iter(asked.values())))
                    ask_one_more()
                for task in done:
                    member = asked.pop(task)
                    if not task.result():
                        self._put_last(member)
                        ask_one_more()
                reply = collection.combined()
                if reply is not None:
                    return reply
                if not asked:
                    ask_one_more()
            return None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    def _order(self, slot: int) -> list[int]:
        """Whom to ask first: the same for all clients of a slot, whose replies then cost one share each of
        the same executors, and others for the next slot. Those who were late or wrong come last for a while.
        """
        now, members = asyncio.get_running_loop().time(), self.config.members
        late = [self._late_until.get(member.identity, 0.0) > now for member in members]
        return sorted(range(len(members)), key=lambda place: (late[place], (place - slot) % len(members)))

    def _put_last(self, member: Member) -> None:
        self._late_until[member.identity] = asyncio.get_running_loop().time() + LATE_SECONDS

    def channel(self, member: Member) -> grpc.aio.Channel:
        """The channel to a member's executor, opened when first used."""
        self.consensus.life.require()
        return self._channels.to(replace(member, address=member.application_address(self.application)))


class _Collection:
    """The answers to one command: outcomes as they were told, in which epoch, and who gave a share on each.

    An executor signs in the epoch that it is in, whatever the slot. So while members change, the shares on
    one outcome may be of two epochs; they do not combine, and who is asked again signs in the newer one. Each
    epoch's shares are judged by its own members and their verification keys, as far as they are known: a
    client may hear from an epoch before it has learnt who is in it.
    """

    def __init__(self, client: ExecutionClient, receipt: Receipt) -> None:
        self.slot = receipt.slot
        self._client = client
        self._receipt = receipt
        self._configs: dict[int, AllianceConfig] = {}
        self._proven = False
        self._groups: dict[tuple[int, Outcome], dict[bytes, bytes]] = {}  # shares by identity
        self._statements: dict[Outcome, ReplyStatement] = {}

    def wants(self, member: Member) -> bool:
        """Not who has answered, unless in an earlier epoch than another one."""
        newest = max((epoch for epoch, _ in self._groups), default=0)
        return not any(
            member.identity in held for (epoch, _), held in self._groups.items() if epoch == newest
        )

    def _of(self, epoch: int) -> AllianceConfig:
        """Who is in that epoch; if it is not known, who is in the newest that is."""
        now = self._client.config
        self._configs[now.epoch] = now
        return self._configs.get(epoch, now)

    async def ask(self, member: Member) -> bool:
        """Whether this executor gave an answer that may count."""
        receipt, proven = self._receipt, self._proven
        call: Any = self._client.channel(member).unary_unary(
            "/alliance.v1.Application/Reply",
            request_serializer=pb.ReplyRequest.SerializeToString,
            response_deserializer=parser(pb.SignedOutcome),
        )
        request = pb.ReplyRequest(
            application=self._client.application,
            slot=receipt.slot,
            client_seq=receipt.client_seq,
            command_index=receipt.command_index,
            proven=proven,
        )
        try:
            said: pb.SignedOutcome | None = await call(request)
        except grpc.aio.AioRpcError:
            return False
        except asyncio.CancelledError:  # of the call, because its member went and so did the connection?
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return False
        if said is not None:
            self._client.consensus.heard(said)
        outcome = self._outcome(said) if said is not None else None
        if said is None or outcome is None or not 0 < len(said.share) <= SHARE_BYTES_MAX:
            return False
        if proven:
            config = self._of(said.epoch)
            place = place_of(config, member.identity)
            if place is None:
                return False
            endorsement = Endorsement(self._statements[outcome], place, said.share)
            try:
                config.attestation.in_epoch(said.epoch).verify_endorsement(endorsement)
            except InvalidEndorsement:
                return False
        elif self._proven:
            return False  # it was asked before proofs were needed
        mine = member.identity
        self._groups = {group: held for group, held in self._groups.items() if held.keys() != {mine}}
        for held in self._groups.values():
            held.pop(mine, None)
        self._groups.setdefault((said.epoch, outcome), {})[mine] = said.share
        return True

    def _outcome(self, said: pb.SignedOutcome) -> Outcome | None:
        receipt = self._receipt
        digest = sha256(receipt.command).digest()
        fits = said.command_digest == digest and said.status in set(Status)
        sizes_fit = len(said.payload) <= REPLY_BYTES_MAX and len(said.path) <= PATH_MAX
        if not fits or not sizes_fit or said.time_ms > TIME_MS_MAX:
            return None
        outcome = Outcome(
            receipt.client_id,
            receipt.client_seq,
            receipt.command_index,
            receipt.slot,
            said.time_ms,
            digest,
            Status(said.status),
            said.payload,
            said.rank,
            said.count,
            tuple(said.path),
        )
        try:
            if outcome not in self._statements:
                self._statements[outcome] = outcome.statement()
        except ProofError:
            return None
        return outcome

    def combined(self) -> Reply | None:
        """The reply, when enough executors gave one answer. After a bad share, all are asked for proofs."""
        for (epoch, outcome), shares in list(self._groups.items()):
            config, statement = self._of(epoch), self._statements[outcome]
            scheme = config.attestation.in_epoch(epoch)
            placed = ((place_of(config, identity), share) for identity, share in shares.items())
            endorsements = [
                Endorsement(statement, place, share) for place, share in placed if place is not None
            ]
            if len(endorsements) < scheme.threshold:
                continue
            try:
                signature = scheme.combine(endorsements)
            except CombineFailed:
                if config.epoch != epoch:  # others' verification keys: nothing is wrong with the shares
                    del self._groups[epoch, outcome]
                    continue
                self._proven = True
                self._groups.clear()
                return None
            return Reply(scheme.context, outcome, signature, self._client.keys.of(epoch).fingerprint)
        return None


async def connect(folder: str | Path, passphrase: bytes, *, application: str) -> ExecutionClient:
    """A client of an application, from a client's folder. Contacts nobody yet.

    Raises ConfigError, KeyFileError, ClockError.
    """
    require_application(application)
    return ExecutionClient(await consensus.connect(folder, passphrase), application)
