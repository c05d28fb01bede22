"""The proof that a signature share is right: equality of two discrete logarithms, made non-interactive.

Shoup, "Practical Threshold Signatures", section 2 (the proof of correctness). The member shows that the
logarithm of v_i to the base v equals that of x_i^2 to the base x~, both being s_i:

    r uniform in [1, 2^(|s| + 2 L)),  v' = v^r,  x' = x~^r,
    c = H'(domain, key id, epoch, i, v, x~, v_i, x_i^2, v', x'),  L = 128 bits,
    z = s_i c + r.

|s| is the number of bits of the largest share there may be: |N| in Protocols 1 and 2, more in Protocol 3. r
is longer than s_i c by L bits, which hides s_i statistically; a shorter one would give s_i away as z div c.
Shares of Protocol 3 may be negative: there r begins at 2^(|s| + L), so that z is never negative.
The proof has two forms. Compact, (c, z): c = H'(..., v^z v_i^-c, x~^z x_i^-2c) is checked. Batchable,
(v', x', z): v^z = v' v_i^c and x~^z = x' x_i^2c are checked, up to sign, many at a time: `shoup_rsa.batch`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.encoding import Representative, byte_length
from shoup_rsa.errors import InvalidShare
from shoup_rsa.key_data import KeyData

CHALLENGE_BITS = 128
"""L: both the soundness error 2^-L of a proof and the statistical distance that hides the secret."""

BATCH_EXPONENT_BITS = 64
"""The length of the random exponents of a batch: an error passes with probability 2^-64, each time anew."""

# Sums of up to 2^16 products of a response and such an exponent are the longest exponents of v.
_SPARE_BITS = BATCH_EXPONENT_BITS + 16

_DOMAINS = {
    1: b"shoup-rsa/v1/protocol-1/share-proof\x00",
    2: b"shoup-rsa/v1/protocol-2/share-proof\x00",
    3: b"shoup-rsa/v1/protocol-3/share-proof\x00",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """The compact proof (c, z): `challenge` in [0, 2^128), `response` in [0, response_bound)."""

    challenge: int
    response: int


@dataclass(frozen=True, slots=True)
class BatchableProof:
    """The batchable proof (v', x', z): two units modulo N, and `response` in [0, response_bound)."""

    base_commitment: int
    message_commitment: int
    response: int


@dataclass(frozen=True, slots=True)
class Nonce:
    """r, and v^r. For ONE proof: two proofs with one r give the key share away. Secret, so never shown."""

    exponent: int = field(repr=False)
    commitment: int = field(repr=False)


def nonce_bound(share_bits: int) -> int:
    """The bound of r: 2^(|s| + 2 L). `share_bits` is |s|, the key's `share_bits_max`."""
    return 1 << (share_bits + 2 * CHALLENGE_BITS)


def response_bound(share_bits: int) -> int:
    """Every honest z = s_i c + r is below 2^(|s| + 2 L) + 2^(|s| + L), because |s_i| < 2^|s| and c < 2^L."""
    return nonce_bound(share_bits) + (1 << (share_bits + CHALLENGE_BITS))


def response_length(share_bits: int) -> int:
    """Bytes of an encoded z."""
    return byte_length(response_bound(share_bits).bit_length())


def draw_nonce(key: KeyData, random_below: RandomBelow = random_below) -> Nonce:
    """A fresh r with v^r: one secret exponentiation. Whoever can predict r computes s_i."""
    # Zero is left out only because a constant-time exponentiation wants a positive exponent.
    lowest = 1 if key.form is None else 1 << (key.share_bits_max + CHALLENGE_BITS)
    exponent = lowest + random_below(nonce_bound(key.share_bits_max) - lowest)
    return Nonce(exponent, _arith.secret_power(key.verification_base, exponent, key.modulus))


def prove(
    key: KeyData,
    index: int,
    secret: int,
    representative: Representative,
    value: int,
    nonce: Nonce,
    *,
    batchable: bool = False,
) -> Proof | BatchableProof:
    """Prove that `value` is +-(base)^(s_i), where s_i = `secret` belongs to `index`.

    One secret exponentiation. The nonce must never have been used before.
    """
    squared = _arith.multiply(value, value, key.modulus)
    commitment = _arith.secret_power(representative.proof_base, nonce.exponent, key.modulus)
    challenge = _challenge(key, index, representative, squared, (nonce.commitment, commitment))
    response = secret * challenge + nonce.exponent
    if batchable:
        return BatchableProof(nonce.commitment, commitment, response)
    return Proof(challenge, response)


def check_compact(key: KeyData, index: int, representative: Representative, value: int, proof: Proof) -> None:
    """Raise InvalidShare unless `proof` shows `value` to be +-(base)^(s_i) for the s_i behind v_i.

    The form must have been checked before: the index in range, the value a unit modulo N, c and z bounded.
    v and v_i are the key's own; nothing but (c, z) is taken from the share.
    """
    squared = _arith.multiply(value, value, key.modulus)
    image = key.verification_keys[index - 1]
    proof_base = representative.proof_base
    inverted = _arith.inverse(squared, key.modulus)
    image_power = _arith.short_table(image, key.modulus, CHALLENGE_BITS).power(proof.challenge)
    commitments = (
        _arith.multiply(
            power_of_v(key, proof.response), _arith.inverse(image_power, key.modulus), key.modulus
        ),
        _arith.double_power((proof_base, proof.response), (inverted, proof.challenge), key.modulus),
    )
    if _challenge(key, index, representative, squared, commitments) != proof.challenge:
        raise InvalidShare(index, "the proof of correctness does not hold")


def challenge_of(
    key: KeyData, index: int, representative: Representative, value: int, proof: BatchableProof
) -> int:
    """c, which a batchable proof leaves to its reader."""
    squared = _arith.multiply(value, value, key.modulus)
    commitments = (proof.base_commitment, proof.message_commitment)
    return _challenge(key, index, representative, squared, commitments)


def power_of_v(key: KeyData, exponent: int) -> int:
    """v^exponent for a PUBLIC exponent, by a table that is made once: all proofs of a key need it."""
    bits = response_bound(key.share_bits_max).bit_length() + _SPARE_BITS
    return _arith.long_table(key.verification_base, key.modulus, bits).power(exponent)


def _challenge(
    key: KeyData, index: int, representative: Representative, squared: int, commitments: tuple[int, int]
) -> int:
    """H': SHA-256 over fixed-width fields, its first L bits taken as an UNSIGNED number.

    The message and its scheme enter by x~, a function of them; the key and the epoch enter by name as well:
    the representative's context is the key id, or names the composite key of which this is a factor.
    """
    width = key.signature_length
    digest = hashlib.sha256(_DOMAINS[key.protocol] + representative.context)
    digest.update(key.epoch.to_bytes(8, "big") + index.to_bytes(4, "big"))
    verification_key = key.verification_keys[index - 1]
    numbers = (key.verification_base, representative.proof_base, verification_key, squared, *commitments)
    for number in numbers:
        digest.update(number.to_bytes(width, "big"))
    return int.from_bytes(digest.digest()[: CHALLENGE_BITS // 8], "big")
