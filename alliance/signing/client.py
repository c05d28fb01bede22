"""The requester's side: has a request ordered, asks the members for their shares, and makes the document.

::

    async with await connect("farm/clients/client-1", passphrase) as client:
        signed = await client.sign("tokens", TokenRequest("https://farm.example", "anna", ("gate",), 900))
        print(signed.document.decode())
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

import alliance.client as consensus
from alliance.client.arguments import seconds
from alliance.config.file import AllianceConfig
from alliance.config.parties import Member
from alliance.errors import Unreachable
from alliance.net.channels import Channels, one_line, parser
from alliance.net.problems import plainly
from alliance.net.tasks import together, until_first
from alliance.pb import signing_pb2 as pb
from alliance.proofs.receipt import Receipt
from alliance.signing.errors import SharesMissing, SigningRefused
from alliance.signing.member import APPLICATION
from alliance.signing.order import Order, Request, order_of, signing_key, to_command
from alliance.signing.shares import Shares

TIMEOUT_SECONDS = 30.0
AGAIN_SECONDS = 0.3
"""A member that is not there is asked again after so long."""

_FOR_GOOD = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
)


@dataclass(frozen=True)
class Signed:
    """``document`` is the content of a file. ``members`` gave good shares.

    ``refusals`` and ``culprits`` are (member, why) of those who were heard before there were enough.
    """

    document: bytes
    order: Order
    receipt: Receipt
    members: tuple[str, ...]
    refusals: tuple[tuple[str, str], ...]
    culprits: tuple[tuple[str, str], ...]


class SigningClient:
    """Make it with ``connect``; close it, or use ``async with``."""

    def __init__(self, client: consensus.Client) -> None:
        self.consensus = client
        self._channels = Channels(client.credentials)
        self._crossed = asyncio.Event()  # when the epoch that is known now is known no more
        client.directory.follow(self._channels.keep_to, self._cross)
        self._epoch = client.config.epoch

    @property
    def config(self) -> AllianceConfig:
        """As the client knows it now."""
        return self.consensus.config

    async def __aenter__(self) -> SigningClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.consensus.close()
        if not self.consensus.life.is_copy:
            await self._channels.close()

    async def sign(self, purpose: str, request: Request, *, timeout: float = TIMEOUT_SECONDS) -> Signed:
        """Has a request ordered, and signed if enough members' policies allow it.

        Raises ConfigError when there is no such key, what ``Client.propose`` and what ``collect`` raise.
        """
        signing_key(self.config, purpose)
        now = asyncio.get_running_loop().time
        deadline = now() + seconds(timeout)
        receipt = await self.consensus.propose(to_command(purpose, request), timeout=timeout)
        return await self.collect(receipt, timeout=max(0.0, deadline - now()))

    async def collect(self, receipt: Receipt, *, timeout: float = TIMEOUT_SECONDS) -> Signed:
        """Asks (again) for the shares on a request that is ordered.

        Raises SigningRefused, SharesMissing; InvalidRequest when the receipt is of another command.
        """
        self.consensus.life.require()
        collection = _Collection(self, receipt)
        try:
            async with asyncio.timeout(seconds(timeout)):
                while not await self._decided(collection):  # the members have changed: shares are others now
                    collection = _Collection(self, receipt)
        except (TimeoutError, Unreachable):
            pass  # the time is over, or the client was closed
        if not collection.decided.is_set():
            raise SharesMissing(collection.report(), receipt)
        return collection.result()

    async def _decided(self, collection: _Collection) -> bool:
        """Whether it is, before the members change."""
        crossed = self._crossed
        asking = {member.name: collection.ask(at) for at, member in enumerate(collection.config.members)}
        await until_first(collection.decided.wait(), together(**asking), crossed.wait())
        return collection.decided.is_set()

    def _cross(self, config: AllianceConfig) -> None:
        if config.epoch != self._epoch:
            self._epoch = config.epoch
            self._crossed.set()
            self._crossed = asyncio.Event()

    def channel(self, member: Member) -> grpc.aio.Channel:
        """The channel to a member's desk, opened when first used."""
        self.consensus.life.require()
        return self._channels.to(replace(member, address=member.application_address(APPLICATION)))


