"""A member of the next epoch takes its place: what it got is made durable, in the order of ``epoch_entry``.

It is a survivor's folder, or one that 'alliance request' made. Everything that others made is verified, down
to the alliance_id that the folder knows, before anything is written. Interrupted, the same command goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError, KeyFileError
from alliance.founding.join import own_request
from alliance.founding.outcome import public_files
from alliance.keys import files, handover, shares
from alliance.keys import folder as keys
from alliance.keys.handover import Received
from alliance.keys.revision import FOUNDED
from alliance.keys.shares import Generation
from alliance.recovery.ceremony import Conclusion
from alliance.recovery.parts import Share
from alliance.recovery.report import JOURNAL
from alliance.storage import epoch_entry
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from alliance.wire.membership import FILE as MEMBERSHIP
from alliance.wire.membership import MembershipProof
from consensus.control.published import Published
from consensus.control.rows import MemberRow
from consensus.limits import RECOVERY_ATTEMPT
from quorum import QuorumCertificate
from quorum.receivers import InvalidReceiver, ReceiverSecret
from quorum.redistribution import NoNewShare
from quorum.threshold_rsa import InvalidAgreementKey
from verifiable_log.ordering_state import Checkpoint


@dataclass(frozen=True, slots=True)
class Finished:
    """``anew`` is whether anything was left to do."""

    member: str
    config: AllianceConfig
    anew: bool


def finish(folder: Path, concluded: Conclusion, given: Sequence[Share], passphrase: bytes) -> Finished:
    """Raises ConfigError, KeyFileError, JournalError."""
    certificate = concluded.certificate(given)
    name, config = keys.load_name(folder, "member"), concluded.config
    _require_same_alliance(folder, config)
    number = _place(config, name)
    keys.load_credentials(folder, config.members[number], passphrase)
    record = _record(concluded, certificate)
    try:
        _keep_shares(folder, concluded, number, passphrase)
        if not (folder / FILE).exists():
            for file, content in public_files(concluded.log.config).items():
                files.write_whole(folder / file, content)
        if not (folder / FOUNDED).exists():
            files.write_whole(folder / FOUNDED, concluded.log.founded.to_toml().encode())
        membership, changes = Published.of(concluded.state.next_epoch()), config.terms.key_changes
        proof = MembershipProof(certificate, membership, concluded.dealt.keys, changes)
        files.write_whole(folder / MEMBERSHIP, proof.encode())
        return Finished(name, config, _enter(folder, config, record, name))
    except OSError as error:
        raise KeyFileError(
            f"{folder} cannot be written: {error.strerror}; check its owner and space, and repeat"
        ) from None


def _require_same_alliance(folder: Path, config: AllianceConfig) -> None:
    """Raises ConfigError unless the folder is of this alliance, or has asked to be."""
    if (folder / FILE).exists():
        expected: bytes | None = config_file.load(folder).alliance_id
    else:
        asked = own_request(folder).admission
        expected = asked.alliance_id if asked is not None else None
    if expected != config.alliance_id:
        raise ConfigError(f"{folder} is of another alliance than these files, or asks to be in another one")


def _place(config: AllianceConfig, name: str) -> int:
    for number, member in enumerate(config.members):
        if member.name == name:
            return number
    raise ConfigError(
        f"'{name}' is no member of epoch {config.epoch}: its folder may be kept as an archive, and its shares"
        " are to be destroyed"
    )


def _record(concluded: Conclusion, certificate: QuorumCertificate) -> EpochRecord:
    generation = Generation(concluded.config.dealing, RECOVERY_ATTEMPT)
    try:
        membership = EpochMembership(concluded.config.canonical, certificate)
        checkpoint = Checkpoint(concluded.snapshot, certificate)
        return EpochRecord(membership, checkpoint, concluded.log.certificate.certificate, generation)
    except ValueError as error:
        raise ConfigError(f"these files do not make an epoch: {error}") from None


def _keep_shares(folder: Path, concluded: Conclusion, number: int, passphrase: bytes) -> None:
    """The member's new shares are durable, from the dealings and its receiver's secret, unless they are."""
    config, row = concluded.config, concluded.state.target.members[number]
    generation = Generation(config.dealing, RECOVERY_ATTEMPT)
    if generation in shares.generations(folder):
        return
    secret = _receiver(folder, row, passphrase)
    try:
        received = concluded.dealt.receive(number, secret)
    except (InvalidAgreementKey, NoNewShare) as error:
        raise ConfigError(f"what was dealt gives '{row.name}' no share: {error}") from None
    purposes = ("agreement", *(purpose for purpose, _ in config.purpose_keys))
    note = Received(config.terms.transcript, secret.key.fingerprint)
    handover.note_received(folder, generation, note)
    shares.add_shares(folder, generation, dict(zip(purposes, received, strict=True)), passphrase)


def _receiver(folder: Path, row: MemberRow, passphrase: bytes) -> ReceiverSecret:
    for fingerprint in handover.receivers(folder):
        try:
            secret = ReceiverSecret.from_secret_bytes(handover.open_receiver(folder, fingerprint, passphrase))
        except InvalidReceiver as error:
            raise KeyFileError(f"{folder / handover.receiver_file(fingerprint)}: {error}") from None
        if secret.key.to_bytes() == row.receiver:
            return secret
    raise KeyFileError(
        f"{folder} has no secret of the receiver key that was dealt to: restore it, from where the request or"
        " the report of this member was made"
    )


def _enter(folder: Path, config: AllianceConfig, record: EpochRecord, name: str) -> bool:
    journal = Journal(folder / JOURNAL, config.alliance_id, name)
    try:
        if journal.epoch >= config.epoch:
            if journal.membership != record.membership:
                raise ConfigError(f"'{name}' is in epoch {journal.epoch} by another act or decision")
            epoch_entry.resume(folder, config_file.load(folder), journal)
            return False
        try:
            epoch_entry.enter(folder, config, record, journal)
        except ValueError as error:
            raise ConfigError(
                f"the journal of '{name}' is further than the act: {error}. Keep it: it shows what was lost"
            ) from None
        return True
    finally:
        journal.close()
