"""When and where a request for a signature was ordered, and which key is to sign.

Together with the request this determines every byte of the document, so that all members make the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.proofs.receipt import load_public_key
from quorum.threshold_rsa import AgreementKey

BACKDATED_SECONDS = 300
"""Certificates are valid from so long before their time stamp: clocks of those who check them differ."""


@dataclass(frozen=True)
class Occasion:
    """``alliance`` and ``purpose`` are names, ``key`` the purpose's.

    ``(slot, position, command_index)`` is the request's place in the alliance's order, and ``time_ms`` the
    time stamp of its batch, in milliseconds since 1970.
    """

    alliance: str
    purpose: str
    key: AgreementKey
    slot: int
    position: int
    command_index: int
    time_ms: int

    @property
    def number(self) -> int:
        """The place as one number below 2^64, which no other request has: ``slot | position, 12 bits |
        command, 12``.
        """
        return self.slot << 24 | self.position << 12 | self.command_index

    @property
    def seconds(self) -> int:
        """The time stamp in whole seconds since 1970."""
        return self.time_ms // 1000

    @cached_property
    def public_key(self) -> RSAPublicKey:
        return load_public_key(self.key.to_pem())
