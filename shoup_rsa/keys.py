"""The public key of a dealing: what verifiers, members and whoever combines shares can do with it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from Crypto.PublicKey import RSA

from shoup_rsa import combine, encoding, share
from shoup_rsa.errors import InvalidKey, InvalidShare
from shoup_rsa.key_data import KeyData, decode_public_key
from shoup_rsa.scheme import Scheme
from shoup_rsa.share import ProofForm, SignatureShare


@dataclass(frozen=True, repr=False)
class ThresholdPublicKey(KeyData):
    """The public key: `KeyData` says what it consists of, and is validated at construction."""

    def share_length(self, proof: ProofForm) -> int:
        """Bytes of an encoded signature share whose proof is "none", "compact" or "batchable"."""
        return share.share_length(self, proof)

    @property
    def fingerprint(self) -> str:
        """For people to compare by voice: the first 160 bits of the key id, in ten groups of four digits.

        Whoever reads out the same has the same key, sizes, epoch and verification keys.
        """
        digits = self.key_id.hex()[:40]
        return " ".join(digits[position : position + 4] for position in range(0, 40, 4))

    @classmethod
    def from_bytes(cls, data: bytes) -> ThresholdPublicKey:
        """Decode strictly: one encoding a key, exact length, everything validated. Raises InvalidKey."""
        return cls(**decode_public_key(data))

    def to_der(self) -> bytes:
        """SubjectPublicKeyInfo of (N, e) in DER: what every stock RSA verifier reads."""
        return RSA.construct((self.modulus, self.public_exponent)).export_key(format="DER")

    def to_pem(self) -> bytes:
        """SubjectPublicKeyInfo of (N, e) as PEM text in ASCII, with a final newline."""
        return RSA.construct((self.modulus, self.public_exponent)).export_key(format="PEM") + b"\n"

    def to_jwk(self, scheme: Scheme | None = None) -> dict[str, str]:
        """The JSON Web Key of (N, e): RFC 7517, 7518 section 6.3.1. "kid" is the thumbprint.

        With a scheme the key is marked for it alone: "alg" is its name, "use" is "sig".
        """
        exponent = self.public_exponent.to_bytes(3, "big")
        modulus = self.modulus.to_bytes(self.signature_length, "big")
        jwk = {"e": _base64url(exponent), "kty": "RSA", "n": _base64url(modulus)}
        thumbprint = hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()
        jwk["kid"] = _base64url(thumbprint)
        if scheme is not None:
            jwk |= {"alg": scheme.value, "use": "sig"}
        return jwk

    @property
    def jwk_thumbprint(self) -> str:
        """RFC 7638 with SHA-256, in base64url: 43 characters. Names (N, e) alone, as JWT headers do."""
        return self.to_jwk()["kid"]

    def check_dealing(self) -> None:
        """Raise InvalidKey unless all v_i lie on one polynomial of degree k - 1, at 0 of which is d.

        The paper's (prod v_j^lambda_j)^e = v in Protocol 2, for all sets at once. Then any `threshold` shares
        that match their verification keys give the same valid signature. Every member runs it once
        when it receives its share. Not shown: that N is a product of two safe primes, nor that the dealer
        forgot what it knew.
        """
        if not combine.is_dealing(self):
            raise InvalidKey(
                "the verification keys are not a dealing of this public key: "
                "do not use it, ask for a new dealing"
            )

    def verify(self, message: bytes, signature: bytes, scheme: Scheme = Scheme.PKCS1V15_SHA256) -> None:
        """Return if `signature` is the one signature of `message` that any quorum of this key makes.

        It is compared with that one signature: a PSS signature with another salt is refused. Raises
        InvalidSignature; TypeError unless both are bytes; ValueError if the key is too short for the scheme.
        """
        encoding.verify_signature(self, message, signature, scheme)

    def verify_share(
        self, message: bytes, signature_share: SignatureShare, scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> None:
        """Return if the share carries a proof that holds for `message` under `scheme`.

        Raises InvalidShare(index, reason) if not, also when there is no proof.
        """
        share.check_form(self, signature_share)
        if signature_share.proof is None:
            raise InvalidShare(signature_share.index, "it carries no proof, so nothing can be said about it")
        representative = encoding.represent(self, message, scheme)
        for culprit in combine.judge(self, representative, [signature_share]).culprits:
            raise culprit

    def verify_shares(
        self, message: bytes, shares: Iterable[SignatureShare], scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> None:
        """Return if every share carries a proof that holds for `message` under `scheme`.

        Batchable proofs are checked all at once, and only if that fails in ever smaller groups, until each
        culprit has failed alone. Compact proofs are checked one by one. Raises InvalidShares(culprits,
        unproven); InvalidShare for an index out of range or two different shares of one index.
        """
        combine.verify_shares(self, encoding.represent(self, message, scheme), shares)

    def combine(
        self, message: bytes, shares: Iterable[SignatureShare], scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> bytes:
        """The signature of `message`, `signature_length` bytes, from at least `threshold` shares.

        Optimistic: it combines the lowest `threshold` indices and verifies the result. Only if that fails it
        checks the proofs, drops the shares proven bad, and combines the others, those proven good first. A
        share is blamed for nothing but its own form and proof. To know who sent a bad share even when the
        combination succeeded without it, ask `verify_shares`: a valid signature does not certify the shares
        it came from.

        Raises NotEnoughShares; CombineFailed(culprits, unproven); InvalidShare for an index out of range or
        two different shares of one index (the caller keeps one share a member).
        """
        return combine.combine(self, encoding.represent(self, message, scheme), shares)


def _base64url(data: bytes) -> str:
    """RFC 7515, section 2: base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
