"""From one epoch to the next: what a member needs to go over, and how it gets that.

An epoch ends with a certificate of its members on who takes part in the next one, on the log up to the end
and on the state there. With that in hand a member goes over by itself: it needs nothing of anybody that it
has not, if it has decided the log up to the end. Who has not is brought up by the others (``arrival``).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from alliance.config.control import at
from alliance.config.directory import Directory
from alliance.config.parties import Party
from alliance.errors import AllianceError
from alliance.keys.shares import Generation
from alliance.net.channels import Channels
from alliance.resharing.handover import Outcome
from alliance.server.arrival import arrive
from alliance.server.driver import Inbox
from alliance.server.revisions import Revisions
from alliance.server.successor import Successor
from alliance.server.vouching import Voucher
from alliance.storage.history import History
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from alliance.wire.membership import MembershipProof
from consensus.control import ControlState
from consensus.control.published import Published
from fab_paxos.events import Combined
from quorum import MembershipStatement
from quorum.threshold_rsa import AgreementKey
from verifiable_log.merkle import Frontier

log = logging.getLogger("alliance.server")

LOOK_SECONDS = 0.01
ALONE_SECONDS = 5.0
"""So often a member that cannot decide with those it is linked with asks whether there is a later epoch."""


class Present(Protocol):
    """A member's part in its present epoch (``term``)."""

    @property
    def revisions(self) -> Revisions: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def is_alone(self) -> bool: ...


class Handing(Protocol):
    """What hands the keys on (``alliance.resharing.handover``)."""

    async def outcome(self, state: ControlState) -> Outcome: ...


class Succession:
    """What a server does at the end of an epoch; ``next`` returns when it can enter another one."""

    def __init__(
        self,
        folder: Path,
        mine: Party,
        directory: Directory,
        history: History,
        voucher: Voucher,
        channels: Channels,
        handing: Handing,
    ) -> None:
        self._folder = folder
        self._mine = mine
        self._directory = directory
        self._history = history
        self._voucher = voucher
        self._channels = channels
        self._handing = handing

    async def next(self, term: Present) -> Successor:
        """The next epoch, by the log that is here, or else the newest one, as others bring it.

        Raises NoLongerMember, KeyFileError and OSError.
        """
        revisions, inbox = term.revisions, term.inbox
        vouching = asyncio.create_task(self._vouch(revisions), name="vouch for the next epoch")
        looking = asyncio.create_task(self._look_around(term), name="look for a later epoch")
        patience = self._directory.config.timing.heartbeat_seconds
        try:
            while True:
                proof = await self._proven(inbox, patience)
                successor = await self._following(proof, revisions) or await self._arrival()
                if successor is not None:
                    return successor
                await asyncio.sleep(patience)
        finally:
            vouching.cancel()
            looking.cancel()
            await asyncio.gather(vouching, looking, return_exceptions=True)

    async def _look_around(self, term: Present) -> None:
        """Who is linked with too few may have been left behind: a removed member is told by no link."""
        while True:
            await asyncio.sleep(ALONE_SECONDS)
            if term.is_alone:
                self._voucher.seek()

    async def _vouch(self, revisions: Revisions) -> None:
        """At the end: this member's share of the certificate on who takes part in the next epoch."""
        state, checkpoint = await revisions.ended()
        keys, successor = self._directory.config.handed_on, state.next_epoch()
        if successor.dealing != state.dealing:
            while (outcome := await self._outcome(state)) is None:  # noqa: ASYNC110 - what failed has no event
                await asyncio.sleep(self._directory.config.timing.heartbeat_seconds)
            keys = outcome.keys
        said, membership = checkpoint.snapshot.statement, Published.of(successor)
        head = membership.epoch, 0, said.slot, said.root, said.state_digest
        self._voucher.vouch(MembershipStatement(*head, membership.digest), membership, keys)

    async def _proven(self, inbox: Inbox, patience: float) -> MembershipProof:
        """Waits until a later epoch is certified, and then, for ``patience`` seconds at most, until this
        member has the log up to the end and the state there, if that is the next epoch."""
        epoch = self._directory.config.epoch
        proof = await self._voucher.later_than(epoch)
        if proof.membership.epoch == epoch + 1:
            inbox.post(Combined(proof.certificate))  # it makes the checkpoint at the end stable
            until = asyncio.get_running_loop().time() + patience
            while not self._stands_at(proof.membership.start):
                if asyncio.get_running_loop().time() >= until:
                    break
                await asyncio.sleep(LOOK_SECONDS)
        return proof

    def _stands_at(self, end: int) -> bool:
        checkpoint = self._history.checkpoint
        return checkpoint is not None and checkpoint.slot == end == self._history.certified_slot

    async def _following(self, proof: MembershipProof, revisions: Revisions) -> Successor | None:
        """The next epoch, from what this member has decided itself; None when it has not got to the end."""
        decision = self._history.certificate
        if revisions.ending is None or decision is None or not self._stands_at(proof.membership.start):
            return None
        state, checkpoint = revisions.ending
        successor = state.next_epoch()
        if Published.of(successor).config != proof.membership.config:
            return None
        keys: tuple[AgreementKey, ...] = ()
        generation: Generation | None = None
        if successor.dealing != state.dealing:
            if (outcome := await self._outcome(state)) is None:
                return None
            keys, generation = proof.keys, outcome.generation
        membership = EpochMembership(proof.membership.config, proof.certificate)
        record = EpochRecord(membership, checkpoint, decision.certificate, generation)
        return Successor(at(self._directory.config, successor, keys, proof.changes), record)

    async def _outcome(self, state: ControlState) -> Outcome | None:
        """What a full change has come to; None when that cannot be told now, for which the log says why.

        It takes a process of its own, which a machine that is short of memory may end. The certificate of the
        others has the keys, so whoever cannot tell them at all arrives as one that was away.
        """
        try:
            return await self._handing.outcome(state)
        except (AllianceError, OSError) as error:
            log.warning("the keys of epoch %d cannot be told: %s", state.epoch + 1, error)
            return None

    async def _arrival(self) -> Successor | None:
        config, slot = self._directory.config, self._history.slot
        here = Frontier.from_parts(slot, self._history.peaks(slot))
        return await arrive(self._folder, config, self._mine, self._channels, config.epoch, here)
