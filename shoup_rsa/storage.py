"""Keys at rest, as text for files: a key share sealed with a passphrase, a public key as it is.

No file is touched here. A key share is encrypted by AES-256-GCM under a key from scrypt (r = 8, p = 1), and
everything in front of the ciphertext is authenticated with it. Layout, numbers big-endian:

    "shoup-rsa/key-share" 00 | version u8 | log2 of the scrypt cost u8 | salt 16 | nonce 12 | key id 32 |
    index | SHA-256 of the SubjectPublicKeyInfo 32 | length u32 | encoded public key |
    passphrase check 16 | ciphertext of s_i | tag 16 | SHA-256 of all that 32

The version is the key's encoding version; index is u32 in version 2, else u16. s_i is as long as N; in
version 3 it is in two's complement and as long as the longest that the key can have. In version 4, of
composite keys, it is the s_i of every factor, in order: all of them are in the file, or none. Above 256
parties the public key is left out (length 0): each of 65,536 files would be 22 MB long. Such a key share is
opened with the public key's own file, which is the same for everybody; the key id makes sure that it is the
one.

The last field finds damage without the passphrase; the passphrase check (16 further bytes from scrypt) tells
a wrong passphrase from an altered file. Neither helps in guessing: the tag alone would confirm a guess just
as well.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from shoup_rsa._entropy import random_bytes
from shoup_rsa.armour import RESTORE, armour, remove_armour
from shoup_rsa.composite.key import KEY_SIZE_MAX, PublicKey
from shoup_rsa.composite.key_share import AnyKeyShare, key_share_from_secret
from shoup_rsa.decoding import public_key_from_bytes
from shoup_rsa.errors import InvalidKey, InvalidKeyFile, WrongEpoch, WrongPassphrase
from shoup_rsa.sizes import KEY_SIZES, PARTIES_MAX

# The cost of opening is read from the file, so it is bounded: cost * 1 KiB of memory, 256 MiB at most.
SCRYPT_COST_MIN_LOG2 = 10
SCRYPT_COST_MAX_LOG2 = 18
_SCRYPT_BLOCK_SIZE = 8
_SCRYPT_PARALLELISM = 1

_MAGIC = b"shoup-rsa/key-share\x00"
_HEADERS = {
    1: struct.Struct(">BB16s12s32sH32sI"),
    2: struct.Struct(">BB16s12s32sI32sI"),
    3: struct.Struct(">BB16s12s32sH32sI"),
    4: struct.Struct(">BB16s12s32sH32sI"),
}
_CHECK_LENGTH = 16
_TAG_LENGTH = 16
_EMBEDDED_PARTIES_MAX = 256


def _text_length(parties: int, key_size: int) -> int:
    """A public key of that many parties and such a modulus, in base64 with line ends, and more."""
    return (parties + 16) * (key_size // 8) * 3 // 2


_SHARE_LABEL = "SHOUP RSA KEY SHARE"
_PUBLIC_LABEL = "SHOUP RSA PUBLIC KEY"


@dataclass(frozen=True)
class _SealedFile:
    """The parts of a sealed key share, found but not yet trusted."""

    version: int
    cost_log2: int
    salt: bytes
    nonce: bytes
    key_id: bytes
    index: int
    fingerprint: bytes
    public_key: bytes  # empty when it is not in the file
    passphrase_check: bytes
    authenticated: bytes
    ciphertext: bytes
    tag: bytes


def write_public_key(public_key: PublicKey) -> bytes:
    """The public key as text for a file: its canonical encoding and a checksum. ASCII, like PEM."""
    return armour(_PUBLIC_LABEL, public_key.to_bytes())


def read_public_key(text: bytes) -> PublicKey:
    """The public key in such a text. To know that it is the right one, compare its fingerprint by voice.

    Raises InvalidKeyFile when the text is damaged or truncated, or holds an invalid key; TypeError unless it
    is bytes.
    """
    data = remove_armour(_PUBLIC_LABEL, text, _text_length(PARTIES_MAX, KEY_SIZES.stop))
    try:
        return public_key_from_bytes(data)
    except InvalidKey as error:
        raise InvalidKeyFile(f"the Shoup RSA public key is invalid: {error}; {RESTORE}") from None


def seal_key_share(key_share: AnyKeyShare, passphrase: bytes, *, scrypt_cost: int = 2**15) -> bytes:
    """Encrypt a key share under a passphrase; returns PEM text in ASCII.

    scrypt_cost: a power of two, 2^10..2^18, of 1 KiB memory each; 2^15 takes about 0.1 s. Low costs are only
    for passphrases that are themselves long random keys. Raises ValueError for another cost or an empty
    passphrase, TypeError for arguments of another type.
    """
    if not isinstance(key_share, AnyKeyShare):
        raise TypeError(f"expected a key share, not {type(key_share).__name__}")
    _check_passphrase(passphrase)
    cost_log2 = scrypt_cost.bit_length() - 1
    if scrypt_cost != 1 << max(cost_log2, 0) or not SCRYPT_COST_MIN_LOG2 <= cost_log2 <= SCRYPT_COST_MAX_LOG2:
        raise ValueError(
            f"scrypt_cost must be a power of two from 2^{SCRYPT_COST_MIN_LOG2} to 2^{SCRYPT_COST_MAX_LOG2}"
        )
    public_key = key_share.public_key
    encoded_key = public_key.to_bytes() if public_key.parties <= _EMBEDDED_PARTIES_MAX else b""
    salt, nonce = random_bytes(16), random_bytes(12)
    encryption_key, passphrase_check = _derive(passphrase, salt, cost_log2)
    version = public_key.encoding_version
    header = _HEADERS[version].pack(
        version,
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
    ciphertext, tag = cipher.encrypt_and_digest(key_share.secret_to_bytes())
    return armour(_SHARE_LABEL, authenticated + ciphertext + tag)


def open_key_share(pem: bytes, passphrase: bytes, public_key: PublicKey | None = None) -> AnyKeyShare:
    """Decrypt a sealed key share and check it: v_i = v^(s_i), and the public key if one is expected.

    public_key: the key that the share must belong to; necessary above 256 parties.
    Raises WrongPassphrase; WrongEpoch when the share is of `public_key` before or after a redistribution;
    InvalidKeyFile when the text is damaged, altered, of an unknown version, holds a
    share that does not match its verification key, or belongs to another key than `public_key`; ValueError
    for an empty passphrase; TypeError for arguments of another type.
    """
    _check_passphrase(passphrase)
    parts = _parse(remove_armour(_SHARE_LABEL, pem, _text_length(_EMBEDDED_PARTIES_MAX, KEY_SIZE_MAX)))
    owner = _find_public_key(parts, public_key)
    encryption_key, passphrase_check = _derive(passphrase, parts.salt, parts.cost_log2)
    if not hmac.compare_digest(passphrase_check, parts.passphrase_check):
        raise WrongPassphrase("the passphrase does not open this key share; check it and try again")
    cipher = AES.new(encryption_key, AES.MODE_GCM, nonce=parts.nonce, mac_len=_TAG_LENGTH)
    cipher.update(parts.authenticated)
    try:
        secret = cipher.decrypt_and_verify(parts.ciphertext, parts.tag)
    except ValueError:
        raise InvalidKeyFile(f"the sealed key share was altered; {RESTORE}") from None
    try:
        key_share = key_share_from_secret(owner, parts.index, secret)
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


def _fingerprint(public_key: PublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: operators can compute it from the PEM file with any RSA tool."""
    return hashlib.sha256(public_key.to_der()).digest()


