"""Commitments to factors: every dealer fixes its key before it sees anybody else's.

Without them, the last dealer to speak could choose its modulus as it likes best beside the others': the same
one, one with a common prime, or a relative of theirs. The order of a ceremony is: every dealer deals, draws a
nonce and publishes `commit(key, nonce)`; when ALL commitments are there, and not before, every dealer
publishes its key and its nonce; everybody runs `check_opening` on each. A dealer whose opening does not fit,
or does not come, is left out with its commitment, and the others begin anew, with fresh keys.
"""

from __future__ import annotations

import hashlib
import hmac

from shoup_rsa._entropy import random_bytes
from shoup_rsa.errors import InvalidOpening
from shoup_rsa.keys import ThresholdPublicKey

NONCE_LENGTH = 32
_DOMAIN = b"shoup-rsa/v1/composite/commitment\x00"


def new_commitment_nonce() -> bytes:
    """32 random bytes for one commitment, secret until it is opened."""
    return random_bytes(NONCE_LENGTH)


def commit(factor: ThresholdPublicKey, nonce: bytes) -> bytes:
    """The commitment, 32 bytes: SHA-256(domain, nonce, encoding of the key), so to N, v, u, v_i, sizes.

    nonce: 32 bytes that nobody else knows yet. Raises TypeError for other types, ValueError for its length.
    """
    if not isinstance(factor, ThresholdPublicKey) or not isinstance(nonce, bytes):
        raise TypeError("a commitment is to a ThresholdPublicKey, with a nonce of bytes")
    if len(nonce) != NONCE_LENGTH:
        raise ValueError(f"the nonce of a commitment has {NONCE_LENGTH} bytes, not {len(nonce)}")
    return hashlib.sha256(_DOMAIN + nonce + factor.to_bytes()).digest()


def check_opening(commitment: bytes, factor: ThresholdPublicKey, nonce: bytes) -> None:
    """Return if the commitment is to this key and nonce. Raises InvalidOpening; TypeError for other types."""
    if not isinstance(commitment, bytes):
        raise TypeError(f"a commitment must be bytes, not {type(commitment).__name__}")
    try:
        expected = commit(factor, nonce)
    except ValueError as error:
        raise InvalidOpening(str(error)) from None
    if not hmac.compare_digest(commitment, expected):
        raise InvalidOpening(
            "the key is not the one that its dealer had committed to: leave this dealer out, and deal anew"
        )
