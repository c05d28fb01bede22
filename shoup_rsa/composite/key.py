"""The public key of several dealers: a product of moduli, each of which is the modulus of a key of its own.

    "shoup-rsa/composite-key" 00 | version u8 = 1 | number of factors u8 | each factor's encoding, in order

Factors have the same sizes, so their encodings (`shoup_rsa.key_data`) have the same length.
"""

from __future__ import annotations

import hashlib
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from itertools import combinations
from math import prod

from shoup_rsa import _arith
from shoup_rsa.composite import signature_share as shares
from shoup_rsa.composite.message import CompositeMessage
from shoup_rsa.composite.signature_share import CompositeSignatureShare
from shoup_rsa.encoding import represent_number
from shoup_rsa.errors import InvalidKey
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.resolve import AnySignatureShare, ProofForm
from shoup_rsa.scheme import Scheme
from shoup_rsa.share import share_length
from shoup_rsa.sizes import FACTORS_MAX, SECURE_KEY_SIZE

FACTORS = range(2, FACTORS_MAX + 1)
KEY_SIZE_MAX = 16384
"""OpenSSL verifies no signature under a longer modulus."""

PARTIES_MAX = 256
"""Every member's file holds the whole public key."""

MAGIC = b"shoup-rsa/composite-key\x00"
_VERSION = 1
_FACTOR_DOMAIN = b"shoup-rsa/v1/composite/factor\x00"
_SAME = (
    "key_size",
    "protocol",
    "parties",
    "threshold",
    "corruptions",
    "epoch",
    "index_bound",
    "secret_bits",
)