class _Collection:
    """What the members of one epoch say to one order. ``decided``: there are enough shares, or there never
    will be."""

    def __init__(self, client: SigningClient, receipt: Receipt) -> None:
        self._client = client
        self._receipt = receipt
        self.config = client.config
        self._order = order_of(self.config, receipt)
        self._key = self._order.occasion.key
        self._question = pb.ShareRequest(receipt=receipt.to_json().encode())
        self._shares = Shares(self._key, self._order.message)
        self._refusals: dict[int, str] = {}
        self._culprits: dict[int, str] = {}
        self._absent: dict[int, str] = {}
        self.decided = asyncio.Event()

    async def ask(self, member: int) -> None:
        """Asks one member until it answers in this epoch: in another one it may know neither the shares that
        combine, nor the key of the receipt."""
        call: Any = self._client.channel(self.config.members[member]).unary_unary(
            "/alliance.v1.Signing/Share",
            request_serializer=pb.ShareRequest.SerializeToString,
            response_deserializer=parser(pb.ShareReply),
        )
        said: pb.ShareReply | None
        while True:
            self._client.consensus.life.require()  # who is closed while it asks does not ask again
            try:
                said = await call(self._question)
                if said is not None:
                    self._client.consensus.heard(said)
                if said is None or said.epoch == self.config.epoch:
                    break
                self._absent[member] = f"it is in epoch {said.epoch}, this client in {self.config.epoch}"
            except grpc.aio.AioRpcError as error:
                problem = f"{error.code().name.lower()}: {error.details() or 'without a reason'}"
                details = one_line(plainly(problem))
                if error.code() in _FOR_GOOD:
                    said = pb.ShareReply(refusal=details)
                    break
                self._absent[member] = details
            await asyncio.sleep(AGAIN_SECONDS)
        self._absent.pop(member, None)
        self._hear(member, said)
        lost = len(self._refusals) + len(self._culprits)
        if self._shares.enough or len(self.config.members) - lost < self._key.threshold:
            self.decided.set()

    def _hear(self, member: int, said: pb.ShareReply | None) -> None:
        if said is None:
            self._culprits[member] = "an invalid answer"
        elif said.refusal:
            self._refusals[member] = one_line(said.refusal)
        elif said.digest != self._order.digest:
            self._culprits[member] = "it signed other bytes: another version?"
        else:
            try:
                self._shares.add(member, said.share)
            except ValueError as error:
                self._culprits[member] = f"a bad share: {one_line(str(error))}"

    def result(self) -> Signed:
        if not self._shares.enough:
            raise SigningRefused(self.report(), self._named(self._refusals), self._receipt)
        try:
            signature = self._shares.signature()
        except ValueError as error:
            purpose = self._order.occasion.purpose
            raise SigningRefused(f"'{purpose}' cannot be signed: {error}", (), self._receipt) from None
        return Signed(
            self._order.document(signature),
            self._order,
            self._receipt,
            tuple(self.config.members[member].name for member in self._shares.members),
            self._named(self._refusals),
            self._named(self._culprits),
        )

    def report(self) -> str:
        """Why there is no signature."""
        purpose = self._order.occasion.purpose
        parts = [
            f"'{purpose}' is not signed: {self._key.threshold} members must agree,"
            f" {len(self._shares.members)} did (the request is on the record, slot {self._receipt.slot})"
        ]
        said = {"refused": self._refusals, "at fault": self._culprits, "absent": self._absent}
        for verb, heard in said.items():
            for why in dict.fromkeys(heard.values()):
                who = ", ".join(name for name, other in self._named(heard) if other == why)
                parts.append(f"{verb}: {who}: {why}")
        return "; ".join(parts)

    def _named(self, heard: dict[int, str]) -> tuple[tuple[str, str], ...]:
        return tuple((self.config.members[member].name, why) for member, why in sorted(heard.items()))


async def connect(folder: str | Path, passphrase: bytes) -> SigningClient:
    """A client of the alliance's desks, from a client's folder. Contacts nobody yet.

    Raises ConfigError, KeyFileError, ClockError.
    """
    return SigningClient(await consensus.connect(folder, passphrase))
