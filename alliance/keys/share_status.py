"""How a member's shares are: of which epoch, how old, whether they work, and what else lies beside them."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alliance.config.file import AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError
from alliance.keys import files, handover, secret_file, shares
from alliance.keys.opening import OPENING
from alliance.keys.shares import Generation
from quorum import InvalidEndorsement
from quorum.threshold_rsa import AgreementKey

NOTE = "share.backup"
"""GENERATION and time of the last backup, in one line."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The share of one key. ``index`` counts from 1; it is None where the share did not open.

    ``parties``, ``threshold``, ``key_id`` and ``fingerprint`` (SHA-256 of the public key in DER, both in hex)
    are those of the key in alliance.toml. ``written`` is in seconds since 1970, None without the file.
    ``problem`` is empty if the share passed its test.
    """

    purpose: str
    index: int | None
    parties: int
    threshold: int
    key_id: str
    fingerprint: str
    written: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class BackupNote:
    """What a folder remembers of the last backup that was made of its shares, by 'alliance share backup'.

    ``counts``: it holds the shares that count. If not, it is of no use, and dangerous.
    """

    generation: str
    made: str
    counts: bool


@dataclass(frozen=True, slots=True)
class ShareStatus:
    """All that a folder holds of shares.

    ``epoch`` and ``attempt`` are of the generation that counts, ``alliance_epoch`` is that of the key in
    alliance.toml. ``others`` are (generation, what it is) beside it; ``receivers`` and ``dealings`` are what
    a handover left or needs. ``one_time_key`` is whether the founding's is still there, or there again.
    ``backup`` is the last one, None if none was ever made here.
    """

    epoch: int
    attempt: int
    alliance_epoch: int
    keys: tuple[KeyStatus, ...]
    others: tuple[tuple[str, str], ...]
    receivers: tuple[str, ...]
    dealings: tuple[str, ...]
    one_time_key: bool = False
    backup: BackupNote | None = None

    @property
    def problem(self) -> str:
        """What is wrong with the first share that fails, or nothing."""
        return next((key.problem for key in self.keys if key.problem), "")


def share_status(folder: Path, config: AllianceConfig, member: int, passphrase: bytes) -> ShareStatus:
    """Opens each share of the member in ``folder`` and tries it out; nothing of it is kept.

    Raises NoShare without any, and KeyFileError when none can be opened.
    """
    files.settle(folder)
    counts = shares.require_current(folder)
    sealing_key = secret_file.unseal(folder / shares.sealing_file(counts), passphrase)
    keys = ((AGREEMENT, config.key), *config.purpose_keys)
    return ShareStatus(
        epoch=counts.epoch,
        attempt=counts.attempt,
        alliance_epoch=config.key.epoch,
        keys=tuple(
            _try(folder / shares.share_file(counts, name), sealing_key, name, key, member)
            for name, key in keys
        ),
        others=tuple(
            (str(one), _what(folder, one, counts)) for one in shares.pieces(folder) if one != counts
        ),
        receivers=tuple(fingerprint.hex() for fingerprint in handover.receivers(folder)),
        dealings=tuple(map(str, handover.dealings(folder))),
        one_time_key=shares.is_there(folder / OPENING),
        backup=_last_backup(folder, counts),
    )


def note_backup(folder: Path, generation: Generation, made: datetime) -> None:
    """The folder remembers that its shares of this generation were backed up. Raises OSError."""
    files.write_whole(folder / NOTE, f"{generation} {made:%Y-%m-%dT%H:%M:%SZ}\n".encode("ascii"))


def _last_backup(folder: Path, counts: Generation) -> BackupNote | None:
    """Nobody relies on the note: one that cannot be read is none."""
    try:
        generation, made = (folder / NOTE).read_text("ascii").split()
    except (OSError, ValueError):
        return None
    parsed = Generation.parse(generation)
    return None if parsed is None else BackupNote(generation, made, parsed == counts)


def _try(path: Path, sealing_key: bytes, purpose: str, key: AgreementKey, member: int) -> KeyStatus:
    index, problem, written = None, "", None
    with contextlib.suppress(OSError):
        written = path.stat().st_mtime
    try:
        endorser = shares.open_share(path, sealing_key, key, member)
        index = endorser.member + 1
        endorser.test_itself()
    except KeyFileError as error:
        problem = str(error)
    except InvalidEndorsement as error:
        problem = f"{path} opens, but what it signs is refused ({error.reason}): test this machine's memory"
    return KeyStatus(
        purpose=purpose,
        index=index,
        parties=key.parties,
        threshold=key.threshold,
        key_id=key.key_id.hex(),
        fingerprint=hashlib.sha256(key.to_der()).hexdigest(),
        written=written,
        problem=problem,
    )


def _what(folder: Path, generation: Generation, counts: Generation) -> str:
    if not shares.is_there(folder / shares.sealing_file(generation)):
        return "opens for nobody: half written, or half erased"
    if generation.epoch > counts.epoch:
        return "counts not yet: of a handover that goes on, or was given up"
    if generation.epoch < counts.epoch:
        return "went out of use: to be erased, here and in every backup"
    return "of another attempt to reach this epoch: to be erased"
