"""OpenSSH certificates for users and hosts (OpenSSH's PROTOCOL.certkeys), signed by rsa-sha2-256."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from alliance.config.fields import only, texts, value
from alliance.errors import ConfigError
from alliance.signing import rules, shares
from alliance.signing.occasion import BACKDATED_SECONDS, Occasion

TYPES = {"user": 1, "host": 2}
EXTENSIONS = (
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
)
"""What a user's certificate may permit; in the order in which certificates must hold them."""
_PRINCIPAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")
_FIELDS = ("key", "type", "principals", "lifetime_seconds", "extensions")


@dataclass(frozen=True, slots=True)
class SshRequest:
    """``key`` is the public key to certify, as ``type base64``. Raises ConfigError."""

    KIND: ClassVar[str] = "ssh"
    key: str
    type: str
    principals: tuple[str, ...]
    lifetime_seconds: int
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if public_key(self.key) != self.key:
            raise ConfigError("the key is not written as its type and its base64")
        if self.type not in TYPES:
            raise ConfigError(f"a certificate is for a 'user' or a 'host', not for {self.type!r:.80}")
        rules.several("principals", self.principals, _PRINCIPAL)
        rules.count("the lifetime in seconds", self.lifetime_seconds, rules.SECONDS_MAX)
        if list(self.extensions) != [one for one in EXTENSIONS if one in self.extensions]:
            raise ConfigError(f"extensions are some of {', '.join(EXTENSIONS)}, in this order")
        if self.extensions and self.type == "host":
            raise ConfigError("a host's certificate has no extensions")

    @property
    def summary(self) -> str:
        return f"an SSH certificate for {self.type} {', '.join(self.principals)}, {self.lifetime_seconds} s"

    def to_table(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "type": self.type,
            "principals": list(self.principals),
            "lifetime_seconds": self.lifetime_seconds,
            "extensions": list(self.extensions),
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> SshRequest:
        """Raises ConfigError."""
        only(table, _FIELDS, where)
        return cls(
            value(table, "key", str, where),
            value(table, "type", str, where),
            texts(table, "principals", where),
            value(table, "lifetime_seconds", int, where),
            texts(table, "extensions", where),
        )

    def message(self, occasion: Occasion) -> bytes:
        """The bytes to be signed: all of the certificate before its signature."""
        kind, _, encoded = self.key.partition(" ")
        blob = base64.b64decode(encoded)
        numbers = blob[4 + len(kind) :]  # the key without its type, as certificates hold it
        # A nonce is to be unknown to the requester beforehand. This one depends on the request's place.
        nonce = sha256(b"alliance/v1 ssh nonce\x00" + occasion.key.key_id + _u64(occasion.number)).digest()
        key_id = f"{occasion.alliance}/{occasion.purpose}/{occasion.number}"
        ssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        authority = base64.b64decode(occasion.public_key.public_bytes(*ssh).split()[1])
        return b"".join(
            (
                _string(kind.encode() + b"-cert-v01@openssh.com"),
                _string(nonce),
                numbers,
                _u64(occasion.number),
                struct.pack(">I", TYPES[self.type]),
                _string(key_id.encode()),
                _string(b"".join(_string(one.encode()) for one in self.principals)),
                _u64(max(0, occasion.seconds - BACKDATED_SECONDS)),
                _u64(occasion.seconds + self.lifetime_seconds),
                _string(b""),  # critical options
                _string(b"".join(_string(one.encode()) + _string(b"") for one in self.extensions)),
                _string(b""),  # reserved
                _string(authority),
            )
        )

    def document(self, occasion: Occasion, message: bytes, signature: bytes) -> bytes:
        """The certificate as the line of a ``-cert.pub`` file."""
        return shares.ssh_certificate(occasion.key, message, signature) + b"\n"


@dataclass(frozen=True, slots=True)
class SshPolicy:
    """What one member allows."""

    KINDS: ClassVar[tuple[str, ...]] = (SshRequest.KIND,)
    types: tuple[str, ...]
    principals: tuple[str, ...]
    lifetime_seconds_max: int
    extensions: tuple[str, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> SshPolicy:
        """Raises ConfigError."""
        only(table, ("types", "principals", "lifetime_seconds_max", "extensions"), where)
        return cls(
            rules.choice(table, "types", TYPES, where),
            rules.patterns(table, "principals", where),
            rules.most(table, "lifetime_seconds_max", where),
            rules.choice(table, "extensions", EXTENSIONS, where),
        )

    def judge(self, request: object) -> None:
        """Raises Refused."""
        if not isinstance(request, SshRequest):
            raise rules.Refused("this key signs SSH certificates only")
        rules.require("a certificate for a", request.type, request.type in self.types)
        for principal in request.principals:
            rules.require("the principal", principal, rules.allows(self.principals, principal))
        rules.require_within("the lifetime in seconds", request.lifetime_seconds, self.lifetime_seconds_max)
        for extension in request.extensions:
            rules.require("the extension", extension, extension in self.extensions)


def public_key(line: str) -> str:
    """The key of a line of a ``.pub`` file, without its comment. Raises ConfigError."""
    try:
        key = rules.key(serialization.load_ssh_public_key(line.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("this is no SSH public key: name the .pub file that ssh-keygen made") from None
    written = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    if line.split()[:2] != written.split():  # a key on a security token is read as if it were none
        raise ConfigError("keys of this type are not certified here")
    return written


def _string(data: bytes) -> bytes:
    """RFC 4251, section 5."""
    return struct.pack(">I", len(data)) + data


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")
