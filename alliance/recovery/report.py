"""A survivor's report: its log up to the last certified slot, in one file that proves itself.

It holds the newest checkpoint, what follows it up to the newest decision certificate, and alliance.toml. All
of it follows from certificates under the alliance's key and from the alliance_id, whoever made the file; the
survivor's signature only says that this member is there, with its journal. Public, like the log.

Encoding, of ``consensus.control.encoding``::

    "alliance-recovery-report/1" 00 | member text | receiver blob | receiver_signature[64]
    | alliance.toml blob | founding's alliance.toml blob
    | checkpoint blob (or empty) | state count u32 | item blob ... | certificate blob
    | batches count u64 | batch blob ... | signature[64]

``checkpoint`` and ``batch`` are as in a journal. ``receiver`` is a new receiver key, or empty if this member
can use the one that the log has. The signature is the identity's, on SHA-256 of all before it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config import control as config_control
from alliance.config import file as config_file
from alliance.config.bounded import read_file
from alliance.config.file import FILE, AllianceConfig
from alliance.config.parties import Member
from alliance.config.receiver import Receiver
from alliance.errors import ConfigError, JournalError
from alliance.keys import folder as keys
from alliance.keys import handover, revision
from alliance.keys.ed25519 import has_signed, is_signed
from alliance.storage.journal import Journal
from alliance.storage.journal_records import (
    pack_batch,
    pack_checkpoint,
    unpack_batch,
    unpack_checkpoint,
)
from consensus.control import CheckedControl, ControlState
from consensus.control.encoding import MalformedControl, Reader, blob, text, u32, u64
from consensus.control.rows import NAME_BYTES_MAX, SIGNATURE_BYTES
from consensus.control.transcript import transcript_digest
from consensus.limits import RECEIVER_BYTES_MAX
from quorum import (
    DecisionCertificate,
    InvalidCertificate,
    InvalidStatement,
    MembershipStatement,
    QuorumCertificate,
)
from quorum.receivers import ReceiverSecret, generate_receiver
from quorum.redistribution import next_receiver_bits
from quorum.threshold_rsa import AgreementKey
from verifiable_log import Entry
from verifiable_log.batch import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf
from verifiable_log.ordering_state import Checkpoint, Snapshot
from verifiable_log.submission import InvalidSubmission

JOURNAL = "journal.sqlite"
SUFFIX = ".report"
FILE_BYTES_MAX = 2 * 1024**3
"""All slots between two checkpoints, each with the largest batch, and the largest state."""

_DOMAIN = b"alliance-recovery-report/1\x00"
_SIGNED = b"alliance/v1 recovery report\x00"
_ITEMS_MAX, _BATCHES_MAX = 2**17, 2**16
_BLOB_MAX = 64 * 1024**2


@dataclass(frozen=True)
class Furthest:
    """A log up to its last certified slot, verified: what is told to those who go on.

    ``state`` is the control state at that slot, in the epoch of ``config``, whose public keys are proven.
    ``windows`` are those of the clients there. ``certificate`` decides the slot.
    """

    config: AllianceConfig
    founded: AllianceConfig
    state: ControlState
    windows: ClientWindows
    frontier: Frontier
    certificate: DecisionCertificate

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and slot: the higher one is further."""
        return self.state.epoch, self.state.slot

    @property
    def keys(self) -> tuple[AgreementKey, ...]:
        """The public keys of the present dealing, the agreement key first."""
        return keys_of(self.config)

    def snapshot(self, state: ControlState) -> Snapshot:
        """That of this slot, with the control state as it is to be there."""
        return Snapshot(self.frontier, (*self.windows.state(), *state.items()), self.windows.places())


@dataclass(frozen=True)
class Survivor:
    """A member that is there, and its log. ``receiver``: its new receiver key, None if it needs none."""

    name: str
    identity: bytes
    log: Furthest
    receiver: Receiver | None = None


def keys_of(config: AllianceConfig) -> tuple[AgreementKey, ...]:
    """All public keys, the agreement key first."""
    return (config.key, *(key for _, key in config.purpose_keys))


