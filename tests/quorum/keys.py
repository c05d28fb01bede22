"""Fixed keys for the tests."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def ed25519_keys(count: int) -> list[Ed25519PrivateKey]:
    seeds = (sha256(b"test key %d" % member).digest() for member in range(count))
    return [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
