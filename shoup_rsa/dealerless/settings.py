"""What a generation without a dealer is about, and all moduli and sizes that follow from it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from math import isqrt, prod

from shoup_rsa import _arith
from shoup_rsa.encoding import byte_length
from shoup_rsa.errors import InvalidKey
from shoup_rsa.sizes import SECURE_KEY_SIZE, check_sizes

PARTIES_MAX = 31
BATCH_MAX = 4096
CONTEXT_LENGTH_MAX = 1024
SMALL_KEY_SIZE = 512
LARGEST_KEY_SIZE = 4096

# Products and their openings are modulo a Mersenne prime 2^x - 1 with at least 40 bits more than N.
_MERSENNE_EXPONENTS = (607, 1279, 2203, 2281, 3217, 4253)
_SPARE_BITS = 40
_DOMAIN = b"shoup-rsa/v1/dealerless/settings\x00"
_LAYOUT = struct.Struct(">HHHHHH")


@dataclass(frozen=True)
class Settings:
    """What all parties must have agreed on before they start.

    parties, threshold, corruptions: n, k and t with t < k <= n - t, and n >= 3 t + 1; 4..31 parties, t >= 1.
    context: what else binds the messages (the parties' identities, the attempt's number); at most 1024 bytes.
    key_size: bits of N, 2048..4096 in steps of 128. From 512 on for tests, with `insecure_small_key`.
    batch: how many candidates are tried at once, 1..4096. About 3900 are needed at 2048 bits.

    Raises InvalidKey when a size is out of range.
    """

    parties: int
    threshold: int
    corruptions: int
    context: bytes
    key_size: int = SECURE_KEY_SIZE
    batch: int = 512
    insecure_small_key: bool = False

    def __post_init__(self) -> None:
        check_sizes(3, self.parties, self.threshold, self.corruptions, 0)
        if not self.corruptions >= 1 or not 3 * self.corruptions < self.parties <= PARTIES_MAX:
            raise InvalidKey(
                f"without a dealer, {self.parties} parties with {self.corruptions} corruptions: parties must "
                f"be more than three times as many, {PARTIES_MAX} at most, and corruptions at least one"
            )
        least = SMALL_KEY_SIZE if self.insecure_small_key else SECURE_KEY_SIZE
        if (
            type(self.key_size) is not int
            or self.key_size % 128
            or not least <= self.key_size <= LARGEST_KEY_SIZE
        ):
            raise InvalidKey(f"key_size: a multiple of 128 in {least}..{LARGEST_KEY_SIZE}")
        if type(self.batch) is not int or not 1 <= self.batch <= BATCH_MAX:
            raise InvalidKey(f"batch: 1..{BATCH_MAX} candidates")
        if type(self.context) is not bytes or len(self.context) > CONTEXT_LENGTH_MAX:
            raise InvalidKey(f"the context is at most {CONTEXT_LENGTH_MAX} bytes")

    @cached_property
    def session(self) -> bytes:
        """32 bytes that name these settings, at the head of every message."""
        fields = (self.parties, self.threshold, self.corruptions, self.key_size, self.batch)
        return hashlib.sha256(_DOMAIN + _LAYOUT.pack(*fields, len(self.context)) + self.context).digest()

    @property
    def indices(self) -> range:
        """1..n."""
        return range(1, self.parties + 1)

    @property
    def prime_bits(self) -> int:
        """Of p and of q."""
        return self.key_size // 2

    @cached_property
    def _sieve_primes(self) -> tuple[int, ...]:
        """All odd primes up to a bound, so that beside their product an eighth of p's bits stays random."""
        bits = self.prime_bits - self.prime_bits // 8 - 12
        product, found = 4, []
        for prime in _arith.small_primes(2000)[1:]:
            if (product * prime).bit_length() > bits:
                break
            product *= prime
            found.append(prime)
        return tuple(found)

    @cached_property
    def free_primes(self) -> tuple[int, ...]:
        """The primes r > n of the sieve, modulo which nobody knows p."""
        return tuple(prime for prime in self._sieve_primes if prime > self.parties)

    @cached_property
    def free_modulus(self) -> int:
        """Their product."""
        return prod(self.free_primes)

    @cached_property
    def fixed_modulus(self) -> int:
        """4 and the odd primes up to n, modulo which p and q are the same for all: 3, and 2."""
        return 4 * prod(prime for prime in self._sieve_primes if prime <= self.parties)

    @cached_property
    def sieve_modulus(self) -> int:
        """Both together."""
        return self.free_modulus * self.fixed_modulus

    @cached_property
    def idempotents(self) -> dict[int, int]:
        """For each free prime r the number that is 1 modulo r and 0 modulo the other free primes."""
        whole = self.free_modulus
        return {r: whole // r * _arith.inverse(whole // r, r) for r in self.free_primes}

    @cached_property
    def lift(self) -> int:
        """1 modulo the free primes, 0 modulo the fixed ones."""
        return self.fixed_modulus * _arith.inverse(self.fixed_modulus, self.free_modulus)

    @cached_property
    def first_constant(self) -> int:
        """What the first party adds to p and to q: their fixed residues, and their least size.

        p = 3 modulo 4 and 2 modulo the odd primes up to n; 3 2^(b - 2) < p < 2^b, so that p q has 2 b bits.
        """
        odd = self.fixed_modulus // 4
        residue = (2 + odd * ((3 - 2) * _arith.inverse(odd, 4) % 4)) % self.fixed_modulus
        whole = residue * self.free_modulus * _arith.inverse(self.free_modulus, self.fixed_modulus)
        low = 3 << (self.prime_bits - 2)
        return whole % self.sieve_modulus + (low // self.sieve_modulus + 1) * self.sieve_modulus

    @cached_property
    def width(self) -> int:
        """Each party adds the sieve's modulus, times a uniform number below this."""
        return ((1 << (self.prime_bits - 2)) - 2 * self.sieve_modulus) // (self.parties * self.sieve_modulus)

    @cached_property
    def product_modulus(self) -> int:
        """The Mersenne prime modulo which p, q and their product are shared."""
        least = self.key_size + _SPARE_BITS
        return (1 << next(bits for bits in _MERSENNE_EXPONENTS if bits >= least)) - 1

    @cached_property
    def free_bytes(self) -> int:
        """The length of a number modulo the free primes."""
        return byte_length(self.free_modulus.bit_length())

    @cached_property
    def product_bytes(self) -> int:
        """The length of a number modulo the product's modulus."""
        return byte_length(self.product_modulus.bit_length())

    @cached_property
    def spares(self) -> tuple[tuple[int, int], ...]:
        """(number of the leaf, prime r) of all spare residues, by prime.

        Of the 2 B residues modulo r a part of (3 r - 2) / r^2 is refused, and the same part of the spares.
        What is there is the mean and three standard deviations; a candidate that finds none is given up.
        """
        found = []
        for prime in self.free_primes:
            mean = 2 * self.batch * (3 * prime - 2) // ((prime - 1) * (prime - 2))
            found += [prime] * (mean + 3 * isqrt(mean) + 2)
        return tuple(enumerate(found, start=self.batch))

    @property
    def leaves(self) -> int:
        """How many seeds a party has in a batch: one a candidate, one a spare residue."""
        return self.batch + len(self.spares)
