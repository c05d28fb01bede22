"""The public key of a dealing, with one modulus."""

from __future__ import annotations

from dataclasses import dataclass

from shoup_rsa import combine, encoding, share
from shoup_rsa.errors import InvalidKey
from shoup_rsa.key_data import KeyData, decode_public_key
from shoup_rsa.resolve import AnySignatureShare, ProofForm, Represented
from shoup_rsa.scheme import Scheme
from shoup_rsa.share import SignatureShare


@dataclass(frozen=True, repr=False)
class ThresholdPublicKey(KeyData):
    """The public key: `KeyData` says what it consists of, and is validated at construction."""

    def share_length(self, proof: ProofForm) -> int:
        """Bytes of an encoded signature share whose proof is "none", "compact" or "batchable"."""
        return share.share_length(self, proof)

    @property
    def factors(self) -> tuple[ThresholdPublicKey, ...]:
        """This key, which has one dealer."""
        return (self,)

    def with_factors(self, factors: tuple[ThresholdPublicKey, ...]) -> ThresholdPublicKey:
        """The only one of them."""
        (key,) = factors
        return key

    @classmethod
    def from_bytes(cls, data: bytes) -> ThresholdPublicKey:
        """Decode strictly: one encoding a key, exact length, everything validated. Raises InvalidKey."""
        return cls(**decode_public_key(data))

    def share_from_bytes(self, data: bytes) -> SignatureShare:
        """See `SignatureShare.from_bytes`."""
        return SignatureShare.from_bytes(self, data)

    def share_to_bytes(self, signature_share: AnySignatureShare) -> bytes:
        """See `SignatureShare.to_bytes`."""
        return share.to_bytes(self, signature_share)

    def check_share_form(self, signature_share: AnySignatureShare) -> None:
        """Everything about a share that needs no exponentiation. Raises InvalidShare, TypeError."""
        share.check_form(self, signature_share)

    def represent(self, message: bytes, scheme: Scheme) -> Represented:
        """The message as a power of these members' secrets; see `encoding.Representative`."""
        return combine.SingleMessage(encoding.represent(self, message, scheme))

    def check_dealing(self) -> None:
        """Raise InvalidKey unless all v_i lie on one polynomial of degree k - 1, at 0 of which is d."""
        if not combine.is_dealing(self):
            raise InvalidKey(
                "the verification keys are not a dealing of this public key: "
                "do not use it, ask for a new dealing"
            )
