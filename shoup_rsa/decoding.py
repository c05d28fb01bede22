"""From bytes to a public key of whichever kind they are."""

from __future__ import annotations

from shoup_rsa.composite.key import MAGIC, CompositePublicKey, PublicKey
from shoup_rsa.keys import ThresholdPublicKey


def public_key_from_bytes(data: bytes) -> PublicKey:
    """Decode the canonical encoding of a key of either kind, strictly. Raises InvalidKey.

    TypeError unless data is bytes.
    """
    if isinstance(data, bytes) and data.startswith(MAGIC):
        return CompositePublicKey.from_bytes(data)
    return ThresholdPublicKey.from_bytes(data)
