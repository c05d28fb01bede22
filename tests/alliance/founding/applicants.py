"""Parties that ask to be in an alliance, with all their secrets in one hand."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from alliance.founding.request import Request, Seat, request_as_client, request_as_member
from quorum.receivers import ReceiverSecret
from tests.worlds.founding import receiver

NAMES = ("anna", "bert", "carl", "dora", "emil", "fritz")
KEY_SIZE = 2048


@dataclass
class Applicant:
    """A member to be. ``operator`` may be another member's, too."""

    name: str
    organisation: str
    receiver: ReceiverSecret
    operator: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    identity: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    opening: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)

    @functools.cached_property
    def request(self) -> Request:
        return self._asks(self.opening.public_key())

    def asks(self, alliance_id: bytes) -> Request:
        """Its request to be in an alliance that exists."""
        return self._asks(alliance_id)

    def _asks(self, place: X25519PublicKey | bytes) -> Request:
        address = f"{self.name}.example:7400"
        keys = self.identity, self.operator
        return request_as_member(self.name, self.organisation, address, *keys, place, self.receiver.key)

    def says(self, **changes: object) -> Request:
        """Its request with other fields, signed by its own identity nevertheless."""
        seat = self.request.seat
        assert seat is not None
        own = {key: changes.pop(key) for key in list(changes) if key in Seat.__dataclass_fields__}
        altered = replace(self.request, seat=replace(seat, **own), **changes)  # type: ignore[arg-type]
        return replace(altered, signature=self.identity.sign(altered.statement()))


def applicants() -> list[Applicant]:
    """Six members to be; anna and fritz are of one organisation."""
    made = [Applicant(name, f"{name}-ag", receiver(number)) for number, name in enumerate(NAMES)]
    return [*made[:5], replace(made[5], organisation="anna-ag", operator=made[0].operator)]


def client(name: str, organisation: str = "") -> Request:
    return request_as_client(name, Ed25519PrivateKey.generate(), organisation)