def open_journal(folder: Path, config: AllianceConfig, name: str) -> Journal:
    """Of a member's folder whose server does not run. Raises JournalError, ConfigError."""
    path = folder / JOURNAL
    if not path.exists():
        raise ConfigError(f"{folder} has no journal: it never took part, and has nothing to report")
    return Journal(path, config.alliance_id, name)


def make_report(folder: Path, passphrase: bytes) -> bytes:
    """Of the member whose folder this is; its server does not run.

    Raises ConfigError when nothing is certified in its journal, KeyFileError, JournalError.
    """
    config = config_file.load(folder)
    _, member = keys.member_party(config, folder)
    signing = keys.load_credentials(folder, member, passphrase).signing_key
    founded = revision.load_founded(folder)
    journal = open_journal(folder, config, member.name)
    try:
        known, log = _log(journal, config, founded, member.name)
    finally:
        journal.close()
    receiver = _receiver(folder, config, member, known, signing, passphrase)
    head = _DOMAIN + text(member.name) + blob(receiver.key) + receiver.signature
    body = head + _toml(config) + _toml(founded) + log
    return body + signing.sign(_SIGNED + sha256(body).digest())


def _receiver(
    folder: Path,
    config: AllianceConfig,
    member: Member,
    known: bytes,
    signing: Ed25519PrivateKey,
    passphrase: bytes,
) -> Receiver:
    """A new receiver key, durable, unless the folder has the secret of the ``known`` one."""
    there = handover.receivers(folder)
    if known and sha256(known).digest() in there:
        return Receiver(b"", bytes(SIGNATURE_BYTES))
    if there and not known:  # of an earlier report: none was ever used
        secret = ReceiverSecret.from_secret_bytes(handover.open_receiver(folder, there[0], passphrase))
    else:
        secret = generate_receiver(next_receiver_bits(keys_of(config)))
        handover.keep_receiver(folder, secret.key.fingerprint, secret.secret_to_bytes(), passphrase)
    encoded = secret.key.to_bytes()
    return Receiver(encoded, signing.sign(Receiver.statement(member.name, member.identity, encoded)))


def _toml(config: AllianceConfig) -> bytes:
    return blob(config.to_toml().encode())


def _log(journal: Journal, config: AllianceConfig, founded: AllianceConfig, name: str) -> tuple[bytes, bytes]:
    """The receiver key of this member that its log has, or nothing; and the log, encoded."""
    if journal.epoch != config.epoch:
        raise ConfigError(
            f"this member's journal is in epoch {journal.epoch}, and its {FILE} of epoch {config.epoch}:"
            " start its server once, which puts that right"
        )
    replayed = journal.replay(CheckedControl(config_control.founded(founded), has_signed))
    control = replayed.state.control
    if not isinstance(control, CheckedControl):
        raise ConfigError("this member's journal says nothing of who takes part")
    checkpoint, certificate = replayed.state.checkpoint, replayed.certificate
    if certificate is None:
        raise ConfigError("nothing is certified in this member's journal: it has nothing to report")
    last = DecisionCertificate.of(certificate).slot
    first = 0 if checkpoint is None else checkpoint.slot
    if last < first:
        raise ConfigError(f"slot {first} is not certified in this member's journal: report another member's")
    packed, items = b"", tuple[bytes, ...]()
    if checkpoint is not None:
        begun = journal.membership
        if begun is not None and begun.start == first:  # by it everybody sees that the epoch has begun
            checkpoint = Checkpoint(checkpoint.snapshot, begun.certificate)
        packed, items = pack_checkpoint(checkpoint), checkpoint.snapshot.state
    parts = [blob(packed), u32(len(items)), *map(blob, items), blob(certificate.encode()), u64(last - first)]
    parts += [blob(pack_batch(batch)) for batch in journal.batches(first + 1, last)]
    return control.state.directory.member(name).receiver, b"".join(parts)


