"""How whoever is no server comes to know of a revision or epoch: an answer names it, one server proves it.

What answers name is proven by nothing, so it only makes one ask. What is taken has one signature of the
alliance on it, and is higher than what was known. It does not say that there is nothing newer still: who can
reach no member but such as lie, or have left, stays with what it has.

Nobody needs the epochs between: the alliance's public key is the same in all of them.

Who works beside a member's server, in its folder, takes revisions in this way, and no epoch: the server alone
enters that, and when it has done so its alliance.toml says so (``reread``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from alliance.config import file as config_file
from alliance.config.control import current
from alliance.config.directory import Directory, place_of
from alliance.config.file import FILE, AllianceConfig
from alliance.config.membership import Answer, Membership
from alliance.config.parties import Member
from alliance.errors import ConfigError
from alliance.keys import revision
from alliance.net.channels import one_line, parser
from alliance.pb import client_pb2 as pb
from alliance.wire.bounds import Malformed
from alliance.wire.membership import MembershipProof, read_proof
from quorum import InvalidCertificate

log = logging.getLogger(__name__)

ASK_SECONDS = 3.0
PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Between rounds over all members: when a revision takes effect, its proof is made a little later."""
DOUBT_SECONDS = 10.0
"""For so long nobody is asked again, after rounds that brought nothing: a liar names whatever it likes."""
LOOK_SECONDS = 1.0
CLOSE_SECONDS = 0.5


def ask_membership(channel: grpc.aio.Channel, have: Membership) -> Any:
    """The call that asks a server for what it proves beyond ``have``; its caller cancels it in the end."""
    ask = channel.unary_stream(
        "/alliance.v1.Client/GetMembership",
        request_serializer=pb.MembershipRequest.SerializeToString,
        response_deserializer=parser(pb.MembershipPart),
    )
    request = pb.MembershipRequest(have_epoch=have.epoch, have_revision=have.revision)
    return ask(request, timeout=ASK_SECONDS)


async def newer(channel: grpc.aio.Channel, have: Membership) -> MembershipProof | None:
    """What a server proves beyond ``have``, not verified; None: nothing.

    Raises AioRpcError, Malformed, MalformedControl or InvalidStatement.
    """
    call = ask_membership(channel, have)
    try:
        return await read_proof(call)
    finally:  # who stops reading ends the call: gRPC does not always
        call.cancel()


class Follower:
    """Brings a directory up to date. ``newest`` is the highest that any answer has named."""

    def __init__(
        self,
        folder: Path,
        directory: Directory,
        channel: Callable[[Member], grpc.aio.Channel],
        *,
        beside_server: bool = False,
    ) -> None:
        """``channel``: to a member's server. ``folder``: its alliance.toml goes along; ``beside_server``: it
        is that of a member, and its server has the say."""
        self.newest = directory.config.membership
        self._beside_server = beside_server
        self._folder = folder
        self._directory = directory
        self._channel = channel
        self._task: asyncio.Task[None] | None = None
        self._doubted_until = float("-inf")

    def heard(self, answer: Answer) -> None:
        """Somebody names a membership."""
        named = Membership.of(answer)
        if self._beside_server and named.epoch != self._directory.config.epoch:
            return
        self.newest = max(self.newest, named)
        if self.newest <= self._directory.config.membership or (self._task and not self._task.done()):
            return
        if asyncio.get_running_loop().time() >= self._doubted_until:
            self._task = asyncio.create_task(self._catch_up(), name="follow the alliance")

    async def close(self) -> None:
        """Nobody is asked any more, when who was asked just now has had a moment: a short program, too, is to
        know the next time."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self, identity: bytes) -> None:
        """Asks the member of this identity again and again: for who gets no other answers. Ends when it is
        none any more."""
        while (place := place_of(self._directory.config, identity)) is not None:
            await self._ask(self._directory.config.members[place])
            await asyncio.sleep(LOOK_SECONDS)

    async def reread(self) -> None:
        """Takes what the folder's alliance.toml comes to say, until cancelled."""
        path, seen = self._folder / FILE, None
        while True:
            try:
                there = path.stat()
                if seen != (now := (there.st_ino, there.st_mtime_ns)):
                    seen = now
                    self._take(await asyncio.to_thread(config_file.load, self._folder), str(path))
            except (OSError, ConfigError, ValueError) as error:
                log.warning("%s is not followed: %s", path, error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _catch_up(self) -> None:
        for pause in PAUSES_SECONDS:
            for member in self._directory.config.members:
                await self._ask(member)
                if self.newest <= self._directory.config.membership:
                    return
            await asyncio.sleep(pause)
        self._doubted_until = asyncio.get_running_loop().time() + DOUBT_SECONDS

    async def _ask(self, member: Member) -> None:
        """Takes what it proves, if that is newer."""
        config, name = self._directory.config, member.name
        try:
            proof = await newer(self._channel(member), config.membership)
            if proof is None:
                return
            proof.verify(config.scheme)
            if self._beside_server and proof.membership.epoch != config.epoch:
                return
            now = current(config, proof.membership, proof.keys, proof.changes)
            if self._take(now, name):
                revision.keep(self._folder, now)
        except grpc.aio.AioRpcError as error:
            log.debug("%s: %s", name, one_line(error.details() or ""))
        except (Malformed, InvalidCertificate, ValueError) as error:
            log.warning("%s gives a membership that is not taken: %s", name, error)

    def _take(self, now: AllianceConfig, whence: str) -> bool:
        """Whether it is newer. Raises ValueError for what is of another alliance."""
        newer = self._directory.update(now)
        if newer:
            log.info("epoch %d, revision %d of the alliance, from %s", *now.membership, whence)
        return newer
