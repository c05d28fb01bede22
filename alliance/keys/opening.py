"""The one-time key of a founding: the member's shares are sealed to it, and it is erased when they are kept.

opening.pem      an X25519 key, 32 bytes, encrypted under the folder's passphrase
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.errors import KeyFileError
from alliance.keys import files, secret_file

OPENING = "opening.pem"


def write_opening_key(folder: Path, key: X25519PrivateKey, passphrase: bytes) -> None:
    """Into a new folder. Raises OSError."""
    files.write_private(folder / OPENING, secret_file.seal(OPENING, key.private_bytes_raw(), passphrase))


def load_opening_key(folder: Path, public: bytes, passphrase: bytes) -> X25519PrivateKey:
    """The secret of the one-time key ``public``, 32 bytes. Raises KeyFileError."""
    path = folder / OPENING
    files.settle(folder)
    try:
        key = X25519PrivateKey.from_private_bytes(secret_file.unseal(path, passphrase))
    except ValueError:
        raise KeyFileError(f"{path} is damaged: restore it from a backup") from None
    if key.public_key().public_bytes_raw() != public:
        raise KeyFileError(f"{path} is not of this request: restore the folder from one backup")
    return key


def erase_opening_key(folder: Path) -> None:
    """Whether it is there or not. Raises OSError: repeat it."""
    with files.locked(folder):
        files.erase(folder / OPENING)
        files.sync(folder)
