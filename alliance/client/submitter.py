"""The proposing half of a client: submissions on their way, retried until a receipt or the end of time.

One stream at a time, to the leader if it is known and quick; when the stream breaks, stalls, or brings
something that no correct server sends, everything pending goes to the next server under the same numbers, so
that nothing is ordered twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence as SequenceOf
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.client.life import closed
from alliance.client.pending import NumberUnusable, Pending, unreachable
from alliance.client.proven import ProvenSlot
from alliance.client.race import NobodyServes, first_established
from alliance.client.sequence import Sequence
from alliance.client.server_choice import Channels, ServerChoice
from alliance.config.directory import place_of
from alliance.config.file import AllianceConfig
from alliance.errors import InvalidReceipt, OutcomeUnknown, ServerLied, SubmissionRefused, Unreachable
from alliance.net.channels import GREETING, hang_up, one_line, parser
from alliance.net.problems import plainly
from alliance.net.tasks import until_first
from alliance.pb import client_pb2 as pb
from alliance.proofs.epoch_keys import EpochKeys, UnknownKey, verify_in
from alliance.proofs.receipt import Receipt, receipts
from alliance.wire.bounds import Malformed
from alliance.wire.certificates import decode_decision
from quorum import DecisionCertificate, InvalidCertificate, InvalidStatement
from verifiable_log import Submission, UnsignedSubmission
from verifiable_log.limits import CLIENT_WINDOW

log = logging.getLogger(__name__)

STALL_TIMEOUTS = 4
"""Without any outcome for so many view time-outs while something is pending, the next server is tried. No
server can help before the members have replaced a leader that failed, which takes two or three."""

LOOKS_MAX = 4
"""A single submission that is pending for so many stall times while others get through is tried elsewhere."""

ROUNDS_MAX = 2
"""Rounds over all servers without any connection before what was never sent is given up."""

SKIPS_MAX = 32
"""So often is what is skipped of the sequence numbers doubled; no client gets that far without."""

PAUSE_SECONDS = 0.5
"""After each round over all servers that brought nothing."""


class Submitter:
    """Owns the Submit stream and the pending submissions."""

    def __init__(
        self,
        config: AllianceConfig,
        client_id: bytes,
        key: Ed25519PrivateKey,
        sequence: Sequence,
        proven: ProvenSlot,
        channels: Channels,
    ) -> None:
        self._config = config  # of the epoch whose members are asked
        self._context = config.context
        self._client_id = client_id
        self._key = key
        self._sequence = sequence
        self._channels = channels
        self._keys = EpochKeys(lambda: channels.config)
        self._pending: dict[int, Pending] = {}
        self._unsent: list[Pending] = []
        self._asked: set[int] = set()  # what was sent on this stream and is not answered
        self._leaving = ""  # why this stream is left as soon as all of that is answered
        self._news, self._crossed = asyncio.Event(), asyncio.Event()
        self._choice = ServerChoice(config.system, config.timing.view_timeout_seconds)
        self._proven = proven
        self._helped, self._problem, self._closed = False, "", False
        self._task: asyncio.Task[None] | None = None

    def sign(self, commands: SequenceOf[bytes]) -> Submission:
        """A submission under the next sequence number. Raises InvalidSubmission over a limit."""
        unsigned = UnsignedSubmission(self._client_id, self._sequence.next(), commands)
        return unsigned.sign(self._key.sign(unsigned.message(self._context)))

    async def propose(
        self, commands: SequenceOf[bytes], timeout: float, asked: float | None = None
    ) -> list[Receipt]:
        """Signs and submits; under another number if the first one proves to be unusable. Raises as both."""
        now = asyncio.get_running_loop().time
        deadline, asked = now() + timeout, timeout if asked is None else asked
        attempt = 0
        while True:
            submission = self.sign(commands)
            try:
                return await self.submit(submission, deadline - now(), asked, fresh=True)
            except NumberUnusable as error:
                log.warning("it is proposed anew under another one: %s", error)
                # The file is ahead if other processes went on, and behind if an old copy was restored.
                skip = CLIENT_WINDOW << min(attempt - 1, SKIPS_MAX) if attempt else 0
                self._sequence.renew(submission.client_seq, skip)
                attempt += 1

    async def submit(
        self, submission: Submission, timeout: float, asked: float | None = None, *, fresh: bool = False
    ) -> list[Receipt]:
        """One verified receipt per command. ``asked`` is the time-out to tell of, if some of it has passed.

        Raises OutcomeUnknown when the time is over, Unreachable when it never left this machine,
        SubmissionRefused when more servers than may be faulty refuse it.
        """
        if self._closed:
            raise closed()
        pending = self._pending.get(submission.client_seq)
        if pending is None or pending.outcome.done():
            pending = self._pending[submission.client_seq] = Pending(submission, fresh)
            self._unsent.append(pending)
        elif pending.submission != submission:
            raise SubmissionRefused(
                f"other commands are under way under sequence number {submission.client_seq}"
            )
        pending.waiters += 1
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="submitter")
            self._task.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(timeout):
                certificate, placement = await asyncio.shield(pending.outcome)
        except TimeoutError:
            within = f" within {round(timeout if asked is None else asked, 1):g} s"
            if not pending.sent:
                raise self._unreachable(within) from None
            raise OutcomeUnknown(
                f"no receipt{within}: what was sent under sequence number {submission.client_seq} may"
                " or may not be ordered; look for it with 'alliance listen', or ask again with Client.resume",
                submission,
            ) from None
        finally:
            pending.waiters -= 1
            if not pending.waiters:
                if pending.outcome.done():
                    pending.outcome.exception()  # seen, even if it came as the time was over
                pending.outcome.cancel()
                if self._pending.get(submission.client_seq) is pending:
                    del self._pending[submission.client_seq]
        fingerprint = self._keys.of(certificate.epoch).fingerprint
        return receipts(self._context.alliance_id, certificate, placement, submission, fingerprint)

    def update(self, config: AllianceConfig) -> None:
        """A revision or epoch. When members change, what is pending goes to those that there are now."""
        if config.epoch != self._config.epoch:
            self._crossed.set()

    async def close(self) -> None:
        """Ends the stream, and leaves nothing of it to the garbage collector: see ``until_first``."""
        self._closed = True  # gRPC may turn the cancellation into an error of the call, which begins anew
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody works for those who wait any more: they hear why."""
        error = None if task.cancelled() else task.exception()
        for pending in self._pending.values():
            pending.fail(error if isinstance(error, Exception) else None)

    # -- the stream ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        unconnected = fruitless = 0
        while not self._closed:
            while not self._pending:
                self._news.clear()
                await self._news.wait()
            if self._crossed.is_set():
                self._cross()
                unconnected = fruitless = 0
            self._helped, members = False, len(self._config.members)
            try:
                member, call = await first_established(self._begin, self._choice.order)
            except NobodyServes as error:
                at, why = error.problem
                self._problem = f"{self._config.members[at].name}: {plainly(why)}"
                unconnected = (unconnected + 1) % ROUNDS_MAX
                if not unconnected:
                    self._give_up()
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            unconnected = 0
            passed = 1 + (member - self._choice.server) % members
            self._choice.server = member
            name = self._config.members[member].name
            try:
                await self._stream(member, call)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, _TryNext) as error:
                log.debug("%s: %s", name, one_line(str(error)))
            except ServerLied as error:
                log.warning("%s", error)
            if self._crossed.is_set():
                continue
            if self._pending:  # a server ends streams that bring nothing for long
                self._choice.pass_over(member)
            fruitless = 0 if self._helped else fruitless + passed
            if fruitless % members < passed <= fruitless:  # another round is over
                await asyncio.sleep(PAUSE_SECONDS)

    def _cross(self) -> None:
        """Goes on with the members of the epoch that is known now, with the same server if it is one."""
        self._crossed.clear()
        before, now = self._config, self._channels.config
        server = place_of(now, before.members[self._choice.server].identity)
        self._config = now
        self._choice = ServerChoice(now.system, now.timing.view_timeout_seconds, server or 0)
        for pending in self._pending.values():
            pending.refusals.clear()  # of members that may have gone, by their numbers

    def _give_up(self) -> None:
        for pending in self._pending.values():
            if not pending.sent and not pending.outcome.done():
                pending.outcome.set_exception(self._unreachable())

    def _begin(self, member: int) -> Any:
        return self._channels.channel(self._config.members[member]).stream_stream(
            "/alliance.v1.Client/Submit",
            request_serializer=pb.Submissions.SerializeToString,
            response_deserializer=parser(pb.Outcomes),
        )(metadata=GREETING)

    async def _stream(self, member: int, call: Any) -> None:
        """Ends by raising: AioRpcError, InvalidStateError (both: broken), _TryNext, ServerLied."""
        try:
            self._asked, self._leaving = set(), ""
            self._unsent = list(self._pending.values())
            self._news.set()
            await until_first(self._read(member, call), self._write(call), self._watch(), self._cut())
        finally:
            hang_up(call)

    async def _write(self, call: Any) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            unsent, self._unsent = self._unsent, []
            if self._leaving:
                continue  # all goes to the next server
            for pending in unsent:
                if not pending.outcome.done():
                    pending.sent_at = asyncio.get_running_loop().time()
                    pending.unanswered += 1
                    self._asked.add(pending.submission.client_seq)
                    await call.write(pb.Submissions(submissions=[pending.submission.encoded]))

    async def _watch(self) -> None:
        """Ends when what was pending at one look is all still pending at the next, or some of it for long."""
        stall = STALL_TIMEOUTS * self._config.timing.view_timeout_seconds
        looks: dict[int, int] = {}
        while True:
            before = set(self._pending)
            await asyncio.sleep(stall)
            looks = {seq: looks.get(seq, 0) + 1 for seq in before if seq in self._pending}
            if before and len(looks) == len(before):
                raise _TryNext(f"no outcome within {stall:g} s")
            if max(looks.values(), default=0) >= LOOKS_MAX:
                raise _TryNext(f"an outcome is missing for {LOOKS_MAX * stall:g} s")

    async def _cut(self) -> None:
        """Ends when the members change."""
        await self._crossed.wait()
        raise _TryNext("the members have changed")

    async def _read(self, member: int, call: Any) -> None:
        while (outcomes := await call.read()) is not grpc.aio.EOF:
            try:
                if outcomes is None:
                    raise Malformed("not a message")
                self._take(member, outcomes)
            except UnknownKey as error:
                raise _TryNext(str(error)) from None
            except (Malformed, InvalidStatement, InvalidCertificate, InvalidReceipt) as error:
                name = self._config.members[member].name
                raise ServerLied(f"{name} sent an outcome without a proof: {error}") from None
        raise _TryNext("the server closed the stream")

    def _take(self, member: int, outcomes: pb.Outcomes) -> None:
        self._channels.heard(outcomes)
        certificate: DecisionCertificate | None = None
        slow = False
        for outcome in outcomes.outcomes:
            asked = outcome.client_seq in self._asked
            self._asked.discard(outcome.client_seq)
            pending = self._pending.get(outcome.client_seq)
            if pending is None or pending.outcome.done():
                continue
            if outcome.HasField("refusal"):
                pending.unanswered -= asked
                self._refused(member, pending, outcome.refusal)
                continue
            if certificate is None:
                certificate = decode_decision(outcomes.certificate)
                verify_in(self._channels.config, certificate)
                self._follow_leader(certificate)
            pending.take(certificate, outcome.placement)
            self._helped = True
            slow = self._is_slow(member, pending, certificate) or slow
        if self._leaving and not self._asked & self._pending.keys():
            raise _TryNext(self._leaving)
        if slow:
            raise _TryNext("its clients wait for long")

    def _is_slow(self, member: int, pending: Pending, certificate: DecisionCertificate) -> bool:
        if pending.sent_at is None:
            return False
        took = asyncio.get_running_loop().time() - pending.sent_at
        return self._choice.served(member, certificate.view, took)

    def _follow_leader(self, certificate: DecisionCertificate) -> None:
        """Certificates tell the view: the next stream goes to its leader, one hop nearer."""
        if certificate.epoch == self._config.epoch:  # another epoch has views of its own
            self._choice.follow(certificate.view)
        self._proven.note(certificate.slot)

    def _refused(self, member: int, pending: Pending, refusal: pb.Refusal) -> None:
        reason = pending.refuse(member, refusal)
        if len(pending.refusals) >= self._config.system.one_correct:
            pending.outcome.set_exception(pending.refused())
            return
        # One server may be lying, or be full: ask another one.
        self._choice.server = member
        self._choice.pass_over(member)
        self._leaving = f"refused: {reason}"
        if not pending.number_unusable:
            raise _TryNext(self._leaving)
        # What was sent beside it has such a number, too. Who leaves before the answer cannot know that.

    def _unreachable(self, within: str = "") -> Unreachable:
        return unreachable(self._channels.config, self._problem, within)


class _TryNext(Exception):
    """This server does not help; the next one may."""
