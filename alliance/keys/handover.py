"""What a member must not forget while keys are handed on: where subshares reach it, and what it dealt.

    receiver-FINGERPRINT.pem    the secret of a receiver's key, encrypted under the folder's passphrase
    dealing-EPOCH.ATTEMPT.bin   SHA-256, and the dealing towards that generation; it hides nothing
    received-EPOCH.ATTEMPT.txt  which dealings that generation of shares came by, and to which receiver
    public-EPOCH.bin            SHA-256, and all public keys of that epoch, to judge later what they dealt

A receiver's secret is durable before its public key is posted: who loses it gets no share. It outlives its
use only until the share that came by it is durable and another receiver's key is posted: the ciphertexts lie
with everybody for ever, so that whoever finds the secret later has the share. A dealing is durable before it
is posted, and posted as the same bytes after a crash: another one would be ignored.

Nothing here knows a log or what is posted: whoever does calls these functions in that order, and again after
a crash at any moment of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from alliance.errors import KeyFileError, require_passphrase
from alliance.keys import files, sealing, secret_file, shares
from alliance.keys.shares import Generation

_RECEIVER = re.compile(r"receiver-([0-9a-f]{64})\.pem", re.ASCII)
_DEALING = re.compile(rf"dealing-({shares.GENERATION.pattern})\.bin", re.ASCII)
_RECEIVED = re.compile(rf"received-({shares.GENERATION.pattern})\.txt", re.ASCII)
_PUBLIC = re.compile(r"public-(0|[1-9][0-9]{0,19})\.bin", re.ASCII)
_NOTE = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64})\n", re.ASCII)
_DIGEST_BYTES = 32
DEALING_BYTES_MAX = sealing.KEY_FILE_BYTES_MAX - _DIGEST_BYTES


class Received(NamedTuple):
    """``transcript``: the digest of the dealings. ``receiver``: the fingerprint of the key they were to."""

    transcript: bytes
    receiver: bytes


def receiver_file(fingerprint: bytes) -> str:
    return f"receiver-{fingerprint.hex()}.pem"


def dealing_file(generation: Generation) -> str:
    return f"dealing-{generation}.bin"


def keep_receiver(folder: Path, fingerprint: bytes, secret: bytes, passphrase: bytes) -> None:
    """The secret of the receiver's key with this fingerprint (32 bytes) is durable when this returns.

    Only then may the key be posted. Raises OSError: then it may not.
    """
    require_passphrase(passphrase)
    name = receiver_file(fingerprint)
    with files.locked(folder):
        if fingerprint not in receivers(folder):
            files.write_new(folder / name, secret_file.seal(name, secret, passphrase))


def receivers(folder: Path) -> tuple[bytes, ...]:
    """The fingerprints of the receiver's keys whose secrets are there. Raises KeyFileError."""
    named = (_RECEIVER.fullmatch(path.name) for path in shares.paths(folder))
    found = (bytes.fromhex(one[1]) for one in named if one is not None)
    return tuple(sorted(one for one in found if shares.is_there(folder / receiver_file(one))))


def open_receiver(folder: Path, fingerprint: bytes, passphrase: bytes) -> bytes:
    """The secret, as it was kept. Raises KeyFileError, which names the file."""
    files.settle(folder)
    return secret_file.unseal(folder / receiver_file(fingerprint), passphrase)


def erase_receiver(folder: Path, fingerprint: bytes, successor: bytes, received: Generation) -> None:
    """Makes a secret unreadable and deletes it, once the log holds the key of fingerprint ``successor``.

    ``received`` is the generation of shares that came by it. Raises KeyFileError unless that and the
    successor's secret are here. Raises OSError: repeat it.
    """
    with files.locked(folder):
        if received not in shares.generations(folder):
            raise KeyFileError(
                f"{folder} has no shares of generation {received}: the receiver's secret stays"
            )
        if successor == fingerprint or successor not in receivers(folder):
            raise KeyFileError(f"{folder} has no secret of the receiver's next key: the one before it stays")
        files.erase(folder / receiver_file(fingerprint))
        files.sync(folder)


