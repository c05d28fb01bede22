"""The scheme in which a certificate is the list of the members' own Ed25519 signatures.

Larger (64 bytes a member) and slower to check than one RSA signature, and verifiable only by who knows
the members' keys; but every signature names its maker. Layout: a bitmap of the members, lowest member in
the lowest bit, least significant byte first, then their signatures in the order of the members.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quorum.endorsement import Endorsement, VerifiedEndorsement
from quorum.scheme import CombineFailed, InvalidCertificate, InvalidEndorsement, one_statement
from quorum.statement import Context

SIGNATURE_BYTES = 64


class SignatureSetScheme:
    """Certificates of ``threshold`` individual signatures."""

    def __init__(self, keys: Sequence[Ed25519PublicKey], threshold: int, context: Context) -> None:
        """``keys`` by member; raises ValueError unless 1 <= threshold <= len(keys)."""
        if not 1 <= threshold <= len(keys):
            raise ValueError(f"threshold must be 1 to {len(keys)}, not {threshold}")
        self._keys = tuple(keys)
        self._threshold = threshold
        self._context = context

    @property
    def context(self) -> Context:
        return self._context

    @property
    def last_slot(self) -> None:
        return None

    @property
    def threshold(self) -> int:
        return self._threshold

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        by_member = one_statement(endorsements, self._threshold)
        good: list[Endorsement] = []
        culprits: list[int] = []
        for member in sorted(by_member):
            try:
                self.verify_endorsement(by_member[member])
                good.append(by_member[member])
            except InvalidEndorsement:
                culprits.append(member)
        if len(good) < self._threshold:
            raise CombineFailed(tuple(culprits), ())
        chosen = good[: self._threshold]
        bitmap = sum(1 << endorsement.member for endorsement in chosen)
        return bitmap.to_bytes(self._bitmap_bytes, "little") + b"".join(e.signature for e in chosen)

    def verify(self, message: bytes, signature: bytes) -> None:
        expected = self._bitmap_bytes + self._threshold * SIGNATURE_BYTES
        if len(signature) != expected:
            raise InvalidCertificate(f"a signature set has {expected} bytes, not {len(signature)}")
        bitmap = int.from_bytes(signature[: self._bitmap_bytes], "little")
        members = [member for member in range(len(self._keys)) if bitmap >> member & 1]
        if bitmap >> len(self._keys) or len(members) != self._threshold:
            raise InvalidCertificate(f"the bitmap must name {self._threshold} of {len(self._keys)} members")
        for place, member in enumerate(members):
            start = self._bitmap_bytes + place * SIGNATURE_BYTES
            try:
                self._keys[member].verify(signature[start : start + SIGNATURE_BYTES], message)
            except InvalidSignature:
                raise InvalidCertificate(f"member {member} did not sign this statement") from None

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        member = endorsement.member
        if not 0 <= member < len(self._keys):
            raise InvalidEndorsement(member, "no such member")
        try:
            self._keys[member].verify(endorsement.signature, endorsement.statement.encode(self._context))
        except InvalidSignature:
            raise InvalidEndorsement(member, "its Ed25519 signature is wrong") from None
        return VerifiedEndorsement(endorsement)

    @property
    def _bitmap_bytes(self) -> int:
        return (len(self._keys) + 7) // 8


class Ed25519Endorser:
    """A member's own key as an Endorser; such a signature proves itself, ``proven`` changes nothing."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        return self._key.sign(message)
