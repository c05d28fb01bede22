"""Key files: private keys as PKCS#8, encrypted under a passphrase, as ``openssl pkey`` reads them.

The encryption is PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914). It has no tag: whoever opens a key
compares it with the public key that it must belong to.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO, TypeAlias

from Crypto.PublicKey import ECC
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.bounded import read_at_most
from alliance.errors import KeyFileError, require_passphrase
from alliance.keys import files

PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey

KEY_FILE_BYTES_MAX = 1024 * 1024
SCRYPT_COST = 2**14
"""With blocks of 1 KiB: 16 MiB. OpenSSL takes no more than 32 MiB from a file."""
SCRYPT_PASSES = 2
PASSPHRASE_BYTES_MIN = 8
WHERE_FROM = "ALLIANCE_PASSPHRASE, --passphrase-file or the prompt"
_MARK = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"

log = logging.getLogger("alliance.keys")


def require_new_passphrase(passphrase: bytes) -> None:
    """Raises KeyFileError for one that is too short to protect keys with."""
    if len(passphrase) < PASSPHRASE_BYTES_MIN:
        said = f"has {len(passphrase)} bytes" if passphrase else "is empty"
        raise KeyFileError(
            f"the new passphrase {said}: keys need one of {PASSPHRASE_BYTES_MIN} or more, such as five words"
        )


def seal(key: PrivateKey, passphrase: bytes) -> bytes:
    """The key file, in PEM."""
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sealed = ECC.import_key(der).export_key(
        format="PEM",
        passphrase=passphrase,
        protection="scryptAndAES256-CBC",
        prot_params={"iteration_count": SCRYPT_COST, "block_size": 8, "parallelization": SCRYPT_PASSES},
    )
    return (sealed + "\n").encode()


def unseal_signing(data: bytes, path: Path, passphrase: bytes, source: str = WHERE_FROM) -> Ed25519PrivateKey:
    """The Ed25519 key in what was read from ``path``. Raises KeyFileError, which says that the passphrase
    comes from ``source``.
    """
    key = _unseal(data, path, passphrase, source)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind: restore it from a backup")
    return key


def unseal_channel(data: bytes, path: Path, passphrase: bytes) -> ec.EllipticCurvePrivateKey:
    """The same for the key of a channel."""
    key = _unseal(data, path, passphrase, WHERE_FROM)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind: restore it from a backup")
    return key


def _unseal(data: bytes, path: Path, passphrase: bytes, source: str) -> object:
    require_passphrase(passphrase)
    if _MARK not in data:
        raise KeyFileError(f"{path} is damaged, or no key file of an alliance: restore it from a backup")
    try:
        return serialization.load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Padding that does not fit does not tell a wrong passphrase from an altered byte.
        raise KeyFileError(wrong_passphrase(path, source)) from None


def read(path: Path) -> bytes:
    """The content of a key file that counts. Raises KeyFileError, also for one that others may write."""
    try:
        data, mode = _content(path)
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: restore it from a backup") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}; check its owner and mode") from None
    if len(data) > KEY_FILE_BYTES_MAX:
        raise KeyFileError(f"{path} is larger than {KEY_FILE_BYTES_MAX} bytes: it is no key file")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyFileError(
            f"{path} can be written by others (mode {mode:04o}): if its content is yours, 'chmod 600 {path}'"
        )
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s can be read by others (mode %04o): 'chmod 600 %s'", path, mode, path)
    return data


def _content(path: Path) -> tuple[bytes, int]:
    """(content, mode). Raises OSError."""
    while True:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            data = read_at_most(file, KEY_FILE_BYTES_MAX + 1)
        with _opened(path) as file:
            now = os.fstat(file.fileno())
        if os.path.samestat(status, now) and status.st_mtime_ns == now.st_mtime_ns:
            return data, stat.S_IMODE(status.st_mode)
        # Another one counts by now, and this one was overwritten, perhaps while it was read.


def _opened(path: Path) -> BinaryIO:
    try:
        return files.current(path).open("rb")
    except FileNotFoundError:  # a replacement has been moved into its place meanwhile
        return path.open("rb")


def wrong_passphrase(path: Path, source: str = WHERE_FROM) -> str:
    return f"{path} does not open: wrong passphrase ({source}), or a damaged file"
