"""The proof of each revision and epoch: this server's share, those of the others, and the signature of all.

Whoever asks a server who takes part gets one answer with one signature. The servers make it when a revision
takes effect, or an epoch ends: each asks the others for their shares, or for the whole where one has it.
Nothing in the log waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio

from alliance.client.revisions import ASK_SECONDS, newer
from alliance.config.directory import Directory, place_of
from alliance.config.key_changes import KeyChange, key_changed
from alliance.config.membership import Membership
from alliance.config.parties import Member
from alliance.errors import ConfigError
from alliance.keys import files
from alliance.net.channels import Channels, parser
from alliance.net.problems import plainly
from alliance.pb import client_pb2 as pb
from alliance.storage import epochs
from alliance.wire.bounds import SHARE_BYTES_MAX, Malformed
from alliance.wire.membership import FILE, MembershipProof
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
from quorum.threshold_rsa import AgreementKey

log = logging.getLogger("alliance.server")

PAUSE_SECONDS = (0.05, 5.0)
"""First and longest, between two rounds: the others get to the slot at about the same time."""

SEEK_SECONDS = 0.5
"""Between two times that all are asked for a later epoch: a peer names one as often as it opens a link."""

REFUTED_SECONDS = 60.0
"""Who has said what no correct member says is not asked for the whole so soon again: it takes megabytes, and
seconds of computing, before it is known to be wrong."""

Endorse = Callable[[MembershipStatement], None]


class Voucher:
    """``proof`` is the newest that this server can show, or None."""

    def __init__(
        self, folder: Path, directory: Directory, me: int, channels: Channels, endorse: Endorse
    ) -> None:
        """``endorse``: has the signer answer by ``endorsed``, with a proof that its share is good."""
        self.proof: MembershipProof | None = None
        self._began: MembershipProof | None = None
        self._path = folder / FILE
        self._directory = directory
        self._me = me
        self._channels = channels
        self._endorse = endorse
        self._wanted = (0, 0)
        self._own: tuple[MembershipStatement, Published] | None = None
        self._keys: tuple[AgreementKey, ...] = ()
        self._share = b""
        self._shares: dict[int, Endorsement] = {}
        self._denied: set[bytes] = set()
        self._told_denied = False
        self._refuted: dict[bytes, float] = {}
        self._seeking = False
        self._sought = float("-inf")
        self._news = asyncio.Event()
        self._accepted = asyncio.Event()

    def told(self, has: Membership) -> MembershipProof | None:
        """What is shown to somebody who has this membership; None: nothing newer.

        To who comes from an earlier epoch it is how the newest one began: from there a member can enter it,
        and whoever wants to know of a later revision asks again.
        """
        proof = self.proof
        if proof is None or proof.counters <= has:
            return None
        if has.epoch == (epoch := proof.membership.epoch) or not proof.membership.revision:
            return proof
        if self._began is None or self._began.membership.epoch != epoch:
            self._began = self._recall(epoch)
        return self._began or proof

    def _recall(self, epoch: int) -> MembershipProof | None:
        """How an epoch began, from the folder, if this member has entered it."""
        config = self._directory.config
        try:
            return epochs.beginning(self._path.parent, config) if config.epoch == epoch else None
        except ConfigError as error:
            log.warning("nobody can be told how epoch %d began: %s", epoch, error)
            return None

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

    def vouch(
        self, statement: MembershipStatement, membership: Published, keys: tuple[AgreementKey, ...] = ()
    ) -> None:
        """This revision has taken effect: its proof is wanted. ``keys`` are those of its dealing, if that is
        not the founding's."""
        self._wanted = (membership.epoch, membership.revision)
        self._own, self._share, self._shares = (statement, membership), b"", {}
        self._keys = keys
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

    def seek(self) -> None:
        """Another member says that there is a later epoch: whoever has the proof of it is asked, once.

        Not so soon after the last time: it says so again with the next link, or lies.
        """
        now = asyncio.get_running_loop().time()
        if now - self._sought >= SEEK_SECONDS:
            self._sought, self._seeking = now, True
            self._news.set()

    async def later_than(self, epoch: int) -> MembershipProof:
        """Waits for the proof of a later epoch."""
        while self.proof is None or self.proof.membership.epoch <= epoch:
            self._accepted.clear()
            await self._accepted.wait()
        return self.proof

    def enter(self, me: int) -> None:
        """An epoch has begun, in which this member is ``me``: what is said in it is to be gathered anew."""
        self._me = me
        self._own, self._share, self._shares = None, b"", {}
        self._refuted = {}

    async def run(self) -> None:
        """Gathers what is missing; until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._seeking:
                self._seeking = False
                await asyncio.gather(*map(self._ask_for_newer, self._others()))
                self._tell_whether_denied()
            pause, longest = PAUSE_SECONDS
            while not self._has(self._wanted):
                await asyncio.gather(*map(self._ask, self._others()))
                if not self._has(self._wanted):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, longest)

    def _others(self) -> list[Member]:
        return [one for index, one in enumerate(self._directory.config.members) if index != self._me]

    def _has(self, wanted: tuple[int, int]) -> bool:
        return self._newest >= wanted

    @property
    def _newest(self) -> Membership:
        proof = self.proof
        return Membership(0, 0) if proof is None else Membership(*proof.counters)

    async def _ask(self, party: Member) -> None:
        """A share if this server has one of its own to put beside it, else the whole.

        The whole, too, of who has given its share: it may have come to it by those who are gone by now.
        """
        own, member = self._own, place_of(self._directory.config, party.identity)
        has_given = member in self._shares
        if own is not None and member is not None and not has_given:
            await self._ask_for_share(party, member, own[0])
        if has_given or member not in self._shares:
            await self._ask_for_newer(party)

    async def _ask_for_share(self, party: Member, member: int, statement: MembershipStatement) -> None:
        """Who has none any more, or gives none to who has left, may give the whole."""
        ask = self._channels.to(party).unary_unary(
            "/alliance.v1.Client/MembershipShare",
            request_serializer=pb.MembershipShareRequest.SerializeToString,
            response_deserializer=parser(pb.MembershipShareReply),
        )
        wanted = pb.MembershipShareRequest(epoch=statement.next_epoch, revision=statement.revision)
        with self._refusing(party):
            said = await ask(wanted, timeout=ASK_SECONDS)
            share = said.share if said is not None else b""
            wanted_still = self._own is not None and self._own[0] == statement
            if wanted_still and 0 < len(share) <= SHARE_BYTES_MAX:
                self._count(member, share)

    async def _ask_for_newer(self, party: Member) -> None:
        since = asyncio.get_running_loop().time() - self._refuted.get(party.identity, float("-inf"))
        if since < REFUTED_SECONDS:
            return
        with self._refusing(party):
            proof = await newer(self._channels.to(party), self._newest)
            self._denied.discard(party.identity)
            if proof is not None:
                self._accept(proof)

    def _tell_whether_denied(self) -> None:
        """Once, when more members than may lie serve this one no longer: they prove nothing to a stranger."""
        denied = [party.name for party in self._others() if party.identity in self._denied]
        is_denied = len(denied) > self._directory.config.system.faulty_max
        if is_denied and not self._told_denied:
            log.warning(
                "%s serve this member no longer: it may have been removed or replaced in an epoch that it was"
                " not there for. Ask another organisation who takes part ('alliance epochs' shows it); if it"
                " does not, stop it, and destroy its shares",
                ", ".join(denied),
            )
        self._told_denied = is_denied

    @contextmanager
    def _refusing(self, party: Member) -> Iterator[None]:
        """What it says is refused where it is wrong: nothing that others say ends anything here."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                self._denied.add(party.identity)
            log.debug("%s: %s", party.name, plainly(str(error.details())))
        except (
            Malformed,
            MalformedControl,
            InvalidStatement,
            InvalidCertificate,
            InvalidEndorsement,
        ) as error:
            self._refuted[party.identity] = asyncio.get_running_loop().time()
            log.warning("%s: what it says of who takes part is refused: %s", party.name, error)

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
            log.error("%s cannot be certified: %s", _named(membership), error)
            return
        self._accept(self._proof(certificate, membership))

    def _proof(self, certificate: QuorumCertificate, membership: Published) -> MembershipProof:
        """With the changes of keys that this server knows, and the one by which this epoch begins, if any."""
        config, keys = self._directory.config, self._keys
        changes = config.terms.key_changes
        if membership.epoch > config.epoch and keys and key_changed(config.keys, keys):
            changes = (*changes, KeyChange(certificate, membership.config, keys))
        return MembershipProof(certificate, membership, keys, changes)

    def _accept(self, proof: MembershipProof) -> None:
        """Keeps one that is newer. Raises InvalidCertificate."""
        if self._has(proof.counters):
            return
        config, epoch = self._directory.config, proof.membership.epoch
        proof.verify(config.scheme)
        # Of what this server knows itself nothing was verified, and who comes from an earlier epoch needs it.
        known = [change for change in config.key_changes if change.epoch <= epoch]
        later = [change for change in proof.changes if change.epoch > config.epoch]
        self.proof = proof = replace(proof, changes=(*known, *later))
        if not proof.membership.revision:
            self._began = proof
        self._accepted.set()
        log.info("%s is certified", _named(proof.membership))
        try:
            files.write_whole(self._path, proof.encode())
        except OSError as error:  # the others have it, too
            log.warning("%s cannot be written: %s", self._path, error)


def _named(membership: Published) -> str:
    return f"revision {membership.revision}" if membership.revision else f"epoch {membership.epoch}"
