"""The proposing half of a client: submissions on their way, retried until a receipt or the end of time.

One stream at a time, to the leader if it is known; when the stream breaks, stalls, or brings something
that no correct server sends, everything pending goes to the next server under the same numbers, so that
nothing is ordered twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence as SequenceOf
from typing import Any, Protocol

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.codec import Malformed, decode_certificate
from alliance.config import AllianceConfig
from alliance.errors import InvalidReceipt, OutcomeUnknown, ServerLied, SubmissionRefused, Unreachable
from alliance.history import Placement
from alliance.pb import client_pb2 as pb
from alliance.receipt import Receipt
from alliance.sequence import Sequence
from fab_paxos import Submission, UnsignedSubmission
from quorum import AcceptedStatement, InvalidCertificate, InvalidStatement, QuorumCertificate

log = logging.getLogger(__name__)

STALL_SECONDS = 2.0
"""Without any outcome for so long while something is pending, the next server is tried."""

CONNECT_SECONDS = 3.0
ROUNDS_MAX = 2
"""Rounds over all servers without any connection before what was never sent is given up."""


class Channels(Protocol):
    def channel(self, member: int) -> grpc.aio.Channel: ...


class Pending:
    """A submission without its outcome."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.outcome: asyncio.Future[tuple[QuorumCertificate, Placement]] = (
            asyncio.get_running_loop().create_future()
        )
        self.sent = False
        self.refusals: dict[int, str] = {}