def keep_dealing(folder: Path, towards: Generation, deal: Callable[[], bytes]) -> bytes:
    """The bytes to be posted: those that are kept, else what ``deal`` gives, durable when this returns.

    Raises KeyFileError when those that are kept are damaged, OSError: then nothing may be posted, and
    ValueError for more than DEALING_BYTES_MAX.
    """
    path = folder / dealing_file(towards)
    with files.locked(folder):
        if path.exists():
            return _intact(
                path,
                "and may have been posted as it was: restore it from a backup, or leave this handover to the"
                " other members",
            )
        data = deal()
        if len(data) > DEALING_BYTES_MAX:
            raise ValueError(f"a dealing has at most {DEALING_BYTES_MAX} bytes, not {len(data)}")
        files.write_new(path, hashlib.sha256(data).digest() + data)
        return data


def _intact(path: Path, what_now: str) -> bytes:
    kept = sealing.read(path)
    digest, data = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise KeyFileError(f"{path} is damaged, {what_now}")
    return data


def dealings(folder: Path) -> tuple[Generation, ...]:
    """The generations towards which dealings are kept. Raises KeyFileError."""
    named = (_DEALING.fullmatch(path.name) for path in shares.paths(folder))
    return tuple(sorted(Generation(int(one[2]), int(one[3])) for one in named if one is not None))


def forget_dealing(folder: Path, towards: Generation) -> None:
    """Deletes a dealing whose attempt has ended, if it is kept. Raises OSError: repeat it."""
    with files.locked(folder):
        files.erase(folder / dealing_file(towards))
        files.sync(folder)


def note_received(folder: Path, generation: Generation, note: Received) -> None:
    """Written before the shares are: so whoever finds these knows what they are. Raises OSError."""
    with files.locked(folder):
        text = f"{note.transcript.hex()} {note.receiver.hex()}\n"
        files.write_new(folder / _received_file(generation), text.encode("ascii"))


def received(folder: Path) -> dict[Generation, Received]:
    """What was noted. A damaged note counts as none: its shares are received again. Raises KeyFileError."""
    named = (_RECEIVED.fullmatch(path.name) for path in shares.paths(folder))
    found = {}
    for one in named:
        if one is None:
            continue
        note = _NOTE.fullmatch(sealing.read(folder / one[0]).decode("ascii", "replace"))
        if note is not None:
            found[Generation(int(one[2]), int(one[3]))] = Received(*map(bytes.fromhex, note.groups()))
    return found


def forget_received(folder: Path, generation: Generation) -> None:
    """Deletes the note, once the shares are erased. Raises OSError: repeat it."""
    with files.locked(folder):
        files.erase(folder / _received_file(generation))
        files.sync(folder)


def _received_file(generation: Generation) -> str:
    return f"received-{generation}.txt"


def keep_public(folder: Path, epoch: int, keys: bytes) -> None:
    """The encoded public keys of an epoch of the shares, for one who is away for the next. Raises OSError."""
    path = folder / _public_file(epoch)
    with files.locked(folder):
        if not path.exists():
            files.write_new(path, hashlib.sha256(keys).digest() + keys)


def public_of(folder: Path, epoch: int) -> bytes | None:
    """What ``keep_public`` kept, or None. Raises KeyFileError."""
    path = folder / _public_file(epoch)
    return _intact(path, "delete it; it holds nothing secret") if path.exists() else None


def publics(folder: Path) -> tuple[int, ...]:
    """The epochs of which public keys are kept. Raises KeyFileError."""
    named = (_PUBLIC.fullmatch(path.name) for path in shares.paths(folder))
    return tuple(sorted(int(one[1]) for one in named if one is not None))


def forget_public(folder: Path, epoch: int) -> None:
    """Raises OSError: repeat it."""
    (folder / _public_file(epoch)).unlink(missing_ok=True)


def _public_file(epoch: int) -> str:
    return f"public-{epoch}.bin"
