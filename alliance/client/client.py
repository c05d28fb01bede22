"""The client: proposes commands and listens to what was decided. Believes certificates, never servers.

::

    async with await alliance.connect("farm/clients/client-1", passphrase=b"…") as client:
        receipt = await client.propose(b"open the gate")
        async for entry in client.listen(start=1):
            print(entry.slot, entry.command)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.client.arguments import command_bytes, seconds, slot
from alliance.client.delivery import LogEntry
from alliance.client.life import Life
from alliance.client.listener import Listener
from alliance.client.member_status import MemberStatus, told_by
from alliance.client.proposals import Proposals, chunks
from alliance.client.proven import ProvenSlot
from alliance.client.race import STAGGER_SECONDS
from alliance.client.revisions import Follower
from alliance.client.sequence import Sequence
from alliance.client.submitter import Submitter
from alliance.client.votes import VoteGatherer
from alliance.config import file as config_file
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.membership import Answer, Membership
from alliance.config.parties import Member
from alliance.errors import Unreachable
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.net.channels import Channels, one_line, parser
from alliance.net.problems import plainly
from alliance.pb import client_pb2 as pb
from alliance.proofs.epoch_keys import EpochKeys
from alliance.proofs.receipt import Receipt
from verifiable_log import Submission

TIMEOUT_SECONDS = 30.0
STATUS_SECONDS = 3.0
VOTES_SECONDS = 10.0


class Client:
    """A client of one alliance. Make it with ``connect``; close it, or use ``async with``."""

    def __init__(self, config: AllianceConfig, credentials: Credentials, folder: Path) -> None:
        """Raises RuntimeError in a process that was forked from one that had used gRPC."""
        self.life = Life()
        self.directory = Directory(config)
        self.credentials = credentials
        self._channels = Channels(credentials)
        self._follower = Follower(folder, self.directory, self.channel)
        self._keys = EpochKeys(lambda: self.config)
        self._proven = ProvenSlot(folder)
        self._submitter = Submitter(
            config,
            credentials.party.client_id,
            credentials.signing_key,
            Sequence(folder),
            self._proven,
            self,
        )
        self._proposals = Proposals(self._submitter)
        self._votes = VoteGatherer(self.directory, self.channel, self.heard)
        self.directory.follow(self._submitter.update, self._channels.keep_to)

    @property
    def config(self) -> AllianceConfig:
        """The newest that this client knows: members and clients change while it runs."""
        return self.directory.config

    @property
    def public_key(self) -> RSAPublicKey:
        """The alliance's public key now, which checks the receipts of today: see ``public_key_of``."""
        return self.public_key_of(self.config.epoch)

    def public_key_of(self, epoch: int) -> RSAPublicKey:
        """The key that checks what ``epoch`` has signed. It is the same for all, unless the alliance has got
        new keys meanwhile."""
        return self._keys.of(epoch).key

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the streams. Who waits for a receipt of what was sent hears OutcomeUnknown, as it may still be
        ordered; any other call, also a later one, raises Unreachable. In the child of a fork nothing happens.
        Raises RuntimeError in another event loop.
        """
        if not self.life.close():
            return
        await self._follower.close()
        await self._submitter.close()
        await self._proposals.close()
        await self._channels.close()

    def channel(self, member: Member) -> grpc.aio.Channel:
        """The channel to a member, opened when first used."""
        self.life.require()
        return self._channels.to(member)

    def heard(self, answer: Answer) -> None:
        """An answer names the membership that its server is in. If that is newer, it is asked for."""
        self._follower.heard(answer)

    @property
    def newest_membership(self) -> Membership:
        """The highest epoch and revision that any answer has named. Not proven: a liar names any.

        What is proven of it is ``config.membership``.
        """
        return self._follower.newest

    # -- proposing -----------------------------------------------------------------------------------

    def propose(self, command: bytes, timeout: float = TIMEOUT_SECONDS) -> Coroutine[Any, Any, Receipt]:
        """Has one command ordered; returns its verified receipt.

        Concurrent calls share submissions, so that many of them cost little more than one. ``timeout`` is in
        seconds and counts from the call. Raises InvalidSubmission (over the size limit), Unreachable (then
        nothing was sent), SubmissionRefused, and OutcomeUnknown when no receipt came in time: then the
        command may or may not be ordered. The command is copied, and the arguments are checked, at the call
        itself: TypeError and ValueError name the one that is wrong.
        """
        return self._propose(command_bytes(command), seconds(timeout))

    async def _propose(self, command: bytes, timeout: float) -> Receipt:
        self.life.require()
        return await self._proposals.propose(command, timeout)

    async def propose_all(
        self, commands: Iterable[bytes], timeout: float = TIMEOUT_SECONDS
    ) -> AsyncGenerator[Receipt, None]:
        """Has commands ordered in the order given; yields their receipts in that order.

        One submission is under way at a time, so that nothing overtakes. ``timeout`` is for each. Raises
        as ``propose``; the commands whose receipts were yielded are ordered.
        """
        self.life.require()
        seconds(timeout)
        named = (command_bytes(command, f"commands[{at}]") for at, command in enumerate(commands))
        for chunk in chunks(named):
            for receipt in await self._submitter.propose(chunk, timeout):
                yield receipt

    def sign(self, commands: Iterable[bytes]) -> Submission:
        """One submission of these commands, under a number of its own, for ``resume`` to send.

        For those who keep it before it is sent, so that they can ask for its outcome whatever happens to this
        process. Raises InvalidSubmission over a limit.
        """
        self.life.require()
        named = (command_bytes(command, f"commands[{at}]") for at, command in enumerate(commands))
        return self._submitter.sign(list(named))

    async def resume(self, submission: Submission, timeout: float = TIMEOUT_SECONDS) -> list[Receipt]:
        """The outcome of a submission (from OutcomeUnknown or ``sign``), which is ordered at most once."""
        self.life.require()
        if not isinstance(submission, Submission):
            raise TypeError(f"submission must be a Submission, not {type(submission).__name__}")
        return await self._submitter.submit(submission, seconds(timeout))

    async def with_votes(self, receipt: Receipt, timeout: float = VOTES_SECONDS) -> Receipt:
        """The receipt with the votes of f + 1 members of its epoch, each of them checked.

        Such a receipt cannot be made with stolen shares of the alliance's keys alone: see
        docs/guides/receipts.md. Ask for it soon: members keep votes for a while, and in memory alone.
        ``timeout`` is in seconds. Raises InvalidReceipt for one that proves nothing, and VotesMissing.
        """
        if not isinstance(receipt, Receipt):
            raise TypeError(f"receipt must be a Receipt, not {type(receipt).__name__}")
        timeout = seconds(timeout)
        receipt.verify(self._keys.key_for(receipt))
        with self.life.use():
            return await self._votes.gather(receipt, timeout)

    # -- listening -----------------------------------------------------------------------------------

    async def listen(
        self, start: int | None = 1, *, follow: bool = True, server: str | None = None, exact: bool = False
    ) -> AsyncGenerator[LogEntry, None]:
        """The decided commands from slot ``start`` on: each once, in order, verified.

        None is the slot after what is certified now.

        With ``follow`` forever, otherwise up to what is certified now, and at least as far as any receipt or
        entry goes that this folder's clients have got.
        ``server`` names the member that is asked first. A repetition within the log is recognised from
        ``start`` on. With ``exact``, and where ``start`` is None, also one of what came before ``start``, as
        if it had been followed from slot 1 on: that costs the newest checkpoint below ``start``, or the log
        from slot 1 where there is none. Raises Unreachable when no server knows it.
        """
        with self.life.use():
            first = self.config.member_index(server) if server is not None else None
            listener = Listener(
                *(self.config, self),
                slot(start) if start is not None else None,
                first,
                exact=exact,
            )
            until = None if follow else max(await self.certified_now(), self._proven.slot)
            heard = 0
            try:
                async with aclosing(listener.entries(until)) as entries:
                    async for entry in entries:
                        heard = entry.slot
                        yield entry
                        self.life.require()
            finally:
                self._proven.note(heard)

    async def certified_now(self) -> int:
        """A slot that at least one correct member says is certified. Raises Unreachable.

        Who is silent for a moment longer than n - f others is not waited for.
        """
        config = self.config
        system = config.system
        asking = [asyncio.create_task(self._status(config, at)) for at in range(system.member_count)]
        waiting, said, patience = set(asking), list[MemberStatus](), None
        try:
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                said += [task.result() for task in done]
                if sum(one.reachable for one in said) >= system.report:
                    patience = STAGGER_SECONDS
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        answers = sorted((one.certified for one in said if one.reachable), reverse=True)
        if not answers:
            raise Unreachable(f"no server can be reached; of {said[0].name}: {said[0].problem}")
        return answers[min(system.one_correct, len(answers)) - 1]

    # -- status --------------------------------------------------------------------------------------

    async def status(self) -> list[MemberStatus]:
        """What each member says of itself, asked at once."""
        with self.life.use():
            config = self.config
            asking = (self._status(config, at) for at in range(len(config.members)))
            return list(await asyncio.gather(*asking))

    async def _status(self, config: AllianceConfig, member: int) -> MemberStatus:
        who = config.members[member]
        ask = self.channel(who).unary_unary(
            "/alliance.v1.Client/Status",
            request_serializer=pb.StatusRequest.SerializeToString,
            response_deserializer=parser(pb.StatusReply),
        )
        try:
            reply: pb.StatusReply | None = await ask(pb.StatusRequest(), timeout=STATUS_SECONDS)
        except grpc.aio.AioRpcError as error:
            return MemberStatus(who.name, who.address, False, _problem(error))
        if reply is None:
            return MemberStatus(
                who.name,
                who.address,
                False,
                "it answers in an unknown form: another program?",
            )
        self.heard(reply)
        return told_by(config, member, reply)


async def connect(folder: str | Path, passphrase: bytes) -> Client:
    """A client from its folder (``…/clients/NAME``). Contacts nobody yet.

    Raises ConfigError, KeyFileError (missing keys, wrong passphrase), ClockError.
    """
    home = Path(folder)
    config = config_file.load(home)
    party = config.client(keys.load_name(home, "client"))
    return Client(config, keys.load_credentials(home, party, passphrase), home)


def _problem(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer within {STATUS_SECONDS:g} s"
    return one_line(plainly(f"{error.code().name.lower()}: {error.details() or 'without a reason'}"))
