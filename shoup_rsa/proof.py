"""The proof that a signature share is right: equality of two discrete logarithms, made non-interactive.

Shoup, "Practical Threshold Signatures", section 2 (the proof of correctness) with Protocol 2's base x~ = x^4.
The member shows that the logarithm of v_i to the base v equals that of x_i^2 to the base x~, both being s_i:

    r uniform in [1, 2^(|N| + 2 L)),  v' = v^r,  x' = x~^r,
    c = H'(domain, key id, epoch, i, v, x~, v_i, x_i^2, v', x'),  L = 128 bits,
    z = s_i c + r,                         the proof is (c, z);
    check: c = H'(..., v^z v_i^-c, x~^z x_i^-2c).

r is longer than s_i c by L bits, which hides s_i statistically; a shorter one would give s_i away as z div c.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.encoding import byte_length
from shoup_rsa.errors import InvalidShare

if TYPE_CHECKING:
    from shoup_rsa.keys import ThresholdPublicKey

CHALLENGE_BITS = 128
"""L: both the soundness error 2^-L of a proof and the statistical distance that hides the secret."""

_DOMAIN = b"shoup-rsa/v1/protocol-2/share-proof\x00"


@dataclass(frozen=True, slots=True)
class Proof:
    """The compact proof (c, z): `challenge` in [0, 2^128), `response` in [0, response_bound)."""

    challenge: int
    response: int


def nonce_bound(modulus_bits: int) -> int:
    """The bound of r: 2^(|N| + 2 L)."""
    return 1 << (modulus_bits + 2 * CHALLENGE_BITS)


def response_bound(modulus_bits: int) -> int:
    """Every honest z = s_i c + r is below 2^(|N| + 2 L) + 2^(|N| + L), because s_i < N and c < 2^L."""
    return nonce_bound(modulus_bits) + (1 << (modulus_bits + CHALLENGE_BITS))


def response_length(modulus_bits: int) -> int:
    """Bytes of an encoded z."""
    return byte_length(response_bound(modulus_bits).bit_length())


def _challenge(
    public_key: ThresholdPublicKey, index: int, proof_base: int, squared: int, commitments: tuple[int, int]
) -> int:
    """H': SHA-256 over fixed-width fields, its first L bits taken as an UNSIGNED number.

    The message enters by x~, a function of it; the key and the epoch enter by name as well.
    """
    width = public_key.signature_length
    digest = hashlib.sha256(_DOMAIN + public_key.key_id)
    digest.update(public_key.epoch.to_bytes(8, "big") + index.to_bytes(4, "big"))
    verification_key = public_key.verification_keys[index - 1]
    numbers = (public_key.verification_base, proof_base, verification_key, squared, *commitments)
    for number in numbers:
        digest.update(number.to_bytes(width, "big"))
    return int.from_bytes(digest.digest()[: CHALLENGE_BITS // 8], "big")


def prove(
    public_key: ThresholdPublicKey,
    index: int,
    secret: int,
    representative: int,
    value: int,
    random_below: RandomBelow = random_below,
) -> Proof:
    """Prove that `value` is +-x^(2 s_i), where x = `representative` and s_i = `secret` belongs to `index`.

    Two secret exponentiations. `random_below` must be unpredictable: whoever knows r computes s_i.
    """
    modulus = public_key.modulus
    proof_base = _arith.power(representative, 4, modulus)
    squared = value * value % modulus
    # Zero is left out only because a constant-time exponentiation wants a positive exponent.
    nonce = 1 + random_below(nonce_bound(public_key.key_size) - 1)
    commitments = (
        _arith.secret_power(public_key.verification_base, nonce, modulus),
        _arith.secret_power(proof_base, nonce, modulus),
    )
    challenge = _challenge(public_key, index, proof_base, squared, commitments)
    return Proof(challenge, secret * challenge + nonce)


def check(public_key: ThresholdPublicKey, index: int, representative: int, value: int, proof: Proof) -> None:
    """Raise InvalidShare unless `proof` shows `value` to be +-x^(2 s_i) for the s_i behind v_i.

    The index and the value must have been checked before (in range, and the value a unit modulo N). v and v_i
    are the key's own; nothing but (c, z) is taken from the share, and both are bounded before any computing.
    """
    if not 0 <= proof.challenge < 1 << CHALLENGE_BITS:
        raise InvalidShare(index, f"the proof's challenge is not a number of {CHALLENGE_BITS} bits")
    if not 0 <= proof.response < response_bound(public_key.key_size):
        raise InvalidShare(index, "the proof's response is out of range")
    modulus = public_key.modulus
    proof_base = _arith.power(representative, 4, modulus)
    squared = value * value % modulus
    verification_key = public_key.verification_keys[index - 1]
    commitments = (
        _open_commitment(public_key.verification_base, verification_key, proof, modulus),
        _open_commitment(proof_base, squared, proof, modulus),
    )
    if _challenge(public_key, index, proof_base, squared, commitments) != proof.challenge:
        raise InvalidShare(index, "the proof of correctness does not hold")


def _open_commitment(base: int, image: int, proof: Proof, modulus: int) -> int:
    """base^z * image^-c: the commitment that the prover must have had in hand."""
    return (
        _arith.power(base, proof.response, modulus) * _arith.power(image, -proof.challenge, modulus) % modulus
    )
