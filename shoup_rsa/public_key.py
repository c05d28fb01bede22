"""What every kind of public key offers, so that callers need not know which kind they hold.

`ThresholdPublicKey` has one modulus from one dealer. `shoup_rsa.composite.CompositePublicKey` has a product
of such moduli, each from another dealer. Sessions, requests, files and documents take either, and ask it for
the rest: it alone knows its shares, and what a message is to its members.
"""

from __future__ import annotations

import base64
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable

from Crypto.PublicKey import RSA

from shoup_rsa import _arith, resolve
from shoup_rsa.errors import InvalidShare, InvalidSignature
from shoup_rsa.resolve import AnySignatureShare, ProofForm, Represented
from shoup_rsa.scheme import Scheme


class BasePublicKey(ABC):
    """(N, e) for every RSA verifier; sizes, epoch and name for the members; and how shares become signatures.

    modulus, public_exponent: N and e = 65537. parties, threshold, corruptions: n, k and t with
    t < k <= n - t. epoch: the generation of the key, 0..2^64 - 1. protocol: of its shares, 1, 2 or 3.
    """

    modulus: int
    public_exponent: int
    parties: int
    threshold: int
    corruptions: int
    epoch: int
    protocol: int

    @property
    def key_size(self) -> int:
        """The length of the modulus in bits, exactly."""
        return self.modulus.bit_length()

    @property
    def signature_length(self) -> int:
        """Bytes of a signature."""
        return self.key_size // 8

    @property
    @abstractmethod
    def key_id(self) -> bytes:
        """32 bytes: SHA-256 of the canonical encoding. Names the key, its sizes and its epoch."""

    @property
    @abstractmethod
    def encoding_version(self) -> int:
        """Of the encodings of its shares: 1, 2 or 3 (see `shoup_rsa.key_data`), and 4 for composite keys."""

    @property
    @abstractmethod
    def secret_length(self) -> int:
        """Bytes of what a sealed key share holds under its encryption."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """The canonical encoding."""

    @abstractmethod
    def check_dealing(self) -> None:
        """Raise InvalidKey unless all v_i lie on one polynomial of degree k - 1, at 0 of which is d.

        The paper's (prod v_j^lambda_j)^e = v in Protocol 2, for all sets at once. Then any `threshold` shares
        that match their verification keys give the same valid signature. Every member runs it once
        when it receives its share. Not shown: that N is a product of two safe primes, nor that the dealer
        forgot what it knew.
        """

    @abstractmethod
    def share_length(self, proof: ProofForm) -> int:
        """Bytes of an encoded signature share whose proof is "none", "compact" or "batchable"."""

    @abstractmethod
    def share_from_bytes(self, data: bytes) -> AnySignatureShare:
        """Decode a signature share of this key strictly; the proof is NOT checked here.

        Raises InvalidShare for everything that is not the one encoding of a well-formed share; TypeError
        unless data is bytes.
        """

    @abstractmethod
    def share_to_bytes(self, signature_share: AnySignatureShare) -> bytes:
        """The one encoding of a share. Raises InvalidShare if it is no well-formed share of this key."""

    @abstractmethod
    def check_share_form(self, signature_share: AnySignatureShare) -> None:
        """Everything about a share that needs no exponentiation. Raises InvalidShare, TypeError."""

    @abstractmethod
    def represent(self, message: bytes, scheme: Scheme) -> Represented:
        """The message as the members of this key see it.

        Raises TypeError unless the message is bytes and the scheme a Scheme; ValueError if the key is too
        short for the scheme, or the encoded message shares a factor with the modulus.
        """

    @property
    def fingerprint(self) -> str:
        """For people to compare by voice: the first 160 bits of the key id, in ten groups of four digits.

        Whoever reads out the same has the same key, sizes, epoch and verification keys.
        """
        digits = self.key_id.hex()[:40]
        return " ".join(digits[position : position + 4] for position in range(0, 40, 4))

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

    def verify(self, message: bytes, signature: bytes, scheme: Scheme = Scheme.PKCS1V15_SHA256) -> None:
        """Return if `signature` is the one signature of `message` that any quorum of this key makes.

        By re-encoding and comparing, never by parsing (RFC 8017, section 8.2.2, for all schemes): a PSS
        signature with another salt is refused. Raises InvalidSignature; TypeError unless both are bytes;
        ValueError if the key is too short for the scheme.
        """
        if not isinstance(signature, bytes):
            raise TypeError(f"the signature must be bytes, not {type(signature).__name__}")
        expected = scheme.encode(message, self.modulus)
        length = self.signature_length
        if len(signature) != length:
            raise InvalidSignature(f"a signature of this key has {length} bytes, not {len(signature)}")
        number = int.from_bytes(signature, "big")
        if number >= self.modulus:
            raise InvalidSignature("the signature is not smaller than the modulus")
        opened = _arith.power(number, self.public_exponent, self.modulus)
        if opened.to_bytes(length, "big") != expected:
            raise InvalidSignature("the signature does not match this message under this key and scheme")

    def verify_share(
        self, message: bytes, signature_share: AnySignatureShare, scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> None:
        """Return if the share carries a proof that holds for `message` under `scheme`.

        Raises InvalidShare(index, reason) if not, also when there is no proof.
        """
        self.check_share_form(signature_share)
        if signature_share.proof is None:
            raise InvalidShare(signature_share.index, "it carries no proof, so nothing can be said about it")
        for culprit in self.represent(message, scheme).judge([signature_share]).culprits:
            raise culprit

    def verify_shares(
        self, message: bytes, shares: Iterable[AnySignatureShare], scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> None:
        """Return if every share carries a proof that holds for `message` under `scheme`.

        Batchable proofs are checked all at once, and only if that fails in ever smaller groups, until each
        culprit has failed alone. Compact proofs are checked one by one. Raises InvalidShares(culprits,
        unproven); InvalidShare for an index out of range or two different shares of one index.
        """
        resolve.verify_shares(self.represent(message, scheme), shares)

    def combine(
        self, message: bytes, shares: Iterable[AnySignatureShare], scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> bytes:
        """The signature of `message`, `signature_length` bytes, from at least `threshold` shares.

        Optimistic: it combines the lowest `threshold` indices and verifies the result. Only if that fails it
        checks the proofs, drops the shares proven bad, and combines the others, those proven good first. A
        share is blamed for nothing but its own form and proof. To know who sent a bad share even when the
        combination succeeded without it, ask `verify_shares`: a valid signature does not certify the shares
        it came from.

        Raises NotEnoughShares; CombineFailed(culprits, unproven), for a composite key with a bad factor its
        subclass BadFactor; InvalidShare for an index out of range or two different shares of one index (the
        caller keeps one share a member).
        """
        return resolve.combine(self.represent(message, scheme), shares)


def _base64url(data: bytes) -> str:
    """RFC 7515, section 2: base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
