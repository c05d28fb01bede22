"""A member's shares, by epoch: which count, how new ones come, and how old ones become unreadable.

Shares of several epochs lie beside each other while keys are handed on, and of several attempts to reach one
epoch. Such a generation, EPOCH.ATTEMPT, consists of

    sealing-EPOCH.ATTEMPT.pem           32 random bytes, encrypted under the folder's passphrase
    share-EPOCH.ATTEMPT-PURPOSE.pem     for each key its share, encrypted under those bytes

and the line in ``share.current`` says which generation counts. A generation is there once its sealing key is,
which is written last; and it is gone once that is overwritten, which happens first. So the shares themselves
may lie wherever the disk, or somebody, has kept a copy of them. (A copy of *both* is a share.)

Nothing here decides when: whoever knows the alliance's log adds a generation before it says that it has it,
switches to it when the log does, and erases the one before when that is durable. Each step can be repeated
after a crash at any moment of it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from alliance.config.file import AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError, NoShare, WrongShareEpoch, require_passphrase
from alliance.keys import files, sealing, secret_file
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    InvalidKeyFile,
    ThresholdRsaEndorser,
    WrongEpoch,
    WrongPassphrase,
)

CURRENT = "share.current"
SEALING_KEY_BYTES = 32
_EARLIER = "share.pem"
GENERATION = re.compile(r"(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,19})", re.ASCII)
_SEALING = re.compile(rf"sealing-({GENERATION.pattern})\.pem", re.ASCII)
_SHARE = re.compile(rf"share-({GENERATION.pattern})-.+\.pem", re.ASCII)


class Generation(NamedTuple):
    """Shares of one epoch of the keys, 0..2^64 - 1, made in one attempt to reach it."""

    epoch: int
    attempt: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> Generation | None:
        found = GENERATION.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]))


def sealing_file(generation: Generation) -> str:
    return f"sealing-{generation}.pem"


def share_file(generation: Generation, purpose: str) -> str:
    return f"share-{generation}-{purpose}.pem"


# -- writing: the folder changes by these steps only ---------------------------------------------------


def write_shares(
    folder: Path, epoch: int, shares: Mapping[str, ThresholdRsaEndorser], passphrase: bytes
) -> None:
    """The shares that a folder begins with, by purpose (the agreement key's is "agreement"): they count.

    Raises OSError, and what ``add_shares`` raises.
    """
    add_shares(folder, Generation(epoch), shares, passphrase)
    switch_to(folder, Generation(epoch))


def add_shares(
    folder: Path, generation: Generation, shares: Mapping[str, ThresholdRsaEndorser], passphrase: bytes
) -> None:
    """New shares, durable when this returns, beside those that count.

    Raises KeyFileError when this generation is there already: it is never replaced, since it may have been
    promised to others. Raises OSError: then it is not there. Raises ValueError for shares of another epoch.
    """
    require_passphrase(passphrase)
    if not shares or any(share.key.epoch != generation.epoch for share in shares.values()):
        raise ValueError(f"generation {generation} consists of shares of epoch {generation.epoch}")
    key = secrets.token_bytes(SEALING_KEY_BYTES)
    with files.locked(folder):
        if generation in generations(folder):
            raise KeyFileError(f"{folder} has shares of generation {generation} already: they are kept")
        _erase(folder, generation)  # what an attempt to write them left, which nobody can open
        for purpose, share in shares.items():
            files.write_private(folder / share_file(generation, purpose), share.seal(key))
        files.sync(folder)
        name = sealing_file(generation)
        files.write_new(folder / name, secret_file.seal(name, key, passphrase))


def switch_to(folder: Path, generation: Generation) -> None:
    """From now on this generation counts, which is there. Raises KeyFileError otherwise, and OSError."""
    with files.locked(folder):
        if generation not in generations(folder):
            raise KeyFileError(f"{folder} has no shares of generation {generation}: those that count stay")
        files.write_new(folder / CURRENT, f"{generation}\n".encode("ascii"))


def erase_shares(folder: Path, generation: Generation) -> None:
    """Makes a generation unreadable, and deletes it; whether it is there, or there in part, or not.

    Of an earlier epoch once the alliance's log has the next one for certain; of an attempt that was given up
    once the next attempt is certain. Raises KeyFileError for the one that counts. Raises OSError: repeat it.
    """
    with files.locked(folder):
        if current(folder) == generation:
            raise KeyFileError(f"{folder}: the shares of generation {generation} count, and are not erased")
        _erase(folder, generation)


def erase_all(folder: Path) -> None:
    """Every generation, also the one that counts: the member takes no part any more.

    Raises KeyFileError, and OSError: repeat it.
    """
    with files.locked(folder):
        files.erase(folder / CURRENT)
        for generation in pieces(folder):
            _erase(folder, generation)


def _erase(folder: Path, generation: Generation) -> None:
    files.erase(folder / sealing_file(generation))
    files.sync(folder)
    for path in folder.glob(share_file(generation, "*")):
        files.erase(path)
    files.sync(folder)


# -- reading -------------------------------------------------------------------------------------------


def generations(folder: Path) -> tuple[Generation, ...]:
    """Those that are there, in their order. Raises KeyFileError when the folder cannot be read."""
    return tuple(one for one in pieces(folder) if is_there(folder / sealing_file(one)))


def pieces(folder: Path) -> tuple[Generation, ...]:
    """Those of which any file is there: also what is half written or half erased."""
    named = (_SEALING.fullmatch(path.name) or _SHARE.fullmatch(path.name) for path in paths(folder))
    return tuple(sorted({Generation(int(one[2]), int(one[3])) for one in named if one is not None}))


def paths(folder: Path) -> list[Path]:
    """All that lies in a folder. Raises KeyFileError."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be read: {error.strerror}; check its owner and mode") from None


