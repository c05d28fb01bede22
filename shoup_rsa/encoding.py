"""From a message to the number that the members raise to their secrets, and back from the signature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from shoup_rsa import _arith
from shoup_rsa.key_data import KeyData
from shoup_rsa.scheme import Scheme
from shoup_rsa.sizes import delta


@dataclass(frozen=True)
class Representative:
    """A message as the members see it. Shares are powers of `base`, proofs speak about `proof_base`.

    Protocol 1: x = H(M), the encoded message as a number; base x^(2 Delta), proof base x~ = x^(4 Delta).
    Protocols 2 and 3: x = H(M), or x = H(M) u^e mod N when the Jacobi symbol (H(M) | N) is -1; then
    `adjusted` is true and the signature is y / u instead of y. Base x^2, proof base x~ = x^4.

    context: 32 bytes that proofs are bound to, the key id; for a factor of a composite key, a name of its
    place in that key.
    """

    key: KeyData
    encoded: int
    value: int
    adjusted: bool
    context: bytes

    @cached_property
    def base(self) -> int:
        """What the members raise to their secrets."""
        if self.key.protocol == 1:
            return _arith.power(self.value, 2 * delta(self.key.parties), self.key.modulus)
        return _arith.multiply(self.value, self.value, self.key.modulus)

    @cached_property
    def proof_base(self) -> int:
        """x~, the square of the base."""
        return _arith.multiply(self.base, self.base, self.key.modulus)


def byte_length(bits: int) -> int:
    """How many whole bytes hold that many bits."""
    return (bits + 7) // 8


def represent(key: KeyData, message: bytes, scheme: Scheme) -> Representative:
    """The message under this key and scheme.

    Raises TypeError unless the message is bytes and the scheme a Scheme; ValueError if the key is too short
    for the scheme, or the encoded message shares a factor with the modulus, which for an honest key nobody
    can bring about without factoring it.
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"the scheme must be a Scheme, not {type(scheme).__name__}")
    return represent_number(key, int.from_bytes(scheme.encode(message, key.modulus), "big"), key.key_id)


def represent_number(key: KeyData, encoded: int, context: bytes) -> Representative:
    """An encoded message below N. Raises ValueError if it has a factor in common with N."""
    symbol = _arith.jacobi(encoded, key.modulus)
    if symbol == 0:
        raise ValueError(
            "the encoded message has a common factor with the modulus, so this message has no shares; such a "
            "modulus is no product of two large primes, and its dealer has cheated"
        )
    if key.protocol == 1 or symbol == 1:
        return Representative(key, encoded, encoded, False, context)
    value = _arith.multiply(encoded, key.nonresidue_to_exponent, key.modulus)
    return Representative(key, encoded, value, True, context)