@dataclass(frozen=True, repr=False)
class CompositePublicKey(BasePublicKey):
    """N = N_1 ... N_m with e = 65537, to sign under which takes a quorum's shares for every factor.

    factors: the keys of m = 2..7 dealers, in an order that is part of the key. Of Protocol 2 or 3, of the
    same sizes and the same epoch, for 256 parties at most; coprime; N as long as all factors together
    (each dealer's `generate_threshold_key(..., factors=m)` sees to it), and of 16,384 bits at most.
    insecure_small_key: for tests, let factors be shorter than 2048 bits. N is as hard to factor as the
    hardest N_i, so a short factor makes its dealer nobody.

    Raises InvalidKey, which says which factor is wrong. What a dealer could have chosen after it saw the
    others' keys is not seen here: have them commit first (`commit`, `check_opening`).
    """

    factors: tuple[ThresholdPublicKey, ...]
    insecure_small_key: InitVar[bool] = False
    modulus: int = field(init=False, compare=False)
    public_exponent: int = field(init=False, compare=False)
    parties: int = field(init=False, compare=False)
    threshold: int = field(init=False, compare=False)
    corruptions: int = field(init=False, compare=False)
    epoch: int = field(init=False, compare=False)
    protocol: int = field(init=False, compare=False)

    def __post_init__(self, insecure_small_key: bool) -> None:
        check_factors(self.factors)
        first = self.factors[0]
        if first.key_size < SECURE_KEY_SIZE and not insecure_small_key:
            raise InvalidKey(
                f"factors of {first.key_size} bits can be factored: each must have {SECURE_KEY_SIZE}; "
                "tests may pass insecure_small_key=True"
            )
        object.__setattr__(self, "modulus", prod(factor.modulus for factor in self.factors))
        for name in ("public_exponent", "parties", "threshold", "corruptions", "epoch", "protocol"):
            object.__setattr__(self, name, getattr(first, name))

    def __repr__(self) -> str:
        return (
            f"CompositePublicKey(key_id={self.key_id.hex()[:16]}, key_size={self.key_size}, "
            f"factors={len(self.factors)}, protocol={self.protocol}, parties={self.parties}, "
            f"threshold={self.threshold}, corruptions={self.corruptions}, epoch={self.epoch})"
        )

    @cached_property
    def key_id(self) -> bytes:
        """32 bytes: SHA-256 of the canonical encoding, so of all factors in their order."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def encoding_version(self) -> int:
        """Of signature shares and of sealed key shares: 4."""
        return shares.VERSION

    @property
    def secret_length(self) -> int:
        """Bytes of all factors' secrets of one member, one after the other."""
        return sum(factor.secret_length for factor in self.factors)

    @cached_property
    def contexts(self) -> tuple[bytes, ...]:
        """For each factor the 32 bytes that its proofs are bound to: this key, and its place in it.

        So they hold neither under the factor alone, nor in another composite key, nor at another place.
        """
        places = (bytes((place,)) for place in range(1, len(self.factors) + 1))
        return tuple(hashlib.sha256(_FACTOR_DOMAIN + self.key_id + place).digest() for place in places)

    @cached_property
    def idempotents(self) -> tuple[int, ...]:
        """For each factor the number modulo N that is 1 modulo this factor and 0 modulo all others."""
        cofactors = [self.modulus // factor.modulus for factor in self.factors]
        return tuple(
            cofactor * _arith.inverse(cofactor % factor.modulus, factor.modulus)
            for cofactor, factor in zip(cofactors, self.factors, strict=True)
        )

    def with_factors(self, factors: tuple[ThresholdPublicKey, ...]) -> CompositePublicKey:
        """The composite key of these. Raises InvalidKey."""
        return CompositePublicKey(factors, insecure_small_key=True)

    def to_bytes(self) -> bytes:
        """The canonical encoding: see the top of this module."""
        head = MAGIC + bytes((_VERSION, len(self.factors)))
        return head + b"".join(factor.to_bytes() for factor in self.factors)

    @classmethod
    def from_bytes(cls, data: bytes) -> CompositePublicKey:
        """Decode strictly: one encoding a key, exact length, everything validated. Raises InvalidKey.

        Short factors are let through, as by `ThresholdPublicKey.from_bytes`: what is decoded was made before.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded public key must be bytes, not {type(data).__name__}")
        start = len(MAGIC) + 2
        if len(data) < start or not data.startswith(MAGIC):
            raise InvalidKey("this is not an encoded composite public key")
        version, count = data[len(MAGIC) : start]
        if version != _VERSION:
            raise InvalidKey(f"encoding version {version} is unknown; this code reads {_VERSION}")
        if count not in FACTORS:
            raise InvalidKey(_count_error(count))
        length, rest = divmod(len(data) - start, count)
        if rest:
            raise InvalidKey(f"the encodings of {count} factors do not have the same length")
        encoded = [data[at : at + length] for at in range(start, len(data), length)] if length else []
        factors = []
        for place, part in enumerate(encoded, start=1):
            try:
                factors.append(ThresholdPublicKey.from_bytes(part))
            except InvalidKey as error:
                raise InvalidKey(f"factor {place}: {error}") from None
        return cls(tuple(factors), insecure_small_key=True)

    def check_dealing(self) -> None:
        """Raise InvalidKey, which names the factor, unless every factor's keys are a dealing of it."""
        for place, factor in enumerate(self.factors, start=1):
            try:
                factor.check_dealing()
            except InvalidKey as error:
                raise InvalidKey(f"factor {place}: {error}") from None

    def share_length(self, proof: ProofForm) -> int:
        """Bytes of an encoded signature share whose proof is "none", "compact" or "batchable"."""
        share_length(self.factors[0], proof)  # refuses an unknown form
        return shares.encoded_length(self.factors, proof)

    def share_from_bytes(self, data: bytes) -> CompositeSignatureShare:
        """See `CompositeSignatureShare.from_bytes`."""
        return shares.from_bytes(self.factors, data)

    def share_to_bytes(self, signature_share: AnySignatureShare) -> bytes:
        """See `CompositeSignatureShare.to_bytes`."""
        return shares.to_bytes(self.factors, signature_share)

    def check_share_form(self, signature_share: AnySignatureShare) -> None:
        """Everything about a share that needs no exponentiation, for all factors. Raises InvalidShare."""
        shares.check_form(self.factors, signature_share)

    def represent(self, message: bytes, scheme: Scheme) -> CompositeMessage:
        """The encoded message, as long as N, modulo each factor."""
        if not isinstance(scheme, Scheme):
            raise TypeError(f"the scheme must be a Scheme, not {type(scheme).__name__}")
        encoded = int.from_bytes(scheme.encode(message, self.modulus), "big")
        parts = []
        for place, (factor, context) in enumerate(zip(self.factors, self.contexts, strict=True), start=1):
            try:
                parts.append(represent_number(factor, encoded % factor.modulus, context))
            except ValueError as error:
                raise ValueError(f"factor {place}: {error}") from None
        return CompositeMessage(encoded, tuple(parts), self.idempotents)


PublicKey = ThresholdPublicKey | CompositePublicKey
"""A key of either kind."""


def check_factors(factors: tuple[ThresholdPublicKey, ...]) -> None:
    """Raise InvalidKey unless these keys can be the factors of one. How long each is, is not looked at."""
    if type(factors) is not tuple or not all(isinstance(factor, ThresholdPublicKey) for factor in factors):
        raise InvalidKey("the factors must be a tuple of threshold public keys")
    if len(factors) not in FACTORS:
        raise InvalidKey(_count_error(len(factors)))
    first = factors[0]
    for place, factor in enumerate(factors, start=1):
        for name in _SAME:
            found, expected = getattr(factor, name), getattr(first, name)
            if found != expected:
                raise InvalidKey(f"factor {place} has {name} = {found}, factor 1 has {expected}")
    if first.protocol == 1:
        raise InvalidKey("factors are keys of Protocol 2 or 3")
    if first.parties > PARTIES_MAX:
        raise InvalidKey(f"parties = {first.parties}: a composite key is for {PARTIES_MAX} at most")
    size = first.key_size * len(factors)
    if size > KEY_SIZE_MAX:
        raise InvalidKey(f"{size} bits are too many: stock verifiers read {KEY_SIZE_MAX} at most")
    for (one, left), (other, right) in combinations(enumerate(factors, start=1), 2):
        if left.modulus == right.modulus:
            raise InvalidKey(f"factors {one} and {other} are the same modulus, of one dealer only")
        if _arith.gcd(left.modulus, right.modulus) != 1:
            raise InvalidKey(f"factors {one} and {other} have a prime in common: one of them was copied")
    found = prod(factor.modulus for factor in factors).bit_length()
    if found != size:
        raise InvalidKey(
            f"the product of the factors has {found} bits instead of {size}: the dealers must know the "
            f"number of factors; deal with generate_threshold_key(..., factors={len(factors)})"
        )


def _count_error(count: int) -> str:
    return f"a composite key has {FACTORS.start}..{FACTORS.stop - 1} factors, not {count}"
