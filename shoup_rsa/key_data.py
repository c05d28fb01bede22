"""What a public key is: its numbers, validated, and their canonical bytes, of which its name is the hash.

`shoup_rsa.keys` puts on top what can be done with it.

Numbers are big-endian, those modulo N of key_size / 8 bytes each:

    "shoup-rsa/public-key" 00 | version u8 | protocol u8 | key_size u16 | parties | threshold | corruptions |
    epoch u64 | e u32 | N | v | [u] | v_1 .. v_n

Version 1 is for Protocol 2 with at most 256 parties; its three sizes are u16. Version 2 is for all other
keys of the paper; its three sizes are u32. Version 3 is for Protocol 3; its sizes are u16, and after e follow
index bound u16 | secret bits u16. Version 5 is the same for a key whose origin is "distributed", made without
a dealer. (4 is for composite keys.) u is there in all but Protocol 1. So every key has exactly one encoding.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidKey
from shoup_rsa.integer_form import SLACK_BITS, IntegerForm
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.sizes import KEY_SIZES, PUBLIC_EXPONENT, check_integer_form, check_modulus, check_sizes

_MAGIC = b"shoup-rsa/public-key\x00"
_VERSION_1_PARTIES_MAX = 256
_LAYOUTS = {
    1: struct.Struct(">BBHHHHQI"),
    2: struct.Struct(">BBHIIIQI"),
    3: struct.Struct(">BBHHHHQIHH"),
    5: struct.Struct(">BBHHHHQIHH"),
}
ORIGINS = ("dealer", "distributed")


def encoding_version(protocol: int, parties: int) -> int:
    """1, 2 or 3: the version of the encodings of such a key, of its key shares and its signature shares."""
    if protocol == 3:
        return 3
    return 1 if protocol == 2 and parties <= _VERSION_1_PARTIES_MAX else 2


@dataclass(frozen=True)
class KeyData(BasePublicKey):
    """N, e, the sizes, and Shoup's verification keys. Every instance has been validated at construction.

    modulus: N, a product of two safe primes (see origin), of exactly `key_size` bits.
    public_exponent: e = 65537, prime and above `parties`.
    parties, threshold, corruptions: n, k and t with t < k <= n - t; in Protocol 1 also k = t + 1.
    epoch: the generation of the key, 0..2^64 - 1; it enters the key id and with it every proof.
    verification_base: v, a square. verification_keys: v_i = v^(s_i) for i = 1..n, in this order.
    nonresidue: u with Jacobi symbol (u | N) = -1, None in Protocol 1.
    protocol: 1 or 2, the paper's; 3 is Protocol 2 over the integers, see `shoup_rsa.integer_form`.
    index_bound: M in Protocol 3, at least every index that was ever used under this N; else 0.
    secret_bits: in Protocol 3 the bits of the bound of |d~|; else 0.
    origin: "dealer", or "distributed" for a key of Protocol 3 that was made by `shoup_rsa.dealerless`. Then
    N has no safe primes, and that proofs of shares convince rests on the low order assumption as well.

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
    nonresidue: int | None
    protocol: int = 2
    index_bound: int = 0
    secret_bits: int = 0
    origin: str = "dealer"

    def __post_init__(self) -> None:
        check_sizes(self.protocol, self.parties, self.threshold, self.corruptions, self.epoch)
        if type(self.public_exponent) is not int or self.public_exponent != PUBLIC_EXPONENT:
            raise InvalidKey(f"the public exponent must be {PUBLIC_EXPONENT}")
        check_modulus(self.modulus)
        check_integer_form(self.protocol, self.parties, self.key_size, self.index_bound, self.secret_bits)
        if self.origin not in ORIGINS or (self.origin == "distributed" and self.protocol != 3):
            raise InvalidKey("the origin is dealer, or in Protocol 3 distributed")
        if type(self.verification_keys) is not tuple or len(self.verification_keys) != self.parties:
            raise InvalidKey(f"there must be a tuple of {self.parties} verification keys, one a party")
        # A Jacobi symbol other than 0 also says that the number has no factor in common with N.
        self._check_number("verification base", self.verification_base, symbol=1)
        # The roots of 1: -1 has the symbol 1, too, and under it the proof of any even power holds.
        if _arith.gcd(self.verification_base**2 - 1, self.modulus) != 1:
            raise InvalidKey("the verification base does not generate the squares")
        for index, verification_key in enumerate(self.verification_keys, start=1):
            self._check_number(f"verification key {index}", verification_key, symbol=1)
        if self.protocol != 1:
            self._check_number("nonresidue", self.nonresidue, symbol=-1)
        elif self.nonresidue is not None:
            raise InvalidKey("Protocol 1 has no nonresidue")

    def _check_number(self, name: str, number: object, symbol: int) -> None:
        if type(number) is not int or not 1 <= number < self.modulus:
            raise InvalidKey(f"the {name} is not in 1..N-1")
        if _arith.jacobi(number, self.modulus) != symbol:
            raise InvalidKey(f"the Jacobi symbol of the {name} is not {symbol:+d}")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(key_id={self.key_id.hex()[:16]}, key_size={self.key_size}, "
            f"protocol={self.protocol}, parties={self.parties}, threshold={self.threshold}, "
            f"corruptions={self.corruptions}, epoch={self.epoch})"
        )

    @cached_property
    def form(self) -> IntegerForm | None:
        """The sizes of the integer form; None in Protocols 1 and 2, whose shares are numbers modulo m."""
        if self.protocol != 3:
            return None
        return IntegerForm(self.index_bound, self.threshold, self.secret_bits)

    @cached_property
    def share_bits_max(self) -> int:
        """Every |s_i| that can pass for a share is below 2 to this power; s_i is negative in Protocol 3 only.

        Protocols 1 and 2: the key size. Protocol 3: an honest dealer's share_bits, and SLACK_BITS more.
        """
        return self.key_size if self.form is None else self.form.share_bits + SLACK_BITS

    @cached_property
    def key_id(self) -> bytes:
        """32 bytes: SHA-256 of the canonical encoding. Names the key, its sizes and its epoch."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def secret_length(self) -> int:
        """Bytes of an encoded s_i: as long as N, and in Protocol 3 as the longest in two's complement."""
        return self.signature_length if self.form is None else self.share_bits_max // 8 + 1

    @cached_property
    def nonresidue_to_exponent(self) -> int:
        """u^e, which moves a message with Jacobi symbol -1 to +1; 1 in Protocol 1."""
        return _arith.power(self.nonresidue or 1, self.public_exponent, self.modulus)

    @cached_property
    def nonresidue_inverse(self) -> int:
        """1 / u, which takes u^e out of the signature again; 1 in Protocol 1."""
        return _arith.inverse(self.nonresidue or 1, self.modulus)

    @cached_property
    def encoding_version(self) -> int:
        """Of its shares' bytes, and of this key's own but for its origin: 1, 2 for large ones, or 3."""
        return encoding_version(self.protocol, self.parties)

    def to_bytes(self) -> bytes:
        """The canonical encoding: see the top of this module."""
        version = 5 if self.origin == "distributed" else self.encoding_version
        header = _LAYOUTS[version].pack(
            version,
            self.protocol,
            self.key_size,
            self.parties,
            self.threshold,
            self.corruptions,
            self.epoch,
            self.public_exponent,
            *((self.index_bound, self.secret_bits) if self.protocol == 3 else ()),
        )
        numbers = [self.modulus, self.verification_base]
        if self.nonresidue is not None:
            numbers.append(self.nonresidue)
        numbers += self.verification_keys
        return _MAGIC + header + b"".join(number.to_bytes(self.signature_length, "big") for number in numbers)


