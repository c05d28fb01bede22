"""Checkpoints: every so many slots members certify the log and the state that it leaves.

A stable checkpoint (one with its certificate) lets a member forget the log below it, and brings up another
that the log can no longer reach (``transfer``). What is endorsed follows from decided, journalled entries
alone, so nothing else needs to be durable before the share leaves.

Nothing that is said waits for a checkpoint. Its state is written down a little in each turn (``snapshots``),
and written to the disk beside the journal (SaveCheckpoint); only then a record makes it the one from which a
restart begins, and what it covers is forgotten.
"""

from __future__ import annotations

from fab_paxos.effects import CheckpointRecord, Effect, Persist, Prune, SaveCheckpoint
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import CheckpointStatement, JointStatement, MembershipStatement, QuorumCertificate
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
        self._saved = self.slot  # what is below it on the disk is as good as gone
        self._saving: Checkpoint | None = None

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

        That of the next epoch's members is one of the state at the end of this epoch. It waits until the
        log up to there is ``certified`` here: what is forgotten must be proven; and until the snapshot is
        whole.
        """
        statement = certificate.statement
        if isinstance(statement, MembershipStatement):
            statement = CheckpointStatement(statement.slot, statement.root, statement.state_digest)
        if not isinstance(statement, CheckpointStatement) or statement.slot <= self.slot:
            return
        if statement.slot > certified or self._log.snapshots.is_writing(statement.slot):
            self._early = certificate
            return
        snapshot = self._log.snapshots.get(statement.slot)
        if snapshot is not None and snapshot.statement == statement:
            self._adopt(Checkpoint(snapshot, certificate))
            if self._log.complete:  # what was under way for the last slot is not made up for by a later one
                self.on_decided(out)
            self._save(out)

    def on_drained(self, certified: int, out: list[Effect]) -> None:
        """Writes on at the snapshot of the next checkpoint."""
        if self._log.snapshots.go_on():
            self.on_decided(out)
            self.on_certified(certified, out)

    def on_certified(self, certified: int, out: list[Effect]) -> None:
        """The log is proven further than before, or a snapshot is whole."""
        early, self._early = self._early, None
        if early is not None:
            self.on_certificate(early, certified, out)

    def _save(self, out: list[Effect]) -> None:
        """One at a time; of those that become stable meanwhile the newest is next."""
        if self._saving is None and self.stable is not None and self.slot > self._saved:
            self._saving = self.stable
            out.append(SaveCheckpoint(self.stable))

    def on_saved(self, slot: int, out: list[Effect]) -> None:
        """The state of the stable checkpoint at ``slot`` is on the disk."""
        saved = self._saving
        if saved is None or saved.slot != slot:
            return  # others have brought a later one since
        self._saving, self._saved = None, slot
        out.append(Persist(CheckpointRecord(saved), lazily=True))
        if self._retain_slots is not None and slot - self._retain_slots > self.pruned:
            self.pruned = slot - self._retain_slots
            out.append(Prune(self.pruned))
        self._save(out)

    def install_snapshot(self, checkpoint: Checkpoint) -> None:
        """The log here begins after this checkpoint, which others brought, and which is journalled whole."""
        self._adopt(checkpoint)
        self._saving, self._saved = None, checkpoint.slot
        self.pruned = checkpoint.slot

    def _adopt(self, checkpoint: Checkpoint) -> None:
        self.stable = checkpoint
        self.joint_signing.drop()
        self._log.snapshots.drop_to(checkpoint.slot)


def slot_of(statement: JointStatement) -> int:
    """Where shares of a checkpoint are collected; -1 for other statements."""
    return statement.slot if isinstance(statement, CheckpointStatement) else -1
