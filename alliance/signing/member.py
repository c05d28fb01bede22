"""The signing process of one member: its desk, behind gRPC with mutual TLS."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from alliance.client.revisions import Follower
from alliance.config import file as config_file
from alliance.config.directory import Directory, place_of
from alliance.config.file import AllianceConfig
from alliance.config.parties import Member, Party
from alliance.errors import PortTaken
from alliance.keys import folder as keys
from alliance.keys.shares import is_awaited
from alliance.net.admission import Admission
from alliance.net.channels import Channels, Identities, one_line
from alliance.net.endpoints import Endpoints
from alliance.net.tasks import together
from alliance.pb import signing_pb2 as pb
from alliance.pb import signing_pb2_grpc
from alliance.signing.desk import Desk
from alliance.signing.policy import Policy
from alliance.signing.renewal import Renewal
from alliance.signing.rules import Refused

APPLICATION = "sign"
"""The name under which alliance.toml may say where a member's desk is."""
WAITING_PER_CLIENT_MAX = 16
"""Requests of one client that are being worked on."""
STOP_GRACE_SECONDS = 1.0

log = logging.getLogger("alliance.signing")
Context = grpc.aio.ServicerContext[Any, Any]


class SigningService:
    """alliance.v1.Signing."""

    def __init__(
        self,
        directory: Directory,
        identities: Identities,
        desk: Desk,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._identities = identities
        self.desk: Desk | None = desk
        """None: the member has no shares of the present keys yet."""
        self._now = now
        self._waiting: Counter[bytes] = Counter()
        self._worker = ThreadPoolExecutor(1, "desk")  # one at a time: arithmetic is all that it is

    async def Share(self, request: pb.ShareRequest, context: Context) -> pb.ShareReply:  # noqa: N802
        client = self._identities.client(context)
        if client is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only clients of this alliance ask")
        if self._waiting[client.client_id] >= WAITING_PER_CLIENT_MAX:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests of this client are under way"
            )
        desk = self.desk
        if desk is None:
            await context.abort(
                grpc.StatusCode.UNAVAILABLE, "this member has no share of the present keys yet: ask again"
            )
        self._waiting[client.client_id] += 1
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._worker, self._answer, desk, request.receipt, client)
        work.add_done_callback(lambda _: self._done(client))
        return await asyncio.shield(work)  # who hangs up does not make room before the work is done

    def _done(self, client: Party) -> None:
        self._waiting[client.client_id] -= 1

    def _answer(self, desk: Desk, receipt: bytes, client: Party) -> pb.ShareReply:
        try:
            order = desk.judge(receipt, client, self._now())
            share = desk.share(order)
        except Refused as refusal:
            why = one_line(str(refusal))
            log.warning("refused to %s: %s", client.name, why)
            return self._named(desk, pb.ShareReply(refusal=why))
        where = order.occasion
        said = one_line(order.request.summary)
        log.info("signs for %s with '%s', number %d: %s", client.name, where.purpose, where.number, said)
        return self._named(desk, pb.ShareReply(share=share, digest=order.digest))

    def _named(self, desk: Desk, reply: pb.ShareReply) -> pb.ShareReply:
        """The epoch is that of the desk, whose shares combine; the revision may be a newer one of it."""
        now = self._directory.config.membership
        membership = now if now.epoch == desk.membership.epoch else desk.membership
        return membership.named_in(reply)


async def serve(
    folder: Path,
    policies: Sequence[Policy],
    *,
    passphrase: bytes,
    listen: str | None = None,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Runs the desk of the member whose folder this is, until cancelled.

    ``listen`` is a local host:port other than the one that alliance.toml gives for the application 'sign'.
    Raises ConfigError, KeyFileError, ClockError, PortTaken; NoLongerMember when it takes no part any more.
    """
    config = config_file.load(folder)
    me, member = keys.member_party(config, folder)
    credentials = keys.load_credentials(folder, member, passphrase)
    desk = Desk.open(folder, config, me, policies, passphrase)
    admission = Admission(config)
    directory = Directory(config)
    channels = Channels(credentials)
    directory.follow(admission.update, channels.keep_to)
    service = SigningService(directory, admission.identities, desk)

    def equip(server: grpc.aio.Server) -> None:
        signing_pb2_grpc.add_SigningServicer_to_server(service, server)  # type: ignore[no-untyped-call]

    endpoints = Endpoints(admission, credentials, equip)
    address = listen or member.application_address(APPLICATION)
    if not await endpoints.open(address):
        raise PortTaken(
            f"{address} cannot be listened on: is another process using it? Stop that one, use --listen, or"
            f" name another address under 'applications' of {member.name} in every alliance.toml"
        )
    if listen is None:  # else its address leads here in a way that this process does not know
        directory.follow(partial(_move, endpoints, member))

    def reopen(now: AllianceConfig, place: int) -> Desk | None:
        if is_awaited(folder, now.dealing):
            return None
        return Desk.open(folder, now, place, policies, passphrase)

    renewal = Renewal(service, directory, member.identity, reopen)
    follower = Follower(folder, directory, channels.to, beside_server=True)
    try:
        ready(address)
        await together(
            endpoints=endpoints.run(),
            follow=follower.look(member.identity),
            epochs=follower.reread(),
            shares=renewal.run(),
        )
    finally:
        await endpoints.stop(STOP_GRACE_SECONDS)
        await channels.close()


def _move(endpoints: Endpoints, member: Member, now: AllianceConfig) -> None:
    """Answers where the alliance looks for this member now."""
    place = place_of(now, member.identity)
    if place is not None:
        endpoints.follow(now.members[place].application_address(APPLICATION))
