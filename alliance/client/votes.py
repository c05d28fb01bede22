"""Members' own votes for a receipt, gathered from servers that hear each other's.

Each vote is checked with its member's identity key before it counts, so a server that gives false ones, or
none, delays nobody: all members are asked, each at once, and f + 1 votes of different members are enough,
whoever told them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio

from alliance.client.race import STAGGER_SECONDS
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.membership import Answer
from alliance.config.parties import Member
from alliance.errors import InvalidReceipt, VotesMissing
from alliance.net.channels import one_line, parser
from alliance.pb import client_pb2 as pb
from alliance.proofs.receipt import Receipt
from alliance.proofs.votes import Vote, verify_votes

log = logging.getLogger(__name__)

ASK_SECONDS = 3.0
PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Between rounds; after them, the last one. A vote may come to its hearers a little after the certificate."""


class VoteGatherer:
    """Knows the members of the present epoch and of the one before, whose receipts may still come."""

    def __init__(
        self,
        directory: Directory,
        channel: Callable[[Member], grpc.aio.Channel],
        heard: Callable[[Answer], None],
    ) -> None:
        self._directory = directory
        self._channel = channel
        self._heard = heard
        self._epochs: tuple[AllianceConfig, ...] = (directory.config,)
        directory.follow(self._follow)

    def _follow(self, config: AllianceConfig) -> None:
        last = self._epochs[-1]
        self._epochs = (*self._epochs[:-1], config) if last.epoch == config.epoch else (last, config)

    async def gather(self, receipt: Receipt, timeout: float) -> Receipt:
        """The receipt with f + 1 votes. ``timeout`` is in seconds. Raises VotesMissing."""
        gathering = _Gathering(receipt)
        try:
            async with asyncio.timeout(timeout):
                await self._gather(gathering)
        except TimeoutError:
            raise gathering.missing(f"within {timeout:g} s") from None
        return replace(receipt, votes=gathering.taken())

    async def _gather(self, gathering: _Gathering) -> None:
        rounds = 0
        while True:
            gathering.electorate = self._members_of(gathering)
            await self._ask_all(gathering)
            if gathering.complete:
                return
            await asyncio.sleep(PAUSES_SECONDS[min(rounds, len(PAUSES_SECONDS) - 1)])
            rounds += 1

    async def _ask_all(self, gathering: _Gathering) -> None:
        """One round. Who is silent for a moment longer than n - f others is not waited for."""
        config = self._directory.config
        asking = [asyncio.create_task(self._ask(gathering, member)) for member in config.members]
        waiting, patience = set(asking), None
        try:
            while waiting and not gathering.complete:
                done, waiting = await asyncio.wait(
                    waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                for task in done:
                    task.result()
                if len(asking) - len(waiting) >= config.system.report:
                    patience = STAGGER_SECONDS
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def _members_of(self, gathering: _Gathering) -> AllianceConfig | None:
        """Who took part in the receipt's epoch; None: that is not known yet, but answers tell of it."""
        epoch = gathering.receipt.context.epoch
        if epoch > self._directory.config.epoch:
            return None
        for config in self._epochs:
            if config.epoch == epoch:
                return config
        raise VotesMissing(
            f"the members of epoch {epoch}, in which it was certified, have gone meanwhile, and their votes"
            " with them: ask for its receipt anew, with Client.resume or 'alliance propose --id', which"
            " members of today certify"
        )

    async def _ask(self, gathering: _Gathering, member: Member) -> None:
        """Takes what this server has, if all of it is true; a liar is not asked again."""
        if member.identity in gathering.liars:
            return
        ask: Any = self._channel(member).unary_unary(
            "/alliance.v1.Client/Votes",
            request_serializer=pb.VotesRequest.SerializeToString,
            response_deserializer=parser(pb.VotesReply),
        )
        try:
            reply: pb.VotesReply | None = await ask(gathering.question, timeout=ASK_SECONDS)
            if reply is None:
                raise InvalidReceipt("an answer in an unknown form")
            self._heard(reply)
            gathering.take(reply)
        except grpc.aio.AioRpcError as error:
            log.debug("%s: %s", member.name, one_line(error.details() or ""))
        except InvalidReceipt as error:
            gathering.liars.add(member.identity)
            log.warning("%s gives votes that are none: %s", member.name, error)


class _Gathering:
    """What has come together for one receipt."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.electorate: AllianceConfig | None = None
        self.liars: set[bytes] = set()
        accepted = receipt.certificate.statement
        epoch, root = receipt.context.epoch, accepted.root
        self.question = pb.VotesRequest(epoch=epoch, view=accepted.view, slot=accepted.slot, root=root)
        self._votes: dict[int, Vote] = {}

    @property
    def complete(self) -> bool:
        return self.electorate is not None and len(self._votes) >= self.electorate.system.one_correct

    def take(self, reply: pb.VotesReply) -> None:
        """Counts its votes up to the first false one. Raises InvalidReceipt at that."""
        if self.electorate is None:
            return
        members = self.electorate.members
        if len(reply.votes) > len(members):
            raise InvalidReceipt(f"{len(reply.votes)} votes of {len(members)} members")
        identities = [member.identity_key for member in members]
        for told in reply.votes:
            if told.member in self._votes:
                continue
            vote = Vote(told.member, told.signature)
            verify_votes([vote], self.receipt.certificate.statement, self.receipt.context, identities)
            self._votes[vote.member] = vote

    def taken(self) -> tuple[Vote, ...]:
        """As a receipt has them: f + 1, sorted by member."""
        enough = self.electorate.system.one_correct if self.electorate is not None else 0
        return tuple(self._votes[member] for member in sorted(self._votes)[:enough])

    def missing(self, within: str) -> VotesMissing:
        if self.electorate is None:
            return VotesMissing(
                f"no server has proven {within} who the members of epoch {self.receipt.context.epoch} are, in"
                " which it was certified: ask again a little later"
            )
        enough = self.electorate.system.one_correct
        return VotesMissing(
            f"{len(self._votes)} of the {enough} votes that are more than liars make came {within}: members"
            " keep them for a while and tell them to whoever asks; are they running? Or ask for its receipt"
            " anew, with Client.resume or 'alliance propose --id', which may bring one with newer votes"
        )
