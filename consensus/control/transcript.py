"""What a membership says of the shares that its members sign with: a digest of the public keys."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from consensus.control.encoding import blob, listed

_DOMAIN = b"alliance-transcript/1\x00"


def transcript_digest(keys: Sequence[bytes]) -> bytes:
    """32 bytes: that which a Ready names, and a membership from the next epoch on::

        H("alliance-transcript/1" 00 | list of blob)

    ``keys`` are the encodings of all public keys of one dealing: the agreement key's, then those of further
    purposes in their order. They hold the members' verification keys, so they say all of what was dealt, and
    whoever gets them from anybody checks them against a membership that is certified. The keys of dealing 0
    are the alliance's founding's, and in place of their digest there are 32 zero bytes.
    """
    return sha256(_DOMAIN + listed(map(blob, keys))).digest()
