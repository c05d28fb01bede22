"""A member's receiver key in alliance.toml: to this it is dealt the next time that shares are handed on.

The encoding itself is read by ``quorum.receivers``, when somebody deals. Here it is bytes that the member's
identity has signed: whoever could put another key in its place would read what others deal to that member.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alliance.config.fields import value
from alliance.errors import ConfigError
from consensus.control.rows import receiver_statement

KEY_BYTES_MAX = 4096
"""One for shared keys of 8192 bits has 3482."""
FIELDS = ("receiver_key", "receiver_signature")


@dataclass(frozen=True, slots=True)
class Receiver:
    """``key`` is an encoded ``quorum.receivers.ReceiverKey``; the identity has signed its ``statement``."""

    key: bytes
    signature: bytes = field(repr=False)

    @staticmethod
    def statement(name: str, identity: bytes, key: bytes) -> bytes:
        """What the identity (32 bytes) of the member of this name signs."""
        return receiver_statement(name, identity, key)

    def to_lines(self) -> list[str]:
        """In TOML, as ``read`` reads it."""
        key = base64.b64encode(self.key).decode()
        return [f'receiver_key = "{key}"', f'receiver_signature = "{self.signature.hex()}"']


def read(table: Mapping[str, Any], name: str, identity: bytes, where: str) -> Receiver | None:
    """None when the table has no such key. Raises ConfigError, also when the identity did not sign it."""
    if not any(key in table for key in FIELDS):
        return None
    texts = [value(table, key, str, where) for key in FIELDS]
    try:
        receiver = Receiver(base64.b64decode(texts[0], validate=True), bytes.fromhex(texts[1]))
        if len(receiver.key) > KEY_BYTES_MAX:
            raise ValueError(f"it has more than {KEY_BYTES_MAX} bytes")
        public = Ed25519PublicKey.from_public_bytes(identity)
        public.verify(receiver.signature, Receiver.statement(name, identity, receiver.key))
    except (ValueError, InvalidSignature):  # binascii.Error is a ValueError
        raise ConfigError(
            f"{where}: the receiver key of '{name}' is not one that its identity has signed: it was altered;"
            " get a fresh copy"
        ) from None
    return receiver