def is_there(path: Path) -> bool:
    """Whether a secret is in its file, damaged or not: an erased one is not, even if its file still is."""
    try:
        return not files.is_blank(sealing.read(path))
    except KeyFileError:
        return path.exists()


def current(folder: Path) -> Generation | None:
    """The generation that counts; None if nothing says which one. Raises KeyFileError."""
    path = folder / CURRENT
    if not path.exists():
        return None
    generation = Generation.parse(sealing.read(path).decode("ascii", "replace").strip())
    if generation is None:
        raise KeyFileError(f"{path} is damaged: it names no generation of shares; {_RESTORE}")
    return generation


def is_awaited(folder: Path, dealing: int) -> bool:
    """Whether the member has no share of this dealing that counts, and may yet get one. Raises KeyFileError.

    Shares of the founding are there, or lost; later ones come to who was away when it is ready for them.
    """
    counting = current(folder)
    return dealing > 0 and (counting is None or counting.epoch < dealing)


def require_current(folder: Path) -> Generation:
    """The generation that counts. Raises NoShare without any shares, and KeyFileError."""
    generation = current(folder)
    if generation is not None and pieces(folder):
        return generation
    if there := generations(folder):
        listed = ", ".join(map(str, there))
        raise KeyFileError(
            f"{folder / CURRENT} is missing: it says which shares count, of {listed}; {_RESTORE}"
        )
    if (folder / _EARLIER).exists():
        raise KeyFileError(
            f"{folder / _EARLIER} is as an earlier version wrote it, and before 1.0 nothing is converted:"
            " create a new alliance with 'alliance init', or use the version that wrote it"
        )
    raise NoShare(f"{folder} holds no share of the alliance's keys: {_RESTORE}")


_RESTORE = (
    "restore share.current, sealing-*.pem and share-*.pem from one backup of the present epoch, or have the"
    " member replaced, by 'alliance member replace'; until then it counts as one that is down"
)


def load_endorser(
    folder: Path,
    config: AllianceConfig,
    member: int,
    passphrase: bytes,
    purpose: str | None = None,
    unsealed: Mapping[Generation, bytes] | None = None,
) -> ThresholdRsaEndorser:
    """A member's share of the agreement key or of a purpose's, checked against the verification keys.

    ``unsealed``: sealing keys (32 bytes each) that were unsealed before.

    Raises NoShare, WrongShareEpoch, KeyFileError for all else, and ConfigError when the alliance has no such
    key.
    """
    files.settle(folder)
    key = config.key if purpose is None else config.purpose_key(purpose)
    generation = require_current(folder)
    sealing_key = (unsealed or {}).get(generation)
    if sealing_key is None:
        sealing_key = secret_file.unseal(folder / sealing_file(generation), passphrase)
    return open_share(folder / share_file(generation, purpose or AGREEMENT), sealing_key, key, member)


def open_share(path: Path, sealing_key: bytes, key: AgreementKey, member: int) -> ThresholdRsaEndorser:
    """The member's share in a file of ``key``. Raises WrongShareEpoch, and KeyFileError for all else."""
    try:
        endorser = ThresholdRsaEndorser.open(sealing.read(path), sealing_key, key)
    except WrongPassphrase:
        raise KeyFileError(f"{path} and its sealing key do not belong together: {_RESTORE}") from None
    except WrongEpoch as error:
        raise WrongShareEpoch(_other_epoch(path, error), error.found, error.expected) from None
    except (InvalidKeyFile, InvalidAgreementKey) as error:
        raise KeyFileError(f"{path}: {error}") from None
    if endorser.member != member:
        raise KeyFileError(f"{path} is the share of member {endorser.member + 1}, not of {member + 1}")
    return endorser


def _other_epoch(path: Path, error: WrongEpoch) -> str:
    said = f"{path} is of epoch {error.found}, the alliance's key in alliance.toml of epoch {error.expected}"
    if error.found > error.expected:
        return f"{said}: get the present alliance.toml from another member"
    return f"{said}: this share went out of use when the key was handed on; {_RESTORE}"