def decode_public_key(data: bytes) -> dict[str, Any]:
    """The arguments of `KeyData`, which validates what is not checked here: the numbers.

    Raises InvalidKey for everything that is not the one encoding of some sizes, before reading the numbers;
    TypeError unless data is bytes.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"an encoded public key must be bytes, not {type(data).__name__}")
    if len(data) <= len(_MAGIC) or data[: len(_MAGIC)] != _MAGIC:
        raise InvalidKey("this is not an encoded threshold public key")
    layout = _LAYOUTS.get(data[len(_MAGIC)])
    if layout is None:
        raise InvalidKey(f"encoding version {data[len(_MAGIC)]} is unknown; this code reads 1, 2, 3 and 5")
    start = len(_MAGIC) + layout.size
    if len(data) < start:
        raise InvalidKey("the encoded threshold public key is truncated")
    version, protocol, key_size, parties, threshold, corruptions, epoch, exponent, *rest = layout.unpack_from(
        data, len(_MAGIC)
    )
    index_bound, secret_bits = rest or (0, 0)
    check_sizes(protocol, parties, threshold, corruptions, epoch)
    if (3 if version == 5 else version) != encoding_version(protocol, parties):
        raise InvalidKey(f"protocol {protocol} with {parties} parties is not encoded in version {version}")
    if key_size not in KEY_SIZES:
        raise InvalidKey(f"a key size of {key_size} bits is not supported")
    check_integer_form(protocol, parties, key_size, index_bound, secret_bits)
    width = key_size // 8
    in_front = 2 if protocol == 1 else 3  # N, v and perhaps u
    length = start + (in_front + parties) * width
    if len(data) != length:
        raise InvalidKey(f"the encoding should have {length} bytes, not {len(data)}")
    numbers = [int.from_bytes(data[at : at + width], "big") for at in range(start, length, width)]
    if numbers[0].bit_length() != key_size:
        raise InvalidKey(f"the modulus does not have exactly {key_size} bits")
    return {
        "modulus": numbers[0],
        "public_exponent": exponent,
        "parties": parties,
        "threshold": threshold,
        "corruptions": corruptions,
        "epoch": epoch,
        "verification_base": numbers[1],
        "verification_keys": tuple(numbers[in_front:]),
        "nonresidue": None if protocol == 1 else numbers[2],
        "protocol": protocol,
        "index_bound": index_bound,
        "secret_bits": secret_bits,
        "origin": "distributed" if version == 5 else "dealer",
    }