def read_report(path: Path) -> Survivor:
    """Raises ConfigError, with the file's name and what is wrong with it."""
    try:
        data = read_file(path, FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read as a report: {error.strerror}") from None
    return open_report(data, str(path))


def open_report(data: bytes, where: str) -> Survivor:
    """A report that is verified in all its parts. Raises ConfigError."""
    try:
        return _open(data)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except (
        InvalidCertificate,
        InvalidStatement,
        InvalidSubmission,
        JournalError,
        UnicodeDecodeError,
        struct.error,
        ValueError,
    ) as error:
        raise ConfigError(f"{where} is no report, or was altered: {error}; ask for it again") from None


def _open(data: bytes) -> Survivor:
    if len(data) > FILE_BYTES_MAX:
        raise MalformedControl(f"it has more than {FILE_BYTES_MAX} bytes")
    reader = Reader(data)
    if reader.fixed(len(_DOMAIN)) != _DOMAIN:
        raise MalformedControl("it does not begin as one")
    name = reader.text(NAME_BYTES_MAX)
    receiver = Receiver(reader.blob(RECEIVER_BYTES_MAX), reader.fixed(SIGNATURE_BYTES))
    config, founded = (
        AllianceConfig.from_toml(reader.blob(config_file.FILE_BYTES_MAX).decode()) for _ in range(2)
    )
    packed = reader.blob(_BLOB_MAX)
    items = tuple(reader.blob(STATE_ITEM_BYTES_MAX) for _ in range(reader.number(4, _ITEMS_MAX)))
    certificate = QuorumCertificate.decode(reader.blob(_BLOB_MAX))
    batches = [unpack_batch(reader.blob(_BLOB_MAX)) for _ in range(reader.number(8, _BATCHES_MAX))]
    signature = reader.fixed(SIGNATURE_BYTES)
    reader.end()
    member = config.members[config.member_index(name)]
    if not is_signed(member.identity, signature, _SIGNED + sha256(data[:-SIGNATURE_BYTES]).digest()):
        raise MalformedControl(f"it is not signed by '{name}'")
    if founded.alliance_id != config.alliance_id:
        raise MalformedControl("it is of two alliances")
    log = _furthest(config, founded, packed, items, certificate, batches)
    return Survivor(name, member.identity, log, receiver if receiver.key else None)


def _furthest(
    config: AllianceConfig,
    founded: AllianceConfig,
    packed: bytes,
    items: tuple[bytes, ...],
    certificate: QuorumCertificate,
    batches: list[Batch],
) -> Furthest:
    control, windows, frontier = (
        CheckedControl(config_control.founded(founded), has_signed),
        ClientWindows(),
        EMPTY,
    )
    if packed:
        frontier, certified = unpack_checkpoint(packed)
        certified.verify(config.scheme.in_epoch(certified.epoch))
        snapshot = Snapshot(frontier, items)
        Checkpoint(snapshot, certified)
        windows = ClientWindows.read(snapshot.client_items)
        control = control.read(snapshot.control_items)
        said = certified.statement
        if isinstance(said, MembershipStatement) and said.next_epoch == control.state.epoch + 1:
            control = control.next_epoch()
            if control.state.config_digest != said.config_digest:
                raise MalformedControl("its members are not those that were certified")
    decision = DecisionCertificate.of(certificate)
    decision.verify(config.scheme.in_epoch(decision.epoch))
    for batch in batches:
        slot = frontier.size + 1
        frontier = frontier.append(slot_leaf(slot, batch.digest))
        fresh = tuple(windows.admit(slot, submission) for submission in batch.submissions)
        windows.settle(slot)
        control, _ = control.apply(Entry(slot, decision.view, batch, bytes(32), frontier, b"", fresh))
    if (frontier.size, frontier.root) != (decision.slot, decision.root):
        raise MalformedControl("its log is not the one that was certified")
    state = control.state
    in_epoch = state.epoch if state.slot > state.start else state.epoch - 1
    if decision.epoch != in_epoch or state.alliance_id != config.alliance_id:
        raise MalformedControl(f"its log is of epoch {state.epoch}, and its certificate of {decision.epoch}")
    _require_keys(config, state)
    return Furthest(config, founded, state, windows, frontier, decision)


def _require_keys(config: AllianceConfig, state: ControlState) -> None:
    """Raises MalformedControl unless the public keys are those of the state's dealing.

    Of the founding's the alliance_id has made sure.
    """
    proven = config.dealing == state.dealing and config.epoch == state.epoch
    if proven and state.dealing:
        proven = transcript_digest([key.to_bytes() for key in keys_of(config)]) == state.transcript_digest
    if not proven:
        raise MalformedControl(f"its {FILE} is not that of epoch {state.epoch}, dealing {state.dealing}")
