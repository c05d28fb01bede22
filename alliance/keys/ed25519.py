"""Ed25519 signatures, checked as fast as may be: the gate checks one for each message and each submission.

By libsodium, which takes half the time of OpenSSL and accepts less (no keys or points of small order): what
passes here passes everywhere.
"""

from __future__ import annotations

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError as InvalidSignature

SIGNATURE_BYTES = 64

__all__ = ["InvalidSignature", "has_signed", "is_signed", "verify"]


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    """Raises InvalidSignature unless the holder of the public ``key`` (32 bytes) signed the message."""
    if len(signature) != SIGNATURE_BYTES:  # else the rest of one could be the beginning of another message
        raise InvalidSignature(f"a signature has {SIGNATURE_BYTES} bytes")
    crypto_sign_open(signature + message, key)


def is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of the public ``key`` (32 bytes) signed the message."""
    try:
        verify(key, signature, message)
    except InvalidSignature:
        return False
    return True


def has_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """``is_signed``, as the control state asks it (``consensus.control.Verify``).

    All who apply the log must judge signatures alike, or their states differ: everybody takes this one.
    """
    return is_signed(key, signature, message)
