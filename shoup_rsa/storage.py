"""A key share at rest: sealed with a passphrase, as PEM text. No file is touched here.

The key comes from scrypt (r = 8, p = 1), the encryption is AES-256-GCM, and everything in front of the
ciphertext is authenticated with it. Layout, numbers big-endian:

    "shoup-rsa/key-share" 00 | version u8 | log2 of the scrypt cost u8 | salt 16 | nonce 12 | key id 32 |
    index u16 | SHA-256 of the SubjectPublicKeyInfo 32 | length u32 | encoded public key |
    passphrase check 16 | ciphertext of s_i, as long as N | tag 16 | SHA-256 of all that 32

The last field finds damage without the passphrase; the passphrase check (16 further bytes from scrypt) tells
a wrong passphrase from an altered file. Neither helps in guessing: the tag alone would confirm a guess just
as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from shoup_rsa._entropy import random_bytes
from shoup_rsa.errors import InvalidKey, InvalidKeyFile, WrongPassphrase
from shoup_rsa.keys import KEY_SIZES, PARTIES_MAX, ThresholdPublicKey
from shoup_rsa.share import KeyShare

# The cost of opening is read from the file, so it is bounded: cost * 1 KiB of memory, 256 MiB at most.
SCRYPT_COST_MIN_LOG2 = 10
SCRYPT_COST_MAX_LOG2 = 18
_SCRYPT_BLOCK_SIZE = 8
_SCRYPT_PARALLELISM = 1

_MAGIC = b"shoup-rsa/key-share\x00"
_VERSION = 1
_HEADER = struct.Struct(">BB16s12s32sH32sI")
_CHECK_LENGTH = 16
_TAG_LENGTH = 16
_CHECKSUM_LENGTH = 32
# A public key of the most parties and the longest modulus, in base64 with line ends, and room to spare.
_PEM_LENGTH_MAX = (PARTIES_MAX + 16) * (KEY_SIZES.stop // 8) * 3 // 2

_BEGIN = b"-----BEGIN SHOUP RSA KEY SHARE-----\n"
_END = b"-----END SHOUP RSA KEY SHARE-----\n"
_RESTORE = "restore the file from a backup, or ask the dealer for a new dealing"


@dataclass(frozen=True)
class _SealedFile:
    """The parts of a sealed key share, found but not yet trusted."""

    cost_log2: int
    salt: bytes
    nonce: bytes
    key_id: bytes
    index: int
    fingerprint: bytes
    public_key: bytes
    passphrase_check: bytes
    authenticated: bytes
    ciphertext: bytes
    tag: bytes


def seal_key_share(key_share: KeyShare, passphrase: bytes, *, scrypt_cost: int = 2**15) -> bytes:
    """Encrypt a key share under a passphrase; returns PEM text in ASCII.

    scrypt_cost: a power of two, 2^10..2^18, of 1 KiB memory each; 2^15 takes about 0.1 s. Low costs are only
    for passphrases that are themselves long random keys. Raises ValueError for another cost or an empty
    passphrase, TypeError for arguments of another type.
    """
    if not isinstance(key_share, KeyShare):
        raise TypeError(f"expected a KeyShare, not {type(key_share).__name__}")
    _check_passphrase(passphrase)
    cost_log2 = scrypt_cost.bit_length() - 1
    if scrypt_cost != 1 << max(cost_log2, 0) or not SCRYPT_COST_MIN_LOG2 <= cost_log2 <= SCRYPT_COST_MAX_LOG2:
        raise ValueError(
            f"scrypt_cost must be a power of two from 2^{SCRYPT_COST_MIN_LOG2} to 2^{SCRYPT_COST_MAX_LOG2}"
        )
    public_key = key_share.public_key
    encoded_key = public_key.to_bytes()
    salt, nonce = random_bytes(16), random_bytes(12)
    encryption_key, passphrase_check = _derive(passphrase, salt, cost_log2)
    header = _HEADER.pack(
        _VERSION,
        cost_log2,
        salt,
        nonce,
        public_key.key_id,
        key_share.index,
        _fingerprint(public_key),
        len(encoded_key),
    )
    authenticated = _MAGIC + header + encoded_key + passphrase_check
    cipher = AES.new(encryption_key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_LENGTH)
    cipher.update(authenticated)
    secret = key_share._secret.to_bytes(public_key.signature_length, "big")
    ciphertext, tag = cipher.encrypt_and_digest(secret)
    sealed = authenticated + ciphertext + tag
    return _armour(sealed + hashlib.sha256(sealed).digest())


def open_key_share(pem: bytes, passphrase: bytes, public_key: ThresholdPublicKey | None = None) -> KeyShare:
    """Decrypt a sealed key share and check it: v_i = v^(s_i), and the public key if one is expected.

    Raises WrongPassphrase; InvalidKeyFile when the text is damaged, altered, of an unknown version, holds a
    share that does not match its verification key, or belongs to another key than `public_key`; ValueError
    for an empty passphrase; TypeError for arguments of another type.
    """
    if not isinstance(pem, bytes):
        raise TypeError(f"the sealed key share must be bytes, not {type(pem).__name__}")
    _check_passphrase(passphrase)
    parts = _parse(_remove_armour(pem))
    embedded = _read_public_key(parts)
    if public_key is not None and embedded != public_key:
        raise InvalidKeyFile(
            f"this key share belongs to the key {parts.key_id.hex()[:16]} (epoch {embedded.epoch}), "
            f"not to the expected {public_key.key_id.hex()[:16]} (epoch {public_key.epoch}); "
            "choose the file of the right key"
        )
    encryption_key, passphrase_check = _derive(passphrase, parts.salt, parts.cost_log2)
    if not hmac.compare_digest(passphrase_check, parts.passphrase_check):
        raise WrongPassphrase("the passphrase does not open this key share; check it and try again")
    cipher = AES.new(encryption_key, AES.MODE_GCM, nonce=parts.nonce, mac_len=_TAG_LENGTH)
    cipher.update(parts.authenticated)
    try:
        secret = cipher.decrypt_and_verify(parts.ciphertext, parts.tag)
    except ValueError:
        raise InvalidKeyFile(f"the sealed key share was altered; {_RESTORE}") from None
    try:
        key_share = KeyShare(embedded, parts.index, int.from_bytes(secret, "big"))
        key_share.check()
    except InvalidKey as error:
        raise InvalidKeyFile(str(error)) from None
    return key_share


def _check_passphrase(passphrase: bytes) -> None:
    if not isinstance(passphrase, bytes):
        raise TypeError(f"the passphrase must be bytes, not {type(passphrase).__name__}")
    if not passphrase:
        raise ValueError("the passphrase is empty: choose one")


def _derive(passphrase: bytes, salt: bytes, cost_log2: int) -> tuple[bytes, bytes]:
    """(the key of AES-256, the passphrase check), both from scrypt (RFC 7914)."""
    derived = scrypt(
        passphrase,
        salt,
        key_len=32 + _CHECK_LENGTH,
        N=1 << cost_log2,
        r=_SCRYPT_BLOCK_SIZE,
        p=_SCRYPT_PARALLELISM,
    )
    if not isinstance(derived, bytes):
        raise TypeError("scrypt must give one key")
    return derived[:32], derived[32:]


def _fingerprint(public_key: ThresholdPublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: operators can compute it from the PEM file with any RSA tool."""
    return hashlib.sha256(public_key.to_der()).digest()


