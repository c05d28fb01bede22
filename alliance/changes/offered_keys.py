"""Public files in which somebody offers a new key to an alliance that exists, for its operators to bring in.

``OfferedOperator`` is the key of an organisation's operator, which has signed for its place there;
``OfferedReceiver`` the first receiver key of a member that a dealer made, signed by the member's identity.
Each has one spelling.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.fields import hexed, only, value
from alliance.config.parties import read_key, read_name
from alliance.errors import ConfigError
from alliance.founding.by_request import read_request
from alliance.founding.public_text import read_text, read_toml, require_unedited
from alliance.keys import ed25519
from consensus.control.draft import key_message
from consensus.control.rows import SIGNATURE_BYTES, Role, receiver_statement
from quorum.receivers import InvalidReceiver, read_receiver

OPERATOR_FORMAT, RECEIVER_FORMAT = "alliance-operator/1", "alliance-receiver/1"
OPERATOR_SUFFIX, RECEIVER_SUFFIX = ".operator", ".receiver"
FILE_BYTES_MAX = 16 * 1024
AGAIN = "ask whoever made it for the file again"


@dataclass(frozen=True, slots=True)
class OfferedOperator:
    """``key`` is an Ed25519 public key, 32 bytes; ``proof`` its signature on ``draft.key_message``."""

    alliance_id: bytes
    organisation: str
    key: bytes
    proof: bytes = field(repr=False)

    @classmethod
    def made_with(cls, key: Ed25519PrivateKey, alliance_id: bytes, organisation: str) -> OfferedOperator:
        """Of whoever holds the private key."""
        public = key.public_key().public_bytes_raw()
        message = key_message(alliance_id, organisation, Role.OPERATOR, public)
        return cls(alliance_id, organisation, public, key.sign(message))

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            f"# The key of the operator of '{self.organisation}'. Public, never edited.",
            f'format = "{OPERATOR_FORMAT}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f'organisation = "{self.organisation}"',
            f'key = "{self.key.hex()}"',
            f'proof = "{self.proof.hex()}"',
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> OfferedOperator:
        """``where`` is the file, which errors begin with. Raises ConfigError, also for a false proof."""
        table = read_toml(text, where, "operator's key", OPERATOR_FORMAT, AGAIN)
        only(table, ("format", "alliance_id", "organisation", "key", "proof"), where)
        found = cls(
            hexed(table, "alliance_id", 32, where),
            read_name(table, where, "organisation"),
            read_key(table, "key", where),
            hexed(table, "proof", SIGNATURE_BYTES, where),
        )
        message = key_message(found.alliance_id, found.organisation, Role.OPERATOR, found.key)
        if not ed25519.is_signed(found.key, found.proof, message):
            raise ConfigError(f"{where}: its proof does not fit; {AGAIN}")
        require_unedited(found.to_toml(), text, where, "'alliance operator key' makes it", AGAIN)
        return found


def read_operator(path: Path) -> OfferedOperator:
    """Of an operator's own file, or of the request of a member of a new organisation. Raises ConfigError."""
    text = read_text(path, FILE_BYTES_MAX, "an operator's key")
    if f'format = "{OPERATOR_FORMAT}"\n' in text:
        return OfferedOperator.from_toml(text, str(path))
    request = read_request(path)
    if request.seat is None or request.admission is None:
        raise ConfigError(
            f"{path} brings no operator's key to an alliance that exists: name the request of a member for"
            " it, or what 'alliance operator key' has made"
        )
    asked, seat = request.admission, request.seat
    return OfferedOperator(asked.alliance_id, seat.organisation, seat.operator, asked.operator_proof)


@dataclass(frozen=True, slots=True)
class OfferedReceiver:
    """``key`` is an encoded ``quorum.receivers.ReceiverKey`` of the member ``name``; its identity has signed
    that. Whose identity that is, the alliance says."""

    alliance_id: bytes
    name: str
    key: bytes
    signature: bytes = field(repr=False)

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            f"# To this key '{self.name}' can be dealt shares. Public, never edited.",
            f'format = "{RECEIVER_FORMAT}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f'name = "{self.name}"',
            f'receiver_key = "{base64.b64encode(self.key).decode()}"',
            f'receiver_signature = "{self.signature.hex()}"',
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> OfferedReceiver:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        table = read_toml(text, where, "receiver key", RECEIVER_FORMAT, AGAIN)
        only(table, ("format", "alliance_id", "name", "receiver_key", "receiver_signature"), where)
        found = cls(
            hexed(table, "alliance_id", 32, where),
            read_name(table, where),
            _receiver(table, where),
            hexed(table, "receiver_signature", SIGNATURE_BYTES, where),
        )
        require_unedited(found.to_toml(), text, where, "'alliance member receiver-key' makes it", AGAIN)
        return found

    def is_signed_by(self, identity: bytes) -> bool:
        """Whether it is the key of the member with this identity."""
        return ed25519.is_signed(identity, self.signature, receiver_statement(self.name, identity, self.key))


def read_offered_receiver(path: Path) -> OfferedReceiver:
    """Raises ConfigError with the file's name."""
    return OfferedReceiver.from_toml(read_text(path, FILE_BYTES_MAX, "a receiver key"), str(path))


def _receiver(table: Mapping[str, Any], where: str) -> bytes:
    try:
        encoded = base64.b64decode(value(table, "receiver_key", str, where), validate=True)
        read_receiver(encoded)
    except (ValueError, InvalidReceiver) as error:
        raise ConfigError(f"{where}: 'receiver_key' is none: {error}; {AGAIN}") from None
    return encoded