def _parse(body: bytes) -> _SealedFile:
    version_at = len(_MAGIC)
    if len(body) <= version_at or body[:version_at] != _MAGIC:
        raise InvalidKeyFile(f"the sealed key share is truncated or of another kind; {RESTORE}")
    layout = _HEADERS.get(body[version_at])
    if layout is None:
        raise InvalidKeyFile(
            f"version {body[version_at]} of sealed key shares is unknown; use a newer release of this package"
        )
    start = version_at + layout.size
    if len(body) < start:
        raise InvalidKeyFile(f"the sealed key share is truncated; {RESTORE}")
    version, cost_log2, salt, nonce, key_id, index, fingerprint, key_length = layout.unpack_from(
        body, version_at
    )
    if not SCRYPT_COST_MIN_LOG2 <= cost_log2 <= SCRYPT_COST_MAX_LOG2:
        raise InvalidKeyFile(f"a scrypt cost of 2^{cost_log2} is out of bounds; {RESTORE}")
    check_start = start + key_length
    secret_start = check_start + _CHECK_LENGTH
    if len(body) < secret_start + _TAG_LENGTH:
        raise InvalidKeyFile(f"the lengths in the sealed key share do not add up; {RESTORE}")
    return _SealedFile(
        version=version,
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


def _find_public_key(parts: _SealedFile, expected: PublicKey | None) -> PublicKey:
    """The key that the share belongs to, consistent with the header. Not authentic before the tag is checked.

    Nothing here depends on the passphrase.
    """
    if parts.public_key:
        try:
            owner = public_key_from_bytes(parts.public_key)
        except InvalidKey as error:
            raise InvalidKeyFile(
                f"the public key inside the sealed key share is invalid: {error}; {RESTORE}"
            ) from None
    elif expected is None:
        raise InvalidKeyFile(
            f"this sealed key share does not hold its public key, {parts.key_id.hex()[:16]}: "
            "give the public key, too"
        )
    else:
        owner = expected
    if expected is not None and parts.key_id != expected.key_id:
        if owner.modulus == expected.modulus and owner.epoch != expected.epoch:
            raise WrongEpoch(owner.epoch, expected.epoch)
        raise InvalidKeyFile(
            f"this key share belongs to the key {parts.key_id.hex()[:16]}, not to the expected "
            f"{expected.key_id.hex()[:16]} (epoch {expected.epoch}); choose the file of the right key"
        )
    consistent = (
        parts.key_id == owner.key_id
        and parts.version == owner.encoding_version
        and bool(parts.public_key) == (owner.parties <= _EMBEDDED_PARTIES_MAX)
        and parts.fingerprint == _fingerprint(owner)
        and 1 <= parts.index <= owner.parties
        and len(parts.ciphertext) == owner.secret_length
    )
    if not consistent:
        raise InvalidKeyFile(f"the header of the sealed key share contradicts its public key; {RESTORE}")
    return owner
