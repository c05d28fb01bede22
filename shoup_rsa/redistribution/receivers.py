"""Where subshares are sent to: each member's key of one redistribution, for Paillier's encryption.

    "shoup-rsa/receiver-key" 00 | version u8 = 1 | bits u16 | n, bits / 8 bytes | h, twice as many

A key serves one finished redistribution. Ciphertexts may be kept by everybody for ever, so its owner erases
the secret as soon as the share that came by it is safe: whoever steals it later must not find old shares.
A key that is wrong in a way that cannot be seen here harms its owner only.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.errors import InvalidReceiver
from shoup_rsa.hidden import Unchanged
from shoup_rsa.redistribution import paillier

BITS_MAX = 1 << 15
BITS_SPARE = 1024
"""How much longer than needed a modulus may be. A key made for 31 members serves an alliance of any size."""

_BITS_STEP = 256
_MAGIC = b"shoup-rsa/receiver-key\x00"
_SECRET_MAGIC = b"shoup-rsa/receiver-secret\x00"
_HEAD = struct.Struct(">BH")


@dataclass(frozen=True, repr=False)
class ReceiverKey:
    """The public part (n, h), validated at construction. Raises InvalidReceiver.

    modulus: n of a multiple of 256 bits, odd, no prime, no perfect power, without a factor below 2^17.
    generator: h with 1 < h < n^2, a unit.
    """

    modulus: int
    generator: int

    def __post_init__(self) -> None:
        modulus, generator = self.modulus, self.generator
        if type(modulus) is not int or modulus < 1 or modulus.bit_length() % _BITS_STEP:
            raise InvalidReceiver(None, f"its modulus must have a multiple of {_BITS_STEP} bits")
        if modulus.bit_length() > BITS_MAX:
            raise InvalidReceiver(None, f"its modulus has more than {BITS_MAX} bits")
        if _arith.has_factor_below(modulus, paillier.FACTOR_MIN):
            raise InvalidReceiver(None, "its modulus has a factor below 2^17")
        if _arith.is_perfect_power(modulus) or _arith.may_be_prime(modulus):
            raise InvalidReceiver(None, "its modulus is a prime or a perfect power")
        if type(generator) is not int or not 1 < generator < modulus * modulus:
            raise InvalidReceiver(None, "its generator is not between 1 and n^2")
        if _arith.gcd(generator, modulus) != 1:
            raise InvalidReceiver(None, "its generator has a common factor with the modulus")

    def __repr__(self) -> str:
        return f"ReceiverKey(bits={self.bits}, fingerprint={self.fingerprint.hex()[:16]})"

    @property
    def bits(self) -> int:
        """The length of the modulus."""
        return self.modulus.bit_length()

    @cached_property
    def fingerprint(self) -> bytes:
        """32 bytes that name this key: SHA-256 of its encoding."""
        return hashlib.sha256(self.to_bytes()).digest()

    @cached_property
    def secret_id(self) -> bytes:
        """32 bytes that name what opens its ciphertexts: SHA-256 of the modulus, whatever h is beside it."""
        return hashlib.sha256(self.modulus.to_bytes(self.bits // 8, "big")).digest()

    def to_bytes(self) -> bytes:
        """The one encoding of this key, as in the head of this module."""
        length = self.bits // 8
        numbers = self.modulus.to_bytes(length, "big") + self.generator.to_bytes(2 * length, "big")
        return _MAGIC + _HEAD.pack(1, self.bits) + numbers

    @classmethod
    def from_bytes(cls, data: bytes) -> ReceiverKey:
        """Decode strictly. Raises InvalidReceiver; TypeError unless data is bytes."""
        length, body = _open(_MAGIC, data, parts=3, what="receiver key")
        key = cls(int.from_bytes(body[:length], "big"), int.from_bytes(body[length:], "big"))
        if key.bits != 8 * length:
            raise InvalidReceiver(None, f"its modulus does not have exactly {8 * length} bits")
        return key


class ReceiverSecret(Unchanged):
    """A receiver key with its primes. Shown to nobody: neither in repr nor by copying or pickling."""

    __slots__ = ("_first", "_key", "_second")
    _copying = "a receiver's secret cannot be copied or pickled; see secret_to_bytes"
    _changing = "a receiver's secret cannot be changed"

    _first: int
    _key: ReceiverKey
    _second: int

    def __init__(self, first: int, second: int, generator: int) -> None:
        """Raises InvalidReceiver for numbers that cannot be such a key's."""
        key = ReceiverKey(first * second, generator)
        for prime in (first, second):
            if type(prime) is not int or 2 * prime.bit_length() != key.bits or not _arith.may_be_prime(prime):
                raise InvalidReceiver(None, "its secret does not hold two primes of equal length")
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "_second", second)
        object.__setattr__(self, "_key", key)

    @property
    def key(self) -> ReceiverKey:
        """What the dealers need."""
        return self._key

    def decrypt(self, ciphertext: int) -> int:
        """The integer in a ciphertext that was checked to be a unit. Two secret exponentiations."""
        return paillier.decrypt(self._first, self._second, ciphertext)

    def secret_to_bytes(self) -> bytes:
        """All of it, to be kept until the share is safe. AS SECRET AS A KEY SHARE: encrypt it at rest."""
        half = self._key.bits // 16
        numbers = self._first.to_bytes(half, "big") + self._second.to_bytes(half, "big")
        generator = self._key.generator.to_bytes(4 * half, "big")
        return _SECRET_MAGIC + _HEAD.pack(1, self._key.bits) + numbers + generator

    @classmethod
    def from_secret_bytes(cls, data: bytes) -> ReceiverSecret:
        """Raises InvalidReceiver; TypeError unless data is bytes."""
        length, body = _open(_SECRET_MAGIC, data, parts=3, what="receiver secret")
        half = length // 2
        cuts = (body[:half], body[half:length], body[length:])
        first, second, generator = (int.from_bytes(cut, "big") for cut in cuts)
        return cls(first, second, generator)

    def __repr__(self) -> str:
        return f"ReceiverSecret(bits={self._key.bits}, secret=<hidden>)"