class Submitter:
    """Owns the Submit stream and the pending submissions."""

    def __init__(
        self,
        config: AllianceConfig,
        client_id: bytes,
        key: Ed25519PrivateKey,
        sequence: Sequence,
        channels: Channels,
        key_fingerprint: str,
    ) -> None:
        self._config = config
        self._context = config.context
        self._scheme = config.scheme
        self._client_id = client_id
        self._key = key
        self._sequence = sequence
        self._channels = channels
        self._key_fingerprint = key_fingerprint
        self._pending: dict[int, Pending] = {}
        self._unsent: list[Pending] = []
        self._news = asyncio.Event()
        self._server = 0
        self._task: asyncio.Task[None] | None = None

    def sign(self, commands: SequenceOf[bytes]) -> Submission:
        """A submission under the next sequence number. Raises InvalidSubmission over a limit."""
        unsigned = UnsignedSubmission(self._client_id, self._sequence.next(), commands)
        return unsigned.sign(self._key.sign(unsigned.message(self._context)))

    async def submit(self, submission: Submission, timeout: float) -> list[Receipt]:
        """One verified receipt per command.

        Raises OutcomeUnknown when the time is over, Unreachable when it never left this machine,
        SubmissionRefused when more servers than may be faulty refuse it.
        """
        pending = Pending(submission)
        self._pending[submission.client_seq] = pending
        self._unsent.append(pending)
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="submitter")
        try:
            async with asyncio.timeout(timeout):
                certificate, placement = await pending.outcome
        except TimeoutError:
            if not pending.sent:
                raise Unreachable(_unreachable(self._config, timeout)) from None
            raise OutcomeUnknown(
                f"no receipt within {timeout:g} s: what was sent under sequence number"
                f" {submission.client_seq} may or may not be ordered; look for it with 'alliance listen', or"
                " ask again with Client.resume",
                submission,
            ) from None
        finally:
            self._pending.pop(submission.client_seq, None)
            if not pending.outcome.done():
                pending.outcome.cancel()
        count = len(submission.commands())
        return [
            Receipt(self._context, certificate, placement, submission, index, self._key_fingerprint)
            for index in range(count)
        ]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- the stream ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            while not self._pending:
                self._news.clear()
                await self._news.wait()
            member = self._server
            name = self._config.members[member].name
            try:
                await self._stream(member)
                failures = 0
            except _NotConnected as error:
                failures += 1
                log.debug("%s: %s", name, error)
            except (grpc.aio.AioRpcError, _TryNext) as error:
                failures = 0
                log.debug("%s: %s", name, error)
            except ServerLied as error:
                failures = 0
                log.warning("%s", error)
            if self._server == member:
                self._server = (member + 1) % len(self._config.members)
            if failures >= ROUNDS_MAX * len(self._config.members):
                self._give_up()
                failures = 0
            elif failures and failures % len(self._config.members) == 0:
                await asyncio.sleep(0.5)

    def _give_up(self) -> None:
        for pending in self._pending.values():
            if not pending.sent and not pending.outcome.done():
                pending.outcome.set_exception(Unreachable(_unreachable(self._config, None)))

    async def _stream(self, member: int) -> None:
        channel = self._channels.channel(member)
        call = channel.stream_stream(
            "/alliance.v1.Client/Submit",
            request_serializer=pb.Submissions.SerializeToString,
            response_deserializer=pb.Outcomes.FromString,
        )()
        try:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await call.initial_metadata()
            except (TimeoutError, grpc.aio.AioRpcError) as error:
                raise _NotConnected(str(error)) from None
            self._unsent = list(self._pending.values())
            self._news.set()
            reader = asyncio.create_task(self._read(member, call))
            writer = asyncio.create_task(self._write(call))
            watch = asyncio.create_task(self._watch())
            tasks = (reader, writer, watch)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()
        finally:
            call.cancel()

    async def _write(self, call: Any) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            unsent, self._unsent = self._unsent, []
            for pending in unsent:
                if not pending.outcome.done():
                    pending.sent = True
                    await call.write(pb.Submissions(submissions=[pending.submission.encoded]))

    async def _watch(self) -> None:
        """Ends when what was pending at one look is all still pending at the next."""
        while True:
            before = set(self._pending)
            await asyncio.sleep(STALL_SECONDS)
            if before and before <= set(self._pending):
                raise _TryNext(f"no outcome within {STALL_SECONDS} s")

    async def _read(self, member: int, call: Any) -> None:
        while (outcomes := await call.read()) is not grpc.aio.EOF:
            try:
                self._take(member, outcomes)
            except (Malformed, InvalidStatement, InvalidCertificate, InvalidReceipt) as error:
                name = self._config.members[member].name
                raise ServerLied(f"{name} sent an outcome without a proof: {error}") from None
        raise _TryNext("the server closed the stream")

    def _take(self, member: int, outcomes: pb.Outcomes) -> None:
        certificate: QuorumCertificate | None = None
        for outcome in outcomes.outcomes:
            pending = self._pending.get(outcome.client_seq)
            if pending is None or pending.outcome.done():
                continue
            if outcome.HasField("refusal"):
                self._refused(member, pending, outcome.refusal)
                continue
            if certificate is None:
                certificate = decode_certificate(outcomes.certificate)
                certificate.verify(self._scheme)
                self._follow_leader(certificate)
            place = outcome.placement
            placement = Placement(
                place.slot, place.index, place.batch_size, tuple(place.batch_path), tuple(place.log_path)
            )
            receipt = Receipt(
                self._context, certificate, placement, pending.submission, 0, self._key_fingerprint
            )
            receipt.verify_placement()
            pending.outcome.set_result((certificate, placement))

    def _follow_leader(self, certificate: QuorumCertificate) -> None:
        """Certificates tell the view: the next stream goes to its leader, one hop nearer."""
        if isinstance(certificate.statement, AcceptedStatement):
            self._server = self._config.system.leader(certificate.statement.view)

    def _refused(self, member: int, pending: Pending, refusal: pb.Refusal) -> None:
        reason = pb.Refusal.Reason.Name(refusal.reason) if refusal.reason in range(5) else "UNSPECIFIED"
        if refusal.reason != pb.Refusal.BUSY:
            pending.refusals[member] = f"{reason.lower()}: {refusal.detail[:200]}"
        if len(pending.refusals) >= self._config.system.one_correct:
            pending.outcome.set_exception(
                SubmissionRefused(
                    f"sequence number {pending.submission.client_seq} was refused by"
                    f" {len(pending.refusals)} servers: {next(iter(pending.refusals.values()))}"
                )
            )
            return
        # One server may be lying, or be full: ask another one.
        self._server = (member + 1) % len(self._config.members)
        raise _TryNext(f"refused: {reason}")


class _TryNext(Exception):
    """This server does not help; the next one may."""


class _NotConnected(Exception):
    """No stream could be opened."""


def _unreachable(config: AllianceConfig, timeout: float | None) -> str:
    within = f" within {timeout:g} s" if timeout is not None else ""
    addresses = ", ".join(member.address for member in config.members[:3])
    more = ", …" if len(config.members) > 3 else ""
    return (
        f"no server of the alliance could be reached{within} ({addresses}{more}): are they running, and is"
        " this the right alliance.toml? 'alliance status' shows each one"
    )