def _armour(data: bytes) -> bytes:
    text = base64.b64encode(data)
    lines = (text[position : position + 64] + b"\n" for position in range(0, len(text), 64))
    return _BEGIN + b"".join(lines) + _END


def _remove_armour(pem: bytes) -> bytes:
    """The bytes inside. Line ends, and blanks around the text, may differ; all else must be as written."""
    if len(pem) > _PEM_LENGTH_MAX:
        raise InvalidKeyFile(f"{len(pem)} bytes are too many for a sealed key share; is this the right file?")
    text = pem.replace(b"\r\n", b"\n").strip() + b"\n"
    if not text.startswith(_BEGIN):
        raise InvalidKeyFile(
            "this is not a sealed key share (its first line is missing); is this the right file?"
        )
    if not text.endswith(b"\n" + _END):
        raise InvalidKeyFile(f"the sealed key share is truncated (its last line is missing); {_RESTORE}")
    try:
        data = base64.b64decode(text[len(_BEGIN) : -len(_END)].replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise InvalidKeyFile(f"the sealed key share is damaged (not base64); {_RESTORE}") from None
    if _armour(data) != text:
        raise InvalidKeyFile(f"the sealed key share is not in its canonical form; {_RESTORE}")
    return data


def _parse(data: bytes) -> _SealedFile:
    start = len(_MAGIC) + _HEADER.size
    if len(data) < start + _CHECKSUM_LENGTH or data[: len(_MAGIC)] != _MAGIC:
        raise InvalidKeyFile(f"the sealed key share is truncated or of another kind; {_RESTORE}")
    body, checksum = data[:-_CHECKSUM_LENGTH], data[-_CHECKSUM_LENGTH:]
    if hashlib.sha256(body).digest() != checksum:
        raise InvalidKeyFile(f"the sealed key share is damaged (its checksum is wrong); {_RESTORE}")
    version, cost_log2, salt, nonce, key_id, index, fingerprint, key_length = _HEADER.unpack_from(
        body, len(_MAGIC)
    )
    if version != _VERSION:
        raise InvalidKeyFile(
            f"version {version} of sealed key shares is unknown; use a newer release of this package"
        )
    if not SCRYPT_COST_MIN_LOG2 <= cost_log2 <= SCRYPT_COST_MAX_LOG2:
        raise InvalidKeyFile(f"a scrypt cost of 2^{cost_log2} is out of bounds; {_RESTORE}")
    check_start = start + key_length
    secret_start = check_start + _CHECK_LENGTH
    if len(body) < secret_start + _TAG_LENGTH:
        raise InvalidKeyFile(f"the lengths in the sealed key share do not add up; {_RESTORE}")
    return _SealedFile(
        cost_log2=cost_log2,
        salt=salt,
        nonce=nonce,
        key_id=key_id,
        index=index,
        fingerprint=fingerprint,
        public_key=body[start:check_start],
        passphrase_check=body[check_start:secret_start],
        authenticated=body[:secret_start],
        ciphertext=body[secret_start:-_TAG_LENGTH],
        tag=body[-_TAG_LENGTH:],
    )


def _read_public_key(parts: _SealedFile) -> ThresholdPublicKey:
    """The embedded public key, consistent with the header. Not authentic before the tag is checked."""
    try:
        public_key = ThresholdPublicKey.from_bytes(parts.public_key)
    except InvalidKey as error:
        raise InvalidKeyFile(
            f"the public key inside the sealed key share is invalid: {error}; {_RESTORE}"
        ) from None
    consistent = (
        parts.key_id == public_key.key_id
        and parts.fingerprint == _fingerprint(public_key)
        and 1 <= parts.index <= public_key.parties
        and len(parts.ciphertext) == public_key.signature_length
    )
    if not consistent:
        raise InvalidKeyFile(f"the header of the sealed key share contradicts its public key; {_RESTORE}")
    return public_key
