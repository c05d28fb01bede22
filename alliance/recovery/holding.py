"""Who holds a member's shares: a survivor, in its folder; or an operator, in a backup that its key opens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config import file as config_file
from alliance.errors import ConfigError
from alliance.keys import folder as keys
from alliance.keys.shares import load_endorser
from alliance.recovery.backup import read_backup
from alliance.recovery.ceremony import Conclusion, redistribution
from alliance.recovery.parts import Dealing, Share
from alliance.recovery.report import Furthest, open_journal
from alliance.storage.journal_over import declare_over
from alliance.storage.journal_records import Position
from consensus.control.recovery import RecoveryAct, RecoveryApproval
from quorum.threshold_rsa import ThresholdRsaEndorser


@dataclass(frozen=True)
class Holder:
    """``folder`` is the survivor's, None for a backup. ``shares`` are those of all keys, in their order."""

    member: str
    folder: Path | None
    shares: tuple[ThresholdRsaEndorser, ...] = field(repr=False)

    @classmethod
    def of_folder(cls, folder: Path, log: Furthest, passphrase: bytes) -> Holder:
        """Raises ConfigError, KeyFileError."""
        config = config_file.load(folder)
        index, member = keys.member_party(config, folder)
        if (config.alliance_id, config.epoch) != (log.config.alliance_id, log.state.epoch):
            raise ConfigError(f"{folder} is of another alliance, or of another epoch than the report")
        if not any(row.identity == member.identity for row in log.state.directory.members):
            raise ConfigError(f"'{member.name}' is no member in the report's log")
        purposes = (None, *(name for name, _ in log.config.purpose_keys))
        held = tuple(load_endorser(folder, log.config, index, passphrase, one) for one in purposes)
        holder = cls(member.name, folder, held)
        holder._require_no_longer_log(log)
        return holder

    @classmethod
    def of_backup(cls, path: Path, log: Furthest, operator: Ed25519PrivateKey) -> Holder:
        """Raises ConfigError, KeyFileError."""
        backup = read_backup(path)
        return cls(backup.member, None, tuple(backup.open(operator, log.config, str(path)).values()))

    def deal(self, log: Furthest, act: RecoveryAct, approvals: tuple[RecoveryApproval, ...]) -> Dealing:
        """What it deals towards the members of the act. Raises ConfigError."""
        if self.folder is not None and self.member not in act.survivors:
            raise ConfigError(
                f"'{self.member}' is there, and the act counts it as lost: plan anew, with its report among"
                " the others"
            )
        dealing = redistribution(log, act, approvals).deal(self.shares)
        return Dealing(act, approvals, self.member, dealing)

    def sign(self, concluded: Conclusion) -> Share:
        """Its share of the next membership. A survivor's epoch is over from here on. Raises JournalError."""
        if self.folder is not None:
            journal = open_journal(self.folder, concluded.log.config, self.member)
            try:
                declare_over(journal, concluded.act.digest)
            finally:
                journal.close()
        return concluded.share(self.shares[0])

    def _require_no_longer_log(self, log: Furthest) -> None:
        """Raises ConfigError when this member's own journal has more than the log that is to go on."""
        if self.folder is None:
            return
        journal = open_journal(self.folder, log.config, self.member)
        try:
            epoch, certified = journal.epoch, Position.unpack(journal.kept("position")).proven
        finally:
            journal.close()
        if (epoch, certified) > log.place:
            raise ConfigError(
                f"the journal of '{self.member}' is certified to slot {certified} of epoch {epoch}, and the"
                f" report ends at slot {log.state.slot}: plan anew, with the report of '{self.member}'"
            )
