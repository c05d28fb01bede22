"""The public key of a dealing: what verifiers, members and whoever combines shares need to know."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

from Crypto.PublicKey import RSA

from shoup_rsa import _arith, combine, encoding, share
from shoup_rsa.errors import InvalidKey
from shoup_rsa.share import SignatureShare

PUBLIC_EXPONENT = 65537
KEY_SIZES = range(512, 8192 + 1, 128)
SECURE_KEY_SIZE = 2048
# Delta = parties! and the Lagrange coefficients grow with the parties; beyond this they would cost whoever
# checks a key or combines shares seconds instead of milliseconds.
PARTIES_MAX = 256
EPOCH_MAX = 2**64 - 1

_MAGIC = b"shoup-rsa/public-key\x00"
_VERSION = 1
_PROTOCOL = 2
# version u8, protocol u8, key size u16, parties u16, threshold u16, corruptions u16, epoch u64, e u32
_HEADER = struct.Struct(">BBHHHHQI")

_SMALL_PRIMES_PRODUCT = prod(_arith.small_primes(2000))


def check_sizes(parties: int, threshold: int, corruptions: int, epoch: int) -> None:
    """Raise InvalidKey unless parties < e and corruptions < threshold <= parties - corruptions.

    The first inequality about the threshold is secrecy (the corrupt members alone must not sign), the second
    is liveness (the honest members alone must be able to).
    """
    for name, number in (
        ("parties", parties),
        ("threshold", threshold),
        ("corruptions", corruptions),
        ("epoch", epoch),
    ):
        if type(number) is not int:
            raise InvalidKey(f"{name} must be an integer, not {type(number).__name__}")
    if not 1 <= parties < PUBLIC_EXPONENT:
        raise InvalidKey(
            f"parties = {parties}: must be at least 1 and below the public exponent {PUBLIC_EXPONENT}"
        )
    if parties > PARTIES_MAX:
        raise InvalidKey(f"parties = {parties}: more than {PARTIES_MAX} make combination too slow")
    if not 1 <= threshold <= parties:
        raise InvalidKey(f"threshold = {threshold}: must be in 1..{parties}, the number of parties")
    if corruptions < 0:
        raise InvalidKey(f"corruptions = {corruptions}: must not be negative")
    if corruptions >= threshold:
        raise InvalidKey(
            f"corruptions = {corruptions} of threshold {threshold}: corrupt members alone could sign"
        )
    if threshold > parties - corruptions:
        raise InvalidKey(
            f"threshold = {threshold} of {parties} parties with {corruptions} corruptions: "
            f"the honest members alone could not sign; at most {parties - corruptions} is possible"
        )
    if not 0 <= epoch <= EPOCH_MAX:
        raise InvalidKey(f"epoch = {epoch}: must be in 0..2^64 - 1")


def check_modulus(modulus: int) -> None:
    """Raise InvalidKey for a modulus that is evidently no product of two safe primes.

    Nobody can tell for certain without the factors; what is refused here are cheap mistakes and cheap traps.
    """
    if type(modulus) is not int or modulus < 0 or modulus.bit_length() not in KEY_SIZES:
        raise InvalidKey(
            f"the modulus must have {KEY_SIZES.start}..{KEY_SIZES.stop - 1} bits, "
            f"a multiple of {KEY_SIZES.step}"
        )
    # Safe primes are 3 modulo 4, so their product is 1.
    if modulus % 4 != 1 or _arith.gcd(modulus, _SMALL_PRIMES_PRODUCT) != 1:
        raise InvalidKey("the modulus is not a product of two safe primes")
    if _arith.is_perfect_power(modulus) or _arith.may_be_prime(modulus):
        raise InvalidKey("the modulus is a prime or a perfect power, not a product of two primes")


@dataclass(frozen=True)
class ThresholdPublicKey:
    """N, e, the sizes, and Shoup's verification keys. Every instance has been validated at construction.

    modulus: N, a product of two safe primes, of exactly `key_size` bits.
    public_exponent: e = 65537, prime and above `parties`.
    parties, threshold, corruptions: n, k and t with t < k <= n - t.
    epoch: the generation of the key, 0..2^64 - 1; it enters the key id and with it every proof.
    verification_base: v, a square. verification_keys: v_i = v^(s_i) for i = 1..n, in this order.
    nonresidue: u with Jacobi symbol (u | N) = -1.

    Raises InvalidKey when a range, a size or a Jacobi symbol is wrong. Validation does not show that the
    dealing is consistent: `check_dealing` does.
    """

    modulus: int
    public_exponent: int
    parties: int
    threshold: int
    corruptions: int
    epoch: int
    verification_base: int
    verification_keys: tuple[int, ...]
    nonresidue: int

    def __post_init__(self) -> None:
        check_sizes(self.parties, self.threshold, self.corruptions, self.epoch)
        if type(self.public_exponent) is not int or self.public_exponent != PUBLIC_EXPONENT:
            raise InvalidKey(f"the public exponent must be {PUBLIC_EXPONENT}")
        check_modulus(self.modulus)
        if type(self.verification_keys) is not tuple or len(self.verification_keys) != self.parties:
            raise InvalidKey(f"there must be a tuple of {self.parties} verification keys, one a party")
        # A Jacobi symbol other than 0 also says that the number has no factor in common with N.
        self._check_number("verification base", self.verification_base, symbol=1)
        if _arith.gcd(self.verification_base - 1, self.modulus) != 1:
            raise InvalidKey("the verification base does not generate the squares")
        for index, verification_key in enumerate(self.verification_keys, start=1):
            self._check_number(f"verification key {index}", verification_key, symbol=1)
        self._check_number("nonresidue", self.nonresidue, symbol=-1)

    def _check_number(self, name: str, number: int, symbol: int) -> None:
        if type(number) is not int or not 1 <= number < self.modulus:
            raise InvalidKey(f"the {name} is not in 1..N-1")
        if _arith.jacobi(number, self.modulus) != symbol:
            raise InvalidKey(f"the Jacobi symbol of the {name} is not {symbol:+d}")

    def __repr__(self) -> str:
        return (
            f"ThresholdPublicKey(key_id={self.key_id.hex()[:16]}, key_size={self.key_size}, "
            f"parties={self.parties}, threshold={self.threshold}, corruptions={self.corruptions}, "
            f"epoch={self.epoch})"
        )

    @property
    def key_size(self) -> int:
        """The length of the modulus in bits, exactly."""
        return self.modulus.bit_length()

    @property
    def signature_length(self) -> int:
        """Bytes of a signature."""
        return self.key_size // 8

    def share_length(self, with_proof: bool) -> int:
        """Bytes of an encoded signature share with or without its proof."""
        return share.share_length(self.key_size, with_proof)

    @cached_property
    def key_id(self) -> bytes:
        """32 bytes: SHA-256 of the canonical encoding. Names the key, its sizes and its epoch."""
        return hashlib.sha256(self.to_bytes()).digest()

    @cached_property
    def nonresidue_to_exponent(self) -> int:
        """u^e, which moves a message with Jacobi symbol -1 to +1."""
        return _arith.power(self.nonresidue, self.public_exponent, self.modulus)

    @cached_property
    def nonresidue_inverse(self) -> int:
        """1 / u, which takes u^e out of the signature again."""
        return _arith.inverse(self.nonresidue, self.modulus)

    def to_bytes(self) -> bytes:
        """The canonical encoding, version 1; numbers big-endian, those modulo N of key_size / 8 bytes each.

        "shoup-rsa/public-key" 00 | version u8 | protocol u8 = 2 | key_size u16 | parties u16 | threshold u16
        | corruptions u16 | epoch u64 | e u32 | N | v | u | v_1 .. v_n
        """
        sizes = (
            self.key_size,
            self.parties,
            self.threshold,
            self.corruptions,
            self.epoch,
            self.public_exponent,
        )
        numbers = (self.modulus, self.verification_base, self.nonresidue, *self.verification_keys)
        body = b"".join(number.to_bytes(self.signature_length, "big") for number in numbers)
        return _MAGIC + _HEADER.pack(_VERSION, _PROTOCOL, *sizes) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> ThresholdPublicKey:
        """Decode strictly: one encoding a key, exact length, everything validated. Raises InvalidKey."""
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded public key must be bytes, not {type(data).__name__}")
        start = len(_MAGIC) + _HEADER.size
        if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
            raise InvalidKey("this is not an encoded threshold public key")
        version, protocol, key_size, parties, threshold, corruptions, epoch, exponent = _HEADER.unpack_from(
            data, len(_MAGIC)
        )
        if (version, protocol) != (_VERSION, _PROTOCOL):
            raise InvalidKey(
                f"encoding version {version}, protocol {protocol} is unknown; "
                f"this code reads version {_VERSION}, protocol {_PROTOCOL}"
            )
        if key_size not in KEY_SIZES:
            raise InvalidKey(f"a key size of {key_size} bits is not supported")
        check_sizes(parties, threshold, corruptions, epoch)
        width = key_size // 8
        if len(data) != start + (3 + parties) * width:
            raise InvalidKey(
                f"the encoding should have {start + (3 + parties) * width} bytes, not {len(data)}"
            )
        modulus, base, nonresidue, *keys = (
            int.from_bytes(data[position : position + width], "big")
            for position in range(start, len(data), width)
        )
        if modulus.bit_length() != key_size:
            raise InvalidKey(f"the modulus does not have exactly {key_size} bits")
        return cls(modulus, exponent, parties, threshold, corruptions, epoch, base, tuple(keys), nonresidue)

    def to_der(self) -> bytes:
        """SubjectPublicKeyInfo of (N, e) in DER: what every stock RSA verifier reads."""
        return RSA.construct((self.modulus, self.public_exponent)).export_key(format="DER")

    def to_pem(self) -> bytes:
        """SubjectPublicKeyInfo of (N, e) as PEM text in ASCII, with a final newline."""
        return RSA.construct((self.modulus, self.public_exponent)).export_key(format="PEM") + b"\n"

    def check_dealing(self) -> None:
        """Raise InvalidKey unless (prod v_j^lambda_j)^e = v for windows of members that cover all of them.

        Shoup, Protocol 2: v^(d e) = v. It shows that all verification keys lie on one polynomial through d,
        so that any `threshold` shares that match their keys give the same valid signature. Every member runs
        it once when it receives its share. Not shown: that N is a product of two safe primes, nor that the
        dealer forgot what it knew.
        """
        if not combine.check_dealing(self):
            raise InvalidKey(
                "the verification keys are not a dealing of this public key: "
                "do not use it, ask for a new dealing"
            )

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` is the RSASSA-PKCS1-v1_5 signature with SHA-256 of `message`.

        Raises InvalidSignature if not; TypeError unless both are bytes.
        """
        encoding.verify_signature(self, message, signature)

    def verify_share(self, message: bytes, signature_share: SignatureShare) -> None:
        """Return if the share carries a proof that holds for `message`.

        Raises InvalidShare(index, reason) if not, also when there is no proof.
        """
        share.verify_share(self, message, signature_share)

    def combine(self, message: bytes, shares: Iterable[SignatureShare]) -> bytes:
        """The signature of `message`, `signature_length` bytes, from at least `threshold` shares.

        Optimistic: it combines the lowest `threshold` indices and verifies the result. Only if that fails it
        checks the proofs, drops the shares proven bad, and combines the others, those proven good first. A
        share is blamed for nothing but its own form and proof. To know who sent a bad share even when the
        combination succeeded without it, ask `verify_share`: a valid signature does not certify the shares it
        came from.

        Raises NotEnoughShares; CombineFailed(culprits, unproven); InvalidShare for an index out of range or
        two different shares of one index (the caller keeps one share a member).
        """
        return combine.combine(self, message, shares)
