"""Checkpoints: every so many slots members certify the log and the state that it leaves.

A stable checkpoint (one with its certificate) lets a member forget the log below it, and brings up another
that the log can no longer reach (``transfer``). What is endorsed follows from decided, journalled entries
alone, so nothing else needs to be durable before the share leaves.
"""

from __future__ import annotations

from fab_paxos.effects import CheckpointRecord, Effect, Persist, Prune
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import CheckpointStatement, JointStatement, QuorumCertificate
from verifiable_log.ordering_state import Checkpoint


class Checkpoints:
    """The newest stable checkpoint, and the one that is becoming stable."""

    def __init__(
        self,
        log: UncertifiedLog,
        joint_signing: SigningInTurn,
        stable: Checkpoint | None,
        pruned: int,
        retain_slots: int | None,
    ) -> None:
        """``retain_slots``: how much of the log below a checkpoint is kept; None keeps all of it."""
        self._log = log
        self._retain_slots = retain_slots
        self.joint_signing = joint_signing
        self.stable = stable
        self.pruned = pruned
        self._early: QuorumCertificate | None = None

    @property
    def slot(self) -> int:
        """The slot of the stable checkpoint; 0 if there is none."""
        return self.stable.slot if self.stable is not None else 0

    def on_decided(self, out: list[Effect]) -> None:
        """Endorses the newest snapshot that lies within what is decided."""
        snapshot = self._log.newest_snapshot()
        if snapshot is not None and snapshot.slot > self.slot:
            self.joint_signing.want(snapshot.statement, out)

    def on_certificate(self, certificate: QuorumCertificate, certified: int, out: list[Effect]) -> None:
        """A verified certificate: news if we hold its snapshot; else the log brings us further first.

        It waits until the log up to there is ``certified`` here: what is forgotten must be proven.
        """
        statement = certificate.statement
        if not isinstance(statement, CheckpointStatement) or statement.slot <= self.slot:
            return
        if statement.slot > certified:
            self._early = certificate
            return
        snapshot = self._log.snapshot(statement.slot)
        if snapshot is not None and snapshot.statement == statement:
            checkpoint = Checkpoint(snapshot, certificate)
            self._adopt(checkpoint)
            out.append(Persist(CheckpointRecord(checkpoint)))
            if self._log.complete:  # what was under way for the last slot is not made up for by a later one
                self.on_decided(out)
            if self._retain_slots is not None and self.slot - self._retain_slots > self.pruned:
                self.pruned = self.slot - self._retain_slots
                out.append(Prune(self.pruned))

    def on_certified(self, certified: int, out: list[Effect]) -> None:
        """The log is proven further than before."""
        early, self._early = self._early, None
        if early is not None:
            self.on_certificate(early, certified, out)

    def install_snapshot(self, checkpoint: Checkpoint) -> None:
        """The log here begins after this checkpoint, which others brought."""
        self._adopt(checkpoint)
        self.pruned = checkpoint.slot

    def _adopt(self, checkpoint: Checkpoint) -> None:
        self.stable = checkpoint
        self.joint_signing.drop()
        self._log.drop_snapshots(checkpoint.slot)


def slot_of(statement: JointStatement) -> int:
    """Where shares of a checkpoint are collected; -1 for other statements."""
    return statement.slot if isinstance(statement, CheckpointStatement) else -1
