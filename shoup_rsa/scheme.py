"""What exactly is signed: six schemes of RFC 8017, named as in RFC 7518 (JSON Web Algorithms)."""

from __future__ import annotations

import hashlib
from enum import Enum

_PSS_SALT_DOMAIN = b"shoup-rsa/v1/pss-salt\x00"
_PSS_TRAILER = 0xBC

# DigestInfo up to the digest itself: RFC 8017, section 9.2, note 1.
_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


class Scheme(Enum):
    """How a message becomes the number that is signed. `Scheme("PS256")` finds one by its JOSE name.

    PKCS1V15_*: RSASSA-PKCS1-v1_5. PSS_*: RSASSA-PSS with MGF1 of the same hash and a salt as long as the
    hash. PSS is meant with a random salt; here it is a hash of modulus and message, so that all members sign
    the same number and any quorum makes the same signature. Verifiers do not notice.
    """

    PKCS1V15_SHA256 = "RS256"
    PKCS1V15_SHA384 = "RS384"
    PKCS1V15_SHA512 = "RS512"
    PSS_SHA256 = "PS256"
    PSS_SHA384 = "PS384"
    PSS_SHA512 = "PS512"

    @property
    def hash_name(self) -> str:
        """The hash, by its name in `hashlib`."""
        return "sha" + self.value[2:]

    def encode(self, message: bytes, modulus: int) -> bytes:
        """The encoded message EM, as long as the modulus, whose length is a multiple of 8 bits.

        Raises TypeError unless the message is bytes, ValueError when the modulus is too short for the scheme.
        """
        if not isinstance(message, bytes):
            raise TypeError(f"the message must be bytes, not {type(message).__name__}")
        digest = hashlib.new(self.hash_name, message).digest()
        length = modulus.bit_length() // 8
        if self.value.startswith("RS"):
            tail = b"\x00" + _DIGEST_INFO[self.hash_name] + digest
            needed = len(tail) + 10  # 00 01 and at least eight FF
        else:
            needed = 2 * len(digest) + 2
        if length < needed:
            raise ValueError(f"{self.value} needs a modulus of {8 * needed} bits, this one has {8 * length}")
        if self.value.startswith("RS"):
            return b"\x00\x01".ljust(length - len(tail), b"\xff") + tail
        return self._encode_pss(digest, modulus, length)

    def _encode_pss(self, digest: bytes, modulus: int, length: int) -> bytes:
        """EMSA-PSS-ENCODE (RFC 8017, section 9.1.1); one bit shorter than the modulus, so the first is 0."""
        named = _PSS_SALT_DOMAIN + modulus.to_bytes(length, "big") + digest
        salt = hashlib.new(self.hash_name, named).digest()
        hashed = hashlib.new(self.hash_name, bytes(8) + digest + salt).digest()
        block = (b"\x01" + salt).rjust(length - len(hashed) - 1, b"\x00")
        masked = int.from_bytes(block, "big") ^ int.from_bytes(self._mask(hashed, len(block)), "big")
        masked &= (1 << (8 * len(block) - 1)) - 1
        return masked.to_bytes(len(block), "big") + hashed + bytes((_PSS_TRAILER,))

    def _mask(self, seed: bytes, length: int) -> bytes:
        """MGF1 (RFC 8017, appendix B.2.1)."""
        mask = b""
        while len(mask) < length:
            counter = (len(mask) // len(seed)).to_bytes(4, "big")
            mask += hashlib.new(self.hash_name, seed + counter).digest()
        return mask[:length]