def generate_receiver(bits: int, *, random_below: RandomBelow = random_below) -> ReceiverSecret:
    """A fresh receiver's key of exactly that many bits: `Order.receiver_bits` of the redistribution to come,
    or `receiver_bits_ahead` while nobody knows it yet.

    About a tenth of a second at 2560 bits. Raises ValueError unless bits is a multiple of 256 up to 2^15.
    """
    if type(bits) is not int or bits % _BITS_STEP or not 512 <= bits <= BITS_MAX:
        raise ValueError(f"a receiver's modulus has a multiple of {_BITS_STEP} bits, 512..{BITS_MAX}")
    first, second = paillier.draw_primes(bits, random_below)
    return ReceiverSecret(first, second, paillier.draw_generator(first, second, random_below))


def _open(magic: bytes, data: bytes, parts: int, what: str) -> tuple[int, bytes]:
    """(bytes of a modulus, what follows the head), of exactly `parts` times that length."""
    if not isinstance(data, bytes):
        raise TypeError(f"an encoded {what} must be bytes, not {type(data).__name__}")
    start = len(magic) + _HEAD.size
    if len(data) < start or not data.startswith(magic):
        raise InvalidReceiver(None, f"this is not an encoded {what}")
    version, bits = _HEAD.unpack_from(data, len(magic))
    if version != 1:
        raise InvalidReceiver(None, f"version {version} of the encoding is unknown; this code reads 1")
    if not bits or bits % _BITS_STEP or bits > BITS_MAX or len(data) != start + parts * bits // 8:
        raise InvalidReceiver(None, f"the encoded {what} does not have the length that it states")
    return bits // 8, data[start:]
