"""When and where a request for a signature was ordered, and which key is to sign.

Together with the request this determines every byte of the document, so that all members make the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.config.identity import serial
from alliance.proofs.receipt import load_public_key
from quorum.threshold_rsa import AgreementKey

BACKDATED_SECONDS = 300
"""Certificates are valid from so long before their time stamp: clocks of those who check them differ."""


@dataclass(frozen=True)
class Occasion:
    """``alliance`` and ``purpose`` are names, ``key`` the purpose's.

    ``(slot, position, command_index)`` is the request's place in the alliance's order, and ``time_ms`` the
    time stamp of its batch, in milliseconds since 1970. ``root`` is that of the log that ends with its slot.
    """

    alliance: str
    purpose: str
    key: AgreementKey
    slot: int
    position: int
    command_index: int
    time_ms: int
    root: bytes

    @property
    def number(self) -> int:
        """The place as one number below 2^64, which no other request has: ``slot | position, 12 bits |
        command, 12``.
        """
        return self.slot << 24 | self.position << 12 | self.command_index

    @property
    def serial(self) -> int:
        """The serial number of an X.509 certificate: 159 bits that nobody can foretell before the order.

        A digest of all that was ordered up to the request, its own time stamp included. (RFC 5280 wants
        unique ones of at most 20 octets, the CA/Browser Forum wants ones that who asks cannot choose.)
        """
        content = self.key.key_id + self.root + self.number.to_bytes(8)
        return serial(b"alliance/v1 serial\x00" + content)

    @property
    def seconds(self) -> int:
        """The time stamp in whole seconds since 1970."""
        return self.time_ms // 1000

    @cached_property
    def public_key(self) -> RSAPublicKey:
        return load_public_key(self.key.to_pem())
