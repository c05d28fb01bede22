"""From a message to the number that is signed, and numbers of fixed width.

EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 9.2) and Shoup's adjustment of the Jacobi symbol (Protocol 2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidSignature

if TYPE_CHECKING:
    from shoup_rsa.keys import ThresholdPublicKey

# DigestInfo for SHA-256 up to the digest itself: RFC 8017, section 9.2, note 1.
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True, slots=True)
class Representative:
    """The number x that the members raise to their secrets.

    `encoded` is H(M), the encoded message as an integer. `value` is x = H(M), or x = H(M) * u^e mod N when
    the Jacobi symbol (H(M) | N) is -1; then `adjusted` is true and the signature is y / u instead of y.
    """

    encoded: int
    value: int
    adjusted: bool


def byte_length(bits: int) -> int:
    """How many whole bytes hold that many bits."""
    return (bits + 7) // 8


def encode_message(message: bytes, length: int) -> bytes:
    """EMSA-PKCS1-v1_5: 00 01 FF..FF 00 || DigestInfo(SHA-256(message)), `length` bytes in all.

    Raises TypeError unless the message is bytes, ValueError when `length` leaves fewer than 8 bytes of
    padding.
    """
    if not isinstance(message, bytes):
        raise TypeError(f"the message must be bytes, not {type(message).__name__}")
    digest_info = _SHA256_PREFIX + hashlib.sha256(message).digest()
    padding = length - len(digest_info) - 3
    if padding < 8:
        raise ValueError(f"{length} bytes are too few for PKCS#1 v1.5 with SHA-256")
    return b"\x00\x01" + b"\xff" * padding + b"\x00" + digest_info


def represent(public_key: ThresholdPublicKey, message: bytes) -> Representative:
    """x of Protocol 2: the encoded message, moved to Jacobi symbol +1 where needed.

    Raises ValueError if the encoded message shares a factor with the modulus, which for an honest key nobody
    can bring about without factoring it.
    """
    encoded = int.from_bytes(encode_message(message, public_key.signature_length), "big")
    symbol = _arith.jacobi(encoded, public_key.modulus)
    if symbol == 0:
        raise ValueError("the encoded message has a common factor with the modulus")
    if symbol == 1:
        return Representative(encoded, encoded, adjusted=False)
    value = encoded * public_key.nonresidue_to_exponent % public_key.modulus
    return Representative(encoded, value, adjusted=True)


def verify_signature(public_key: ThresholdPublicKey, message: bytes, signature: bytes) -> None:
    """RSASSA-PKCS1-v1_5 verification by re-encoding and comparing, never by parsing (RFC 8017, section
    8.2.2).

    Raises InvalidSignature, or TypeError when an argument is not bytes.
    """
    if not isinstance(signature, bytes):
        raise TypeError(f"the signature must be bytes, not {type(signature).__name__}")
    length = public_key.signature_length
    expected = encode_message(message, length)
    if len(signature) != length:
        raise InvalidSignature(f"a signature of this key has {length} bytes, not {len(signature)}")
    number = int.from_bytes(signature, "big")
    if number >= public_key.modulus:
        raise InvalidSignature("the signature is not smaller than the modulus")
    opened = _arith.power(number, public_key.public_exponent, public_key.modulus)
    if opened.to_bytes(length, "big") != expected:
        raise InvalidSignature("the signature does not match this message under this key")
