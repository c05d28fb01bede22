"""Public files in which an organisation's operator offers a new key to an alliance that exists.

The key has signed for its place there. A file has one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.fields import hexed, only
from alliance.config.parties import read_key, read_name
from alliance.errors import ConfigError
from alliance.founding.by_request import read_request
from alliance.founding.public_text import read_text, read_toml, require_unedited
from alliance.keys import ed25519
from consensus.control.draft import key_message
from consensus.control.rows import SIGNATURE_BYTES, Role

OPERATOR_FORMAT = "alliance-operator/1"
OPERATOR_SUFFIX = ".operator"
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
