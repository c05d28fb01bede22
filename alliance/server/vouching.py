"""The proof of each revision: this server's share of it, those of the others, and the signature of all.

Whoever asks a server who takes part gets one answer with one signature. The servers make it when a revision
takes effect: each asks the others for their shares, or for the whole where one has it. Nothing in the log
waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio

from alliance.client.revisions import ASK_SECONDS, newer
from alliance.config.directory import Directory
from alliance.config.membership import Membership
from alliance.keys import files
from alliance.net.channels import Channels, parser
from alliance.net.problems import plainly
from alliance.pb import client_pb2 as pb
from alliance.wire.bounds import SHARE_BYTES_MAX, Malformed
from alliance.wire.membership import MembershipProof
from consensus.control.encoding import MalformedControl
from consensus.control.published import Published
from quorum import (
    CombineFailed,
    Endorsement,
    InvalidCertificate,
    InvalidEndorsement,
    InvalidStatement,
    MembershipStatement,
    QuorumCertificate,
    combine,
)

log = logging.getLogger("alliance.server")

FILE = "membership"
PAUSE_SECONDS = (0.05, 5.0)
"""First and longest, between two rounds: the others get to the slot at about the same time."""

Endorse = Callable[[MembershipStatement], None]


class Voucher:
    """``proof`` is the newest that this server can show, or None."""

    def __init__(
        self, folder: Path, directory: Directory, me: int, channels: Channels, endorse: Endorse
    ) -> None:
        """``endorse``: has the signer answer by ``endorsed``, with a proof that its share is good."""
        self.proof: MembershipProof | None = None
        self._path = folder / FILE
        self._directory = directory
        self._me = me
        self._channels = channels
        self._endorse = endorse
        self._wanted = (0, 0)
        self._own: tuple[MembershipStatement, Published] | None = None
        self._share = b""
        self._shares: dict[int, Endorsement] = {}
        self._news = asyncio.Event()

    def start(self, epoch: int, revision: int) -> None:
        """The log has come to this revision: if its proof is not in the folder, the others are asked."""
        self._wanted = (epoch, revision)
        try:
            with self._path.open("rb") as file:
                self._accept(MembershipProof.decode(file.read()))
        except FileNotFoundError:
            pass
        except (OSError, InvalidStatement, InvalidCertificate, MalformedControl) as error:
            log.warning("%s is made anew: %s", self._path, error)
        self._news.set()

    def vouch(self, statement: MembershipStatement, membership: Published) -> None:
        """This revision has taken effect: its proof is wanted."""
        self._wanted = (membership.epoch, membership.revision)
        self._own, self._share, self._shares = (statement, membership), b"", {}
        self._endorse(statement)
        self._news.set()

    def endorsed(self, statement: MembershipStatement, share: bytes | None) -> None:
        """The signer's answer; None: it refused."""
        if self._own is not None and statement == self._own[0] and share is not None:
            try:
                self._count(self._me, share)
            except InvalidEndorsement as error:
                log.error("this member's own share on revision %d is bad: %s", statement.revision, error)
                return
            self._share = share
            self._news.set()

    def share(self, epoch: int, revision: int) -> bytes:
        """This server's share on that revision, for another member; empty if it has none."""
        known = self._own is not None and (epoch, revision) == self._wanted
        return self._share if known else b""

    async def run(self) -> None:
        """Gathers what is missing; until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            pause, longest = PAUSE_SECONDS
            while not self._has(self._wanted):
                others = (m for m in range(len(self._directory.config.members)) if m != self._me)
                await asyncio.gather(*map(self._ask, others))
                if not self._has(self._wanted):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, longest)

    def _has(self, wanted: tuple[int, int]) -> bool:
        proof = self.proof
        newest = (0, 0) if proof is None else (proof.membership.epoch, proof.membership.revision)
        return newest >= wanted

    async def _ask(self, member: int) -> None:
        """A share if this server has one of its own to put beside it, else the whole."""
        party, (epoch, revision) = self._directory.config.members[member], self._wanted
        try:
            if self._own is None:
                proof = await newer(self._channels.to(party), Membership(epoch, revision - 1))
                if proof is not None:
                    self._accept(proof)
            elif member not in self._shares:
                share = self._channels.to(party).unary_unary(
                    "/alliance.v1.Client/MembershipShare",
                    request_serializer=pb.MembershipShareRequest.SerializeToString,
                    response_deserializer=parser(pb.MembershipShareReply),
                )
                asked = pb.MembershipShareRequest(epoch=epoch, revision=revision)
                said = await share(asked, timeout=ASK_SECONDS)
                if said is not None and 0 < len(said.share) <= SHARE_BYTES_MAX:
                    self._count(member, said.share)
        except grpc.aio.AioRpcError as error:
            log.debug("%s: %s", party.name, plainly(str(error.details())))
        except (
            Malformed,
            MalformedControl,
            InvalidStatement,
            InvalidCertificate,
            InvalidEndorsement,
        ) as error:
            log.warning("%s: what it says of revision %d is refused: %s", party.name, revision, error)

    def _count(self, member: int, share: bytes) -> None:
        """Raises InvalidEndorsement."""
        if self._own is None:
            return
        statement, membership = self._own
        endorsement, scheme = Endorsement(statement, member, share), self._directory.config.scheme
        scheme.verify_endorsement(endorsement)
        self._shares[member] = endorsement
        if len(self._shares) < scheme.threshold or self._has(self._wanted):
            return
        try:
            certificate: QuorumCertificate = combine(scheme, list(self._shares.values()))
        except CombineFailed as error:
            log.error("revision %d cannot be certified: %s", membership.revision, error)
            return
        self._accept(MembershipProof(certificate, membership))

    def _accept(self, proof: MembershipProof) -> None:
        """Keeps one that is newer. Raises InvalidCertificate."""
        newer = (proof.membership.epoch, proof.membership.revision)
        if self._has(newer):
            return
        proof.verify(self._directory.config.scheme)
        self.proof = proof
        log.info("revision %d is certified", proof.membership.revision)
        try:
            files.write_whole(self._path, proof.encode())
        except OSError as error:  # the others have it, too
            log.warning("%s cannot be written: %s", self._path, error)
