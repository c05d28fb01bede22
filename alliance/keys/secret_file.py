"""Secrets that are no pair of keys, each in a small file of its own, encrypted under the folder's passphrase.

    -----BEGIN ALLIANCE SECRET----- | base64, 64 characters a line | -----END ALLIANCE SECRET-----
    version u8 = 1 | log2 of the scrypt cost u8 | scrypt passes u8 | salt 16 | nonce 12 | length u8 | name |
    ciphertext | tag 16

AES-256-GCM under a key from scrypt with blocks of 1 KiB (RFC 7914); all in front of the ciphertext is
authenticated with it. ``name`` is that of the file, so that none can be taken for another one.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from alliance.errors import KeyFileError, require_passphrase
from alliance.keys import sealing

_BEGIN, _END = b"-----BEGIN ALLIANCE SECRET-----", b"-----END ALLIANCE SECRET-----"
_HEAD = struct.Struct(">BBB16s12sB")
_VERSION = 1
_COST_LOG2_MAX, _PASSES_MAX = 16, 4
"""What opening costs stands in the file: 64 MiB at most."""
_LINE = 64


def seal(name: str, secret: bytes, passphrase: bytes) -> bytes:
    """The content of the file of this name."""
    cost, passes = sealing.SCRYPT_COST, sealing.SCRYPT_PASSES
    salt, nonce, encoded = secrets.token_bytes(16), secrets.token_bytes(12), name.encode("ascii")
    head = _HEAD.pack(_VERSION, cost.bit_length() - 1, passes, salt, nonce, len(encoded)) + encoded
    sealed = _cipher(passphrase, salt, cost, passes).encrypt(nonce, secret, _BEGIN + head)
    text = base64.b64encode(head + sealed)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def unseal(path: Path, passphrase: bytes) -> bytes:
    """The secret in a file. Raises KeyFileError, which names the file."""
    require_passphrase(passphrase)
    data = _body(path)
    head, name = data[: _HEAD.size], data[_HEAD.size :]
    if len(head) < _HEAD.size:
        raise _damaged(path)
    version, cost_log2, passes, salt, nonce, length = _HEAD.unpack(head)
    if version != _VERSION:
        raise KeyFileError(f"{path} has version {version}: use the version of alliance that wrote it")
    if not 1 <= cost_log2 <= _COST_LOG2_MAX or not 1 <= passes <= _PASSES_MAX or len(name) < length:
        raise _damaged(path)
    name, sealed = name[:length], name[length:]
    if name != path.name.encode():
        other = name.decode("ascii", "replace")
        raise KeyFileError(f"{path} is the file {other!r} under another name: give each its own name again")
    cipher = _cipher(passphrase, salt, 1 << cost_log2, passes)
    try:
        return cipher.decrypt(nonce, sealed, _BEGIN + head + name)
    except InvalidTag:
        raise KeyFileError(sealing.wrong_passphrase(path)) from None


def _body(path: Path) -> bytes:
    lines = sealing.read(path).split()
    # The lines that frame it have blanks inside.
    text = b" ".join(lines)
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise _damaged(path)
    try:
        return base64.b64decode(text[len(_BEGIN) : -len(_END)].replace(b" ", b""), validate=True)
    except binascii.Error:
        raise _damaged(path) from None


def _damaged(path: Path) -> KeyFileError:
    return KeyFileError(f"{path} is damaged, or no secret of an alliance: restore it from a backup")


def _cipher(passphrase: bytes, salt: bytes, cost: int, passes: int) -> AESGCM:
    return AESGCM(Scrypt(salt, length=32, n=cost, r=8, p=passes).derive(passphrase))
